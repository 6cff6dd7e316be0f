//! What an expression may read where it stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::ast::{DirectiveList, InputValueDefinition, Type};
use apollo_compiler::executable::SelectionSet;
use apollo_compiler::schema::ExtendedType;

use super::origin::{Destination, Sent, Value};
use super::{Lowering, at, did_you_mean, listed};
use crate::contract::TypeId;
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::{Segment, Spot};
use crate::model::{FieldPath, SourceId};

/// The surroundings of a request's expressions, and what they have used of them.
pub(super) struct Scope<'a> {
    pub(super) document: &'a Document,
    pub(super) source: SourceId,
    /// The field's arguments.
    pub(super) arguments: &'a [Node<InputValueDefinition>],
    /// The type that `$this` and `$batch` read.
    pub(super) parent: Option<&'a Name>,
    /// As messages call it: `User.orders`, `the source`.
    pub(super) name: String,
    /// What is read of each parent.
    pub(super) inputs: Vec<ParentInput>,
    /// What is sent of each parent as a whole.
    pub(super) sends: Option<Arc<SelectionSet>>,
    /// The names of arguments that go somewhere.
    pub(super) used: BTreeSet<String>,
    /// Where `$this` is first read.
    pub(super) this: Option<Spot>,
    /// `$batch` outside of `[{ … }]`: the input and where.
    pub(super) columns: Vec<(usize, Spot)>,
    /// Inside the one-element list that is rendered once for each key.
    pub(super) each: bool,
    /// Before a `??`: null is allowed.
    pub(super) guarded: bool,
    /// Every value that goes out.
    pub(super) sent: Vec<Sent>,
}

/// A field of the parent that a request reads.
pub(super) struct ParentInput {
    pub(super) path: FieldPath,
    pub(super) ty: Type,
    pub(super) spot: Spot,
    /// It is read with `$batch`.
    pub(super) batch: bool,
}

/// Where a value goes, and what the contract wants there.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) to: Destination,
    pub(super) wants: Option<TypeId>,
}

impl Slot {
    pub(super) fn new(to: Destination, wants: Option<TypeId>) -> Self {
        Slot { to, wants }
    }

    /// A place whose type no contract knows.
    pub(super) fn untyped(to: Destination) -> Self {
        Slot { to, wants: None }
    }
}

impl<'a> Scope<'a> {
    /// Where only `$env`, `$config` and what the client sent can be read.
    pub(super) fn outer(document: &'a Document, source: SourceId, name: &str) -> Self {
        Scope {
            document,
            source,
            arguments: &[],
            parent: None,
            name: name.to_owned(),
            inputs: Vec::new(),
            sends: None,
            used: BTreeSet::new(),
            this: None,
            columns: Vec::new(),
            each: false,
            guarded: false,
            sent: Vec::new(),
        }
    }

    pub(super) fn argument(&self, name: &str) -> Option<&'a Node<InputValueDefinition>> {
        self.arguments.iter().find(|it| it.name == name)
    }

    /// The arguments that go nowhere yet.
    pub(super) fn unused(&self) -> Vec<&'a Node<InputValueDefinition>> {
        let all = self.arguments.iter();
        all.filter(|it| !self.used.contains(it.name.as_str()))
            .collect()
    }

    /// Notes down a value that goes out.
    pub(super) fn sends(&mut self, spot: &Spot, slot: &Slot, value: Value) {
        self.sent.push(Sent {
            spot: spot.clone(),
            to: slot.to.clone(),
            value,
            wants: slot.wants,
        });
    }

    pub(super) fn is_batch(&self) -> bool {
        self.sends.is_some() || self.inputs.iter().any(|input| input.batch)
    }

    /// The index of a parent's input; the same path is one input.
    pub(super) fn input(&mut self, path: FieldPath, ty: Type, spot: &Spot, batch: bool) -> usize {
        if let Some(known) = self.inputs.iter().position(|input| input.path == path) {
            return known;
        }
        self.inputs.push(ParentInput {
            path,
            ty,
            spot: spot.clone(),
            batch,
        });
        self.inputs.len() - 1
    }
}

/// A value of an argument or below one.
pub(super) struct Argument<'a> {
    pub(super) path: Vec<String>,
    pub(super) ty: Type,
    pub(super) nullable: bool,
    /// The directives of the argument or input field; none inside a custom scalar.
    pub(super) directives: Option<&'a DirectiveList>,
}

impl<'a> Lowering<'a> {
    /// The argument that `$args.a.b` means.
    pub(super) fn argument(
        &mut self,
        scope: &mut Scope<'a>,
        path: &[Segment],
    ) -> Option<Argument<'a>> {
        let (first, rest) = path.split_first()?;
        let Some(definition) = scope.argument(&first.name) else {
            self.unknown_argument(scope, first);
            return None;
        };
        scope.used.insert(first.name.clone());
        let mut found = Argument {
            path: vec![first.name.clone()],
            ty: (*definition.ty).clone(),
            nullable: !definition.ty.is_non_null() && definition.default_value.is_none(),
            directives: Some(&definition.directives),
        };
        for segment in rest {
            if !self.step_into(scope, &mut found, segment)? {
                // A custom scalar may hold anything.
                found.nullable = true;
                found.directives = None;
            }
            found.path.push(segment.name.clone());
        }
        Some(found)
    }

    /// Steps into a field of an input object; false where the type is a scalar of unknown contents.
    fn step_into(
        &mut self,
        scope: &Scope<'a>,
        found: &mut Argument<'a>,
        segment: &Segment,
    ) -> Option<bool> {
        let name = found.ty.inner_named_type().clone();
        let ty = scope.document.schema.types.get(&name);
        let object = match ty {
            Some(ExtendedType::InputObject(object)) if !found.ty.is_list() => object,
            Some(ExtendedType::Scalar(scalar)) if !scalar.is_built_in() => return Some(false),
            _ => {
                let message = format!(
                    "`{}` has no parts: it is `{}`",
                    found.path.join("."),
                    found.ty
                );
                self.push(
                    Diagnostic::error("UNKNOWN_ARGUMENT", message)
                        .at(at(scope.document, &segment.spot)),
                );
                return None;
            }
        };
        let Some(field) = object.fields.get(segment.name.as_str()) else {
            let known = object.fields.keys().map(Name::as_str);
            let help = did_you_mean(&segment.name, known, |known| {
                format!("`{name}` has {}", listed(known))
            });
            self.push(
                Diagnostic::error(
                    "UNKNOWN_ARGUMENT",
                    format!("`{name}` has no field of this name"),
                )
                .at(at(scope.document, &segment.spot))
                .help(help),
            );
            return None;
        };
        found.nullable |= !field.ty.is_non_null() && field.default_value.is_none();
        found.ty = (*field.ty).clone();
        found.directives = Some(&field.directives);
        Some(true)
    }

    fn unknown_argument(&mut self, scope: &Scope<'a>, segment: &Segment) {
        let parent_has = scope
            .parent
            .is_some_and(|parent| field_of(scope.document, parent, &segment.name).is_some());
        let help = match parent_has {
            true => format!("did you mean `$this.{0}` or `$batch.{0}`?", segment.name),
            false => {
                let known = scope.arguments.iter().map(|it| it.name.as_str());
                did_you_mean(&segment.name, known, |known| match known {
                    [] => format!("{} has no arguments", scope.name),
                    _ => format!("{} has {}", scope.name, listed(known)),
                })
            }
        };
        let message = format!("there is no argument `{}`", segment.name);
        self.push(
            Diagnostic::error("UNKNOWN_ARGUMENT", message)
                .at(at(scope.document, &segment.spot))
                .help(help),
        );
    }

    /// The parent's input that `$this.a.b` or `$batch.a.b` means.
    pub(super) fn parent_input(
        &mut self,
        scope: &mut Scope<'a>,
        path: &[Segment],
        spot: &Spot,
        batch: bool,
    ) -> Option<usize> {
        let root = if batch { "$batch" } else { "$this" };
        let Some(parent) = scope.parent else {
            let message = format!("{} has no parent for `{root}` to read", scope.name);
            self.push(
                Diagnostic::error("EXPRESSION_NOT_HERE", message)
                    .at(at(scope.document, spot))
                    .help("read an argument: $args.id"),
            );
            return None;
        };
        let (fields, ty) = self.parent_field(scope, parent, path)?;
        if batch && ty.is_list() {
            let message = format!("a list cannot be a key: this is `{ty}`");
            self.push(
                Diagnostic::error("BATCH_KEY_NOT_A_KEY", message).at(at(scope.document, spot)),
            );
            return None;
        }
        Some(scope.input(fields, ty, spot, batch))
    }

    /// The way through the parent's fields to a leaf, and the leaf's type.
    fn parent_field(
        &mut self,
        scope: &Scope<'a>,
        parent: &Name,
        path: &[Segment],
    ) -> Option<(FieldPath, Type)> {
        let mut fields = Vec::new();
        let mut ty = Type::Named(parent.clone());
        for segment in path {
            let on = ty.inner_named_type().clone();
            let Some(field) =
                field_of(scope.document, &on, &segment.name).filter(|_| !ty.is_list())
            else {
                self.unknown_parent_field(scope, &on, segment);
                return None;
            };
            fields.push(field.name.clone());
            ty = field.ty.clone();
        }
        if is_composite(scope.document, ty.inner_named_type()) {
            let last = path.last()?;
            let message = format!("`{}` is an object: name one of its fields", last.name);
            self.push(
                Diagnostic::error("UNKNOWN_FIELD", message).at(at(scope.document, &last.spot)),
            );
            return None;
        }
        Some((fields, ty))
    }

    fn unknown_parent_field(&mut self, scope: &Scope<'a>, on: &Name, segment: &Segment) {
        let known = field_names(scope.document, on);
        let help = did_you_mean(&segment.name, known, |known| match known {
            [] => format!("`{on}` has no fields"),
            _ => format!("`{on}` has {}", listed(known)),
        });
        let message = format!("`{on}` has no field of this name in this file");
        self.push(
            Diagnostic::error("UNKNOWN_FIELD", message)
                .at(at(scope.document, &segment.spot))
                .help(help),
        );
    }
}

/// A field as a document declares it.
pub(super) fn field_of<'a>(
    document: &'a Document,
    ty: &str,
    field: &str,
) -> Option<&'a Node<apollo_compiler::ast::FieldDefinition>> {
    match document.schema.types.get(ty)? {
        ExtendedType::Object(it) => it.fields.get(field),
        ExtendedType::Interface(it) => it.fields.get(field),
        _ => None,
    }
}

/// The names of a type's fields.
pub(super) fn field_names<'a>(document: &'a Document, ty: &str) -> Vec<&'a str> {
    let names = |fields: &'a apollo_compiler::collections::IndexMap<Name, _>| {
        fields.keys().map(Name::as_str).collect()
    };
    match document.schema.types.get(ty) {
        Some(ExtendedType::Object(it)) => names(&it.fields),
        Some(ExtendedType::Interface(it)) => names(&it.fields),
        _ => Vec::new(),
    }
}

/// Whether values of a type have fields.
pub(super) fn is_composite(document: &Document, ty: &str) -> bool {
    matches!(
        document.schema.types.get(ty),
        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    #[test]
    fn an_argument_that_is_not_there_is_asked_for_by_the_nearest_name() {
        assert_eq!(
            said(
                "type Query { a(userId: ID!): Int @rest(GET: \"/a/{usrId}\", query: { u: \"$args.userId\" }) }"
            ),
            "error[UNKNOWN_ARGUMENT] shop.graphql:2:50\n  \
             2 | type Query { a(userId: ID!): Int @rest(GET: \"/a/{usrId}\", query: { u: \"$args.userId\" }) }\n    \
             |                                                  ^^^^^ there is no argument `usrId`\n  \
             help: did you mean `userId`?\n"
        );
        let parent = said("type User @key(fields: \"id\") @rest(GET: \"/a/{id}\") { id: ID! }");
        assert!(
            parent.contains("did you mean `$this.id` or `$batch.id`?"),
            "{parent}"
        );
    }

    #[test]
    fn input_objects_are_stepped_into_and_scalars_are_not() {
        let shown = printed(
            "type Query { a(in: In!, any: JSON): Int @rest(GET: \"/a/{in.id}\", query: { x: \"$args.any.b.c\" }) } input In { id: ID! } scalar JSON",
        );
        assert!(
            shown.contains("GET /a/{$args.in.id as string}?x=$args.any.b.c"),
            "{shown}"
        );
        let field =
            said("type Query { a(in: In!): Int @rest(GET: \"/a/{in.di}\") } input In { id: ID! }");
        assert!(
            field.starts_with("error[UNKNOWN_ARGUMENT] shop.graphql:2:49\n"),
            "{field}"
        );
        let leaf = said("type Query { a(id: ID!): Int @rest(GET: \"/a/{id.x}\") }");
        assert!(leaf.contains("`id` has no parts: it is `ID!`"), "{leaf}");
    }

    #[test]
    fn a_parent_is_read_where_there_is_one_and_by_its_leaves() {
        let root = said("type Query { a: Int @rest(GET: \"/a/{$this.id}\") }");
        assert!(
            root.starts_with("error[EXPRESSION_NOT_HERE] shop.graphql:2:37\n"),
            "{root}"
        );
        let user = |request: &str| {
            said(&format!(
                "type User @key(fields: \"id\") {{ id: ID! org: Org a: Int @rest(GET: \"/a\", query: {{ x: \"{request}\" }}) }} type Org {{ id: ID! }}"
            ))
        };
        assert_eq!(user("$this.org.id"), "");
        assert!(user("$this.ogr.id").contains("did you mean `org`?"));
        assert!(user("$this.org").contains("`org` is an object: name one of its fields"));
    }
}
