//! Every element of a document that can carry directives, visited once.
//!
//! Owns the walk; knows nothing of what the visitor looks for.

use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::{
    DirectiveList, DirectiveLocation, FieldDefinition, InputValueDefinition,
};
use apollo_compiler::schema::ExtendedType;

/// One element.
pub(super) struct Element<'a> {
    /// What kind of element it is.
    pub(super) location: DirectiveLocation,
    /// Its directives, under canonical names.
    pub(super) directives: &'a DirectiveList,
    /// The type it belongs to, or is.
    pub(super) ty: Option<&'a ExtendedType>,
}

/// Visits the schema, its types, their fields, arguments and values, in the order written.
pub(super) fn visit<'a>(schema: &'a Schema, see: &mut dyn FnMut(Element<'a>)) {
    see(Element {
        location: DirectiveLocation::Schema,
        directives: &schema.schema_definition.directives,
        ty: None,
    });
    for ty in schema.types.values().filter(|ty| !ty.is_built_in()) {
        visit_type(ty, see);
    }
}

fn visit_type<'a>(ty: &'a ExtendedType, see: &mut dyn FnMut(Element<'a>)) {
    use DirectiveLocation as At;
    let mut tell = |location, directives| {
        see(Element {
            location,
            directives,
            ty: Some(ty),
        });
    };
    tell(location(ty), ty.directives());
    match ty {
        ExtendedType::Object(it) => fields(it.fields.values(), &mut tell),
        ExtendedType::Interface(it) => fields(it.fields.values(), &mut tell),
        ExtendedType::InputObject(it) => {
            inputs(it.fields.values(), At::InputFieldDefinition, &mut tell)
        }
        ExtendedType::Enum(it) => {
            for value in it.values.values() {
                tell(At::EnumValue, &value.directives);
            }
        }
        ExtendedType::Scalar(_) | ExtendedType::Union(_) => {}
    }
}

fn fields<'a>(
    fields: impl Iterator<Item = &'a Node<FieldDefinition>>,
    tell: &mut dyn FnMut(DirectiveLocation, &'a DirectiveList),
) {
    for field in fields {
        tell(DirectiveLocation::FieldDefinition, &field.directives);
        inputs(
            field.arguments.iter(),
            DirectiveLocation::ArgumentDefinition,
            tell,
        );
    }
}

fn inputs<'a>(
    inputs: impl Iterator<Item = &'a Node<InputValueDefinition>>,
    location: DirectiveLocation,
    tell: &mut dyn FnMut(DirectiveLocation, &'a DirectiveList),
) {
    for input in inputs {
        tell(location, &input.directives);
    }
}

fn location(ty: &ExtendedType) -> DirectiveLocation {
    match ty {
        ExtendedType::Scalar(_) => DirectiveLocation::Scalar,
        ExtendedType::Object(_) => DirectiveLocation::Object,
        ExtendedType::Interface(_) => DirectiveLocation::Interface,
        ExtendedType::Union(_) => DirectiveLocation::Union,
        ExtendedType::Enum(_) => DirectiveLocation::Enum,
        ExtendedType::InputObject(_) => DirectiveLocation::InputObject,
    }
}
