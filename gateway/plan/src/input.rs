//! Input coercion: what a client sends, against the schema's input types.
//!
//! Owns variables (<https://spec.graphql.org/September2025/#CoerceVariableValues()>)
//! and literals in a document. Both follow
//! <https://spec.graphql.org/September2025/#sec-Input-Objects.Input-Coercion> and its siblings.

use apollo_compiler::Schema;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::ast::Type;
use apollo_compiler::ast::Value as Literal;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::schema::InputObjectType;
use serde_json::Map;
use serde_json::Value as Json;

use crate::code::Code;
use crate::model::ArgValue;
use crate::model::Plan;
use crate::model::VariableDef;
use crate::model::Variables;
use crate::refusal::Refusal;
use crate::refusal::RequestError;

/// Nested lists and objects in one value; far above what a sane schema needs.
const MAX_DEPTH: usize = 64;

impl Plan {
    /// The variables of one request, coerced; every wrong one is named.
    pub fn coerce(&self, given: &Map<String, Json>) -> Result<Variables, Refusal> {
        let schema = self.supergraph.api();
        let mut errors = Vec::new();
        let values = self
            .variables
            .iter()
            .map(|variable| match coerce_variable(schema, variable, given) {
                Ok(value) => value,
                Err(message) => {
                    errors.push(RequestError {
                        message,
                        locations: Vec::new(),
                    });
                    None
                }
            })
            .collect();
        match errors.is_empty() {
            true => Ok(Variables(values)),
            false => Err(Refusal {
                code: Code::BadUserInput,
                errors,
                details: Vec::new(),
            }),
        }
    }
}

fn coerce_variable(
    schema: &Schema,
    variable: &VariableDef,
    given: &Map<String, Json>,
) -> Result<Option<Json>, String> {
    match given.get(&variable.name) {
        Some(value) => coerce(schema, &variable.ty, value, 0)
            .map(Some)
            .map_err(|problem| problem.describe(&variable.name)),
        None if variable.default.is_some() => Ok(variable.default.clone()),
        None if variable.ty.is_non_null() => Err(format!(
            "Variable \"${}\" must be given: its type is {}.",
            variable.name, variable.ty
        )),
        None => Ok(None),
    }
}

/// What is wrong inside a value, and where.
struct Problem {
    path: Vec<String>,
    message: String,
}

impl Problem {
    fn new(message: String) -> Self {
        Self {
            path: Vec::new(),
            message,
        }
    }

    fn inside(mut self, segment: String) -> Self {
        self.path.push(segment);
        self
    }

    fn describe(&self, variable: &str) -> String {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        match path.is_empty() {
            true => format!("Variable \"${variable}\": {}", self.message),
            false => format!(
                "Variable \"${variable}\", at {variable}{path}: {}",
                self.message
            ),
        }
    }
}

fn coerce(schema: &Schema, ty: &Type, value: &Json, depth: usize) -> Result<Json, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::new("the value is nested too deeply.".into()));
    }
    if value.is_null() {
        return match ty.is_non_null() {
            true => Err(Problem::new(format!("null is no {ty}."))),
            false => Ok(Json::Null),
        };
    }
    match ty {
        Type::List(item) | Type::NonNullList(item) => coerce_list(schema, item, value, depth),
        Type::Named(name) | Type::NonNullNamed(name) => coerce_named(schema, name, value, depth),
    }
}

fn coerce_list(schema: &Schema, item: &Type, value: &Json, depth: usize) -> Result<Json, Problem> {
    let Json::Array(items) = value else {
        return Ok(Json::Array(vec![coerce(schema, item, value, depth + 1)?]));
    };
    items
        .iter()
        .enumerate()
        .map(|(i, v)| coerce(schema, item, v, depth + 1).map_err(|p| p.inside(format!("[{i}]"))))
        .collect::<Result<_, _>>()
        .map(Json::Array)
}

fn coerce_named(schema: &Schema, name: &str, value: &Json, depth: usize) -> Result<Json, Problem> {
    match schema.types.get(name) {
        Some(ExtendedType::InputObject(object)) => coerce_object(schema, object, value, depth),
        Some(ExtendedType::Enum(definition)) => match value.as_str() {
            Some(text) if definition.values.contains_key(text) => Ok(value.clone()),
            Some(_) => Err(Problem::new(format!(
                "{} is none of the values of {name}.",
                shown(value)
            ))),
            None => Err(Problem::new(format!(
                "a value of {name} is written as a string, not as {}.",
                shown(value)
            ))),
        },
        _ => coerce_scalar(name, value).map_err(Problem::new),
    }
}

/// <https://spec.graphql.org/September2025/#sec-Scalars.Built-in-Scalars>
fn coerce_scalar(name: &str, value: &Json) -> Result<Json, String> {
    let wrong = |wanted: &str| Err(format!("{} is no {name}, which is {wanted}.", shown(value)));
    match name {
        "Int" => match as_integer(value) {
            Some(int) if i32::try_from(int).is_ok() => Ok(Json::from(int)),
            _ => wrong("an integer of 32 bits"),
        },
        "Float" => match value.as_f64() {
            Some(float) if float.is_finite() => Ok(value.clone()),
            _ => wrong("a finite number"),
        },
        "String" => match value {
            Json::String(_) => Ok(value.clone()),
            _ => wrong("a string"),
        },
        "Boolean" => match value {
            Json::Bool(_) => Ok(value.clone()),
            _ => wrong("true or false"),
        },
        "ID" => match value {
            Json::String(_) => Ok(value.clone()),
            Json::Number(number) if number.is_i64() || number.is_u64() => {
                Ok(Json::String(number.to_string()))
            }
            _ => wrong("a string or an integer"),
        },
        "Int64" => match as_int64(value) {
            Some(value) => Ok(value),
            None => wrong("an integer of 64 bits, as a number or a string"),
        },
        _ => Ok(value.clone()),
    }
}

/// A value as messages quote it: an answer must not grow with what was sent.
fn shown(value: &Json) -> String {
    const SHOWN: usize = 60;
    match value {
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
        value => {
            let text = value.to_string();
            match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}

fn as_integer(value: &Json) -> Option<i64> {
    let integral =
        |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(integral))
}

fn as_int64(value: &Json) -> Option<Json> {
    match value {
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(value.clone()),
        Json::String(text) => text
            .parse::<i64>()
            .map(Json::from)
            .or_else(|_| text.parse::<u64>().map(Json::from))
            .ok(),
        _ => None,
    }
}

fn coerce_object(
    schema: &Schema,
    object: &InputObjectType,
    value: &Json,
    depth: usize,
) -> Result<Json, Problem> {
    let Json::Object(given) = value else {
        return Err(Problem::new(format!(
            "{} is an object with fields.",
            object.name
        )));
    };
    if let Some(unknown) = given
        .keys()
        .find(|name| !object.fields.contains_key(name.as_str()))
    {
        return Err(Problem::new(format!(
            "{} has no field {}.",
            object.name,
            shown(&Json::from(unknown.as_str()))
        )));
    }
    if object.is_one_of() {
        check_one_of(object, given)?;
    }
    let mut coerced = Map::new();
    for field in object.fields.values() {
        if let Some(value) = coerce_field(schema, object, field, given, depth)? {
            coerced.insert(field.name.to_string(), value);
        }
    }
    Ok(Json::Object(coerced))
}

fn coerce_field(
    schema: &Schema,
    object: &InputObjectType,
    field: &InputValueDefinition,
    given: &Map<String, Json>,
    depth: usize,
) -> Result<Option<Json>, Problem> {
    match given.get(field.name.as_str()) {
        Some(value) => coerce(schema, &field.ty, value, depth + 1)
            .map(Some)
            .map_err(|problem| problem.inside(format!(".{}", field.name))),
        None if field.default_value.is_some() => Ok(default_value(schema, field)),
        None if field.ty.is_non_null() => Err(Problem::new(format!(
            "{}.{} must be given: its type is {}.",
            object.name, field.name, field.ty
        ))),
        None => Ok(None),
    }
}

/// <https://spec.graphql.org/September2025/#sec-OneOf-Input-Objects>
fn check_one_of(object: &InputObjectType, given: &Map<String, Json>) -> Result<(), Problem> {
    let mut values = given.values();
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_null() => Ok(()),
        _ => Err(Problem::new(format!(
            "{} takes exactly one of its fields, and not as null.",
            object.name
        ))),
    }
}

/// The default of an argument or input field, coerced.
pub(crate) fn default_value(schema: &Schema, input: &InputValueDefinition) -> Option<Json> {
    let literal = input.default_value.as_ref()?;
    match coerce_literal(schema, &input.ty, literal, &|_| None, 0) {
        ArgValue::Const(value) => Some(value),
        _ => None,
    }
}

/// A literal of a valid document, coerced to its type; `variable` gives a variable's index.
pub(crate) fn coerce_literal(
    schema: &Schema,
    ty: &Type,
    literal: &Literal,
    variable: &dyn Fn(&str) -> Option<u32>,
    depth: usize,
) -> ArgValue {
    match (literal, ty) {
        (Literal::Null, _) => ArgValue::Const(Json::Null),
        (Literal::Variable(name), _) => {
            variable(name).map_or(ArgValue::Const(Json::Null), ArgValue::Variable)
        }
        (Literal::List(items), Type::List(item) | Type::NonNullList(item)) => {
            let items = items
                .iter()
                .map(|literal| coerce_literal(schema, item, literal, variable, depth + 1));
            fold_list(items.collect())
        }
        (_, Type::List(item) | Type::NonNullList(item)) => fold_list(vec![coerce_literal(
            schema,
            item,
            literal,
            variable,
            depth + 1,
        )]),
        (_, Type::Named(name) | Type::NonNullNamed(name)) => {
            literal_of(schema, name, literal, variable, depth)
        }
    }
}

fn literal_of(
    schema: &Schema,
    name: &str,
    literal: &Literal,
    variable: &dyn Fn(&str) -> Option<u32>,
    depth: usize,
) -> ArgValue {
    match (schema.types.get(name), literal) {
        (Some(ExtendedType::InputObject(object)), Literal::Object(given)) if depth < MAX_DEPTH => {
            let fields = object.fields.values().filter_map(|field| {
                let default = default_value(schema, field);
                let value = match given.iter().find(|(name, _)| *name == field.name) {
                    Some((_, literal)) => {
                        coerce_literal(schema, &field.ty, literal, variable, depth + 1)
                    }
                    None => ArgValue::Const(default.clone()?),
                };
                Some((field.name.to_string(), value, default))
            });
            fold_object(fields.collect())
        }
        _ if contains_variable(literal) => custom_scalar(literal, variable),
        _ => ArgValue::Const(scalar_literal(name, &plain(literal))),
    }
}

fn scalar_literal(name: &str, value: &Json) -> Json {
    coerce_scalar(name, value).unwrap_or_else(|_| value.clone())
}

fn fold_list(items: Vec<ArgValue>) -> ArgValue {
    let constant = |item: &ArgValue| match item {
        ArgValue::Const(value) => Some(value.clone()),
        _ => None,
    };
    match items.iter().map(constant).collect() {
        Some(values) => ArgValue::Const(Json::Array(values)),
        None => ArgValue::List(items),
    }
}

fn fold_object(fields: Vec<(String, ArgValue, Option<Json>)>) -> ArgValue {
    let constant = |(name, value, _): &(String, ArgValue, Option<Json>)| match value {
        ArgValue::Const(value) => Some((name.clone(), value.clone())),
        _ => None,
    };
    match fields.iter().map(constant).collect() {
        Some(object) => ArgValue::Const(Json::Object(object)),
        None => ArgValue::Object(fields),
    }
}

fn contains_variable(literal: &Literal) -> bool {
    match literal {
        Literal::Variable(_) => true,
        Literal::List(items) => items.iter().any(|item| contains_variable(item)),
        Literal::Object(fields) => fields.iter().any(|(_, value)| contains_variable(value)),
        _ => false,
    }
}

/// A custom scalar's literal may be structured and hold variables.
fn custom_scalar(literal: &Literal, variable: &dyn Fn(&str) -> Option<u32>) -> ArgValue {
    match literal {
        Literal::Variable(name) => {
            variable(name).map_or(ArgValue::Const(Json::Null), ArgValue::Variable)
        }
        Literal::List(items) => fold_list(
            items
                .iter()
                .map(|item| custom_scalar(item, variable))
                .collect(),
        ),
        Literal::Object(fields) => fold_object(
            fields
                .iter()
                .map(|(name, value)| (name.to_string(), custom_scalar(value, variable), None))
                .collect(),
        ),
        _ => ArgValue::Const(plain(literal)),
    }
}

/// A literal as JSON, without a type.
fn plain(literal: &Literal) -> Json {
    match literal {
        Literal::Null | Literal::Variable(_) => Json::Null,
        Literal::Enum(name) => Json::String(name.to_string()),
        Literal::String(text) => Json::String(text.clone()),
        Literal::Boolean(value) => Json::Bool(*value),
        Literal::Int(int) => number(int.as_str()),
        Literal::Float(float) => number(float.as_str()),
        Literal::List(items) => Json::Array(items.iter().map(|item| plain(item)).collect()),
        Literal::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.to_string(), plain(value)))
            .collect(),
    }
}

fn number(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apollo_compiler::parser::Parser;
    use serde_json::json;

    fn schema() -> apollo_compiler::validation::Valid<Schema> {
        let sdl = r#"
            type Query { a(i: In): Int }
            enum Color { RED GREEN }
            scalar Int64
            scalar JSON
            input In { id: ID! n: Int = 3 list: [Int!] color: Color more: In }
            input One @oneOf { a: Int b: String }
        "#;
        Schema::parse_and_validate(sdl, "schema.graphql").unwrap()
    }

    fn coerced(ty: &str, value: Json) -> Result<Json, String> {
        let ty = Parser::new().parse_type(ty, "type").unwrap();
        coerce(&schema(), &ty, &value, 0).map_err(|problem| problem.describe("v"))
    }

    #[test]
    fn scalars_take_what_the_specification_lets_them() {
        assert_eq!(coerced("Int", json!(1.0)), Ok(json!(1)));
        assert!(coerced("Int", json!(2_147_483_648_i64)).is_err());
        assert!(coerced("Int", json!("1")).is_err());
        assert_eq!(coerced("Float", json!(1)), Ok(json!(1)));
        assert_eq!(coerced("ID", json!(7)), Ok(json!("7")));
        assert!(coerced("ID", json!(7.5)).is_err());
        assert!(coerced("String", json!(7)).is_err());
        assert!(coerced("Boolean", json!(1)).is_err());
        assert_eq!(
            coerced("Int64", json!("9007199254740993")),
            Ok(json!(9_007_199_254_740_993_i64))
        );
        assert_eq!(
            coerced("JSON", json!({ "any": [1] })),
            Ok(json!({ "any": [1] }))
        );
    }

    #[test]
    fn one_value_becomes_a_list_of_one() {
        assert_eq!(coerced("[Int]", json!(1)), Ok(json!([1])));
        assert_eq!(coerced("[[Int]]", json!(1)), Ok(json!([[1]])));
        assert_eq!(coerced("[Int]", json!(null)), Ok(json!(null)));
    }

    #[test]
    fn an_input_object_takes_defaults_and_names_what_is_wrong() {
        assert_eq!(
            coerced("In", json!({ "id": 1 })),
            Ok(json!({ "id": "1", "n": 3 }))
        );
        assert_eq!(
            coerced("In", json!({ "id": "1", "n": null })),
            Ok(json!({ "id": "1", "n": null }))
        );
        assert_eq!(
            coerced("In", json!({})),
            Err("Variable \"$v\": In.id must be given: its type is ID!.".into())
        );
        assert_eq!(
            coerced(
                "In",
                json!({ "id": 1, "more": { "id": 1, "list": [1, null] } })
            ),
            Err("Variable \"$v\", at v.more.list[1]: null is no Int!.".into())
        );
        assert!(coerced("In", json!({ "id": 1, "nn": 1 })).is_err());
        assert!(coerced("In", json!({ "id": 1, "color": "BLUE" })).is_err());
    }

    #[test]
    fn a_one_of_object_takes_exactly_one() {
        assert_eq!(coerced("One", json!({ "a": 1 })), Ok(json!({ "a": 1 })));
        for wrong in [json!({}), json!({ "a": 1, "b": "x" }), json!({ "a": null })] {
            assert!(coerced("One", wrong).is_err());
        }
    }
}
