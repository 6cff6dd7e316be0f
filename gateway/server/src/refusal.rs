//! A refusal as a GraphQL response without data.
//!
//! Owns the body: <https://spec.graphql.org/September2025/#sec-Request-Error-Result-Format>

use bytes::Bytes;
use plan::Refusal;
use plan::RequestError;
use serde_json::Value as Json;
use serde_json::json;

/// `{"errors":[…]}`
pub(crate) fn body(refusal: &Refusal, correlation_id: &str) -> Bytes {
    let errors: Vec<Json> = refusal
        .errors
        .iter()
        .map(|error| to_json(refusal, error, correlation_id))
        .collect();
    json!({ "errors": errors }).to_string().into()
}

fn to_json(refusal: &Refusal, error: &RequestError, correlation_id: &str) -> Json {
    let mut json = json!({ "message": error.message });
    if !error.locations.is_empty() {
        let place = |(line, column): &(usize, usize)| json!({ "line": line, "column": column });
        json["locations"] = error.locations.iter().map(place).collect();
    }
    json["extensions"] = json!({
        "code": refusal.code.as_str(),
        "retryable": refusal.code.retryable(),
        "correlationId": correlation_id,
    });
    for (name, figure) in &refusal.details {
        json["extensions"][*name] = (*figure).into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::code::Code;

    #[test]
    fn a_refusal_has_no_data_and_a_place_only_where_there_is_one() {
        let mut refusal = Refusal::new(Code::GraphqlValidationFailed, "No such field.");
        refusal.errors[0].locations = vec![(1, 3)];
        let expected = r#"{"errors":[{"message":"No such field.","locations":[{"line":1,"column":3}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED","retryable":false,"correlationId":"c"}}]}"#;
        assert_eq!(body(&refusal, "c"), expected);
        let refusal = Refusal::new(Code::OperationNotFound, "Which one?");
        let expected = r#"{"errors":[{"message":"Which one?","extensions":{"code":"OPERATION_NOT_FOUND","retryable":false,"correlationId":"c"}}]}"#;
        assert_eq!(body(&refusal, "c"), expected);
    }
}
