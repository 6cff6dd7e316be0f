//! Types, fields and values of the supergraph, each with which subgraph has it and how.

use apollo_compiler::ast::{
    Argument, Directive, DirectiveList, DirectiveLocation as At, EnumValueDefinition,
    FieldDefinition, InputValueDefinition, Value,
};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node, name};

use super::carried::{argument, joined};
use super::{Part, Printer, with};
use crate::document::{all, first, is_machinery};
use crate::model::FieldInSubgraph;

impl<'a> Printer<'a> {
    pub(super) fn ty(&mut self, ty: &'a ExtendedType) -> ExtendedType {
        let parts = self.declaring(ty.name());
        let lists: Vec<&DirectiveList> = parts.iter().map(|it| it.ty.directives()).collect();
        let mut more = self.joined_type(ty, &parts);
        more.extend(self.implemented(&parts));
        more.extend(self.united(&parts));
        more.extend(self.linked(ty.directives(), &lists));
        for part in &parts {
            let directives = part.ty.directives();
            more.extend(self.ours(part.document, directives, location(part.ty)));
        }
        let mut printed = ty.clone();
        match &mut printed {
            ExtendedType::Scalar(it) => it.make_mut().directives = with(&it.directives, more),
            ExtendedType::Union(it) => it.make_mut().directives = with(&it.directives, more),
            ExtendedType::Object(it) => {
                let it = it.make_mut();
                it.directives = with(&it.directives, more);
                for field in it.fields.values_mut() {
                    *field = self.field(ty.name(), field, &parts);
                }
            }
            ExtendedType::Interface(it) => {
                let it = it.make_mut();
                it.directives = with(&it.directives, more);
                for field in it.fields.values_mut() {
                    *field = self.field(ty.name(), field, &parts);
                }
            }
            ExtendedType::InputObject(it) => {
                let it = it.make_mut();
                it.directives = with(&it.directives, more);
                for field in it.fields.values_mut() {
                    *field = self.input_field(field, &parts);
                }
            }
            ExtendedType::Enum(it) => {
                let it = it.make_mut();
                it.directives = with(&it.directives, more);
                for value in it.values.values_mut() {
                    *value = self.value(value, &parts);
                }
            }
        }
        printed
    }

    /// `@join__type`, one for each key. Every subgraph has a Query: entities are asked for there.
    fn joined_type(&self, ty: &ExtendedType, parts: &[Part<'a>]) -> Vec<Node<Directive>> {
        if ty.name() == "Query" {
            let graphs = self.documents.iter();
            let graphs = graphs.map(|it| joined("type", vec![self.graph(it.subgraph)]));
            return graphs.collect();
        }
        parts.iter().flat_map(|it| self.joined_in(it)).collect()
    }

    fn joined_in(&self, part: &Part<'a>) -> Vec<Node<Directive>> {
        let known = self.merged.types.get(part.ty.name());
        let mut known = known.into_iter().flat_map(|it| &it.subgraphs);
        let known = known.find(|it| it.subgraph == part.document.subgraph);
        let flags = [
            (name!("extension"), known.is_some_and(|it| it.extension)),
            (
                name!("isInterfaceObject"),
                known.is_some_and(|it| it.interface_object),
            ),
        ];
        let joined_by = |key: Vec<Node<Argument>>| {
            let mut arguments = vec![self.graph(part.document.subgraph)];
            arguments.extend(key);
            let flags = flags.iter().filter(|(_, set)| *set);
            arguments.extend(flags.map(|(name, _)| argument(name.clone(), Value::Boolean(true))));
            joined("type", arguments)
        };
        let keys = all(part.ty.directives(), "key").filter_map(|key| {
            let fields = key.specified_argument_by_name("fields")?;
            let resolvable = key.specified_argument_by_name("resolvable");
            let mut arguments = vec![argument(name!("key"), Value::clone(fields))];
            if resolvable.and_then(|it| it.to_bool()) == Some(false) {
                arguments.push(argument(name!("resolvable"), Value::Boolean(false)));
            }
            Some(joined_by(arguments))
        });
        let keys: Vec<_> = keys.collect();
        match keys.is_empty() || is_root(part.ty.name()) {
            true => vec![joined_by(Vec::new())],
            false => keys,
        }
    }

    fn implemented(&self, parts: &[Part<'a>]) -> Vec<Node<Directive>> {
        let interfaces = parts.iter().flat_map(|part| {
            let interfaces = match part.ty {
                ExtendedType::Object(it) => Some(&it.implements_interfaces),
                ExtendedType::Interface(it) => Some(&it.implements_interfaces),
                _ => None,
            };
            let interfaces = interfaces.into_iter().flatten();
            interfaces.map(|name| self.naming("implements", part, name!("interface"), name))
        });
        interfaces.collect()
    }

    fn united(&self, parts: &[Part<'a>]) -> Vec<Node<Directive>> {
        let members = parts.iter().flat_map(|part| {
            let members = part.ty.as_union().map(|it| &it.members);
            let members = members.into_iter().flatten();
            members.map(|name| self.naming("unionMember", part, name!("member"), name))
        });
        members.collect()
    }

    fn naming(&self, of: &str, part: &Part<'a>, key: Name, named: &Name) -> Node<Directive> {
        let named = argument(key, Value::String(named.to_string()));
        joined(of, vec![self.graph(part.document.subgraph), named])
    }

    fn field(
        &mut self,
        ty: &Name,
        merged: &FieldDefinition,
        parts: &[Part<'a>],
    ) -> Node<FieldDefinition> {
        let declared: Vec<(Part<'a>, &'a FieldDefinition)> = parts
            .iter()
            .filter_map(|part| Some((*part, field_of(part.ty, &merged.name)?)))
            .collect();
        let mut printed = merged.clone();
        let lists: Vec<&DirectiveList> = declared.iter().map(|(_, it)| &it.directives).collect();
        let mut more = self.joined_field(ty, merged, parts, &declared);
        more.extend(self.linked(&merged.directives, &lists));
        for (part, field) in &declared {
            more.extend(self.ours(part.document, &field.directives, At::FieldDefinition));
        }
        printed.directives = with(&merged.directives, more);
        for printed in &mut printed.arguments {
            let arguments = declared.iter().filter_map(|(part, field)| {
                Some((*part, &**field.argument_by_name(&printed.name)?))
            });
            let arguments: Vec<_> = arguments.collect();
            let more = self.input(printed, &arguments, At::ArgumentDefinition);
            let list = with(&printed.directives, more);
            printed.make_mut().directives = list;
        }
        Node::new(printed)
    }

    /// `@join__field` of every subgraph that has the field; none where there is nothing to say.
    fn joined_field(
        &self,
        ty: &Name,
        merged: &FieldDefinition,
        parts: &[Part<'a>],
        declared: &[(Part<'a>, &'a FieldDefinition)],
    ) -> Vec<Node<Directive>> {
        if declared.is_empty() {
            // An interface object gives it, and no subgraph has it on this type.
            return vec![joined("field", Vec::new())];
        }
        let known = self.merged.types.get(ty);
        let known = known.and_then(|it| it.fields.get(&merged.name));
        let said = declared.iter().map(|(part, field)| {
            let mut known = known.into_iter().flat_map(|it| &it.subgraphs);
            let known = known.find(|it| it.subgraph == part.document.subgraph);
            said_of(merged, field, part.ty, known)
        });
        let said: Vec<Vec<Node<Argument>>> = said.collect();
        let everywhere = match ty == "Query" {
            true => declared.len() == self.documents.len(),
            false => declared.len() == parts.len(),
        };
        if everywhere && said.iter().all(Vec::is_empty) {
            return Vec::new();
        }
        let both = declared.iter().zip(said);
        let fields = both.map(|((part, _), said)| {
            let graph = self.graph(part.document.subgraph);
            joined("field", std::iter::once(graph).chain(said).collect())
        });
        fields.collect()
    }

    fn input_field(
        &mut self,
        merged: &InputValueDefinition,
        parts: &[Part<'a>],
    ) -> Node<InputValueDefinition> {
        let declared = parts.iter().filter_map(|part| {
            let field = part.ty.as_input_object()?.fields.get(&merged.name)?;
            Some((*part, &**field))
        });
        let declared: Vec<(Part<'a>, &'a InputValueDefinition)> = declared.collect();
        let said = declared.iter().map(|(part, field)| {
            let mut arguments = vec![self.graph(part.document.subgraph)];
            if field.ty != merged.ty {
                let ty = Value::String(field.ty.to_string());
                arguments.push(argument(name!("type"), ty));
            }
            joined("field", arguments)
        });
        let said: Vec<Node<Directive>> = said.collect();
        let plain = said.iter().all(|it| it.arguments.len() == 1);
        let mut more = match plain && declared.len() == parts.len() {
            true => Vec::new(),
            false => said,
        };
        more.extend(self.input(merged, &declared, At::InputFieldDefinition));
        let mut printed = merged.clone();
        printed.directives = with(&merged.directives, more);
        Node::new(printed)
    }

    /// What an argument or input field carries beside its join directives.
    fn input(
        &mut self,
        merged: &InputValueDefinition,
        declared: &[(Part<'a>, &'a InputValueDefinition)],
        at: At,
    ) -> Vec<Node<Directive>> {
        let lists: Vec<&DirectiveList> = declared.iter().map(|(_, it)| &it.directives).collect();
        let mut more = self.linked(&merged.directives, &lists);
        for (part, input) in declared {
            more.extend(self.ours(part.document, &input.directives, at));
        }
        more
    }

    fn value(
        &mut self,
        merged: &EnumValueDefinition,
        parts: &[Part<'a>],
    ) -> Node<EnumValueDefinition> {
        let declared = parts.iter().filter_map(|part| {
            let value = part.ty.as_enum()?.values.get(&merged.value)?;
            Some((*part, &**value))
        });
        let declared: Vec<(Part<'a>, &'a EnumValueDefinition)> = declared.collect();
        let graphs = declared.iter();
        let graphs =
            graphs.map(|(part, _)| joined("enumValue", vec![self.graph(part.document.subgraph)]));
        let mut more: Vec<Node<Directive>> = graphs.collect();
        let lists: Vec<&DirectiveList> = declared.iter().map(|(_, it)| &it.directives).collect();
        more.extend(self.linked(&merged.directives, &lists));
        for (part, value) in &declared {
            more.extend(self.ours(part.document, &value.directives, At::EnumValue));
        }
        let mut printed = merged.clone();
        printed.directives = with(&merged.directives, more);
        Node::new(printed)
    }

    fn graph(&self, subgraph: crate::model::SubgraphId) -> Node<Argument> {
        argument(name!("graph"), Value::Enum(self.graphs.value(subgraph)))
    }
}

/// What `@join__field` says of one subgraph's field, the subgraph apart.
fn said_of(
    merged: &FieldDefinition,
    field: &FieldDefinition,
    ty: &ExtendedType,
    known: Option<&FieldInSubgraph>,
) -> Vec<Node<Argument>> {
    let mut said = Vec::new();
    let text = |directive: &str, name: &str| {
        let directive = first(&field.directives, directive)?;
        let value = directive.specified_argument_by_name(name)?;
        Some(Value::clone(value))
    };
    if field.ty != merged.ty {
        said.push(argument(name!("type"), Value::String(field.ty.to_string())));
    }
    let mut lists = [&field.directives, ty.directives()].into_iter();
    let marked = lists.any(|it| first(it, "external").is_some());
    let external = known.is_some_and(|it| it.external);
    // What is external without a mark another subgraph has taken over.
    let (external, taken) = (external && marked, external && !marked);
    let texts = [
        (name!("requires"), text("requires", "fields")),
        (name!("provides"), text("provides", "fields")),
        (name!("external"), external.then_some(Value::Boolean(true))),
        (name!("override"), text("override", "from")),
        (name!("overrideLabel"), text("override", "label")),
        (
            name!("usedOverridden"),
            taken.then_some(Value::Boolean(true)),
        ),
    ];
    for (name, value) in texts {
        said.extend(value.map(|value| argument(name, value)));
    }
    said
}

fn field_of<'a>(ty: &'a ExtendedType, name: &Name) -> Option<&'a FieldDefinition> {
    if is_machinery(ty.name(), name) {
        return None;
    }
    match ty {
        ExtendedType::Object(it) => it.fields.get(name).map(|it| &**it),
        ExtendedType::Interface(it) => it.fields.get(name).map(|it| &**it),
        _ => None,
    }
}

fn is_root(name: &str) -> bool {
    matches!(name, "Query" | "Mutation" | "Subscription")
}

fn location(ty: &ExtendedType) -> At {
    match ty {
        ExtendedType::Scalar(_) => At::Scalar,
        ExtendedType::Object(_) => At::Object,
        ExtendedType::Interface(_) => At::Interface,
        ExtendedType::Union(_) => At::Union,
        ExtendedType::Enum(_) => At::Enum,
        ExtendedType::InputObject(_) => At::InputObject,
    }
}
