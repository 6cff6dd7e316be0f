//! Replies that are wrong in every way a reply can be: the field is null with
//! one error, its neighbours are answered, and nothing of the reply leaks.

use serde_json::json;

use super::scripted::Scripted;

/// What a service says wrong, and the code that the client reads.
const WRONG: [(u16, &str, &str, &str); 8] = [
    (
        200,
        "application/json",
        "{ \"secret-7\": ",
        "UPSTREAM_INVALID_RESPONSE",
    ),
    (
        200,
        "application/json",
        "secret-7",
        "UPSTREAM_INVALID_RESPONSE",
    ),
    (
        200,
        "application/json",
        "\"secret-7\"",
        "UPSTREAM_INVALID_RESPONSE",
    ),
    (
        200,
        "text/html",
        "<html>secret-7</html>",
        "UPSTREAM_INVALID_RESPONSE",
    ),
    (
        500,
        "application/json",
        "{ \"stack\": \"secret-7\" }",
        "UPSTREAM_ERROR",
    ),
    (503, "text/plain", "secret-7", "UPSTREAM_UNAVAILABLE"),
    (401, "text/plain", "secret-7", "UNAUTHENTICATED"),
    (302, "text/plain", "secret-7", "UPSTREAM_INVALID_RESPONSE"),
];

#[tokio::test]
async fn a_wrong_reply_is_one_null_with_one_error_and_leaks_nothing() {
    let service = Scripted::open("").await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    for (status, media, reply, code) in WRONG {
        service.reply(status, media, reply);
        let answer = gateway.ask("{ __typename things { name } }").await;
        let case = format!("{status} {media} {reply}: {answer}");
        assert_eq!(
            answer["data"],
            json!({ "__typename": "Query", "things": null }),
            "{case}"
        );
        assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{case}");
        assert_eq!(answer["errors"][0]["path"], json!(["things"]), "{case}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{case}");
        assert!(!answer.to_string().contains("secret-7"), "{case}");
        assert!(!answer.to_string().contains(&service.url()), "{case}");
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_after_its_timeout() {
    let service = Scripted::closed("1").await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    let answer = gateway.ask("{ count }").await;
    assert_eq!(answer["data"], json!({ "count": null }));
    assert_eq!(
        answer["errors"][0]["extensions"]["code"],
        "UPSTREAM_TIMEOUT"
    );
}

#[tokio::test]
async fn a_problem_that_the_caller_can_act_on_is_passed_on_as_data() {
    let service = Scripted::open("").await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    let problem = r#"{ "type": "https://example.org/locked", "title": "Locked", "detail": "The thing is being edited.", "status": 409, "trace": "secret-7" }"#;
    service.reply(409, "application/problem+json", problem);
    let answer = gateway
        .ask("mutation { rename(id: 1, name: \"x\") { id } }")
        .await;
    let error = &answer["errors"][0];
    assert_eq!(error["message"], "The thing is being edited.");
    assert_eq!(error["extensions"]["code"], "CONFLICT");
    assert_eq!(
        error["extensions"]["problem"]["type"],
        "https://example.org/locked"
    );
    assert!(!answer.to_string().contains("secret-7"), "{answer}");
}
