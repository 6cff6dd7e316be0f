//! Operations that are named instead of sent.

use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value as Json;
use serde_json::json;

use super::binary::Folder;
use super::binary::Gateway;
use super::binary::body;
use super::binary::run;
use super::scripted::Scripted;

const THING: &str = r#"{ "id": 1, "name": "one" }"#;
const NAME: &str = "query Name { thing(id: 1) { name } }";
/// sha256sum of [`NAME`].
const HASH: &str = "205c6fdd293a205311215c53de242b6e8f37ea1bef471099d8548ab0bfd6648b";

async fn gateway(service: &Scripted, config: &str, manifest: &Json) -> (Folder, Gateway) {
    let folder = service.folder(config);
    folder.write("manifest.json", &manifest.to_string());
    let url = service.url();
    let config = folder.file("switchboard.yaml");
    let gateway = Gateway::start(&config, &[("THINGS_URL", &url)]).await;
    (folder, gateway)
}

async fn send(gateway: &Gateway, request: &Json) -> Response {
    gateway.post(request).send().await.expect("an answer")
}

fn named() -> Json {
    json!({ "data": { "thing": { "name": "one" } } })
}

const AUTOMATIC: &str = "documents: { automatic: { enabled: true } }";

fn persisted(query: Option<&str>, hash: &str) -> Json {
    let persisted = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    json!({ "query": query, "extensions": persisted })
}

async fn code(response: Response) -> Json {
    body(response).await["errors"][0]["extensions"]["code"].clone()
}

#[tokio::test]
async fn a_document_is_sent_once_and_its_hash_from_then_on() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, AUTOMATIC, &json!({})).await;
    let unknown = body(send(&gateway, &persisted(None, HASH)).await).await;
    assert_eq!(unknown["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(
        unknown["errors"][0]["extensions"]["code"],
        "PERSISTED_QUERY_NOT_FOUND"
    );
    let first = send(&gateway, &persisted(Some(NAME), HASH)).await;
    assert_eq!(body(first).await, named());
    let second = send(&gateway, &persisted(None, HASH)).await;
    assert_eq!(body(second).await, named());
    let extensions = format!("{{\"persistedQuery\":{{\"version\":1,\"sha256Hash\":\"{HASH}\"}}}}");
    let mut url = reqwest::Url::parse(&gateway.url).expect("an address");
    url.query_pairs_mut().append_pair("extensions", &extensions);
    let get = reqwest::Client::new()
        .get(url)
        .header("graphql-require-preflight", "1")
        .send();
    assert_eq!(body(get.await.expect("an answer")).await, named());
}

#[tokio::test]
async fn garbage_and_other_peoples_hashes_are_not_remembered() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, AUTOMATIC, &json!({})).await;
    let other = persisted(Some("{ thing(id: 2) { id } }"), HASH);
    assert_eq!(
        code(send(&gateway, &other).await).await,
        "PERSISTED_QUERY_MISMATCH"
    );
    // sha256sum of `{ nothing }`, which the schema does not have.
    let hash = "919c0b7aa452b0b2fb42688461501bb8b0c3ef3b9d05ce7b9afd4f28bbe96ceb";
    let invalid = send(&gateway, &persisted(Some("{ nothing }"), hash)).await;
    assert_ne!(invalid.status(), StatusCode::OK);
    let unknown = send(&gateway, &persisted(None, hash)).await;
    assert_eq!(code(unknown).await, "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn a_client_is_told_to_send_documents_whole_where_none_are_remembered() {
    let service = Scripted::open(THING).await;
    let (_folder, gateway) = gateway(&service, "", &json!({})).await;
    let told = send(&gateway, &persisted(None, HASH)).await;
    assert_eq!(code(told).await, "PERSISTED_QUERY_NOT_SUPPORTED");
    let whole = send(&gateway, &persisted(Some(NAME), HASH)).await;
    assert_eq!(body(whole).await, named());
}

#[tokio::test]
async fn a_registration_counts_as_a_request_and_so_does_a_miss() {
    let service = Scripted::open(THING).await;
    let limited =
        format!("{AUTOMATIC}\nrate_limits: [{{ name: slow, requests: 1, per: 1h, burst: 2 }}]");
    let (_folder, gateway) = gateway(&service, &limited, &json!({})).await;
    let miss = send(&gateway, &persisted(None, HASH)).await;
    assert_eq!(code(miss).await, "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(
        send(&gateway, &persisted(Some(NAME), HASH)).await.status(),
        StatusCode::OK
    );
    let third = send(&gateway, &persisted(None, HASH)).await;
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
}

const ENFORCE: &str = "documents: { trusted: { manifest: manifest.json } }";

#[tokio::test]
async fn only_documents_of_the_manifest_run_where_it_is_enforced() {
    let service = Scripted::open(THING).await;
    let manifest = json!({
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [{ "id": HASH, "name": "Name", "type": "query", "body": NAME }],
    });
    let (_folder, gateway) = gateway(&service, ENFORCE, &manifest).await;
    for request in [
        json!({ "documentId": HASH }),
        json!({ "documentId": format!("sha256:{HASH}"), "operationName": "Name" }),
        json!({ "doc_id": HASH }),
        json!({ "id": HASH }),
        persisted(None, HASH),
    ] {
        assert_eq!(
            body(send(&gateway, &request).await).await,
            named(),
            "{request}"
        );
    }
    for request in [
        json!({ "query": NAME }),
        json!({ "query": "{ __schema { types { name } } }" }),
        json!({ "documentId": "unknown" }),
        json!({ "documentId": "unknown", "query": NAME }),
        persisted(None, &HASH.replace('2', "3")),
    ] {
        let refused = send(&gateway, &request).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{request}");
        let problem = body(refused).await;
        assert_eq!(problem["code"], "DOCUMENT_NOT_TRUSTED", "{request}");
    }
}

#[tokio::test]
async fn unknown_documents_are_logged_once_where_the_manifest_is_not_enforced() {
    let service = Scripted::open(THING).await;
    let log = "documents: { trusted: { manifest: manifest.json, mode: log } }";
    let (_folder, gateway) = gateway(&service, log, &json!({ "known": NAME })).await;
    for _ in 0..3 {
        let answer = send(&gateway, &json!({ "query": "{ thing(id: 1) { name } }" })).await;
        assert_eq!(body(answer).await, named());
    }
    send(&gateway, &json!({ "query": "{ thing(id: 2) { name } }" })).await;
    let twice = async {
        while gateway.log().matches("not trusted").count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, twice)
        .await
        .expect("two lines");
    assert_eq!(gateway.log().matches("not trusted").count(), 2);
}

#[tokio::test]
async fn a_manifest_that_changes_is_read_again() {
    let service = Scripted::open(THING).await;
    let (folder, gateway) = gateway(&service, ENFORCE, &json!({ "a": NAME })).await;
    let new = json!({ "documentId": "b" });
    assert_eq!(send(&gateway, &new).await.status(), StatusCode::FORBIDDEN);
    folder.write("manifest.json", &json!({ "b": NAME }).to_string());
    let known = async { while send(&gateway, &new).await.status() != StatusCode::OK {} };
    tokio::time::timeout(super::PATIENCE, known)
        .await
        .expect("the new manifest");
    let old = send(&gateway, &json!({ "documentId": "a" })).await;
    assert_eq!(old.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn check_names_the_trusted_documents_that_no_longer_fit() {
    let service = Scripted::open(THING).await;
    let folder = service.folder(ENFORCE);
    let manifest = json!({ "fits": NAME, "gone": "query Gone { goneField }" });
    folder.write("manifest.json", &manifest.to_string());
    let config = folder.file("switchboard.yaml");
    let arguments = ["check", "--config", config.to_str().expect("text")];
    let url = service.url();
    let (code, _, told) = run(&arguments, &[("THINGS_URL", &url)]).await;
    assert_eq!(code, 1);
    assert!(
        told.contains("TRUSTED_DOCUMENT") && told.contains("`gone`"),
        "{told}"
    );
    assert!(!told.contains("`fits`"), "{told}");
    folder.write("manifest.json", &json!({ "fits": NAME }).to_string());
    let (code, _, told) = run(&arguments, &[("THINGS_URL", &url)]).await;
    assert_eq!(code, 0, "{told}");
}
