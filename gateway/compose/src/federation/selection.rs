//! What the field sets of a file touch.
//!
//! Owns reading the texts of `@key`, `@requires` and `@provides` against the file's own
//! schema. A text that is not a field set touches what could be read of it; saying what is
//! wrong with it is [`crate::merge`]'s.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use apollo_compiler::ast::{Directive, DirectiveList, FieldDefinition, Value};
use apollo_compiler::executable::{self, Fragment, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};

use super::context;
use crate::document::{Document, all, first};

/// Every field set of a file.
pub(super) struct Selections<'a> {
    pub(super) sets: Vec<Selection<'a>>,
    /// The object types of each interface.
    pub(super) implementers: HashMap<&'a Name, Vec<&'a Name>>,
}

/// One field set.
pub(super) struct Selection<'a> {
    pub(super) kind: Kind,
    /// The type that it selects from.
    pub(super) ty: &'a Name,
    /// The type and field that carry it; no field for a key.
    pub(super) on: Option<(&'a Name, &'a Name)>,
    pub(super) directive: &'a Node<Directive>,
    /// The text.
    pub(super) value: &'a Node<Value>,
    /// Parents before children.
    pub(super) fields: Vec<Touched>,
}

/// Whose field set it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Requires,
    Provides,
    /// What `@fromContext` takes of the types of a context.
    Context,
}

/// A field that a field set names.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) ty: Name,
    pub(super) field: Name,
    pub(super) leaf: bool,
    /// The field that it stands below, in [`Selection::fields`].
    pub(super) parent: Option<usize>,
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
}

impl<'a> Selections<'a> {
    pub(super) fn of(document: &'a Document) -> Self {
        let mut found = Self {
            sets: Vec::new(),
            implementers: implementers(&document.schema),
        };
        for ty in document.schema.types.values() {
            let schema = &document.schema;
            found.add(schema, Kind::Key, ty.name(), None, ty.directives());
            for field in fields(ty).filter(|it| !it.directives.is_empty()) {
                let on = Some((ty.name(), &field.name));
                let value = field.ty.inner_named_type();
                found.add(schema, Kind::Requires, ty.name(), on, &field.directives);
                found.add(schema, Kind::Provides, value, on, &field.directives);
            }
        }
        found.add_contexts(&document.schema);
        found
    }

    fn add_contexts(&mut self, schema: &'a Schema) {
        let types = schema.types.values();
        let arguments = types.flat_map(fields).flat_map(|field| &field.arguments);
        for argument in arguments {
            let Some(directive) = first(&argument.directives, "fromContext") else {
                continue;
            };
            let value = directive.specified_argument_by_name("field");
            let Some((value, (name, text))) =
                value.and_then(|it| Some((it, context::split(it.as_str()?.trim())?)))
            else {
                continue;
            };
            for ty in schema.types.values().filter(|ty| context::has(ty, name)) {
                self.sets.push(Selection {
                    kind: Kind::Context,
                    ty: ty.name(),
                    on: None,
                    directive,
                    value,
                    fields: touched(schema, ty.name(), context::bare(text)),
                });
            }
        }
    }

    fn add(
        &mut self,
        schema: &'a Schema,
        kind: Kind,
        ty: &'a Name,
        on: Option<(&'a Name, &'a Name)>,
        directives: &'a DirectiveList,
    ) {
        for directive in all(directives, kind.directive()) {
            let Some(value) = directive.specified_argument_by_name("fields") else {
                continue;
            };
            self.sets.push(Selection {
                kind,
                ty,
                on,
                directive,
                value,
                fields: touched(schema, ty, value.as_str().unwrap_or("")),
            });
        }
    }

    /// The fields that any field set names, on every type that they can be read from.
    pub(super) fn used(&self) -> HashSet<(&Name, &Name)> {
        self.used_by(|_| true)
    }

    /// The fields that some kinds of field sets name.
    pub(super) fn used_by(&self, wanted: impl Fn(Kind) -> bool) -> HashSet<(&Name, &Name)> {
        let mut used = HashSet::new();
        let sets = self.sets.iter().filter(|set| wanted(set.kind));
        for touched in sets.flat_map(|set| &set.fields) {
            used.insert((&touched.ty, &touched.field));
            let objects = self.implementers.get(&touched.ty).into_iter().flatten();
            used.extend(objects.map(|ty| (*ty, &touched.field)));
        }
        used
    }

    /// Whether another subgraph answers a field; of an interface's, on any of its object types.
    pub(super) fn is_external(&self, schema: &Schema, ty: &Name, field: &Name) -> bool {
        let own = |ty: &Name| {
            let ty = schema.types.get(ty)?;
            let marked = |all: &DirectiveList| first(all, "external").is_some();
            let field = fields(ty).find(|it| it.name == *field)?;
            Some(marked(ty.directives()) || marked(&field.directives))
        };
        let objects = self.implementers.get(ty).into_iter().flatten();
        let mut all = std::iter::once(ty).chain(objects.copied());
        all.any(|ty| own(ty).unwrap_or(false))
    }
}

impl Kind {
    pub(super) fn directive(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::Requires => "requires",
            Kind::Provides => "provides",
            Kind::Context => "fromContext",
        }
    }
}

impl Selection<'_> {
    /// The paths to its leaves, whatever their order.
    pub(super) fn paths(&self) -> BTreeSet<Vec<&Name>> {
        let leaves = self.fields.iter().filter(|it| it.leaf);
        leaves
            .map(|leaf| {
                let way = std::iter::successors(Some(leaf), |it| Some(&self.fields[it.parent?]));
                way.map(|it| &it.field).collect()
            })
            .collect()
    }

    /// A field and those that it stands below.
    pub(super) fn way<'s>(&'s self, leaf: &'s Touched) -> impl Iterator<Item = &'s Touched> {
        std::iter::successors(Some(leaf), |it| Some(&self.fields[it.parent?]))
    }
}

/// The object types that implement each interface.
pub(super) fn implementers(schema: &Schema) -> HashMap<&Name, Vec<&Name>> {
    let mut found: HashMap<&Name, Vec<&Name>> = HashMap::new();
    for object in schema.types.values().filter_map(|ty| ty.as_object()) {
        for interface in &object.implements_interfaces {
            found.entry(interface).or_default().push(&object.name);
        }
    }
    found
}

/// The fields of an object or interface.
pub(super) fn fields(ty: &ExtendedType) -> Box<dyn Iterator<Item = &Node<FieldDefinition>> + '_> {
    match ty {
        ExtendedType::Object(it) => Box::new(it.fields.values()),
        ExtendedType::Interface(it) => Box::new(it.fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// A text as a selection from a type, as far as it can be read; whether that is all of it; and how many
/// bytes were put before it for that.
pub(crate) fn parse(
    schema: &Valid<Schema>,
    ty: &Name,
    text: &str,
) -> (Option<Node<Fragment>>, bool, usize) {
    let before = format!("fragment set on {ty} {{");
    // The document's parser, which no text can surprise; it bounds the depth too.
    let read = ExecutableDocument::parse(schema, format!("{before}{text}\n}}"), "field set");
    let (document, whole) = match read {
        // A brace too many would end the selection and begin something else.
        Ok(document) => {
            let alone = document.fragments.len() == 1 && document.operations.is_empty();
            (document, alone)
        }
        Err(invalid) => (invalid.partial, false),
    };
    let fragment = document.fragments.get("set").cloned();
    (fragment, whole, before.len())
}

/// What a text selects from a type.
pub(super) fn touched(schema: &Schema, ty: &Name, text: &str) -> Vec<Touched> {
    // Names are resolved and nothing more, which any schema serves for.
    let (fragment, _, offset) = parse(Valid::assume_valid_ref(schema), ty, text);
    let mut found = Vec::new();
    if let Some(fragment) = fragment {
        visit(&fragment.selection_set, None, offset, &mut found);
    }
    found
}

fn visit(set: &SelectionSet, parent: Option<usize>, offset: usize, found: &mut Vec<Touched>) {
    for selection in &set.selections {
        match selection {
            executable::Selection::Field(field) if field.name == "__typename" => {}
            executable::Selection::Field(field) => {
                let index = found.len();
                let span = field.location().map(|it| it.offset());
                let start = span.unwrap_or_default().saturating_sub(offset);
                found.push(Touched {
                    ty: set.ty.clone(),
                    field: field.name.clone(),
                    leaf: field.selection_set.is_none(),
                    parent,
                    range: start..start + field.name.len(),
                });
                if let Some(below) = &field.selection_set {
                    visit(below, Some(index), offset, found);
                }
            }
            executable::Selection::InlineFragment(it) => {
                visit(&it.selection_set, parent, offset, found);
            }
            // A field set is one text and defines no fragments.
            executable::Selection::FragmentSpread(_) => {}
        }
    }
}
