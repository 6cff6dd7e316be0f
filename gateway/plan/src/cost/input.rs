//! What arguments weigh: `@cost` on arguments, input fields, and the enums and
//! scalars in them.

use std::collections::HashSet;

use apollo_compiler::Name;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::Field;
use apollo_compiler::schema::ExtendedType;
use compose::Supergraph;
use serde_json::Value as Json;

use super::Milli;
use super::price::Pricing;
use super::price::milli;
use crate::input::coerce_literal;
use crate::input::default_value;
use crate::model::ArgValue;
use crate::model::Variables;

/// One argument of a field that weighs something.
#[derive(Debug, Clone)]
pub(super) struct InputPrice {
    /// The argument's own weight, once where it is given.
    own: Option<Milli>,
    ty: Type,
    value: ArgValue,
    default: Option<Json>,
}

impl InputPrice {
    /// The arguments that can weigh anything.
    pub(super) fn of_arguments(pricing: &Pricing<'_>, ty: &str, field: &Field) -> Vec<Self> {
        let weighs = Weighs {
            supergraph: pricing.supergraph,
        };
        let arguments = field.definition.arguments.iter();
        arguments
            .filter_map(|definition| {
                let own = weighs.argument(ty, &field.name, definition);
                let matters = own.is_some() || weighs.reaches(&definition.ty, &mut HashSet::new());
                matters.then(|| of_argument(pricing, field, definition, own))
            })
            .collect()
    }

    pub(super) fn is_dynamic(&self) -> bool {
        !matches!(self.value, ArgValue::Const(_))
    }

    pub(super) fn weigh(&self, supergraph: &Supergraph, variables: &Variables) -> Milli {
        let weighs = Weighs { supergraph };
        let absent = match &self.value {
            ArgValue::Variable(index) => {
                variables.0.get(*index as usize).is_none_or(|v| v.is_none())
            }
            _ => false,
        };
        match (absent, &self.default) {
            (false, _) => weighs.written(self.own, &self.ty, &self.value, variables),
            (true, Some(default)) => weighs.json(self.own, &self.ty, default),
            (true, None) => 0,
        }
    }
}

fn of_argument(
    pricing: &Pricing<'_>,
    field: &Field,
    definition: &InputValueDefinition,
    own: Option<Milli>,
) -> InputPrice {
    let schema = pricing.supergraph.api();
    let default = default_value(schema, definition);
    let given = field.arguments.iter().find(|it| it.name == definition.name);
    let value = match given {
        Some(given) => coerce_literal(schema, &definition.ty, &given.value, pricing.variables, 0),
        None => ArgValue::Const(default.clone().unwrap_or(Json::Null)),
    };
    InputPrice {
        own,
        ty: definition.ty.as_ref().clone(),
        value,
        default,
    }
}

struct Weighs<'g> {
    supergraph: &'g Supergraph,
}

impl Weighs<'_> {
    fn argument(&self, ty: &str, field: &Name, argument: &InputValueDefinition) -> Option<Milli> {
        let interfaces = match self.supergraph.api().types.get(ty) {
            Some(ExtendedType::Object(object)) => Some(&object.implements_interfaces),
            _ => None,
        };
        let own = Name::new(ty).ok();
        let interfaces = interfaces.into_iter().flatten().map(|it| (**it).clone());
        let mut types = own.into_iter().chain(interfaces);
        let weights = self.supergraph.weights();
        types
            .find_map(|ty| weights.of_argument(ty, field.clone(), argument.name.clone()))
            .map(milli)
    }

    /// Whether a value of the type can weigh anything.
    fn reaches<'t>(&'t self, ty: &'t Type, seen: &mut HashSet<&'t str>) -> bool {
        let name = ty.inner_named_type();
        if !seen.insert(name.as_str()) {
            return false;
        }
        match self.supergraph.api().types.get(name) {
            Some(ExtendedType::InputObject(object)) => object.fields.values().any(|field| {
                self.input_field(&object.name, field).is_some() || self.reaches(&field.ty, seen)
            }),
            _ => self.supergraph.weights().of_type(name).is_some(),
        }
    }

    fn input_field(&self, ty: &Name, field: &InputValueDefinition) -> Option<Milli> {
        let weights = self.supergraph.weights();
        let weight = weights.of_input_field(ty.clone(), field.name.clone());
        weight.map(milli)
    }

    /// A value as the document writes it.
    fn written(
        &self,
        own: Option<Milli>,
        ty: &Type,
        value: &ArgValue,
        variables: &Variables,
    ) -> Milli {
        match value {
            ArgValue::Const(json) => self.json(own, ty, json),
            ArgValue::Holds(_) => own.unwrap_or(0),
            ArgValue::Variable(index) => match variables.0.get(*index as usize) {
                Some(Some(json)) => self.json(own, ty, json),
                _ => 0,
            },
            ArgValue::List(items) => {
                let item_type = item_of(ty);
                let items = items.iter();
                items
                    .map(|item| self.written(own.map(|_| 0), item_type, item, variables))
                    .fold(own.unwrap_or(0), Milli::saturating_add)
            }
            ArgValue::Object(fields) => {
                let Some(object) = self.input_object(ty) else {
                    return own.unwrap_or(0);
                };
                let fields = fields.iter().filter_map(|(name, value, default)| {
                    let field = object.fields.get(name.as_str())?;
                    let own = self.input_field(&object.name, field);
                    let absent = matches!(value, ArgValue::Variable(index)
                        if variables.0.get(*index as usize).is_none_or(|v| v.is_none()));
                    Some(match (absent, default) {
                        (true, Some(default)) => self.json(own, &field.ty, default),
                        _ => self.written(own, &field.ty, value, variables),
                    })
                });
                fields.fold(own.unwrap_or(0), Milli::saturating_add)
            }
        }
    }

    /// A coerced value: its own weight once, then what is in it. A leaf without one weighs what its type does.
    fn json(&self, own: Option<Milli>, ty: &Type, value: &Json) -> Milli {
        match (value, ty) {
            (Json::Null, _) => 0,
            (Json::Array(items), Type::List(item) | Type::NonNullList(item)) => items
                .iter()
                .map(|value| self.json(own.map(|_| 0), item, value))
                .fold(own.unwrap_or(0), Milli::saturating_add),
            (Json::Object(members), _) if self.input_object(ty).is_some() => {
                let object = self.input_object(ty);
                let members = members.iter().filter_map(|(name, value)| {
                    let field = object?.fields.get(name.as_str())?;
                    let own = self.input_field(&object?.name, field);
                    Some(self.json(own, &field.ty, value))
                });
                members.fold(own.unwrap_or(0), Milli::saturating_add)
            }
            _ => own.unwrap_or_else(|| {
                let name = ty.inner_named_type();
                self.supergraph.weights().of_type(name).map_or(0, milli)
            }),
        }
    }

    fn input_object(&self, ty: &Type) -> Option<&apollo_compiler::schema::InputObjectType> {
        match self.supergraph.api().types.get(ty.inner_named_type())? {
            ExtendedType::InputObject(object) => Some(object),
            _ => None,
        }
    }
}

fn item_of(ty: &Type) -> &Type {
    match ty {
        Type::List(item) | Type::NonNullList(item) => item,
        Type::Named(_) | Type::NonNullNamed(_) => ty,
    }
}
