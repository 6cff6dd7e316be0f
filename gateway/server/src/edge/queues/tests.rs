//! The routes of operators over the plain store.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use http::Request;
use http_body_util::BodyExt as _;
use queue::Message;
use queue::clock::Clock;
use queue::deliver::Attempt;
use queue::deliver::Deliveries;
use queue::deliver::Handler;
use queue::deliver::Outcome;
use queue::deliver::QueueSettings;
use queue::deliver::Settings;
use queue::message::message as stored;
use queue::plain::PlainStore;
use queue::store::BoxFuture;
use queue::store::Failure;
use queue::store::Limits;
use queue::store::Store as _;
use tower::ServiceExt as _;

use super::*;

/// Refuses odd ids.
struct RefusesOdd;

impl Handler for RefusesOdd {
    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        let failure = Failure {
            code: "BAD_USER_INPUT".into(),
            message: "No such order.".into(),
            status: "422".into(),
            internal: Some("http://reviews:4102".into()),
            at: 1_730_000_000_000,
        };
        let outcome = match attempt.message.id.as_u128() % 2 {
            1 => Outcome::Refused(failure),
            _ => Outcome::Delivered,
        };
        Box::pin(std::future::ready(outcome))
    }
}

struct Desk {
    routes: Router,
    store: Arc<PlainStore>,
}

impl Desk {
    /// With these messages, each settled.
    async fn after(messages: impl IntoIterator<Item = Message>) -> Self {
        let clock = Clock::default();
        let store = Arc::new(PlainStore::new(clock, Limits::default()));
        let settings = Settings([("email".to_owned(), QueueSettings::default())].into());
        let deliveries = Deliveries::start(store.clone(), Arc::new(RefusesOdd), settings, clock);
        for message in messages {
            let id = message.id;
            store.append(vec![message]).await.remove(0).unwrap();
            let mut known = store.find(id).await.unwrap().unwrap();
            while !known.status.is_final() {
                known = store.changed(id, known.version).await.unwrap().unwrap();
            }
        }
        // One look at the store, so that the queue is worked on though nothing came.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let queue = Arc::new(Queue {
            store: store.clone(),
            deliveries,
        });
        let operator = Operator {
            name: Some("ops".into()),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let routes = routes::<()>(Arc::new(move || Some(queue.clone()))).layer(Extension(operator));
        Self { routes, store }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let mut response = self.routes.clone().oneshot(request).await.unwrap();
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            return (problem.status(), Json::from(problem.kind().slug()));
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Json) {
        self.ask("GET", path, "").await
    }
}

fn of(id: u128, key: &str) -> Message {
    Message {
        key: Some(key.into()),
        ..stored(id)
    }
}

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";

#[tokio::test(start_paused = true)]
async fn the_list_tells_what_waits_what_died_and_what_was_done_here() {
    let desk = Desk::after([stored(1), stored(2)]).await;
    let (status, told) = desk.get("/queues").await;
    assert_eq!(status, 200);
    assert_eq!(
        told,
        json!({ "queues": [{
            "queue": "email", "waiting": 0, "bytes": 0, "oldest": null, "dead": 1, "paused": null,
            "here": {
                "in_flight": 0,
                "attempts": { "delivered": 1, "again": 0, "refused": 1, "denied": 0, "not_sent": 0, "cut": 0 },
                "sources": [{ "source": "reviews", "state": "flows", "next_try_at": null }],
            },
        }] })
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_tells_reason_errors_attempts_and_whose_it_is() {
    let desk = Desk::after([stored(1)]).await;
    let (_, told) = desk.get("/dead-letters?queue=email&most=1").await;
    let letter = &told["dead_letters"][0];
    for (name, expected) in [
        ("id", ONE),
        ("status", "DEAD_LETTERED"),
        ("reason", "REFUSED"),
        ("caller", "issuer|ada"),
        ("correlation_id", "checkout-1"),
        ("request_id", "0192f3a4"),
    ] {
        assert_eq!(letter[name], expected, "{name}");
    }
    assert_eq!(letter["attempts"], 1);
    assert_eq!(letter["error"]["internal"], "http://reviews:4102");
    assert_eq!(letter["first_error"]["code"], "BAD_USER_INPUT");
    assert_eq!(told["next"], ONE);
    let (_, rest) = desk.get(&format!("/dead-letters?after={ONE}")).await;
    assert_eq!(rest, json!({ "dead_letters": [], "next": null }));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_shown_without_what_its_caller_wrote_unless_it_is_revealed() {
    let desk = Desk::after([stored(2)]).await;
    let (status, told) = desk.get(&format!("/deliveries/{TWO}")).await;
    assert_eq!((status, &told["status"]), (200, &json!("DELIVERED")));
    assert!(!told.to_string().contains("example.com"), "{told}");
    let (_, told) = desk.get(&format!("/deliveries/{TWO}?reveal=true")).await;
    assert!(told.to_string().contains("ada@example.com"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_put_back_by_force_once_its_key_has_moved_on() {
    let desk = Desk::after([of(1, "a"), of(2, "a")]).await;
    let path = format!("/dead-letters/{ONE}/retry");
    let kept = (409, json!("not-retried"));
    assert_eq!(desk.ask("POST", &path, "").await, kept);
    let all = desk.ask("POST", "/dead-letters/retry", r#"{"queue":"email"}"#);
    let none = json!({ "retried": 0, "moved_on": 1, "damaged": 0 });
    assert_eq!(all.await, (200, none));
    let done = (200, json!({ "retried": 1 }));
    assert_eq!(desk.ask("POST", &path, r#"{"force":true}"#).await, done);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_deleted_once() {
    let desk = Desk::after([stored(1)]).await;
    let path = format!("/dead-letters/{ONE}");
    let done = (200, json!({ "purged": 1 }));
    assert_eq!(desk.ask("DELETE", &path, "").await, done);
    let gone = (404, json!("not-found"));
    assert_eq!(desk.ask("DELETE", &path, "").await, gone);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_paused_with_a_reason_and_resumed() {
    let desk = Desk::after([]).await;
    let paused = desk.ask("POST", "/queues/email/pause", r#"{"reason":"maintenance"}"#);
    assert_eq!(paused.await.0, 200);
    let (_, told) = desk.get("/queues").await;
    assert_eq!(told["queues"][0]["paused"]["reason"], "maintenance");
    assert_eq!(desk.ask("POST", "/queues/email/resume", "").await.0, 200);
    let (_, told) = desk.get("/queues").await;
    assert_eq!(told["queues"][0]["paused"], Json::Null);
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_forgotten() {
    let desk = Desk::after([stored(1), stored(2)]).await;
    let erased = desk.ask("DELETE", "/callers/issuer%7Cada/deliveries", "");
    assert_eq!(erased.await, (200, json!({ "erased": 2 })));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_a_problem_that_says_so() {
    let desk = Desk::after([stored(2)]).await;
    for (method, path, body, status, kind) in [
        ("GET", "/deliveries/7", "", 400, "malformed-request"),
        ("GET", "/dead-letters?after=7", "", 400, "malformed-request"),
        (
            "GET",
            "/dead-letters?quue=email",
            "",
            400,
            "malformed-request",
        ),
        ("POST", "/dead-letters/retry", "", 400, "malformed-request"),
        (
            "POST",
            "/dead-letters/retry",
            r#"{"queue":"emial"}"#,
            404,
            "not-found",
        ),
        ("POST", "/queues/emial/pause", "", 404, "not-found"),
        (
            "POST",
            "/queues/email/pause",
            r#"{"why":"x"}"#,
            400,
            "malformed-request",
        ),
        ("GET", "/queues/email/pause", "", 405, "method-not-allowed"),
        ("GET", "/dead-letters/7", "", 405, "method-not-allowed"),
    ] {
        let expected = (status, json!(kind));
        assert_eq!(
            desk.ask(method, path, body).await,
            expected,
            "{method} {path}"
        );
    }
    let unknown = format!("/deliveries/{ONE}");
    assert_eq!(desk.get(&unknown).await, (404, json!("not-found")));
    // One that was delivered is no dead letter.
    let delivered = format!("/dead-letters/{TWO}/retry");
    assert_eq!(
        desk.ask("POST", &delivered, "").await,
        (404, json!("not-found"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_a_problem_of_its_own() {
    let desk = Desk::after([]).await;
    desk.store.away(true);
    let away = (503, json!("queue-unavailable"));
    for path in ["/queues", "/dead-letters", &format!("/deliveries/{ONE}")] {
        assert_eq!(desk.get(path).await, away, "{path}");
    }
    for path in ["/queues/email/pause", &format!("/dead-letters/{ONE}/retry")] {
        assert_eq!(desk.ask("POST", path, "").await, away, "{path}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_queue_says_so() {
    let routes = routes::<()>(Arc::new(|| None));
    for (method, path) in [
        ("GET", "/queues"),
        ("GET", "/dead-letters"),
        ("POST", "/queues/email/pause"),
        ("GET", "/deliveries/7"),
        ("DELETE", "/callers/a/deliveries"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let mut response = routes.clone().oneshot(request).await.unwrap();
        let problem = response.extensions_mut().remove::<Problem>().unwrap();
        assert_eq!(problem.status(), 404, "{path}");
    }
}
