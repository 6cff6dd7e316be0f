//! What a supergraph says of each of its types, element by element.
//!
//! Owns reading the join directives: `@join__type`, `@join__field`,
//! `@join__implements`, `@join__unionMember`, `@join__enumValue` and
//! `@join__owner`. What follows from what is not said is for others.

use std::collections::HashMap;

use apollo_compiler::ast::{Directive, DirectiveList, Type, Value};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::Reading;
use super::graphs::GraphId;

/// What is said of every type of the graph, in its order.
pub(super) type Said<'a> = IndexMap<&'a Name, SaidType<'a>>;

/// What is said of one type.
#[derive(Debug)]
pub(super) struct SaidType<'a> {
    pub(super) ty: &'a ExtendedType,
    /// `@join__owner`, of v0.1.
    pub(super) owner: Option<GraphId>,
    /// `@join__type`. Empty where nothing is said, as of the value types of v0.1.
    pub(super) graphs: IndexMap<GraphId, SaidGraph<'a>>,
    /// `@join__field`, with the subgraphs in which the field is; none for a field that no subgraph has.
    pub(super) fields: HashMap<&'a Name, Vec<(Option<GraphId>, SaidField<'a>)>>,
    /// `@join__implements`
    pub(super) interfaces: Vec<(GraphId, &'a str)>,
    /// `@join__unionMember`
    pub(super) members: Vec<(GraphId, &'a str)>,
    /// `@join__enumValue`
    pub(super) values: HashMap<&'a Name, Vec<GraphId>>,
}

/// `@join__type`, those of one subgraph together.
#[derive(Debug, Clone, Default)]
pub(super) struct SaidGraph<'a> {
    pub(super) keys: Vec<SaidKey<'a>>,
    pub(super) extension: bool,
    pub(super) interface_object: bool,
}

/// `key`, with what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct SaidKey<'a> {
    pub(super) directive: &'a Node<Directive>,
    pub(super) fields: &'a Node<Value>,
    pub(super) resolvable: bool,
}

/// `@join__field` of one subgraph.
#[derive(Debug, Clone, Default)]
pub(super) struct SaidField<'a> {
    pub(super) directive: Option<&'a Node<Directive>>,
    pub(super) external: bool,
    pub(super) used_overridden: bool,
    /// The field's type there, where it differs, and who says so.
    pub(super) ty: Option<(Type, &'a Node<Value>)>,
    pub(super) requires: Option<&'a Node<Value>>,
    pub(super) provides: Option<&'a Node<Value>>,
    pub(super) overrides: Option<&'a Node<Value>>,
    pub(super) label: Option<&'a Node<Value>>,
    /// `{ name, type, context, selection }` of each argument that a context fills in.
    pub(super) context: Vec<&'a Node<Value>>,
}

/// Reads what is said of every type.
pub(super) fn all<'a>(reading: &mut Reading<'a, '_>) -> Said<'a> {
    let links = reading.links;
    let types = reading.schema.types.iter();
    let types = types.filter(|(name, ty)| !ty.is_built_in() && !links.is_machinery(name));
    types
        .map(|(name, ty)| (name, reading.said_of(ty)))
        .collect()
}

/// The name and directives of every field of an object, interface or input.
pub(super) fn fields(ty: &ExtendedType) -> Vec<(&Name, &DirectiveList)> {
    match ty {
        ExtendedType::Object(it) => {
            let fields = it.fields.values();
            fields.map(|it| (&it.name, &it.directives)).collect()
        }
        ExtendedType::Interface(it) => {
            let fields = it.fields.values();
            fields.map(|it| (&it.name, &it.directives)).collect()
        }
        ExtendedType::InputObject(it) => {
            let fields = it.fields.values();
            fields.map(|it| (&it.name, &it.directives)).collect()
        }
        _ => Vec::new(),
    }
}

impl<'a> Reading<'a, '_> {
    fn said_of(&mut self, ty: &'a ExtendedType) -> SaidType<'a> {
        let directives = ty.directives();
        let owner = self.joined(directives, "owner").into_iter().next();
        let mut said = SaidType {
            ty,
            owner: owner.and_then(|it| self.graph_of(it)),
            graphs: IndexMap::new(),
            fields: HashMap::new(),
            interfaces: self.pairs(directives, "implements", "interface"),
            members: self.pairs(directives, "unionMember", "member"),
            values: HashMap::new(),
        };
        for directive in self.joined(directives, "type") {
            self.say_type(directive, &mut said);
        }
        for (name, directives) in fields(ty) {
            let joined = self.joined(directives, "field");
            let found = joined.into_iter().map(|it| self.said_field(it));
            let found: Vec<_> = found.collect();
            if !found.is_empty() {
                said.fields.insert(name, found);
            }
        }
        if let ExtendedType::Enum(it) = ty {
            for value in it.values.values() {
                let joined = self.joined(&value.directives, "enumValue");
                let graphs = joined.into_iter().filter_map(|it| self.graph_of(it));
                let graphs: Vec<_> = graphs.collect();
                if !graphs.is_empty() {
                    said.values.insert(&value.value, graphs);
                }
            }
        }
        said
    }

    /// The directives of one part of the join specification.
    fn joined(&self, directives: &'a DirectiveList, part: &str) -> Vec<&'a Node<Directive>> {
        let found = directives.iter();
        let found = found.filter(|it| self.links.is_join(&it.name, part));
        found.collect()
    }

    fn pairs(
        &mut self,
        directives: &'a DirectiveList,
        part: &str,
        argument: &str,
    ) -> Vec<(GraphId, &'a str)> {
        let joined = self.joined(directives, part).into_iter();
        let pairs = joined.filter_map(|it| {
            let graph = self.graph_of(it)?;
            let value = it.specified_argument_by_name(argument)?;
            Some((graph, value.as_str()?))
        });
        pairs.collect()
    }

    fn say_type(&mut self, directive: &'a Node<Directive>, said: &mut SaidType<'a>) {
        let Some(graph) = self.graph_of(directive) else {
            return;
        };
        let flag = |name: &str| flag(directive, name);
        let entry = said.graphs.entry(graph).or_default();
        entry.extension |= flag("extension").unwrap_or(false);
        entry.interface_object |= flag("isInterfaceObject").unwrap_or(false);
        let fields = directive.specified_argument_by_name("key");
        if let Some(fields) = fields.filter(|it| it.as_str().is_some()) {
            entry.keys.push(SaidKey {
                directive,
                fields,
                resolvable: flag("resolvable").unwrap_or(true),
            });
        }
    }

    fn said_field(&mut self, directive: &'a Node<Directive>) -> (Option<GraphId>, SaidField<'a>) {
        let graph = self.graph_of(directive);
        let argument = |name: &str| {
            let value = directive.specified_argument_by_name(name)?;
            (!value.is_null()).then_some(value)
        };
        let flag = |name: &str| flag(directive, name).unwrap_or(false);
        let context = argument("contextArguments").and_then(|it| it.as_list());
        let field = SaidField {
            directive: Some(directive),
            external: flag("external"),
            used_overridden: flag("usedOverridden"),
            ty: argument("type").and_then(|it| self.ty(it)),
            requires: argument("requires"),
            provides: argument("provides"),
            overrides: argument("override"),
            label: argument("overrideLabel"),
            context: context.unwrap_or_default().iter().collect(),
        };
        (graph, field)
    }

    fn ty(&mut self, value: &'a Node<Value>) -> Option<(Type, &'a Node<Value>)> {
        let written = value.as_str().unwrap_or("");
        // The parser is content with a type at the beginning.
        let whole = |ty: &Type| ty.to_string() == written.replace(char::is_whitespace, "");
        match Type::parse(written, "type").ok().filter(whole) {
            Some(ty) => Some((ty, value)),
            None => {
                self.wrong("not a type", value);
                None
            }
        }
    }
}

fn flag(directive: &Node<Directive>, name: &str) -> Option<bool> {
    directive.specified_argument_by_name(name)?.to_bool()
}
