//! How GraphQL input values are spelled upstream.
//!
//! The contract decides a leaf's type: an ID goes out as the int64 that it
//! wants. Without a contract a key keeps the type it arrived with and an
//! argument has the JSON type of its GraphQL type.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::{DirectiveList, InputValueDefinition, Type};
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};
use indexmap::IndexMap;

use super::Lowering;
use super::input::Input;
use super::upstream::Upstream;
use crate::contract::model::EnumBase;
use crate::contract::{Kind, TypeId};
use crate::document::{Document, all};
use crate::mapping::Spot;
use crate::model::{Encoding, EncodingId, Format, Outward, SourceId, SubgraphId};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum From {
    /// An argument, with the JSON type of its GraphQL type.
    Argument,
    /// A parent's field, with the type that it arrived with.
    Parent,
}

/// The table of encodings. A type that contains itself is one entry that refers to itself.
pub(super) struct Encodings<'a> {
    all: Vec<Encoding>,
    known: HashMap<Key, EncodingId>,
    /// Input objects that are referred to and not filled yet. A queue, since types may be nested
    /// without end and the stack may not.
    open: Vec<OpenObject<'a>>,
}

struct OpenObject<'a> {
    id: EncodingId,
    document: &'a Document,
    source: SourceId,
    ty: &'a InputObjectType,
    wants: Option<TypeId>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    subgraph: SubgraphId,
    source: SourceId,
    ty: Type,
    wants: Option<TypeId>,
}

const AS_IS: EncodingId = EncodingId(0);

impl Encodings<'_> {
    pub(super) fn new() -> Self {
        Encodings {
            all: vec![Encoding::AsIs],
            known: HashMap::new(),
            open: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<Encoding> {
        self.all
    }

    /// The id of an encoding; equal ones are one.
    pub(super) fn id(&mut self, encoding: Encoding) -> EncodingId {
        let known = self.all.iter().position(|it| *it == encoding);
        let index = known.unwrap_or_else(|| {
            self.all.push(encoding);
            self.all.len() - 1
        });
        EncodingId(index as u32)
    }

    fn reserve(&mut self) -> EncodingId {
        self.all.push(Encoding::Object(IndexMap::new()));
        EncodingId((self.all.len() - 1) as u32)
    }
}

impl<'a> Lowering<'a> {
    /// The encoding of a value of a GraphQL type where the contract wants one of its own.
    pub(super) fn encoding(
        &mut self,
        document: &'a Document,
        source: SourceId,
        ty: &Type,
        wants: Option<TypeId>,
        from: From,
    ) -> EncodingId {
        let upstream = self.lowered.upstreams[source.index()].clone();
        if ty.is_list() {
            let item = upstream.item(wants).or(wants);
            let item = self.encoding(document, source, ty.item_type(), item, from);
            return match item {
                AS_IS => AS_IS,
                item => self.encodings.id(Encoding::List(item)),
            };
        }
        match document.schema.types.get(ty.inner_named_type()) {
            Some(ExtendedType::Enum(it)) => self.enum_encoding(document, source, it),
            Some(ExtendedType::InputObject(it)) => {
                self.object_encoding(document, source, it, wants)
            }
            _ => self.leaf_encoding(ty.inner_named_type(), wants, from, &upstream),
        }
    }

    fn leaf_encoding(
        &mut self,
        ty: &str,
        wants: Option<TypeId>,
        from: From,
        upstream: &Upstream,
    ) -> EncodingId {
        let wanted = wants.and_then(|wants| outward(&upstream.contract()?[wants].kind));
        let has = match (ty, from) {
            ("ID", From::Argument) => None,
            ("ID", From::Parent) if wanted.is_none() => return AS_IS,
            ("String", _) => Some(Outward::String),
            ("Int", _) => Some(Outward::Integer),
            ("Float", _) => Some(Outward::Number),
            ("Boolean", _) => Some(Outward::Boolean),
            _ => None,
        };
        let wanted = match (wanted, ty) {
            (None, "ID") => Some(Outward::String),
            (wanted, _) => wanted,
        };
        match wanted {
            Some(wanted) if Some(wanted) != has => self.encodings.id(Encoding::Leaf(wanted)),
            _ => AS_IS,
        }
    }

    /// `@map(value:)` of each value; of several the first is sent.
    fn enum_encoding(
        &mut self,
        document: &'a Document,
        source: SourceId,
        ty: &EnumType,
    ) -> EncodingId {
        let mut values = IndexMap::new();
        for value in ty.values.values() {
            let sent = self.upstream_values(document, source, &value.directives);
            let sent = sent.into_iter().find(|sent| *sent != "*");
            if let Some(sent) = sent.filter(|sent| *sent != value.value.as_str()) {
                values.insert(value.value.clone(), sent.to_owned());
            }
        }
        match values.is_empty() {
            true => AS_IS,
            false => self.encodings.id(Encoding::Enum(values)),
        }
    }

    fn object_encoding(
        &mut self,
        document: &'a Document,
        source: SourceId,
        ty: &'a InputObjectType,
        wants: Option<TypeId>,
    ) -> EncodingId {
        let key = Key {
            subgraph: document.subgraph,
            source,
            ty: Type::Named(ty.name.clone()),
            wants,
        };
        if let Some(known) = self.encodings.known.get(&key) {
            return *known;
        }
        let id = self.encodings.reserve();
        self.encodings.known.insert(key, id);
        self.encodings.open.push(OpenObject {
            id,
            document,
            source,
            ty,
            wants,
        });
        id
    }

    /// Fills every input object that is referred to.
    pub(super) fn settle_encodings(&mut self) {
        while let Some(open) = self.encodings.open.pop() {
            let fields = open.ty.fields.values();
            let fields = fields.map(|field| (field.name.clone(), self.encoded_field(&open, field)));
            let fields = fields.collect();
            self.encodings.all[open.id.index()] = Encoding::Object(fields);
        }
    }

    /// The upstream name of an input object's field, and its encoding.
    fn encoded_field(
        &mut self,
        open: &OpenObject<'a>,
        field: &'a InputValueDefinition,
    ) -> (String, EncodingId) {
        let (document, source, wants) = (open.document, open.source, open.wants);
        let directives = &field.directives;
        let name = self.sent_name(document, source, &field.name, directives, wants);
        let upstream = self.lowered.upstreams[source.index()].clone();
        let property = wants.and_then(|object| upstream.property(object, &name));
        if let (None, Some(object)) = (property, wants) {
            let spot = Spot::Whole(field.name.location());
            self.check_message_field(document, source, object, &name, &spot);
        }
        let (name, wants) = match property {
            Some((spelled, property)) => (spelled.to_owned(), Some(property.ty)),
            None => (name, None),
        };
        let encode = self.input_encoding(document, source, &field.ty, directives, wants);
        (name, encode)
    }

    /// The encoding of an argument or input field, whose `@map(format:)` wins.
    pub(super) fn input_encoding(
        &mut self,
        document: &'a Document,
        source: SourceId,
        ty: &Type,
        directives: &DirectiveList,
        wants: Option<TypeId>,
    ) -> EncodingId {
        let map = self.map_of(document, source, directives);
        match map.and_then(|map| format_of(&map)) {
            Some(format) => {
                let leaf = self.encodings.id(Encoding::Leaf(Outward::Format(format)));
                let lists =
                    std::iter::successors(Some(ty), |ty| ty.is_list().then(|| ty.item_type()));
                (1..lists.count()).fold(leaf, |item, _| self.encodings.id(Encoding::List(item)))
            }
            None => self.encoding(document, source, ty, wants, From::Argument),
        }
    }

    /// The upstream name of an argument or input field: `@map(to:)`, else its own under the source's naming.
    pub(super) fn sent_name(
        &self,
        document: &'a Document,
        source: SourceId,
        name: &Name,
        directives: &DirectiveList,
        object: Option<TypeId>,
    ) -> String {
        let map = self.map_of(document, source, directives);
        match map.and_then(|map| map.text("to")) {
            Some(to) => to.to_owned(),
            None => {
                let naming = self.lowered.sources[source.index()].naming;
                self.lowered.upstreams[source.index()].spelled(name, naming, object)
            }
        }
    }

    /// The `@map` that holds for a source: the one that names it, else the one that names none.
    pub(super) fn map_of<'d>(
        &self,
        document: &'d Document,
        source: SourceId,
        directives: &'d DirectiveList,
    ) -> Option<Input<'d>> {
        self.maps_of(document, source, directives)
            .into_iter()
            .next()
    }

    fn maps_of<'d>(
        &self,
        document: &'d Document,
        source: SourceId,
        directives: &'d DirectiveList,
    ) -> Vec<Input<'d>> {
        let name = &self.lowered.sources[source.index()].name;
        let (named, general): (Vec<_>, Vec<_>) = all(directives, "map")
            .map(|map| Input::of(document, map))
            .filter(|map| map.text("source").is_none_or(|source| source == name))
            .partition(|map| map.has("source"));
        if named.is_empty() { general } else { named }
    }

    /// The upstream values of an enum value.
    pub(super) fn upstream_values<'d>(
        &self,
        document: &'d Document,
        source: SourceId,
        directives: &'d DirectiveList,
    ) -> Vec<&'d str> {
        let maps = self.maps_of(document, source, directives);
        maps.iter().filter_map(|map| map.text("value")).collect()
    }

    /// Upstream value to GraphQL name, where any is spelled differently.
    pub(super) fn enum_values(
        &self,
        document: &'a Document,
        source: SourceId,
        ty: &EnumType,
    ) -> Option<Arc<IndexMap<String, Name>>> {
        let mut values = IndexMap::new();
        let mut differs = false;
        for value in ty.values.values() {
            let spelled = self.upstream_values(document, source, &value.directives);
            differs |= !spelled.is_empty();
            match spelled.as_slice() {
                [] => {
                    values
                        .entry(value.value.to_string())
                        .or_insert_with(|| value.value.clone());
                }
                spelled => spelled.iter().for_each(|it| {
                    values.insert((*it).to_owned(), value.value.clone());
                }),
            }
        }
        differs.then(|| Arc::new(values))
    }
}

/// The JSON type of a contract's leaf; nothing where it may be several.
fn outward(kind: &Kind) -> Option<Outward> {
    match kind {
        Kind::Boolean => Some(Outward::Boolean),
        Kind::Integer { .. } => Some(Outward::Integer),
        Kind::Number => Some(Outward::Number),
        Kind::String { .. } => Some(Outward::String),
        Kind::Enum(values) => Some(match values.base {
            EnumBase::Text | EnumBase::Symbol => Outward::String,
            EnumBase::Integer => Outward::Integer,
            EnumBase::Number => Outward::Number,
        }),
        _ => None,
    }
}

/// `@map(format:)`
pub(super) fn format_of(map: &Input<'_>) -> Option<Format> {
    Some(match map.word("format")? {
        "UNIX_SECONDS" => Format::UnixSeconds,
        "UNIX_MILLIS" => Format::UnixMillis,
        "NUMBER_AS_STRING" => Format::NumberAsString,
        "STRING_AS_NUMBER" => Format::StringAsNumber,
        "JSON_STRING" => Format::JsonString,
        "BASE64" => Format::Base64,
        _ => return None,
    })
}
