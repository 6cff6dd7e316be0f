//! Types that a file may use without declaring them.
//!
//! Owns what a queued call answers: the gateway's own types, added to each file
//! that queues calls. A file that declares one of them keeps its own.

use std::collections::HashSet;

use apollo_compiler::Node;
use apollo_compiler::ast::{
    self, Definition, Directive, DirectiveList, EnumTypeDefinition, EnumValueDefinition,
    FieldDefinition, ObjectTypeDefinition, ScalarTypeDefinition, Type,
};
use apollo_compiler::{Name, name};

/// How a queued call stands, in the order of its life.
const STATUSES: [Name; 6] = [
    name!("QUEUED"),
    name!("DELIVERING"),
    name!("RETRYING"),
    name!("DELIVERED"),
    name!("DEAD_LETTERED"),
    name!("EXPIRED"),
];

/// Adds what a file that queues calls may return.
pub(super) fn add(ast: &mut ast::Document, prefix: &str) {
    if !queues(ast) {
        return;
    }
    let named = |plain: &str| Name::new(&format!("{prefix}{plain}")).ok();
    let (Some(accepted), Some(status)) = (named("Accepted"), named("DeliveryStatus")) else {
        return;
    };
    let declared: HashSet<Name> = ast
        .definitions
        .iter()
        .filter_map(|it| it.name().cloned())
        .collect();
    let ours = [
        accepted_type(accepted, status.clone()),
        statuses(status),
        scalar(name!("DateTime")),
    ];
    let missing = ours.into_iter();
    let missing = missing.filter(|ours| ours.name().is_some_and(|name| !declared.contains(name)));
    ast.definitions.extend(missing);
}

fn queues(ast: &ast::Document) -> bool {
    let has = |fields: &[Node<FieldDefinition>]| {
        let mut directives = fields.iter().flat_map(|field| &field.directives.0);
        directives.any(|directive| directive.name == "queue")
    };
    ast.definitions.iter().any(|definition| match definition {
        Definition::ObjectTypeDefinition(it) => has(&it.fields),
        Definition::ObjectTypeExtension(it) => has(&it.fields),
        _ => false,
    })
}

fn accepted_type(name: Name, status: Name) -> Definition {
    let field = |name: Name, ty: Name| {
        Node::new(FieldDefinition {
            description: None,
            name,
            arguments: Vec::new(),
            ty: Type::NonNullNamed(ty),
            directives: DirectiveList::default(),
        })
    };
    let shareable = Node::new(Directive {
        name: name!("shareable"),
        arguments: Vec::new(),
    });
    Definition::ObjectTypeDefinition(Node::new(ObjectTypeDefinition {
        description: Some("A call that was made durable, and will be made.".into()),
        name,
        implements_interfaces: Vec::new(),
        directives: DirectiveList(vec![shareable]),
        fields: vec![
            field(name!("id"), name!("ID")),
            field(name!("status"), status),
            field(name!("acceptedAt"), name!("DateTime")),
            field(name!("duplicate"), name!("Boolean")),
        ],
    }))
}

fn statuses(name: Name) -> Definition {
    let value = |value| {
        Node::new(EnumValueDefinition {
            description: None,
            value,
            directives: DirectiveList::default(),
        })
    };
    Definition::EnumTypeDefinition(Node::new(EnumTypeDefinition {
        description: Some("How a queued call stands.".into()),
        name,
        directives: DirectiveList::default(),
        values: STATUSES.into_iter().map(value).collect(),
    }))
}

fn scalar(name: Name) -> Definition {
    Definition::ScalarTypeDefinition(Node::new(ScalarTypeDefinition {
        description: Some("A point in time, as RFC 3339 writes it.".into()),
        name,
        directives: DirectiveList::default(),
    }))
}
