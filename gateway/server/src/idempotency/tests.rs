//! From a key to its answer, over a file of a test's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use compose::SchemaFiles;
use compose::SubgraphFile;
use http::HeaderValue;
use plan::Plan;
use plan::access::Judgement;
use plan::code::Code;
use plan::limits::OperationLimits;
use plan::model::Variables;
use queue::embedded::EmbeddedKeys;
use queue::seal::Seal;
use serde_json::Value as Json;
use serde_json::json;

use super::*;
use crate::authenticate::Principal;
use crate::faults::Faults;

const SDL: &str = r#"
extend schema @source(name: "things", http: { baseURL: "http://things" })
type Query { thing: Thing @rest(GET: "/things") }
type Mutation {
  charge(id: ID!): Thing @rest(POST: "/charges/{id}")
  put(id: ID!): Thing @rest(PUT: "/charges/{id}", idempotent: true)
}
type Thing { id: ID secret: ID @requiresScopes(scopes: [["money"]]) }
"#;
const DAY: Duration = Duration::from_secs(24 * 3600);
const ONE: &str = "mutation { charge(id: 1) { id } }";

struct Scene {
    idempotency: Idempotency,
    folder: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let name = format!("switchboard-keys-{}", uuid::Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        let keys = EmbeddedKeys::open(&folder, keys::Limits::default(), Seal::none()).unwrap();
        let store: Arc<dyn Keys> = Arc::new(keys);
        let settings = IdempotencySettings {
            mode: Mode::Optional,
            keep: DAY,
            store: StoreSettings::Embedded {
                path: folder.clone(),
                limits: keys::Limits::default(),
            },
            key: None,
        };
        Self {
            idempotency: Idempotency {
                settings,
                store: OnceCell::from(store),
            },
            folder,
        }
    }

    async fn guard(&self, used: &Used) -> Guard {
        match self.idempotency.begin(used).await {
            Ok(Start::Run(Some(guard))) => guard,
            Ok(_) => panic!("it does not begin"),
            Err(refused) => panic!("{refused:?}"),
        }
    }

    async fn refused(&self, used: &Used) -> Refused {
        match self.idempotency.begin(used).await {
            Ok(_) => panic!("it is not refused"),
            Err(refused) => refused,
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn ada() -> Principal {
    Principal::for_tests(json!({ "iss": "i", "sub": "ada" }), None)
}

fn planned(document: &str) -> Plan {
    let things = SubgraphFile {
        name: "things".into(),
        file: "things.graphql".into(),
        sdl: SDL.into(),
        ..SubgraphFile::default()
    };
    let files = SchemaFiles {
        subgraphs: vec![things],
        ..SchemaFiles::default()
    };
    let graph = Arc::new(compose::compose(&files).unwrap_or_else(|e| panic!("{e}")));
    let limits = OperationLimits::default();
    let document = plan::Document::parse(graph.api(), document, &limits).unwrap();
    plan::plan(&graph, &document, None, &limits).unwrap()
}

fn used_by(principal: &Principal, document: &str, variables: &Json) -> Used {
    decided_use(principal, document, variables, |it| it.into_variables())
}

fn decided_use(
    principal: &Principal,
    document: &str,
    variables: &Json,
    decide: impl FnOnce(Judgement<'_>) -> Variables,
) -> Used {
    let plan = planned(document);
    let decided = decide(plan.judge(Variables::default(), principal));
    let mutation = Mutation {
        document,
        operation_name: None,
        variables: variables.as_object().unwrap(),
        plan: &plan,
        decided: &decided,
    };
    Used::new(&ClientKey::for_tests("k"), principal, &mutation, DAY)
}

fn used(document: &str) -> Used {
    used_by(&ada(), document, &json!({}))
}

fn answer(denied: Vec<String>) -> Stored {
    Stored {
        body: "{}".into(),
        faults: Faults::default(),
        headers: Vec::new(),
        actual: None,
        denied,
    }
}

#[test]
fn a_key_is_required_optional_or_nothing() {
    let mut headers = HeaderMap::new();
    assert_eq!(key_of(Mode::Required, &headers), Err(Refused::Missing));
    assert_eq!(key_of(Mode::Optional, &headers), Ok(None));
    headers.insert(HEADER, HeaderValue::from_static("\"half"));
    assert!(key_of(Mode::Optional, &headers).is_err());
    assert_eq!(key_of(Mode::Off, &headers), Ok(None));
    headers.insert(HEADER, HeaderValue::from_static("k"));
    let key = Some(ClientKey::for_tests("k"));
    assert_eq!(key_of(Mode::Required, &headers), Ok(key));
}

#[test]
fn a_use_is_that_of_its_caller_and_of_what_it_says() {
    let asked = |principal: &Principal, document: &str, variables: Json| {
        let asked = used_by(principal, document, &variables).asked;
        asked.map(|asked| (asked.name, asked.fingerprint))
    };
    let (name, fingerprint) =
        asked(&ada(), ONE, json!({ "a": 1, "b": { "c": 1, "d": 2 } })).unwrap();
    let turned = asked(&ada(), ONE, json!({ "b": { "d": 2, "c": 1 }, "a": 1 }));
    assert_eq!(turned, Some((name.clone(), fingerprint.clone())));
    let (same, changed) = asked(&ada(), ONE, json!({ "a": 2 })).unwrap();
    assert!(same == name && changed != fingerprint);
    let document = "mutation { charge(id: 2) { id } }";
    let (same, changed) = asked(&ada(), document, json!({})).unwrap();
    assert!(same == name && changed != fingerprint);
    let bob = Principal::for_tests(Json::Null, Some("bob"));
    assert_ne!(asked(&bob, ONE, json!({})).unwrap().0, name);
    assert_eq!(asked(&Principal::anonymous(), ONE, json!({})), None);
}

#[test]
fn strangers_share_an_effect_only_where_they_want_the_same() {
    let nobody = Principal::anonymous();
    let key = |document: &str| used_by(&nobody, document, &json!({})).effects().of(0).key;
    assert_eq!(key(ONE), key(ONE));
    assert_ne!(key(ONE), key("mutation { charge(id: 2) { id } }"));
    assert_ne!(key(ONE), used(ONE).effects().of(0).key);
}

#[test]
fn aliases_are_effects_of_their_own() {
    let used = used("mutation { a: put(id: 1) { id } b: put(id: 1) { id } }");
    let effects = used.effects();
    assert_ne!(effects.of(0), effects.of(1));
}

#[tokio::test]
async fn what_was_sent_is_answered_again_and_what_was_not_is_forgotten() {
    let scene = Scene::new();
    let unsent = used(ONE);
    scene.guard(&unsent).await.end(&answer(Vec::new())).await;
    let sent = used(ONE);
    let guard = scene.guard(&sent).await;
    assert_eq!(scene.refused(&used(ONE)).await, Refused::InFlight);
    sent.effects().sending();
    guard.end(&answer(Vec::new())).await;
    let again = scene.idempotency.begin(&used(ONE)).await;
    assert!(matches!(again, Ok(Start::Replay(stored)) if stored == answer(Vec::new())));
    let other = used("mutation { charge(id: 2) { id } }");
    assert_eq!(scene.refused(&other).await, Refused::Mismatch);
}

#[tokio::test]
async fn of_what_was_never_ended_nobody_knows_and_only_what_may_be_repeated_is() {
    let scene = Scene::new();
    drop(scene.guard(&used(ONE)).await);
    assert_eq!(scene.refused(&used(ONE)).await, Refused::Unknown);
    let again = "mutation { put(id: 1) { id } }";
    let bob = Principal::for_tests(Json::Null, Some("bob"));
    let marked = used_by(&bob, again, &json!({}));
    drop(scene.guard(&marked).await);
    scene.guard(&marked).await;
    let both = used_by(
        &bob,
        "mutation { put(id: 1) { id } charge(id: 1) { id } }",
        &json!({}),
    );
    assert!(!both.asked.unwrap().repeatable);
}

#[tokio::test]
async fn what_is_denied_now_and_was_not_is_not_answered_again() {
    let scene = Scene::new();
    let document = "mutation { charge(id: 1) { id secret } }";
    let then = decided_use(&ada(), document, &json!({}), |it| it.waived());
    let guard = scene.guard(&then).await;
    then.effects().sending();
    guard.end(&answer(then.denied())).await;
    let again = scene.idempotency.begin(&then).await;
    assert!(matches!(again, Ok(Start::Replay(_))));
    let now = used(document);
    assert_eq!(now.denied(), ["Thing.secret: Scopes([[\"money\"]])"]);
    assert_eq!(scene.refused(&now).await, Refused::Denied(Code::Forbidden));
}

#[tokio::test]
async fn what_was_denied_then_may_be_denied_again() {
    let scene = Scene::new();
    let seen = used("mutation { charge(id: 1) { id secret } }");
    let guard = scene.guard(&seen).await;
    seen.effects().sending();
    guard.end(&answer(seen.denied())).await;
    let again = scene.idempotency.begin(&seen).await;
    assert!(matches!(again, Ok(Start::Replay(_))));
}
