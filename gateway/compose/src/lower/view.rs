//! Views: what a reply knows of a GraphQL type, and where each field is read.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ast::{FieldDefinition, Type};
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::encoding::format_of;
use super::follow::End;
use super::input::Input;
use super::origin::ViewOrigin;
use super::read::Object;
use super::scope::{field_names, field_of, is_composite};
use super::site::has_resolver;
use super::{Lowering, at, did_you_mean, listed};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::Diagnostic;
use crate::document::{Document, all};
use crate::mapping::{Entry, Mapping, MappingKind, Spot, constant};
use crate::model::{FieldInSubgraph, Read, SourceId, SubgraphId, View, ViewField, ViewId};

/// The table of views. A type that contains itself is one view that refers to itself.
#[derive(Default)]
pub(super) struct Views<'a> {
    all: Vec<(View, ViewOrigin)>,
    known: HashMap<Key, ViewId>,
    /// Views that are referred to and not filled yet. A queue, since types may be nested without
    /// end and the stack may not.
    open: Vec<(ViewId, Object<'a>, Name, With)>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    subgraph: SubgraphId,
    source: SourceId,
    ty: Name,
    contract: Option<TypeId>,
    with: With,
}

/// What a view holds beyond the fields that its subgraph answers anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct With {
    /// Fields of other subgraphs that come along: `@provides`.
    pub(super) provides: Vec<Provided>,
    /// The reply is that of the entity's own resolver, from which its fields are expected.
    pub(super) own: bool,
}

/// A path to a leaf that comes along: each field with the type on which it is selected.
pub(super) type Provided = Vec<(Name, Name)>;

/// The paths of a selection.
pub(super) fn provided(set: Option<&SelectionSet>) -> Vec<Provided> {
    let mut found = Vec::new();
    if let Some(set) = set {
        gather(set, &mut Vec::new(), &mut found);
    }
    found
}

/// The text has been parsed, which bounds its depth.
fn gather(set: &SelectionSet, way: &mut Provided, found: &mut Vec<Provided>) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => {
                way.push((set.ty.clone(), field.name.clone()));
                match &field.selection_set {
                    Some(below) => gather(below, way, found),
                    None => found.push(way.clone()),
                }
                way.pop();
            }
            Selection::InlineFragment(inline) => gather(&inline.selection_set, way, found),
            // A field set has no fragments of its own name.
            Selection::FragmentSpread(_) => {}
        }
    }
}

impl<'a> Views<'a> {
    pub(super) fn finish(self) -> (Vec<View>, Vec<ViewOrigin>) {
        self.all.into_iter().unzip()
    }

    /// An empty view, to be filled.
    pub(super) fn reserve(&mut self, object: &Object<'a>, ty: &Name) -> ViewId {
        let view = View {
            subgraph: object.document.subgraph,
            ty: ty.clone(),
            fields: IndexMap::new(),
            variants: Vec::new(),
            discriminator: None,
        };
        let origin = ViewOrigin {
            source: object.source,
            contract: object.contract,
            written: Vec::new(),
        };
        self.all.push((view, origin));
        ViewId((self.all.len() - 1) as u32)
    }

    pub(super) fn get_mut(&mut self, id: ViewId) -> &mut View {
        &mut self.all[id.index()].0
    }

    pub(super) fn get(&self, id: ViewId) -> &View {
        &self.all[id.index()].0
    }

    fn write(&mut self, id: ViewId, field: &Name, value: ViewField, spot: Spot) {
        let (view, origin) = &mut self.all[id.index()];
        view.fields.insert(field.clone(), value);
        origin.written.push((field.to_string(), spot));
    }
}

impl<'a> Lowering<'a> {
    /// The view of a type that an upstream object of this kind gives, filled by [`Self::settle_views`].
    pub(super) fn view(&mut self, object: &Object<'a>, ty: &Name, with: With) -> ViewId {
        let key = Key {
            subgraph: object.document.subgraph,
            source: object.source,
            ty: ty.clone(),
            contract: object.contract,
            with: with.clone(),
        };
        if let Some(known) = self.views.known.get(&key) {
            return *known;
        }
        let id = self.views.reserve(object, ty);
        self.views.known.insert(key, id);
        self.views.open.push((id, *object, ty.clone(), with));
        id
    }

    /// Fills every view that is referred to.
    pub(super) fn settle_views(&mut self) {
        while let Some((id, object, ty, with)) = self.views.open.pop() {
            match object.document.schema.types.get(&ty) {
                Some(ExtendedType::Object(it)) => {
                    self.fill(id, &object, &ty, it.fields.values(), &with);
                }
                Some(ExtendedType::Interface(_) | ExtendedType::Union(_)) => {
                    self.fill_variants(id, &object, &ty, &with);
                }
                _ => {}
            }
        }
    }

    fn fill(
        &mut self,
        id: ViewId,
        object: &Object<'a>,
        ty: &Name,
        fields: impl Iterator<Item = &'a Node<FieldDefinition>>,
        with: &With,
    ) {
        for field in fields {
            if !self.is_answered_here(object, ty, field, with) {
                continue;
            }
            if let Some(mut value) = self.field(object, ty, field, with) {
                value.args = self.view_args(object, field);
                value.requires = self.required(object.document, ty, &field.name);
                self.views
                    .get_mut(id)
                    .fields
                    .insert(field.name.clone(), value);
            }
        }
    }

    /// Whether a field is one of those that this subgraph reads from its replies.
    fn is_answered_here(
        &self,
        object: &Object<'a>,
        ty: &Name,
        field: &FieldDefinition,
        with: &With,
    ) -> bool {
        if has_resolver(&field.directives) {
            return false;
        }
        let served = object.document.served_by.is_some();
        let required = self.required(object.document, ty, &field.name);
        if served && required.is_some() && !with.own {
            return false;
        }
        let is_external = self
            .declared(object.document, ty, &field.name)
            .is_some_and(|declared| declared.external);
        let mut provided = with.provides.iter();
        let is_provided = provided.any(|path| is_step(object.document, path, ty, &field.name));
        !is_external || is_provided || self.is_in_key(object.document, ty, &field.name)
    }

    /// What the document's subgraph says of a field.
    pub(super) fn declared(
        &self,
        document: &Document,
        ty: &str,
        field: &str,
    ) -> Option<&FieldInSubgraph> {
        let field = self.types.get(ty)?.fields.get(field)?;
        field
            .subgraphs
            .iter()
            .find(|it| it.subgraph == document.subgraph)
    }

    /// What the service of a subgraph wants to be sent to answer a field.
    fn required(&self, document: &Document, ty: &str, field: &str) -> Option<Arc<SelectionSet>> {
        document.served_by.as_ref()?;
        self.declared(document, ty, field)?.required.clone()
    }

    fn is_in_key(&self, document: &Document, ty: &str, field: &str) -> bool {
        let keys = self.keys(document, ty);
        keys.iter().any(|key| {
            key.fields
                .iter()
                .any(|path| path.first().is_some_and(|first| first == field))
        })
    }

    /// The keys of a type in the document's subgraph.
    pub(super) fn keys(&self, document: &Document, ty: &str) -> &[crate::model::Key] {
        let def = self.types.get(ty);
        let subgraphs = def.map(|def| def.subgraphs.iter()).into_iter().flatten();
        let mut own = subgraphs.filter(|it| it.subgraph == document.subgraph);
        own.next().map_or(&[], |it| &it.keys)
    }

    /// A field of an object; nothing where it is left out or wrong.
    fn field(
        &mut self,
        object: &Object<'a>,
        ty: &Name,
        field: &FieldDefinition,
        with: &With,
    ) -> Option<ViewField> {
        let (document, source) = (object.document, object.source);
        let map = self.map_of(document, source, &field.directives);
        let from = match &map {
            Some(map) if map.has("from") => Some(self.mapping(map, "from")?),
            _ => None,
        };
        let below = self.below(object, ty, field, with);
        match from {
            Some(Mapping {
                kind: MappingKind::Object(entries),
                spot,
            }) => self.literal(object, &field.ty, &entries, &spot),
            Some(mapping) => {
                let (read, end) = self.read(object, &mapping)?;
                self.check_selectable(source, &read, at(document, &mapping.spot));
                self.unless_left_out(object, ty, field, with, end)?;
                Some(self.value(object, &field.ty, read, end, map.as_ref(), below))
            }
            None => {
                let naming = self.lowered.sources[source.index()].naming;
                let upstream = &self.lowered.upstreams[source.index()];
                let name = upstream.spelled(&field.name, naming, object.contract);
                let (path, end) = upstream.follow(object.contract, &[name]);
                let read = Read::Path(path);
                self.check_selectable(source, &read, document.places.name(&field.name));
                self.unless_left_out(object, ty, field, with, end)?;
                Some(self.value(object, &field.ty, read, end, map.as_ref(), below))
            }
        }
    }

    /// What the view below a field holds beyond its subgraph's own fields.
    fn below(&self, object: &Object<'a>, ty: &Name, field: &FieldDefinition, with: &With) -> With {
        let declared = self.declared(object.document, ty, &field.name);
        let mut provides = provided(declared.and_then(|it| it.provided.as_deref()));
        let from_above = with
            .provides
            .iter()
            .filter(|path| is_step(object.document, path, ty, &field.name));
        provides.extend(
            from_above
                .map(|path| path[1..].to_vec())
                .filter(|path| !path.is_empty()),
        );
        With {
            provides,
            own: false,
        }
    }

    /// Nothing for a field that this reply lacks and another call brings.
    fn unless_left_out(
        &self,
        object: &Object<'a>,
        ty: &Name,
        field: &FieldDefinition,
        with: &With,
        end: End,
    ) -> Option<()> {
        let is_left_out =
            end == End::Missing && self.comes_another_way(object.document, ty, &field.name, with);
        (!is_left_out).then_some(())
    }

    fn comes_another_way(&self, document: &Document, ty: &Name, field: &str, with: &With) -> bool {
        if self.keys(document, ty).is_empty() || self.is_in_key(document, ty, field) {
            return false;
        }
        let resolvers = match document.schema.types.get(ty) {
            Some(it) => ["rest", "grpc", "graphql"]
                .map(|name| all(it.directives(), name).count())
                .iter()
                .sum(),
            None => 0,
        };
        let others = self
            .types
            .get(ty)
            .and_then(|it| it.fields.get(field))
            .is_some_and(|field| {
                let mut others = field
                    .subgraphs
                    .iter()
                    .filter(|it| it.subgraph != document.subgraph);
                others.any(|it| !it.external)
            });
        others || resolvers > usize::from(with.own)
    }

    /// A value of a GraphQL type, read in this way and being this in the contract.
    pub(super) fn value(
        &mut self,
        object: &Object<'a>,
        ty: &Type,
        read: Read,
        end: End,
        map: Option<&Input<'_>>,
        with: With,
    ) -> ViewField {
        let (inner, contract) = self.inner(object, ty, end.ty());
        let document = object.document;
        let name = inner.inner_named_type();
        let view = is_composite(document, name).then(|| {
            let object = Object {
                contract,
                ..*object
            };
            self.view(&object, name, with)
        });
        let enum_values = match document.schema.types.get(name) {
            Some(ExtendedType::Enum(it)) => self.enum_values(document, object.source, it),
            _ => None,
        };
        ViewField {
            ty: ty.clone(),
            read,
            format: map.and_then(format_of),
            default: map
                .and_then(|map| map.get("default"))
                .map(|value| constant(value)),
            view,
            enum_values,
            args: Vec::new(),
            requires: None,
        }
    }

    /// A type and its contract below all lists.
    fn inner(
        &self,
        object: &Object<'a>,
        ty: &Type,
        contract: Option<TypeId>,
    ) -> (Type, Option<TypeId>) {
        let upstream = &self.lowered.upstreams[object.source.index()];
        let (mut ty, mut contract) = (ty, contract);
        while ty.is_list() {
            ty = ty.item_type();
            contract = upstream.item(contract);
        }
        (ty.clone(), contract)
    }
}

/// Mappings that are object literals.
impl<'a> Lowering<'a> {
    /// `from: { id: "user_id" }`: an object built from the parent's own, or one for each item of a list.
    pub(super) fn literal(
        &mut self,
        object: &Object<'a>,
        ty: &Type,
        entries: &[Entry],
        spot: &Spot,
    ) -> Option<ViewField> {
        let (read, object, entries) = match ty.is_list() {
            false => (Read::Embedded, *object, entries.to_vec()),
            true => self.items(object, entries, spot)?,
        };
        let view = self.literal_view(&object, ty.inner_named_type(), &entries, spot)?;
        Some(ViewField {
            ty: ty.clone(),
            read,
            format: None,
            default: None,
            view: Some(view),
            enum_values: None,
            args: Vec::new(),
            requires: None,
        })
    }

    /// A view of the fields that an object literal names, and of no others.
    pub(super) fn literal_view(
        &mut self,
        object: &Object<'a>,
        ty: &Name,
        entries: &[Entry],
        spot: &Spot,
    ) -> Option<ViewId> {
        if !matches!(
            object.document.schema.types.get(ty),
            Some(ExtendedType::Object(_))
        ) {
            let message = format!("fields are mapped for an object type, and `{ty}` is none");
            self.push(
                Diagnostic::error("INVALID_VALUE", message)
                    .at(at(object.document, spot))
                    .help("leave the mapping out: it is derived from each object type"),
            );
            return None;
        }
        let id = self.views.reserve(object, ty);
        for entry in entries {
            let Some(field) = field_of(object.document, ty, &entry.key.name).cloned() else {
                self.unknown_field(object.document, ty, entry);
                continue;
            };
            if let Some(value) = self.entry_value(object, &field, entry) {
                self.views
                    .write(id, &field.name, value, entry.value.spot.clone());
            }
        }
        Some(id)
    }

    fn entry_value(
        &mut self,
        object: &Object<'a>,
        field: &FieldDefinition,
        entry: &Entry,
    ) -> Option<ViewField> {
        if let MappingKind::Object(entries) = &entry.value.kind {
            return self.literal(object, &field.ty, entries, &entry.value.spot);
        }
        let (read, end) = self.read(object, &entry.value)?;
        let map = self.map_of(object.document, object.source, &field.directives);
        Some(self.value(object, &field.ty, read, end, map.as_ref(), With::default()))
    }

    fn unknown_field(&mut self, document: &Document, ty: &Name, entry: &Entry) {
        let known = field_names(document, ty);
        let help = did_you_mean(&entry.key.name, known, |known| {
            format!("`{ty}` has {}", listed(known))
        });
        self.push(
            Diagnostic::error("UNKNOWN_FIELD", format!("`{ty}` has no field of this name"))
                .at(at(document, &entry.key.spot))
                .help(help),
        );
    }

    /// The upstream list that the entries' paths lead through, and the entries as each item has them.
    fn items(
        &mut self,
        object: &Object<'a>,
        entries: &[Entry],
        spot: &Spot,
    ) -> Option<(Read, Object<'a>, Vec<Entry>)> {
        let paths: Vec<Vec<String>> = entries.iter().filter_map(bare_path).collect();
        let Some(list) = self.list_path(object, &paths) else {
            self.push(
                Diagnostic::error("INVALID_VALUE", "these values do not come from one list")
                    .at(at(object.document, spot))
                    .help("read every part from the items of one list: { id: \"items.id\", region: \"items.region\" }"),
            );
            return None;
        };
        let upstream = &self.lowered.upstreams[object.source.index()];
        let (list, end) = upstream.follow(object.contract, &list);
        let contract = upstream.item(end.ty());
        let entries = entries
            .iter()
            .map(|entry| below_list(entry, list.len()))
            .collect();
        Some((
            Read::ListOf(list),
            Object {
                contract,
                ..*object
            },
            entries,
        ))
    }

    /// Where the list stands: the contract says, else a single path is the list of the values
    /// themselves and several are properties of the items.
    fn list_path(&self, object: &Object<'a>, paths: &[Vec<String>]) -> Option<Vec<String>> {
        let first = paths.first()?;
        let upstream = &self.lowered.upstreams[object.source.index()];
        let is_list = |len: &usize| {
            let (_, end) = upstream.follow(object.contract, &first[..*len]);
            let contract = upstream.contract().zip(end.ty());
            contract.is_some_and(|(contract, ty)| matches!(contract[ty].kind, Kind::List(_)))
        };
        let guess = if paths.len() == 1 {
            first.len()
        } else {
            first.len() - 1
        };
        let len = (1..=first.len()).find(is_list).unwrap_or(guess);
        let list = &first[..len];
        (len > 0 && paths.iter().all(|path| path.starts_with(list))).then(|| list.to_vec())
    }
}

fn bare_path(entry: &Entry) -> Option<Vec<String>> {
    match &entry.value.kind {
        MappingKind::Bare(path) => Some(crate::mapping::names(path)),
        _ => None,
    }
}

/// An entry without the names that lead to the list.
fn below_list(entry: &Entry, len: usize) -> Entry {
    let kind = match &entry.value.kind {
        MappingKind::Bare(path) => MappingKind::Bare(path[len.min(path.len())..].to_vec()),
        other => other.clone(),
    };
    let value = Mapping {
        kind,
        spot: entry.value.spot.clone(),
    };
    Entry {
        key: entry.key.clone(),
        value,
    }
}

/// Whether a provided path begins with a field of an object type: selected on it, or on an interface.
fn is_step(document: &Document, path: &Provided, ty: &Name, field: &Name) -> bool {
    let Some((on, first)) = path.first() else {
        return false;
    };
    let is_object = || document.schema.get_object(on).is_some();
    first == field && (on == ty || !is_object())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SHOP, file, printed, printed_files, said};

    fn reply(declarations: &str) -> String {
        let shown = printed(declarations);
        let reply = shown
            .lines()
            .find_map(|line| line.strip_prefix("  reply   "));
        reply.expect("a reply").to_owned()
    }

    #[test]
    fn fields_are_read_by_name_path_text_and_choice() {
        assert_eq!(
            reply(
                "type Query { a: A @rest(GET: \"/a\") } type A {
                 shortName: String b: String @map(from: \"x.'y-z'\") c: String @map(from: \"{first} {last}\")
                 d: Int @map(from: \"x ?? y ?? 0\", default: 5) e: String @map(from: \"created\", format: UNIX_SECONDS)
                 f: E g: Int @map(from: \"$status\") h: Int @rest(GET: \"/h\") } enum E { A @map(value: \"a\") @map(value: \"aa\") B }"
            ),
            "A { shortName: short_name, b: x.y-z, c: '{first} {last}', d: x ?? y ?? 0 default 5, \
             e: created UnixSeconds, f (a=A aa=A B=B), g: $status }"
        );
    }

    #[test]
    fn types_that_contain_each_other_end() {
        let shown =
            reply("type Query { a: A @rest(GET: \"/a\") } type A { b: B } type B { a: [A!] }");
        assert!(shown.starts_with("A { b { a { b { a {"), "{shown}");
    }

    #[test]
    fn a_reference_is_one_object_or_one_for_each_item_of_a_list() {
        assert_eq!(
            reply(
                "type Query { a: A @rest(GET: \"/a\") } type A { one: T @map(from: { id: \"one_id\", org: { id: \"org_id\" } })
                 ids: [T!] @map(from: { id: \"tag_ids\" }) items: [T!] @map(from: { id: \"items.no\", org: { id: \"items.org\" } }) }
                 type T { id: ID! org: O } type O { id: ID! }"
            ),
            "A { one: the same object { id: one_id, org: the same object { id: org_id } }, \
             ids: each of tag_ids { id: it }, items: each of items.no { id: it, org: the same object { id: items.org } } }"
        );
    }

    #[test]
    fn a_mapping_for_one_source_wins_there() {
        let sdl = "extend schema @source(name: \"a\", http: { baseURL: \"http://a\" }) @source(name: \"b\", http: { baseURL: \"http://b\" })
            type Query { a: T @rest(source: \"a\", GET: \"/a\") b: T @rest(source: \"b\", GET: \"/b\") }
            type T { x: Int @map(from: \"one\", source: \"a\") @map(from: \"other\") }";
        let shown = printed_files(&file(sdl));
        assert!(
            shown.contains("T { x: one }") && shown.contains("T { x: other }"),
            "{shown}"
        );
    }

    #[test]
    fn a_field_that_the_reply_lacks_comes_from_the_entity() {
        let contract = "
openapi: 3.1.0
info: { title: a, version: '1' }
paths:
  /users:
    get:
      parameters: [{ name: id, in: query, schema: { type: array, items: { type: integer } } }]
      responses: { '200': { description: a, content: { application/json: { schema: { type: array, items: { $ref: '#/components/schemas/Full' } } } } } }
  /top:
    get:
      responses: { '200': { description: a, content: { application/json: { schema: { $ref: '#/components/schemas/Short' } } } } }
components:
  schemas:
    Full: { type: object, properties: { id: { type: integer }, name: { type: string } } }
    Short: { type: object, properties: { id: { type: integer } } }
";
        let sdl = "extend schema @source(name: \"a\", http: { baseURL: \"http://a\", openapi: \"a.yaml\" })
            type Query { top: User @rest(GET: \"/top\") }
            type User @key(fields: \"id\") @rest(GET: \"/users\", query: { id: \"$batch.id\" }) { id: ID! name: String }";
        let mut files = file(sdl);
        files.files.insert("a.yaml".into(), contract.into());
        let shown = printed_files(&files);
        assert!(
            shown.contains("reply   User { id }\n")
                && shown.contains("reply   User { id, name }\n"),
            "{shown}"
        );
    }

    #[test]
    fn what_another_subgraph_owns_is_read_where_it_is_provided() {
        let mut files = file(&format!(
            "{SHOP}type Query {{ a: A @rest(GET: \"/a\") @provides(fields: \"name\") b: A @rest(GET: \"/b\") }}
             type A @key(fields: \"id\") {{ id: ID! @external name: String @external }}"
        ));
        files.subgraphs.push(crate::SubgraphFile {
            name: "owner".into(),
            file: "owner.graphql".into(),
            sdl: "extend schema @source(name: \"owner\", http: { baseURL: \"http://o\" }) type A @key(fields: \"id\") { id: ID! name: String @shareable }".into(),
            ..Default::default()
        });
        let shown = printed_files(&files);
        assert!(
            shown.contains("reply   A { id, name }\n") && shown.contains("reply   A { id }\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_mapping_that_is_no_value_is_refused() {
        let field = |from: &str| {
            said(&format!(
                "type Query {{ a: A @rest(GET: \"/a\") }} type A {{ b: Int @map(from: {from}) }}"
            ))
        };
        assert!(field("\"$args.x\"").starts_with("error[EXPRESSION_NOT_HERE] shop.graphql:2:66\n"));
        assert!(field("[1]").contains("one value is read here"));
        assert!(field("\"{x\"").starts_with("error[MAPPING_SYNTAX]"));
    }
}
