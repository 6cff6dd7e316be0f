//! Calls that are handed over and made later, against a real local service.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use plan::outbox::Accepted;
use plan::outbox::Deferred;
use plan::outbox::Order;
use plan::outbox::Outbox;
use plan::source::BoxFuture;
use plan::source::Context;
use plan::source::SourceError;
use plan::source::TraceContext;
use serde_json::Value as Json;
use serde_json::json;

use crate::Fate;
use crate::Label;
use crate::NotDelivered;
use crate::SourceOverride;
use crate::SourcesConfig;
use crate::testing::Graph;
use crate::testing::Service;
use crate::testing::caller;
use crate::testing::reply;
use crate::testing::typed;

const SDL: &str = r#"
extend schema @source(name: "mail", http: { baseURL: "SERVICE/api" }, headers: [
  { name: "x-tenant", from: "x-tenant" }
  { name: "x-fixed", value: "source" }
  { name: "x-both", from: "x-tenant" }
])
type Query { a: Int @rest(GET: "/a") }
type Mutation {
  send(order: ID!, input: Mail!): Accepted!
    @rest(POST: "/orders/{order}/mails", query: { by: "$claims.sub" }, body: "$args.input", timeout: "300ms",
      headers: [{ name: "x-both", value: "own" }, { name: "x-order", value: "{order}" }])
    @queue(name: "email", key: "{order}", dedupe: "{order}-{$args.input.to}")
  id(order: ID!): ID! @rest(DELETE: "/orders/{order}") @queue
  sure(order: ID, note: String): Boolean! @rest(PUT: "/orders", encoding: FORM) @queue(key: "{$args.order}")
}
input Mail { to: String! text: String }
"#;

const SEND: &str =
    r#"mutation { send(order: "7/8", input: { to: "ada" }) { id status acceptedAt duplicate } }"#;

/// Keeps what it is given.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Letter>>);

#[derive(Debug, Clone, PartialEq)]
struct Letter {
    queue: String,
    field: String,
    key: Option<String>,
    dedupe: Option<String>,
    call: Deferred,
}

impl Outbox for Kept {
    fn put<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Accepted, SourceError>> {
        self.0.lock().unwrap().push(Letter {
            queue: order.rule.name.clone(),
            field: order.field,
            key: order.key,
            dedupe: order.dedupe,
            call: order.call,
        });
        let accepted = Accepted {
            id: "m-1".to_owned(),
            status: "QUEUED",
            accepted_at: "2026-01-01T00:00:00Z".to_owned(),
            duplicate: false,
        };
        Box::pin(async move { Ok(accepted) })
    }

    fn withdraw(&self, step: usize) {
        panic!("step {step} was to be rendered");
    }
}

struct Scene {
    graph: Graph,
    service: Service,
    outbox: Arc<Kept>,
    context: Context,
}

impl Scene {
    async fn new(status: u16, body: Json) -> Self {
        let service = Service::new(move |_| std::future::ready(reply(status, &body))).await;
        Self::over(service)
    }

    fn over(service: Service) -> Self {
        let outbox = Arc::new(Kept::default());
        let mut context = caller("ada");
        context.outbox = Some(outbox.clone());
        context.headers.insert("x-tenant", "seven".parse().unwrap());
        Self {
            graph: Graph::configured(SDL, &service.url, &config("one")),
            service,
            outbox,
            context,
        }
    }

    async fn asked(&self, operation: &str) -> Result<Json, SourceError> {
        let plan = self.graph.plan(operation);
        self.graph.fetch_in(&self.context, &plan).await
    }

    fn letter(&self) -> Letter {
        let letters = self.outbox.0.lock().unwrap();
        assert_eq!(letters.len(), 1);
        letters[0].clone()
    }

    async fn delivered(&self, call: &Deferred, field: Option<&str>) -> Result<(), NotDelivered> {
        self.graph.delivered(call, field, label()).await
    }
}

fn config(secret: &str) -> SourcesConfig {
    let mut config = SourcesConfig {
        timeout: Duration::from_millis(300),
        ..SourcesConfig::default()
    };
    let own = SourceOverride {
        headers: vec![("x-secret".to_owned(), secret.to_owned().into())],
        ..SourceOverride::default()
    };
    config.sources.insert("mail".to_owned(), own);
    config
}

fn label() -> Label {
    Label {
        id: "m-1".to_owned(),
        attempt: 3,
        idempotency_key: "key-1".to_owned(),
        correlation_id: "corr-9".into(),
        trace: TraceContext::default(),
    }
}

#[tokio::test]
async fn a_queued_call_is_handed_over_and_not_made() {
    let scene = Scene::new(200, json!({})).await;
    let answer = scene.asked(SEND).await.unwrap();
    assert_eq!(
        answer,
        json!(["m-1", "enum 0", "2026-01-01T00:00:00Z", false])
    );
    assert!(scene.service.seen().is_empty());
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(
        scene.letter(),
        Letter {
            queue: "email".to_owned(),
            field: "Mutation.send".to_owned(),
            key: Some("7/8".to_owned()),
            dedupe: Some("7/8-ada".to_owned()),
            call: Deferred {
                source: "mail".into(),
                verb: "POST".to_owned(),
                target: "/orders/7%2F8/mails?by=ada".to_owned(),
                headers: vec![
                    header("x-order", "7/8"),
                    header("x-tenant", "seven"),
                    header("content-type", "application/json"),
                ],
                body: br#"{"to":"ada"}"#.to_vec(),
            },
        }
    );
}

#[tokio::test]
async fn neither_address_nor_credentials_are_handed_over() {
    let scene = Scene::new(200, json!({})).await;
    scene.asked(SEND).await.unwrap();
    let shown = format!("{:?}", scene.letter());
    for secret in ["127.0.0.1", "x-secret", "x-fixed", "/api"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn an_id_or_a_boolean_is_answered_as_well() {
    let scene = Scene::new(200, json!({})).await;
    assert_eq!(
        scene.asked("mutation { id(order: 1) }").await.unwrap(),
        "m-1"
    );
    let scene = Scene::new(200, json!({})).await;
    let sure = scene.asked("mutation { sure(note: \"a b\") }").await;
    assert_eq!(sure.unwrap(), true);
    let letter = scene.letter();
    assert_eq!((letter.key, letter.dedupe), (None, None));
    assert_eq!(letter.call.body, b"note=a%20b");
}

#[tokio::test]
async fn what_was_handed_over_is_made_with_what_the_configuration_says_then() {
    let scene = Scene::new(204, json!(null)).await;
    scene.asked(SEND).await.unwrap();
    let call = scene.letter().call;
    let moved = Service::json(json!({})).await;
    let graph = scene.graph.reloaded(SDL, &moved.url, &config("two"));
    graph.delivered(&call, Some("send"), label()).await.unwrap();
    assert!(scene.service.seen().is_empty());
    let [seen] = moved.seen().try_into().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/api/orders/7%2F8/mails?by=ada")
    );
    assert_eq!(seen.body, r#"{"to":"ada"}"#);
    for (name, value) in [
        ("x-secret", "two"),
        ("x-fixed", "source"),
        ("x-both", "own"),
        ("x-tenant", "seven"),
        ("x-order", "7/8"),
        ("content-type", "application/json"),
        ("idempotency-key", "key-1"),
        ("x-correlation-id", "corr-9"),
        ("x-delivery-attempt", "3"),
        ("x-delivery-id", "m-1"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert!(seen.header("traceparent").is_some());
}

#[tokio::test]
async fn a_call_outlives_its_field_and_even_its_source() {
    let scene = Scene::new(200, json!({})).await;
    scene.asked(SEND).await.unwrap();
    let mut call = scene.letter().call;
    scene.delivered(&call, None).await.unwrap();
    assert_eq!(scene.service.seen()[0].header("x-order"), Some("7/8"));
    call.source = "gone".into();
    let gone = scene.delivered(&call, None).await.unwrap_err();
    assert_eq!(
        (gone.fate, gone.status.as_str()),
        (Fate::NotSent, "no source")
    );
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let down = Fate::Again { down: true };
    let busy = Fate::Again { down: false };
    for (status, fate) in [
        (400, Fate::Refused),
        (401, Fate::Denied),
        (403, Fate::Denied),
        (404, Fate::Refused),
        (409, Fate::Refused),
        (410, Fate::Refused),
        (413, Fate::Refused),
        (422, Fate::Refused),
        (429, busy),
        (500, down),
        (503, down),
        (301, down),
    ] {
        let scene = Scene::new(status, json!({})).await;
        scene.asked(SEND).await.unwrap();
        let call = scene.letter().call;
        let failed = scene.delivered(&call, Some("send")).await.unwrap_err();
        assert_eq!((failed.fate, failed.status), (fate, status.to_string()));
        assert_eq!(scene.service.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_page_in_the_services_place_accepts_nothing() {
    let service = Service::new(|_| std::future::ready(typed(200, "text/html", "<p>"))).await;
    let scene = Scene::over(service);
    scene.asked(SEND).await.unwrap();
    let call = scene.letter().call;
    let failed = scene.delivered(&call, Some("send")).await.unwrap_err();
    assert_eq!(failed.fate, Fate::Again { down: true });
}

#[tokio::test]
async fn silence_has_its_meaning_too() {
    let hanging = Service::new(|_| std::future::pending()).await;
    let scene = Scene::over(hanging);
    scene.asked(SEND).await.unwrap();
    let call = scene.letter().call;
    let late = scene.delivered(&call, Some("send")).await.unwrap_err();
    assert_eq!(
        (late.fate, late.status.as_str()),
        (Fate::Again { down: true }, "timeout")
    );
    let gone = scene
        .graph
        .reloaded(SDL, "http://127.0.0.1:1", &config("one"));
    let gone = gone
        .delivered(&call, Some("send"), label())
        .await
        .unwrap_err();
    assert_eq!(
        (gone.fate, gone.status.as_str()),
        (Fate::Again { down: true }, "unreachable")
    );
    let odd = Deferred {
        verb: "gRPC".to_owned(),
        ..call
    };
    let odd = scene.delivered(&odd, Some("send")).await.unwrap_err();
    assert_eq!(odd.fate, Fate::Refused);
}

#[tokio::test]
async fn the_breaker_of_those_who_wait_neither_stops_deliveries_nor_learns_from_them() {
    let scene = Scene::new(503, json!({})).await;
    scene.asked(SEND).await.unwrap();
    let call = scene.letter().call;
    for _ in 0..40 {
        scene.delivered(&call, Some("send")).await.unwrap_err();
    }
    assert_eq!(scene.service.seen().len(), 40);
    let numbers = scene.graph.sources().numbers();
    assert_eq!(numbers[0].breaker_openings, 0);
    assert_eq!(numbers[0].retries, 0);
}
