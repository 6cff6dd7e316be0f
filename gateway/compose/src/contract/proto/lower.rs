//! Messages and methods lowered into the neutral model.
//!
//! <https://protobuf.dev/programming-guides/json/> says which well-known messages stand for plain
//! values.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use prost_reflect::{
    EnumDescriptor, FieldDescriptor, FileDescriptor, Kind as ProtoKind, MessageDescriptor,
    MethodDescriptor,
};

use super::{Idempotency, Method};
use crate::contract::model::{
    Access, Additional, Bits, Contract, EnumBase, EnumValue, Enumeration, Kind, Object, Place,
    Property, StringFormat, Type, TypeId,
};

/// The messages as they are reached, each lowered once.
pub(super) struct Messages<'n> {
    contract: Contract,
    ids: HashMap<String, TypeId>,
    queue: VecDeque<(TypeId, MessageDescriptor)>,
    /// What the caller calls files that were compiled under another name.
    given_names: &'n HashMap<String, Arc<str>>,
    files: HashMap<String, Arc<str>>,
}

impl<'n> Messages<'n> {
    pub(super) fn new(given_names: &'n HashMap<String, Arc<str>>) -> Self {
        Messages {
            contract: Contract::default(),
            ids: HashMap::new(),
            queue: VecDeque::new(),
            given_names,
            files: HashMap::new(),
        }
    }

    pub(super) fn method(&mut self, descriptor: MethodDescriptor) -> Method {
        let service = descriptor.parent_service().full_name();
        Method {
            name: format!("{service}/{}", descriptor.name()),
            input: self.message(&descriptor.input()),
            output: self.message(&descriptor.output()),
            client_streaming: descriptor.is_client_streaming(),
            server_streaming: descriptor.is_server_streaming(),
            idempotency: idempotency(&descriptor),
            place: self.place(&descriptor.parent_file(), descriptor.full_name()),
            descriptor,
        }
    }

    /// Lowers every message that was reached.
    pub(super) fn finish(mut self) -> Contract {
        while let Some((id, message)) = self.queue.pop_front() {
            let ty = self.build(&message);
            self.contract.set(id, ty);
        }
        self.contract
    }

    /// The type of a message. It is built later, so that messages may contain each other.
    fn message(&mut self, message: &MessageDescriptor) -> TypeId {
        if let Some(id) = self.ids.get(message.full_name()) {
            return *id;
        }
        let place = self.place(&message.parent_file(), message.full_name());
        let id = self.contract.reserve(place);
        self.ids.insert(message.full_name().to_owned(), id);
        self.queue.push_back((id, message.clone()));
        id
    }

    fn build(&mut self, message: &MessageDescriptor) -> Type {
        let well_known = well_known(message.full_name());
        Type {
            name: Some(message.full_name().to_owned()),
            nullable: message.full_name() == "google.protobuf.Value",
            kind: well_known.unwrap_or_else(|| self.object(message)),
            place: self.place(&message.parent_file(), message.full_name()),
        }
    }

    fn object(&mut self, message: &MessageDescriptor) -> Kind {
        let mut properties = IndexMap::new();
        for field in message.fields() {
            properties.insert(field.name().to_owned(), self.property(&field));
        }
        Kind::Object(Object {
            properties,
            additional: Additional::Forbidden,
        })
    }

    fn property(&mut self, field: &FieldDescriptor) -> Property {
        let may_be_unset = field.supports_presence() && !field.is_required();
        let oneof = field.containing_oneof().filter(|it| !it.is_synthetic());
        Property {
            alias: (field.json_name() != field.name()).then(|| field.json_name().to_owned()),
            required: field.is_required(),
            nullable: may_be_unset,
            zero_if_absent: !field.supports_presence(),
            ty: self.field(field),
            access: Access::ReadWrite,
            oneof: oneof.map(|it| it.name().to_owned()),
            place: self.field_place(field),
        }
    }

    fn field(&mut self, field: &FieldDescriptor) -> TypeId {
        let container: fn(TypeId) -> Kind = match (field.is_map(), field.is_list()) {
            (true, _) => return self.map(field),
            (_, true) => Kind::List,
            _ => return self.value(field, field.kind()),
        };
        let item = self.value(field, field.kind());
        self.plain(field, container(item))
    }

    fn map(&mut self, field: &FieldDescriptor) -> TypeId {
        let value = match field.kind() {
            ProtoKind::Message(entry) => entry.map_entry_value_field().kind(),
            other => other,
        };
        let value = self.value(field, value);
        self.plain(field, Kind::Map(value))
    }

    fn value(&mut self, field: &FieldDescriptor, kind: ProtoKind) -> TypeId {
        match kind {
            ProtoKind::Message(message) => self.message(&message),
            ProtoKind::Enum(descriptor) => self.enumeration(&descriptor),
            scalar => {
                let kind = scalar_kind(&scalar);
                self.plain(field, kind)
            }
        }
    }

    /// A type without a name of its own, declared by a field.
    fn plain(&mut self, field: &FieldDescriptor, kind: Kind) -> TypeId {
        let place = self.field_place(field);
        self.contract.push(Type {
            name: None,
            kind,
            nullable: false,
            place,
        })
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> TypeId {
        if let Some(id) = self.ids.get(descriptor.full_name()) {
            return *id;
        }
        let place = self.place(&descriptor.parent_file(), descriptor.full_name());
        let id = self.contract.push(Type {
            name: Some(descriptor.full_name().to_owned()),
            kind: enum_kind(descriptor),
            nullable: false,
            place,
        });
        self.ids.insert(descriptor.full_name().to_owned(), id);
        id
    }

    fn field_place(&mut self, field: &FieldDescriptor) -> Place {
        self.place(&field.parent_file(), field.full_name())
    }

    fn place(&mut self, file: &FileDescriptor, name: &str) -> Place {
        let given_names = self.given_names;
        let file = self.files.entry(file.name().to_owned()).or_insert_with(|| {
            let given = given_names.get(file.name()).cloned();
            given.unwrap_or_else(|| Arc::from(file.name()))
        });
        Place::symbol(file.clone(), name)
    }
}

fn idempotency(method: &MethodDescriptor) -> Idempotency {
    let options = method.method_descriptor_proto().options.as_ref();
    match options.map(|options| options.idempotency_level().as_str_name()) {
        Some("NO_SIDE_EFFECTS") => Idempotency::NoSideEffects,
        Some("IDEMPOTENT") => Idempotency::Idempotent,
        _ => Idempotency::Unknown,
    }
}

fn enum_kind(descriptor: &EnumDescriptor) -> Kind {
    if descriptor.full_name() == "google.protobuf.NullValue" {
        return Kind::Null;
    }
    let value = |value: &prost_reflect::EnumValueDescriptor| EnumValue {
        name: value.name().to_owned(),
        number: Some(value.number()),
    };
    let values = descriptor.enum_descriptor_proto().value.iter();
    let by_name = values.filter_map(|declared| descriptor.get_value_by_name(declared.name()));
    Kind::Enum(Enumeration {
        base: EnumBase::Symbol,
        values: by_name.map(|found| value(&found)).collect(),
    })
}

fn scalar_kind(kind: &ProtoKind) -> Kind {
    let integer = |bits, unsigned| Kind::Integer { bits, unsigned };
    match kind {
        ProtoKind::Double | ProtoKind::Float => Kind::Number,
        ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32 => integer(Bits::B32, false),
        ProtoKind::Int64 | ProtoKind::Sint64 | ProtoKind::Sfixed64 => integer(Bits::B64, false),
        ProtoKind::Uint32 | ProtoKind::Fixed32 => integer(Bits::B32, true),
        ProtoKind::Uint64 | ProtoKind::Fixed64 => integer(Bits::B64, true),
        ProtoKind::Bool => Kind::Boolean,
        ProtoKind::String => Kind::String { format: None },
        ProtoKind::Bytes => text(StringFormat::Byte),
        ProtoKind::Message(_) | ProtoKind::Enum(_) => Kind::Any,
    }
}

fn text(format: StringFormat) -> Kind {
    Kind::String {
        format: Some(format),
    }
}

/// The plain value that a well-known message stands for.
fn well_known(name: &str) -> Option<Kind> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => text(StringFormat::DateTime),
        "Duration" => text(StringFormat::Duration),
        "FieldMask" => text(StringFormat::FieldMask),
        "Struct" | "Value" | "ListValue" | "Any" => Kind::Any,
        "DoubleValue" | "FloatValue" => Kind::Number,
        "Int64Value" => scalar_kind(&ProtoKind::Int64),
        "UInt64Value" => scalar_kind(&ProtoKind::Uint64),
        "Int32Value" => scalar_kind(&ProtoKind::Int32),
        "UInt32Value" => scalar_kind(&ProtoKind::Uint32),
        "BoolValue" => Kind::Boolean,
        "StringValue" => scalar_kind(&ProtoKind::String),
        "BytesValue" => scalar_kind(&ProtoKind::Bytes),
        _ => return None,
    })
}
