//! The names of root types.
//!
//! Owns `schema { query: ... }`: a supergraph's roots are `Query`, `Mutation` and
//! `Subscription`, whatever a file calls its own.

use std::collections::HashMap;

use apollo_compiler::ast::{self, Definition, OperationType, Type};
use apollo_compiler::{Name, Node, name};

use super::Places;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Renames a file's root types to the names of the supergraph.
pub(super) fn canonicalise(
    ast: &mut ast::Document,
    places: &Places,
    diagnostics: &mut Diagnostics,
) {
    let renames = renames(ast);
    if renames.is_empty() {
        return;
    }
    for definition in &ast.definitions {
        let Some(taken) = definition
            .name()
            .filter(|name| renames.values().any(|to| to == *name))
        else {
            continue;
        };
        if !renames.contains_key(taken) && is_object(definition) {
            diagnostics.push(taken_name(taken, places));
            return;
        }
    }
    for definition in &mut ast.definitions {
        rename_definition(definition, &renames);
    }
}

/// From a root type's name in the file to its name in the supergraph, where they differ.
fn renames(ast: &ast::Document) -> HashMap<Name, Name> {
    let roots = ast
        .definitions
        .iter()
        .flat_map(|definition| match definition {
            Definition::SchemaDefinition(it) => &it.root_operations[..],
            Definition::SchemaExtension(it) => &it.root_operations[..],
            _ => &[],
        });
    roots
        .map(|root| (root.1.clone(), canonical(root.0)))
        .filter(|(from, to)| from != to)
        .collect()
}

fn canonical(operation: OperationType) -> Name {
    match operation {
        OperationType::Query => name!("Query"),
        OperationType::Mutation => name!("Mutation"),
        OperationType::Subscription => name!("Subscription"),
    }
}

fn is_object(definition: &Definition) -> bool {
    matches!(
        definition,
        Definition::ObjectTypeDefinition(_) | Definition::ObjectTypeExtension(_)
    )
}

fn taken_name(name: &Name, places: &Places) -> Diagnostic {
    let code = match name.as_str() {
        "Mutation" => "ROOT_MUTATION_USED",
        "Subscription" => "ROOT_SUBSCRIPTION_USED",
        _ => "ROOT_QUERY_USED",
    };
    Diagnostic::error(
        code,
        "the supergraph's root type has this name, and the file's root is another type",
    )
    .at(places.name(name))
    .help(format!(
        "rename this type, or make it the root: schema {{ ... : {name} }}"
    ))
}

fn rename_definition(definition: &mut Definition, renames: &HashMap<Name, Name>) {
    match definition {
        Definition::SchemaDefinition(it) => {
            rename_roots(&mut it.make_mut().root_operations, renames)
        }
        Definition::SchemaExtension(it) => {
            rename_roots(&mut it.make_mut().root_operations, renames)
        }
        Definition::ObjectTypeDefinition(it) => {
            let it = it.make_mut();
            rename(&mut it.name, renames);
            rename_fields(&mut it.fields, renames);
        }
        Definition::ObjectTypeExtension(it) => {
            let it = it.make_mut();
            rename(&mut it.name, renames);
            rename_fields(&mut it.fields, renames);
        }
        Definition::InterfaceTypeDefinition(it) => {
            rename_fields(&mut it.make_mut().fields, renames)
        }
        Definition::InterfaceTypeExtension(it) => rename_fields(&mut it.make_mut().fields, renames),
        Definition::UnionTypeDefinition(it) => it
            .make_mut()
            .members
            .iter_mut()
            .for_each(|m| rename(m, renames)),
        Definition::UnionTypeExtension(it) => it
            .make_mut()
            .members
            .iter_mut()
            .for_each(|m| rename(m, renames)),
        _ => {}
    }
}

fn rename_roots(roots: &mut [Node<(OperationType, Name)>], renames: &HashMap<Name, Name>) {
    for root in roots {
        rename(&mut root.make_mut().1, renames);
    }
}

fn rename_fields(fields: &mut [Node<ast::FieldDefinition>], renames: &HashMap<Name, Name>) {
    for field in fields {
        if renames.contains_key(field.ty.inner_named_type()) {
            rename_type(&mut field.make_mut().ty, renames);
        }
    }
}

fn rename_type(ty: &mut Type, renames: &HashMap<Name, Name>) {
    match ty {
        Type::Named(name) | Type::NonNullNamed(name) => rename(name, renames),
        Type::List(item) | Type::NonNullList(item) => rename_type(item, renames),
    }
}

fn rename(name: &mut Name, renames: &HashMap<Name, Name>) {
    if let Some(to) = renames.get(name) {
        *name = to.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::super::testing::*;
    use super::*;

    #[test]
    fn roots_get_the_names_of_the_supergraph_wherever_they_are_named() {
        let sdl = "schema { query: Root } type Root { self: [Root!]! a: A } type A { root: Root } union U = Root | A";
        let documents = parse(&files(sdl), &mut Diagnostics::default());
        let schema = &documents[0].schema;
        let printed = schema.serialize().no_indent().to_string();
        assert_eq!(
            printed,
            "type Query { self: [Query!]! a: A } type A { root: Query } union U = Query | A"
        );
    }

    #[test]
    fn another_type_may_not_have_the_name_of_a_root() {
        let sdl = "schema { query: Root }\ntype Root { a: Int }\ntype Query { b: Int }";
        assert_eq!(
            said_of(sdl).0[0].to_string(),
            "error[ROOT_QUERY_USED] shop.graphql:3:6\n  \
             3 | type Query { b: Int }\n    \
             |      ^^^^^ the supergraph's root type has this name, and the file's root is another type\n  \
             help: rename this type, or make it the root: schema { ... : Query }\n"
        );
    }
}
