//! Schemas lowered into the neutral model.
//!
//! A schema becomes a type when something refers to it: the reference gets an id at once and the
//! type is built later from a queue, so that neither cycles nor long chains of schemas deepen the
//! stack. Must not know operations.

use std::collections::{HashMap, VecDeque};

use indexmap::IndexMap;
use serde_json::Value;

use super::document::{Document, Node, Pointer};
use super::flat::{Alternatives, Flat};
use super::types::{JsonType, Types};
use crate::contract::error::ContractError;
use crate::contract::model::{
    Access, Additional, Bits, Contract, Discriminator, EnumBase, EnumValue, Enumeration, Kind,
    Object, Property, StringFormat, Type, TypeId, Union,
};

/// Types that a document may lead to.
const MAX_TYPES: usize = 300_000;

/// Schemas that the types made of several schemas may be made of, all together.
const MAX_COMBINED_PARTS: usize = 100_000;

/// The types of a document as they come into being.
pub(super) struct Schemas<'d, 's> {
    document: &'d Document<'s>,
    contract: Contract,
    ids: HashMap<Key, TypeId>,
    queue: VecDeque<(TypeId, Source<'d>)>,
    combined_parts: usize,
    overflow: Option<TypeId>,
}

/// The schemas that describe one type together, and the alternatives already chosen from.
struct Source<'d> {
    parts: Vec<Node<'d>>,
    without: Vec<Pointer>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    parts: Vec<Pointer>,
    without: Vec<Pointer>,
}

impl<'d, 's> Schemas<'d, 's> {
    pub(super) fn new(document: &'d Document<'s>) -> Self {
        Schemas {
            document,
            contract: Contract::default(),
            ids: HashMap::new(),
            queue: VecDeque::new(),
            combined_parts: 0,
            overflow: None,
        }
    }

    /// The type that a schema describes.
    pub(super) fn of(&mut self, schema: Node<'d>) -> TypeId {
        self.of_all(vec![schema], Vec::new())
    }

    /// A type of which the document says nothing, such as that of a media type without schema.
    pub(super) fn unknown(&mut self, at: &Pointer) -> TypeId {
        self.contract.reserve(self.document.place(at))
    }

    /// Builds every type that was referred to.
    pub(super) fn finish(mut self) -> Contract {
        while let Some((id, source)) = self.queue.pop_front() {
            let ty = self.build(id, &source);
            self.contract.set(id, ty);
        }
        self.contract.settle_nullability();
        self.contract
    }

    /// The type that several schemas describe together.
    fn of_all(&mut self, schemas: Vec<Node<'d>>, without: Vec<Pointer>) -> TypeId {
        let mut parts: Vec<Node<'d>> = Vec::with_capacity(schemas.len());
        for schema in schemas {
            let at = schema.at.clone();
            match self.document.follow(schema) {
                Ok(part) if parts.iter().any(|known| known.at == part.at) => {}
                Ok(part) => parts.push(part),
                Err(problem) => return self.broken(&at, problem),
            }
        }
        self.intern(Source { parts, without })
    }

    fn intern(&mut self, source: Source<'d>) -> TypeId {
        let key = source.key();
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        if self.contract.len() >= MAX_TYPES || !self.may_combine(&source) {
            return self.overflow(source.at());
        }
        let id = self.unknown(source.at());
        self.ids.insert(key, id);
        self.queue.push_back((id, source));
        id
    }

    /// Each schema makes one type, but recursive schemas combine to more types than fit anywhere.
    fn may_combine(&mut self, source: &Source<'d>) -> bool {
        if source.parts.len() > 1 {
            self.combined_parts += source.parts.len() + source.without.len();
        }
        self.combined_parts <= MAX_COMBINED_PARTS
    }

    fn broken(&mut self, at: &Pointer, problem: ContractError) -> TypeId {
        let id = self.unknown(at);
        self.contract.report(id, problem);
        id
    }

    fn overflow(&mut self, at: &Pointer) -> TypeId {
        if let Some(id) = self.overflow {
            return id;
        }
        let message = "the document describes more types than are read";
        let id = self.broken(at, self.document.error(at, message));
        self.overflow = Some(id);
        id
    }

    fn build(&mut self, id: TypeId, source: &Source<'d>) -> Type {
        let built = Flat::of(self.document, &source.parts, &source.without).and_then(|flat| {
            let kind = self.kind(source, &flat)?;
            Ok((kind, flat.nullable(), flat.name()))
        });
        let (kind, nullable, name) = built.unwrap_or_else(|problem| {
            self.contract.report(id, problem);
            (Kind::Any, false, source.at().schema_name())
        });
        Type {
            name,
            nullable: nullable || kind == Kind::Null,
            kind,
            place: self.document.place(source.at()),
        }
    }

    fn kind(&mut self, source: &Source<'d>, flat: &Flat<'d>) -> Result<Kind, ContractError> {
        if let Some(kind) = enumerated(flat) {
            return Ok(kind);
        }
        if flat.types == Some(Types::NONE) {
            return self.nothing(source, flat);
        }
        match flat.alternatives.as_slice() {
            [] => Ok(self.kind_by_type(source, flat)),
            [alternatives] => Ok(self.union(source, flat, alternatives)),
            // Two groups of alternatives multiply: more than the model expresses.
            _ => Ok(Kind::Any),
        }
    }

    fn nothing(&self, source: &Source<'d>, flat: &Flat<'d>) -> Result<Kind, ContractError> {
        if flat.nullable() {
            return Ok(Kind::Null);
        }
        let message = "the parts of this schema allow no common type";
        Err(self.document.error(source.at(), message))
    }

    fn kind_by_type(&mut self, source: &Source<'d>, flat: &Flat<'d>) -> Kind {
        match implied_types(flat).as_slice() {
            [] => Kind::Any,
            [json_type] => self.kind_of(*json_type, source, flat),
            several => {
                let members = several
                    .iter()
                    .map(|json_type| self.member_of(*json_type, source, flat))
                    .collect();
                Kind::Union(Union {
                    members,
                    discriminator: None,
                })
            }
        }
    }

    fn member_of(&mut self, json_type: JsonType, source: &Source<'d>, flat: &Flat<'d>) -> TypeId {
        let ty = Type {
            name: None,
            kind: self.kind_of(json_type, source, flat),
            nullable: false,
            place: self.document.place(source.at()),
        };
        self.contract.push(ty)
    }

    fn kind_of(&mut self, json_type: JsonType, source: &Source<'d>, flat: &Flat<'d>) -> Kind {
        match json_type {
            JsonType::Boolean => Kind::Boolean,
            JsonType::Integer => integer(flat.format).unwrap_or(Kind::Integer {
                bits: Bits::Unbounded,
                unsigned: false,
            }),
            JsonType::Number => integer(flat.format).unwrap_or(Kind::Number),
            JsonType::String => Kind::String {
                format: flat.format.map(StringFormat::from_name),
            },
            JsonType::Array => Kind::List(self.item(source, flat)),
            JsonType::Object => self.object(source, flat),
        }
    }

    fn item(&mut self, source: &Source<'d>, flat: &Flat<'d>) -> TypeId {
        match flat.items.is_empty() || flat.tuple {
            true => self.unknown(source.at()),
            false => self.of_all(flat.items.clone(), Vec::new()),
        }
    }

    fn object(&mut self, source: &Source<'d>, flat: &Flat<'d>) -> Kind {
        let additional = self.additional(source, flat);
        let mut properties: IndexMap<String, Property> = IndexMap::new();
        for (name, schemas) in &flat.properties {
            properties.insert((*name).to_owned(), self.property(schemas));
        }
        for name in &flat.required {
            match properties.get_mut(*name) {
                Some(property) => property.required = true,
                None => drop(properties.insert((*name).to_owned(), self.undescribed(source))),
            }
        }
        match additional {
            Additional::Allowed(value) if properties.is_empty() => Kind::Map(value),
            additional => Kind::Object(Object {
                properties,
                additional,
            }),
        }
    }

    fn property(&mut self, schemas: &[Node<'d>]) -> Property {
        Property {
            alias: None,
            required: false,
            nullable: false,
            zero_if_absent: false,
            ty: self.of_all(schemas.to_vec(), Vec::new()),
            access: self.access(schemas),
            oneof: None,
            place: self.document.place(&schemas[0].at),
        }
    }

    /// A property that is required and not described.
    fn undescribed(&mut self, source: &Source<'d>) -> Property {
        Property {
            alias: None,
            required: true,
            nullable: false,
            zero_if_absent: false,
            ty: self.unknown(source.at()),
            access: Access::ReadWrite,
            oneof: None,
            place: self.document.place(source.at()),
        }
    }

    /// The keywords count beside a reference and in what it leads to.
    fn access(&self, schemas: &[Node<'d>]) -> Access {
        let says = |keyword: &str| {
            schemas.iter().any(|schema| {
                let target = self.document.follow(schema.clone());
                let beyond = target.is_ok_and(|target| target.flag(keyword) == Some(true));
                beyond || schema.flag(keyword) == Some(true)
            })
        };
        match (says("readOnly"), says("writeOnly")) {
            (true, false) => Access::ReadOnly,
            (false, true) => Access::WriteOnly,
            _ => Access::ReadWrite,
        }
    }

    fn additional(&mut self, source: &Source<'d>, flat: &Flat<'d>) -> Additional {
        match flat.others.as_slice() {
            _ if flat.closed => Additional::Forbidden,
            [] => Additional::Unstated,
            [schema] => Additional::Allowed(self.of(schema.clone())),
            // Names decide by pattern which schema holds: more than the model expresses.
            _ => Additional::Allowed(self.unknown(source.at())),
        }
    }

    fn union(
        &mut self,
        source: &Source<'d>,
        flat: &Flat<'d>,
        alternatives: &Alternatives<'d>,
    ) -> Kind {
        let mut members = Vec::with_capacity(alternatives.branches.len());
        for branch in &alternatives.branches {
            members.push(match flat.is_bare() {
                true => self.of(branch.clone()),
                false => self.combined(source, alternatives, branch),
            });
        }
        let discriminator = self.discriminator(alternatives, &members);
        let mut distinct = Vec::with_capacity(members.len());
        for member in members {
            if !distinct.contains(&member) {
                distinct.push(member);
            }
        }
        Kind::Union(Union {
            members: distinct,
            discriminator,
        })
    }

    /// A branch together with what the schema says beside its alternatives.
    fn combined(
        &mut self,
        source: &Source<'d>,
        alternatives: &Alternatives<'d>,
        branch: &Node<'d>,
    ) -> TypeId {
        let mut parts = source.parts.clone();
        parts.push(branch.clone());
        let mut without = source.without.clone();
        without.push(alternatives.at.clone());
        self.of_all(parts, without)
    }

    /// `members` are the types of the branches, in their order.
    fn discriminator(
        &self,
        alternatives: &Alternatives<'d>,
        members: &[TypeId],
    ) -> Option<Discriminator> {
        let node = alternatives.discriminator.as_ref()?;
        let branches: HashMap<&Pointer, TypeId> = alternatives
            .branches
            .iter()
            .map(|branch| &branch.at)
            .zip(members.iter().copied())
            .collect();
        let mut mapping: IndexMap<String, TypeId> = IndexMap::new();
        for (value, target) in node.get("mapping").iter().flat_map(Node::entries) {
            let branch = self
                .mapped(&target)
                .and_then(|at| branches.get(&at).copied());
            mapping.extend(branch.map(|member| (value.to_owned(), member)));
        }
        for (branch, member) in alternatives.branches.iter().zip(members) {
            if !mapping.values().any(|mapped| mapped == member) {
                mapping.extend(branch.at.schema_name().map(|name| (name, *member)));
            }
        }
        Some(Discriminator {
            property: node.text("propertyName")?.to_owned(),
            mapping,
        })
    }

    /// Where an entry of a discriminator's mapping leads: it is a reference or a component's name.
    fn mapped(&self, target: &Node<'d>) -> Option<Pointer> {
        let reference = target.value.as_str()?;
        let node = match reference.contains('/') {
            true => self.document.find(reference.strip_prefix('#')?)?,
            false => self
                .document
                .root()
                .get("components")?
                .get("schemas")?
                .get(reference)?,
        };
        Some(self.document.follow(node).ok()?.at)
    }
}

impl<'d> Source<'d> {
    /// Where the type is declared.
    fn at(&self) -> &Pointer {
        &self.parts[0].at
    }

    fn key(&self) -> Key {
        Key {
            parts: self.parts.iter().map(|part| part.at.clone()).collect(),
            without: self.without.clone(),
        }
    }
}

/// The stated types, or those that other keywords speak of.
fn implied_types(flat: &Flat<'_>) -> Vec<JsonType> {
    match flat.types {
        Some(types) => types.list(),
        None if !flat.properties.is_empty() || !flat.required.is_empty() => vec![JsonType::Object],
        None if !flat.others.is_empty() || flat.closed => vec![JsonType::Object],
        None if !flat.items.is_empty() || flat.tuple => vec![JsonType::Array],
        None => Vec::new(),
    }
}

fn integer(format: Option<&str>) -> Option<Kind> {
    let (bits, unsigned) = match format? {
        "int8" | "int16" | "int32" => (Bits::B32, false),
        "uint8" | "uint16" | "uint32" => (Bits::B32, true),
        "int64" => (Bits::B64, false),
        "uint64" => (Bits::B64, true),
        _ => return None,
    };
    Some(Kind::Integer { bits, unsigned })
}

/// The enumeration that a schema describes, if its values have one type that the model knows.
fn enumerated(flat: &Flat<'_>) -> Option<Kind> {
    let values = flat.values.as_ref()?;
    if values.is_empty() {
        return flat.nullable().then_some(Kind::Null);
    }
    if values.iter().all(|value| value.is_boolean()) {
        return Some(Kind::Boolean);
    }
    let only_texts = flat
        .types
        .is_some_and(|types| types.list() == [JsonType::String]);
    let is = |test: fn(&Value) -> bool| values.iter().all(|value| test(value));
    let base = if is(Value::is_string) {
        EnumBase::Text
    } else if only_texts && is(|value| !value.is_array() && !value.is_object()) {
        // `enum: [1.0, 2.0]` of a string is text whose quotes were forgotten.
        EnumBase::Text
    } else if is(|value| value.is_i64() || value.is_u64()) {
        EnumBase::Integer
    } else if is(Value::is_number) {
        EnumBase::Number
    } else {
        return None;
    };
    let values = values.iter().map(|value| enum_value(value)).collect();
    Some(Kind::Enum(Enumeration { base, values }))
}

fn enum_value(value: &Value) -> EnumValue {
    let name = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    EnumValue { name, number: None }
}
