//! The schema that clients see.
//!
//! Owns `@inaccessible` and the proof that what remains is a valid schema. Must
//! not know subgraphs beyond the places that messages point to.
//! <https://specs.apollo.dev/inaccessible/v0.2/>

use std::collections::HashSet;
use std::sync::Arc;

use apollo_compiler::ast::{DirectiveList, FieldDefinition, InputValueDefinition, Type, Value};
use apollo_compiler::collections::{IndexMap, IndexSet};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, InterfaceType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::{self, Document};
use crate::merge::Merged;
use crate::suggest::closest;

/// The merged types without what is `@inaccessible`, validated. `None` after an error.
pub(crate) fn client_schema(
    merged: &Merged,
    documents: &[Document],
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Valid<Schema>>> {
    visible(&merged.schema, documents, diagnostics)
}

/// A schema without what is `@inaccessible` in it, validated. `None` after an error.
pub(crate) fn visible(
    schema: &Schema,
    documents: &[Document],
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Valid<Schema>>> {
    let hidden = Hidden::of(schema, documents);
    hidden.check(diagnostics);
    if diagnostics.has_errors() {
        return None;
    }
    match hidden.removed().validate() {
        Ok(schema) => Some(Arc::new(schema)),
        Err(invalid) => {
            for finding in invalid.errors.iter() {
                let found = Diagnostic::error("INVALID_GRAPHQL", finding.error.to_string());
                diagnostics.push(at(found, documents, finding.error.location()));
            }
            None
        }
    }
}

/// A merged schema and the types in it that clients do not see.
struct Hidden<'a> {
    schema: &'a Schema,
    documents: &'a [Document],
    types: HashSet<Name>,
}

impl<'a> Hidden<'a> {
    fn of(schema: &'a Schema, documents: &'a [Document]) -> Self {
        let types = schema
            .types
            .values()
            .filter(|ty| is_hidden(ty.directives()));
        Self {
            schema,
            documents,
            types: types.map(|ty| ty.name().clone()).collect(),
        }
    }

    /// Whether what remains still hangs together.
    fn check(&self, diagnostics: &mut Diagnostics) {
        let visible = self
            .schema
            .types
            .values()
            .filter(|ty| !ty.is_built_in() && !self.types.contains(ty.name()));
        for ty in visible {
            self.check_type(ty, diagnostics);
        }
        self.check_query(diagnostics);
    }

    fn no_queries(&self) -> Diagnostic {
        let found = Diagnostic::error("NO_QUERIES", "no subgraph declares a field of Query");
        let objects = self.schema.types.values().filter(|ty| ty.is_object());
        let near = closest("Query", objects.map(|ty| ty.name().as_str()));
        let meant = near.first().and_then(|name| self.schema.types.get(*name));
        match meant {
            None => found.help("a graph needs at least one: type Query { ... }"),
            Some(meant) => self
                .at(found, meant.name())
                .help(format!("is `{}` meant to be Query?", meant.name())),
        }
    }

    fn check_query(&self, diagnostics: &mut Diagnostics) {
        match self.schema.get_object("Query") {
            None => diagnostics.push(self.no_queries()),
            Some(query) if self.types.contains("Query") => {
                let found = Diagnostic::error(
                    "QUERY_ROOT_TYPE_INACCESSIBLE",
                    "without Query there is nothing to ask for",
                );
                diagnostics.push(self.at(found, &query.name));
            }
            Some(_) => {}
        }
    }

    fn check_type(&self, ty: &ExtendedType, diagnostics: &mut Diagnostics) {
        let visible = match ty {
            ExtendedType::Object(it) => self.check_fields(ty, &it.fields, diagnostics),
            ExtendedType::Interface(it) => self.check_fields(ty, &it.fields, diagnostics),
            // One without any field is what merging has left, and has told of.
            ExtendedType::InputObject(it) => {
                it.fields.is_empty()
                    || self.check_inputs(ty.name(), it.fields.values(), diagnostics)
            }
            ExtendedType::Union(it) => it
                .members
                .iter()
                .any(|member| !self.types.contains(&***member)),
            ExtendedType::Enum(it) => it
                .values
                .values()
                .any(|value| !is_hidden(&value.directives)),
            ExtendedType::Scalar(_) => true,
        };
        if !visible {
            let message = format!(
                "`{}` is visible, and everything in it is @inaccessible",
                ty.name()
            );
            let found = Diagnostic::error("ONLY_INACCESSIBLE_CHILDREN", message);
            diagnostics.push(
                self.at(found, ty.name())
                    .help("make the type @inaccessible too"),
            );
        }
    }

    /// Whether any field is visible.
    fn check_fields(
        &self,
        ty: &ExtendedType,
        fields: &IndexMap<Name, Node<FieldDefinition>>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        for field in fields.values() {
            let coordinate = format!("{}.{}", ty.name(), field.name);
            if is_hidden(&field.directives) {
                self.check_implements(ty, &field.name, diagnostics);
                continue;
            }
            self.check_reference(
                &coordinate,
                &field.name,
                field.ty.inner_named_type(),
                diagnostics,
            );
            self.check_inputs(&coordinate, field.arguments.iter(), diagnostics);
            self.check_implemented_arguments(ty, field, diagnostics);
        }
        fields.values().any(|field| !is_hidden(&field.directives))
    }

    fn check_implements(&self, ty: &ExtendedType, field: &Name, diagnostics: &mut Diagnostics) {
        for interface in self.visible_interfaces(ty) {
            if interface
                .fields
                .get(field)
                .is_some_and(|it| !is_hidden(&it.directives))
            {
                let message = format!(
                    "`{}.{field}` is @inaccessible and implements `{}.{field}`, which is not",
                    ty.name(),
                    interface.name
                );
                diagnostics.push(self.at(
                    Diagnostic::error("IMPLEMENTED_BY_INACCESSIBLE", message),
                    field,
                ));
            }
        }
    }

    /// An argument that an interface has is one of every field that implements it.
    fn check_implemented_arguments(
        &self,
        ty: &ExtendedType,
        field: &FieldDefinition,
        diagnostics: &mut Diagnostics,
    ) {
        let hidden = field
            .arguments
            .iter()
            .filter(|it| is_hidden(&it.directives));
        for argument in hidden {
            let mut interfaces = self.visible_interfaces(ty);
            let wanted = interfaces.find(|interface| {
                let declared = interface.fields.get(&field.name);
                let declared = declared.filter(|it| !is_hidden(&it.directives));
                let same = declared.and_then(|it| it.argument_by_name(&argument.name));
                same.is_some_and(|it| !is_hidden(&it.directives))
            });
            if let Some(interface) = wanted {
                let message = format!(
                    "`{}.{}({}:)` is @inaccessible, and `{}` has it for clients",
                    ty.name(),
                    field.name,
                    argument.name,
                    interface.name
                );
                let found = Diagnostic::error("IMPLEMENTED_BY_INACCESSIBLE", message);
                diagnostics.push(self.at(found, &argument.name));
            }
        }
    }

    fn visible_interfaces<'b>(
        &'b self,
        ty: &'b ExtendedType,
    ) -> impl Iterator<Item = &'b Node<InterfaceType>> {
        let interfaces = match ty {
            ExtendedType::Object(it) => Some(&it.implements_interfaces),
            ExtendedType::Interface(it) => Some(&it.implements_interfaces),
            _ => None,
        };
        let names = interfaces.into_iter().flatten();
        let visible = names.filter(|name| !self.types.contains(&****name));
        visible.filter_map(|name| self.schema.get_interface(name))
    }

    /// Whether any input is visible.
    fn check_inputs<'b>(
        &self,
        owner: &str,
        inputs: impl Iterator<Item = &'b Node<InputValueDefinition>>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let mut any = false;
        for input in inputs {
            if !is_hidden(&input.directives) {
                any = true;
                let coordinate = format!("{owner}.{}", input.name);
                self.check_reference(
                    &coordinate,
                    &input.name,
                    input.ty.inner_named_type(),
                    diagnostics,
                );
                if let Some(value) = &input.default_value {
                    self.check_default(&coordinate, value, &input.ty, diagnostics);
                }
            } else if input.is_required() {
                let message = format!(
                    "`{}` of `{owner}` is required, and clients cannot give it",
                    input.name
                );
                diagnostics.push(self.at(
                    Diagnostic::error("REQUIRED_INACCESSIBLE", message),
                    &input.name,
                ));
            }
        }
        any
    }

    /// Whether clients see everything that a default is made of. Its depth is the parser's to bound.
    fn check_default(
        &self,
        coordinate: &str,
        value: &Node<Value>,
        ty: &Type,
        diagnostics: &mut Diagnostics,
    ) {
        let hidden = match (&**value, self.schema.types.get(ty.inner_named_type())) {
            (Value::List(items), _) => {
                for item in items {
                    self.check_default(coordinate, item, ty.item_type(), diagnostics);
                }
                return;
            }
            (Value::Enum(name), Some(ExtendedType::Enum(it))) => it
                .values
                .get(name)
                .is_some_and(|it| is_hidden(&it.directives)),
            (Value::Object(entries), Some(ExtendedType::InputObject(it))) => {
                let fields = entries.iter().filter_map(|(name, value)| {
                    let field = it.fields.get(name)?;
                    Some((field, value))
                });
                let mut hidden = false;
                for (field, value) in fields {
                    hidden |= is_hidden(&field.directives);
                    self.check_default(coordinate, value, &field.ty, diagnostics);
                }
                hidden
            }
            _ => false,
        };
        if hidden {
            let message = format!("the default of `{coordinate}` uses what is @inaccessible");
            let found = Diagnostic::error("DEFAULT_VALUE_USES_INACCESSIBLE", message);
            diagnostics.push(at(found, self.documents, value.location()));
        }
    }

    fn check_reference(
        &self,
        coordinate: &str,
        name: &Name,
        ty: &Name,
        diagnostics: &mut Diagnostics,
    ) {
        if self.types.contains(ty) {
            let message =
                format!("`{coordinate}` is visible, and its type `{ty}` is @inaccessible");
            let found = Diagnostic::error("REFERENCED_INACCESSIBLE", message);
            diagnostics.push(self.at(found, name).help("make it @inaccessible too"));
        }
    }

    fn at(&self, found: Diagnostic, name: &Name) -> Diagnostic {
        at(found, self.documents, name.location())
    }

    /// The schema without what is hidden.
    fn removed(&self) -> Schema {
        let mut schema = self.schema.clone();
        schema.types.retain(|name, _| !self.types.contains(name));
        for ty in schema.types.values_mut().filter(|ty| !ty.is_built_in()) {
            self.remove_from(ty);
        }
        let roots = schema.schema_definition.make_mut();
        for root in [
            &mut roots.query,
            &mut roots.mutation,
            &mut roots.subscription,
        ] {
            if root
                .as_ref()
                .is_some_and(|name| self.types.contains(&***name))
            {
                *root = None;
            }
        }
        schema
    }

    fn remove_from(&self, ty: &mut ExtendedType) {
        match ty {
            ExtendedType::Object(it) => {
                let it = it.make_mut();
                self.remove_names(&mut it.implements_interfaces);
                remove_fields(&mut it.fields);
            }
            ExtendedType::Interface(it) => {
                let it = it.make_mut();
                self.remove_names(&mut it.implements_interfaces);
                remove_fields(&mut it.fields);
            }
            ExtendedType::Union(it) => self.remove_names(&mut it.make_mut().members),
            ExtendedType::Enum(it) => it
                .make_mut()
                .values
                .retain(|_, value| !is_hidden(&value.directives)),
            ExtendedType::InputObject(it) => it
                .make_mut()
                .fields
                .retain(|_, field| !is_hidden(&field.directives)),
            ExtendedType::Scalar(_) => {}
        }
    }

    fn remove_names(&self, names: &mut IndexSet<Node<Name>>) {
        names.retain(|name| !self.types.contains(&***name));
    }
}

fn remove_fields(fields: &mut IndexMap<Name, Node<FieldDefinition>>) {
    fields.retain(|_, field| !is_hidden(&field.directives));
    for field in fields.values_mut() {
        if field.arguments.iter().any(|it| is_hidden(&it.directives)) {
            field
                .make_mut()
                .arguments
                .retain(|it| !is_hidden(&it.directives));
        }
    }
}

fn is_hidden(directives: &DirectiveList) -> bool {
    document::first(directives, "inaccessible").is_some()
}

fn at(found: Diagnostic, documents: &[Document], span: Option<SourceSpan>) -> Diagnostic {
    match place(documents, span) {
        Some(place) => found.at(place),
        None => found,
    }
}

/// The place of something merged: it keeps the span of the declaration that it comes from.
fn place(documents: &[Document], span: Option<SourceSpan>) -> Option<Place> {
    let span = span?;
    let document = documents
        .iter()
        .find(|it| it.schema.sources.contains_key(&span.file_id()))?;
    Some(document.places.span(Some(span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::merge::testing::merged_with;

    fn api(sdl: &[&str]) -> Result<String, Diagnostics> {
        let (merged, documents, mut diagnostics) = merged_with(sdl);
        match client_schema(&merged, &documents, &mut diagnostics) {
            Some(schema) => Ok(schema.serialize().no_indent().to_string()),
            None => Err(diagnostics.from(Severity::Warning)),
        }
    }

    #[test]
    fn clients_see_nothing_of_ours_and_nothing_inaccessible() {
        let sdl = r#"
            "All" type Query { a(x: Int, y: Int @inaccessible): A @rest(GET: "/a") b: B @inaccessible c: E u: U }
            type A implements I & J @key(fields: "id") @tag(name: "t") { id: ID! old: Int @deprecated(reason: "gone") z: Int @inaccessible }
            type B @inaccessible { b: Int }
            interface I { id: ID! }
            interface J @inaccessible { id: ID! }
            enum E { X Y @inaccessible }
            union U = A | B
            input N @oneOf { x: Int y: Int @inaccessible }
            scalar D @specifiedBy(url: "https://d")"#;
        assert_eq!(
            api(&[sdl]).expect("a valid schema"),
            "\"All\" type Query { a(x: Int): A c: E u: U } \
             type A implements I { id: ID! old: Int @deprecated(reason: \"gone\") } \
             interface I { id: ID! } enum E { X } union U = A input N @oneOf { x: Int } \
             scalar D @specifiedBy(url: \"https://d\")"
        );
    }

    #[test]
    fn a_graph_needs_a_query() {
        assert_eq!(
            api(&["type A { a: Int }"])
                .expect_err("no query")
                .to_string(),
            "error[NO_QUERIES] no subgraph declares a field of Query\n  help: a graph needs at least one: type Query { ... }\n"
        );
        let said = api(&["type A { a: Int } type Qurey { a: Int }"]).expect_err("no query");
        let said = said.to_string();
        assert!(said.contains("error[NO_QUERIES] a.graphql:2:24"), "{said}");
        assert!(said.contains("is `Qurey` meant to be Query?"), "{said}");
        let said = api(&["type Query @inaccessible { a: Int }"]).expect_err("no query");
        assert_eq!(said.codes(), ["QUERY_ROOT_TYPE_INACCESSIBLE"]);
    }

    #[test]
    fn what_remains_hangs_together() {
        let query = "type Query { q: Int } ";
        for (sdl, code) in [
            (
                "type A { b: B } type B @inaccessible { b: Int }",
                "REFERENCED_INACCESSIBLE",
            ),
            (
                "type A { b(i: I): Int } input I @inaccessible { b: Int }",
                "REFERENCED_INACCESSIBLE",
            ),
            (
                "type A { b: Int @inaccessible }",
                "ONLY_INACCESSIBLE_CHILDREN",
            ),
            ("enum E { X @inaccessible }", "ONLY_INACCESSIBLE_CHILDREN"),
            (
                "input I { x: Int! @inaccessible y: Int }",
                "REQUIRED_INACCESSIBLE",
            ),
            (
                "type A { b(x: Int! @inaccessible): Int }",
                "REQUIRED_INACCESSIBLE",
            ),
            (
                "interface I { a: Int } type A implements I { a: Int @inaccessible b: Int }",
                "IMPLEMENTED_BY_INACCESSIBLE",
            ),
            (
                "interface I { a(x: Int): Int } type A implements I { a(x: Int @inaccessible): Int }",
                "IMPLEMENTED_BY_INACCESSIBLE",
            ),
            (
                "enum E { X @inaccessible Y } type A { a(e: [E] = [X]): Int }",
                "DEFAULT_VALUE_USES_INACCESSIBLE",
            ),
            (
                "input I { x: Int @inaccessible y: Int } input J { i: I = { x: 1 } }",
                "DEFAULT_VALUE_USES_INACCESSIBLE",
            ),
        ] {
            let said = api(&[&format!("{query}{sdl}")]).expect_err(code);
            assert_eq!(said.codes(), [code], "{said}");
            assert!(said.0[0].place.is_some(), "{said}");
        }
    }

    #[test]
    fn a_merge_that_no_rule_foresaw_is_told_where_it_began() {
        let said = api(&[
            "type Query { a: Int } interface I { x: Int } type A implements I @shareable { x: Int }",
            "interface I { x(n: Int): Int } type A implements I @shareable { x(n: Int): Int }",
            "type A @shareable { x(n: Int): String }",
        ]);
        assert!(said.is_err());
    }
}
