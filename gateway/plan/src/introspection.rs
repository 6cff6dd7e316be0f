//! Answers about the schema itself, without any call.

use apollo_compiler::introspection::partial_execute;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::response::JsonValue;
use serde_json::Value as Json;

use crate::code::Code;
use crate::model::Plan;
use crate::model::Variables;
use crate::refusal::Refusal;

impl Plan {
    /// `__schema` and `__type`: response key to JSON text.
    pub fn introspect(&self, variables: &Variables) -> Result<Vec<(String, String)>, Refusal> {
        let Some(document) = self.introspection() else {
            return Ok(Vec::new());
        };
        let schema = self.supergraph().api();
        let operation = document
            .operations
            .get(self.operation_name())
            .map_err(refuse)?;
        let given = self.as_given(variables);
        let coerced = coerce_variable_values(schema, operation, &given).map_err(refuse)?;
        let implementers = schema.implementers_map();
        let response = partial_execute(schema, &implementers, document, operation, &coerced)
            .map_err(refuse)?;
        let data = response.data.unwrap_or_default();
        data.into_iter()
            .map(|(key, value)| {
                let text =
                    serde_json::to_string(&value).map_err(|bad| internal(&bad.to_string()))?;
                Ok((key.as_str().to_owned(), text))
            })
            .collect()
    }

    fn as_given(&self, variables: &Variables) -> JsonMap {
        let values = self.variables().iter().zip(&variables.0);
        values
            .filter_map(|(definition, value)| {
                let value = serde_json_bytes_value(value.as_ref()?);
                Some((definition.name.as_str().into(), value))
            })
            .collect()
    }
}

fn serde_json_bytes_value(value: &Json) -> JsonValue {
    JsonValue::from(value.clone())
}

fn refuse(bad: apollo_compiler::request::RequestError) -> Refusal {
    Refusal::new(Code::BadUserInput, bad.message().to_string())
}

fn internal(message: &str) -> Refusal {
    Refusal::new(Code::InternalError, message)
}
