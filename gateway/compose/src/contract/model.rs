//! The neutral model: an arena of types, and the places they come from.
//!
//! Types refer to each other by [`TypeId`], so a recursive contract is an ordinary one. The model
//! must not know which language a contract was written in.

use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::ContractError;

/// The types of one source's contract.
#[derive(Debug, Clone, Default)]
pub struct Contract {
    types: Vec<Type>,
    problems: Vec<(TypeId, ContractError)>,
}

/// One type of a [`Contract`], and of no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// A type of values that travel on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Type {
    /// The name the contract gives it: a component's, a message's, an enum's.
    pub name: Option<String>,
    /// What its values look like.
    pub kind: Kind,
    /// Whether null is one of its values.
    pub nullable: bool,
    /// Where the contract declares it.
    pub place: Place,
}

/// What values look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Anything: the contract does not say, or says more than the model can express.
    Any,
    /// Nothing but null.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// Its range.
        bits: Bits,
        /// Whether it is never negative.
        unsigned: bool,
    },
    /// A number with a fraction.
    Number,
    /// A text.
    String {
        /// What the text holds.
        format: Option<StringFormat>,
    },
    /// One of a fixed set of values.
    Enum(Enumeration),
    /// A list of one type.
    List(TypeId),
    /// An object whose keys are data.
    Map(TypeId),
    /// An object with named properties.
    Object(Object),
    /// One of several types.
    Union(Union),
}

/// The range of a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// 32 bits.
    B32,
    /// 64 bits.
    B64,
    /// The contract sets no range.
    Unbounded,
}

/// What a text holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StringFormat {
    /// RFC 3339 date and time.
    DateTime,
    /// RFC 3339 date.
    Date,
    /// RFC 3339 time.
    Time,
    /// A span of time: ISO 8601 in OpenAPI, `1.5s` in the JSON of Protocol Buffers.
    Duration,
    /// Bytes in base64.
    Byte,
    /// Raw bytes.
    Binary,
    /// A signed 64-bit integer in decimal.
    Int64,
    /// An unsigned 64-bit integer in decimal.
    Uint64,
    /// A UUID.
    Uuid,
    /// A URI or a reference to one.
    Uri,
    /// A mail address.
    Email,
    /// Field paths joined by commas: `google.protobuf.FieldMask`.
    FieldMask,
    /// Any other format, by its name in the contract.
    Other(String),
}

/// A fixed set of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumeration {
    /// What a value is on the wire.
    pub base: EnumBase,
    /// The values, in the contract's order.
    pub values: Vec<EnumValue>,
}

/// What the values of an enumeration are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnumBase {
    /// Texts.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers with a fraction.
    Number,
    /// Names with numbers: an enum of Protocol Buffers.
    Symbol,
}

/// One value of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// The text, the number in decimal, or the symbol.
    pub name: String,
    /// The number of a symbol.
    pub number: Option<i32>,
}

/// An object with named properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The properties by name, in the contract's order.
    pub properties: IndexMap<String, Property>,
    /// What the contract says of other properties.
    pub additional: Additional,
}

/// One property of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// A second name under which it travels: the JSON name of a field of Protocol Buffers.
    pub alias: Option<String>,
    /// Whether a reply always has it and a request must.
    pub required: bool,
    /// Whether it may be null; in Protocol Buffers, whether the field may be unset.
    pub nullable: bool,
    /// Whether its absence stands for a zero: a field of Protocol Buffers without presence, a list
    /// or a map.
    pub zero_if_absent: bool,
    /// Its type.
    pub ty: TypeId,
    /// Whether it travels in requests, replies or both.
    pub access: Access,
    /// The `oneof` that allows only one of its members to be set.
    pub oneof: Option<String>,
    /// Where the contract declares it.
    pub place: Place,
}

/// In which direction a property travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Both ways.
    #[default]
    ReadWrite,
    /// In replies only.
    ReadOnly,
    /// In requests only.
    WriteOnly,
}

/// What a contract says of properties that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Additional {
    /// Nothing. By the letter they are allowed, but nobody promised them.
    Unstated,
    /// They are forbidden.
    Forbidden,
    /// They are allowed and have this type.
    Allowed(TypeId),
}

/// One of several types.
#[derive(Debug, Clone, PartialEq)]
pub struct Union {
    /// The alternatives. Null is not among them: it makes the union nullable.
    pub members: Vec<TypeId>,
    /// What tells them apart.
    pub discriminator: Option<Discriminator>,
}

/// The property that tells the members of a union apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Discriminator {
    /// The property's name.
    pub property: String,
    /// Which value stands for which member.
    pub mapping: IndexMap<String, TypeId>,
}

/// Where a contract says something.
///
/// Prints as `users.openapi.yaml#/paths/~1users/get` or `products.proto: shop.v1.Product.name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    file: Arc<str>,
    spot: Spot,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Spot {
    Pointer(String),
    Symbol(String),
}

impl Contract {
    /// How many types there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is no type.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Every type with its id.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.ids().zip(&self.types)
    }

    /// The property of an object by its name or alias; nothing for other kinds.
    pub fn property(&self, id: TypeId, name: &str) -> Option<(&str, &Property)> {
        match &self[id].kind {
            Kind::Object(object) => object.property(name),
            _ => None,
        }
    }

    /// What is wrong with these types and all types they lead to.
    ///
    /// A document may be broken in a corner that no mapping uses; asking from the types in use
    /// keeps such a corner from stopping a start.
    pub fn problems_within(&self, roots: impl IntoIterator<Item = TypeId>) -> Vec<&ContractError> {
        if self.problems.is_empty() {
            return Vec::new();
        }
        let reached = self.reachable(roots);
        self.problems
            .iter()
            .filter(|(id, _)| reached[id.index()])
            .map(|(_, problem)| problem)
            .collect()
    }

    /// Everything that is wrong with any type.
    pub fn problems(&self) -> impl Iterator<Item = &ContractError> {
        self.problems.iter().map(|(_, problem)| problem)
    }

    /// A type in words, for messages: `User`, `list of int64`, `string (date-time) or null`.
    pub fn describe(&self, id: TypeId) -> String {
        let described = self.describe_to(id, 3);
        match self[id].nullable {
            true => format!("{described} or null"),
            false => described,
        }
    }

    /// `depth` bounds the words, and ends the description of a list that contains itself.
    fn describe_to(&self, id: TypeId, depth: usize) -> String {
        let ty = &self[id];
        match (&ty.kind, &ty.name) {
            (Kind::List(item), _) if depth > 0 => {
                format!("list of {}", self.describe_to(*item, depth - 1))
            }
            (Kind::Map(value), _) if depth > 0 => {
                format!("map of {}", self.describe_to(*value, depth - 1))
            }
            (Kind::Object(_) | Kind::Union(_) | Kind::Enum(_), Some(name)) => name.clone(),
            (Kind::Union(union), None) if depth > 0 => self.describe_members(union, depth - 1),
            (kind, _) => kind.to_string(),
        }
    }

    fn describe_members(&self, union: &Union, depth: usize) -> String {
        let members: Vec<String> = union
            .members
            .iter()
            .map(|member| self.describe_to(*member, depth))
            .collect();
        members.join(" or ")
    }

    fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (0..self.types.len() as u32).map(TypeId)
    }

    fn reachable(&self, roots: impl IntoIterator<Item = TypeId>) -> Vec<bool> {
        let mut reached = vec![false; self.types.len()];
        let mut open: Vec<TypeId> = roots.into_iter().collect();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut reached[id.index()], true) {
                open.extend(self[id].kind.children());
            }
        }
        reached
    }
}

/// How the two readers fill the arena. A type is reserved before its children are known, so that
/// they can refer back to it.
impl Contract {
    pub(super) fn push(&mut self, ty: Type) -> TypeId {
        let id = u32::try_from(self.types.len()).expect("readers stop long before 2^32 types");
        self.types.push(ty);
        TypeId(id)
    }

    pub(super) fn reserve(&mut self, place: Place) -> TypeId {
        self.push(Type {
            name: None,
            kind: Kind::Any,
            nullable: false,
            place,
        })
    }

    pub(super) fn set(&mut self, id: TypeId, ty: Type) {
        self.types[id.index()] = ty;
    }

    pub(super) fn report(&mut self, id: TypeId, problem: ContractError) {
        self.problems.push((id, problem));
    }

    /// Spreads nullability to what contains it: a union with a nullable member is nullable, and a
    /// property with a nullable type is.
    pub(super) fn settle_nullability(&mut self) {
        self.settle_unions();
        let nullable: Vec<bool> = self.types.iter().map(|ty| ty.nullable).collect();
        for ty in &mut self.types {
            if let Kind::Object(object) = &mut ty.kind {
                for property in object.properties.values_mut() {
                    property.nullable |= nullable[property.ty.index()];
                }
            }
        }
    }

    fn settle_unions(&mut self) {
        let mut unions_of: IndexMap<TypeId, Vec<TypeId>> = IndexMap::new();
        for (id, ty) in self.types() {
            if let Kind::Union(union) = &ty.kind {
                for member in &union.members {
                    unions_of.entry(*member).or_default().push(id);
                }
            }
        }
        let mut open: Vec<TypeId> = self.ids().filter(|id| self[*id].nullable).collect();
        while let Some(id) = open.pop() {
            for union in unions_of.get(&id).into_iter().flatten() {
                if !std::mem::replace(&mut self.types[union.index()].nullable, true) {
                    open.push(*union);
                }
            }
        }
    }
}

impl Index<TypeId> for Contract {
    type Output = Type;

    fn index(&self, id: TypeId) -> &Type {
        &self.types[id.index()]
    }
}

impl TypeId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

impl Kind {
    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Kind::Object(object) => Some(object),
            _ => None,
        }
    }

    fn children(&self) -> Vec<TypeId> {
        match self {
            Kind::List(item) | Kind::Map(item) => vec![*item],
            Kind::Union(union) => union.members.clone(),
            Kind::Object(object) => object.children(),
            _ => Vec::new(),
        }
    }
}

/// A kind in words, without the names and types inside it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Any => f.write_str("anything"),
            Kind::Null => f.write_str("null"),
            Kind::Boolean => f.write_str("boolean"),
            Kind::Integer { bits, unsigned } => write_integer(f, *bits, *unsigned),
            Kind::Number => f.write_str("number"),
            Kind::String { format: None } => f.write_str("string"),
            Kind::String { format: Some(it) } => write!(f, "string ({it})"),
            Kind::Enum(_) => f.write_str("enum"),
            Kind::List(_) => f.write_str("list"),
            Kind::Map(_) => f.write_str("map"),
            Kind::Object(_) => f.write_str("object"),
            Kind::Union(_) => f.write_str("union"),
        }
    }
}

fn write_integer(f: &mut fmt::Formatter<'_>, bits: Bits, unsigned: bool) -> fmt::Result {
    let sign = if unsigned { "u" } else { "" };
    match bits {
        Bits::B32 => write!(f, "{sign}int32"),
        Bits::B64 => write!(f, "{sign}int64"),
        Bits::Unbounded => f.write_str("integer"),
    }
}

impl StringFormat {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "date-time" => StringFormat::DateTime,
            "date" => StringFormat::Date,
            "time" => StringFormat::Time,
            "duration" => StringFormat::Duration,
            "byte" => StringFormat::Byte,
            "binary" => StringFormat::Binary,
            "int64" => StringFormat::Int64,
            "uint64" => StringFormat::Uint64,
            "uuid" => StringFormat::Uuid,
            "uri" | "uri-reference" | "url" => StringFormat::Uri,
            "email" => StringFormat::Email,
            other => StringFormat::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for StringFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StringFormat::DateTime => "date-time",
            StringFormat::Date => "date",
            StringFormat::Time => "time",
            StringFormat::Duration => "duration",
            StringFormat::Byte => "byte",
            StringFormat::Binary => "binary",
            StringFormat::Int64 => "int64",
            StringFormat::Uint64 => "uint64",
            StringFormat::Uuid => "uuid",
            StringFormat::Uri => "uri",
            StringFormat::Email => "email",
            StringFormat::FieldMask => "field mask",
            StringFormat::Other(name) => name,
        })
    }
}

impl Enumeration {
    /// Whether `name` is one of the values.
    pub fn contains(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.name == name)
    }

    /// The `…_UNSPECIFIED` value of a proto3 enum: the zero that stands for "not set".
    pub fn unspecified(&self) -> Option<&EnumValue> {
        self.values
            .iter()
            .find(|value| value.number == Some(0) && value.name.ends_with("UNSPECIFIED"))
    }
}

impl Object {
    /// A property by its name or alias, with its name.
    pub fn property(&self, name: &str) -> Option<(&str, &Property)> {
        let by_name = self.properties.get_key_value(name);
        let found = by_name.or_else(|| {
            self.properties
                .iter()
                .find(|(_, property)| property.alias.as_deref() == Some(name))
        });
        found.map(|(name, property)| (name.as_str(), property))
    }

    /// Whether the contract says no more than that it is an object.
    pub fn says_nothing(&self) -> bool {
        self.properties.is_empty() && self.additional == Additional::Unstated
    }

    fn children(&self) -> Vec<TypeId> {
        let mut children: Vec<TypeId> = self.properties.values().map(|p| p.ty).collect();
        if let Additional::Allowed(ty) = self.additional {
            children.push(ty);
        }
        children
    }
}

impl Property {
    /// Whether whoever reads a reply always finds a value that is not null.
    pub fn is_certain(&self) -> bool {
        (self.required || self.zero_if_absent) && !self.nullable
    }

    /// Whether a request without it is wrong.
    pub fn must_be_sent(&self) -> bool {
        self.required && self.access != Access::ReadOnly
    }
}

impl Place {
    /// A place in an OpenAPI document, by JSON pointer (RFC 6901).
    pub(super) fn pointer(file: Arc<str>, pointer: impl Into<String>) -> Self {
        let spot = Spot::Pointer(pointer.into());
        Place { file, spot }
    }

    /// A place in a .proto file, by the symbol's full name.
    pub(super) fn symbol(file: Arc<str>, name: impl Into<String>) -> Self {
        let spot = Spot::Symbol(name.into());
        Place { file, spot }
    }

    /// The contract's file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The JSON pointer, where the contract is an OpenAPI document.
    pub fn as_pointer(&self) -> Option<&str> {
        match &self.spot {
            Spot::Pointer(pointer) => Some(pointer),
            Spot::Symbol(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spot {
            Spot::Pointer(pointer) => write!(f, "{}#{pointer}", self.file),
            Spot::Symbol(name) => write!(f, "{}: {name}", self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        Place::symbol("shop.proto".into(), name)
    }

    fn add(contract: &mut Contract, kind: Kind, nullable: bool) -> TypeId {
        contract.push(Type {
            name: None,
            kind,
            nullable,
            place: place("x"),
        })
    }

    fn union_of(members: Vec<TypeId>) -> Kind {
        Kind::Union(Union {
            members,
            discriminator: None,
        })
    }

    #[test]
    fn places_print_as_a_reader_would_look_them_up() {
        assert_eq!(place("v1.Product").to_string(), "shop.proto: v1.Product");
        let pointer = Place::pointer("a.yaml".into(), "/paths/~1users");
        assert_eq!(pointer.to_string(), "a.yaml#/paths/~1users");
    }

    #[test]
    fn nullability_spreads_through_unions_of_unions_and_cycles() {
        let mut contract = Contract::default();
        let outer = contract.reserve(place("outer"));
        let inner = contract.reserve(place("inner"));
        let leaf = add(&mut contract, Kind::Boolean, true);
        let mut outer_type = contract[outer].clone();
        outer_type.kind = union_of(vec![inner, outer]);
        contract.set(outer, outer_type);
        let mut inner_type = contract[inner].clone();
        inner_type.kind = union_of(vec![leaf]);
        contract.set(inner, inner_type);
        contract.settle_nullability();
        assert!(contract[outer].nullable && contract[inner].nullable);
    }

    #[test]
    fn only_problems_that_are_reached_are_given() {
        let mut contract = Contract::default();
        let broken = add(&mut contract, Kind::Any, false);
        let list = add(&mut contract, Kind::List(broken), false);
        let sound = add(&mut contract, Kind::Boolean, false);
        contract.report(broken, ContractError::new("f", "broken"));
        assert_eq!(contract.problems_within([list]).len(), 1);
        assert!(contract.problems_within([sound]).is_empty());
        assert_eq!(contract.problems().count(), 1);
    }

    #[test]
    fn descriptions_end_even_where_a_list_contains_itself() {
        let mut contract = Contract::default();
        let list = contract.reserve(place("l"));
        let mut ty = contract[list].clone();
        ty.kind = Kind::List(list);
        ty.nullable = true;
        contract.set(list, ty);
        assert_eq!(
            contract.describe(list),
            "list of list of list of list or null"
        );
        let format = Some(StringFormat::DateTime);
        let text = add(&mut contract, Kind::String { format }, false);
        assert_eq!(contract.describe(text), "string (date-time)");
        let (bits, unsigned) = (Bits::B64, true);
        let number = add(&mut contract, Kind::Integer { bits, unsigned }, false);
        let either = add(&mut contract, union_of(vec![text, number]), false);
        assert_eq!(contract.describe(either), "string (date-time) or uint64");
    }
}
