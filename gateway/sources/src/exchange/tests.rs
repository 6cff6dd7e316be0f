//! Calls over real services that fail as they are told.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use plan::source::CallRecord;
use serde_json::Value as Json;
use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::ResilienceRules;
use crate::SourceOverride;
use crate::SourcesConfig;
use crate::testing::Graph;
use crate::testing::Seen;
use crate::testing::Service;
use crate::testing::caller;
use crate::testing::context;
use crate::testing::reply;

const USERS: &str = r#"
    extend schema @source(name: "users", http: { baseURL: "SERVICE" }, retry: { backoff: "1ms" })
    type Query {
      user(id: ID!): User @rest(GET: "/users/{id}")
      told(id: ID!): User @rest(GET: "/users/{id}", retry: { attempts: 5, on: ["4xx", "TIMEOUT"] }, timeout: "40ms")
      fast(id: ID!): User @rest(GET: "/fast/{id}", hedge: true)
      short(id: ID!): User @rest(GET: "/users/{id}", retry: { attempts: 3, backoff: "1ms", total: "300ms" })
      stale(id: ID!): User @rest(GET: "/users/{id}", staleIfError: "5m", retry: { attempts: 1 }, headers: [{ name: "authorization", from: "authorization" }])
    }
    type Mutation {
      add: User @rest(POST: "/users")
      put(id: ID!): User @rest(PUT: "/users/{id}", idempotent: true)
    }
    type User { name: String }
"#;
const USER: &str = "{ user(id: 1) { name } }";

type Script = Arc<Mutex<Vec<(u16, &'static [(&'static str, &'static str)])>>>;

/// Answers with these statuses in turn, the first first; with a user when there are no more.
async fn scripted(statuses: &[u16]) -> Service {
    scripted_with(&statuses.iter().map(|it| (*it, &[][..])).collect::<Vec<_>>()).await
}

async fn scripted_with(answers: &[(u16, &'static [(&'static str, &'static str)])]) -> Service {
    let script: Script = Arc::new(Mutex::new(answers.iter().rev().copied().collect()));
    Service::new(move |_| {
        let next = script.lock().unwrap().pop();
        std::future::ready(match next {
            None => reply(200, &json!({ "name": "Ada" })),
            Some((status, headers)) => with(reply(status, &json!({ "name": "Bob" })), headers),
        })
    })
    .await
}

fn with(mut reply: Response<Body>, headers: &[(&'static str, &'static str)]) -> Response<Body> {
    for (name, value) in headers {
        reply.headers_mut().insert(*name, value.parse().unwrap());
    }
    reply
}

/// How many milliseconds the service was told that it has.
fn time_told(seen: &Seen) -> u64 {
    let told = seen.header("x-request-timeout-ms");
    told.unwrap().parse().unwrap()
}

fn statuses(calls: &[CallRecord]) -> Vec<&str> {
    calls.iter().map(|call| call.status.as_str()).collect()
}

fn rules(rules: ResilienceRules) -> SourcesConfig {
    SourcesConfig {
        resilience: rules,
        ..SourcesConfig::default()
    }
}

#[tokio::test]
async fn a_read_is_tried_again_where_that_may_help_and_each_attempt_is_a_line() {
    let service = scripted(&[503, 502]).await;
    let graph = Graph::new(USERS, &service.url);
    assert_eq!(graph.fetch(USER).await.unwrap(), json!(["Ada"]));
    let calls = graph.calls();
    assert_eq!(statuses(&calls), ["503", "502", "200"]);
    let numbers: Vec<u32> = calls.iter().map(|call| call.attempt).collect();
    assert_eq!(numbers, [0, 1, 2]);
    let seen = service.seen();
    for (call, seen) in calls.iter().zip(&seen) {
        let span: String = call.span.iter().map(|it| format!("{it:02x}")).collect();
        assert_eq!(&seen.header("traceparent").unwrap()[36..52], span);
        assert_eq!(seen.header("x-correlation-id"), Some("corr-1"));
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn there_are_two_more_attempts_and_not_a_third() {
    let service = scripted(&[503; 9]).await;
    let error = Graph::new(USERS, &service.url).failure(USER).await;
    assert_eq!(error.code, Code::UpstreamUnavailable);
    assert_eq!(service.seen().len(), 3);
}

#[tokio::test]
async fn only_some_statuses_are_worth_another_attempt() {
    for (status, attempts) in [
        (400, 1),
        (404, 1),
        (409, 1),
        (429, 1),
        (500, 2),
        (501, 1),
        (502, 3),
        (503, 3),
        (504, 3),
    ] {
        let service = scripted(&[status; 9]).await;
        let _ = Graph::new(USERS, &service.url).fetch(USER).await;
        assert_eq!(service.seen().len(), attempts, "{status}");
    }
}

#[tokio::test]
async fn too_many_requests_are_tried_again_where_the_service_says_when() {
    let service = scripted_with(&[(429, &[("retry-after", "0")])]).await;
    let graph = Graph::new(USERS, &service.url);
    assert_eq!(graph.fetch(USER).await.unwrap(), json!(["Ada"]));
    // Later than anybody waits.
    let service = scripted_with(&[(503, &[("retry-after", "3600")])]).await;
    let graph = Graph::new(USERS, &service.url);
    let error = graph.failure(USER).await;
    assert_eq!(error.retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn a_service_that_asks_for_eternity_is_believed_a_day() {
    let service = scripted_with(&[(503, &[("retry-after", "18446744073709551615")])]).await;
    let error = Graph::new(USERS, &service.url).failure(USER).await;
    assert_eq!(error.retry_after, Some(Duration::from_secs(24 * 3600)));
}

#[tokio::test]
async fn an_operation_says_itself_what_is_worth_another_attempt() {
    let service = scripted(&[409, 418]).await;
    let graph = Graph::new(USERS, &service.url);
    let told = graph.fetch("{ told(id: 1) { name } }").await;
    assert_eq!(told.unwrap(), json!(["Ada"]));
    let service = scripted(&[503]).await;
    let graph = Graph::new(USERS, &service.url);
    assert!(graph.fetch("{ told(id: 1) { name } }").await.is_err());
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn an_unmarked_mutation_is_never_tried_again() {
    for status in [500, 502, 503, 504] {
        let service = scripted(&[status; 9]).await;
        let graph = Graph::new(USERS, &service.url);
        graph.failure("mutation { add { name } }").await;
        assert_eq!(service.seen().len(), 1);
        assert_eq!(service.seen()[0].header("idempotency-key"), None);
    }
}

#[tokio::test]
async fn an_idempotent_mutation_is_tried_again_with_one_key() {
    let service = scripted(&[503, 503]).await;
    let graph = Graph::new(USERS, &service.url);
    let put = "mutation { put(id: 1) { name } }";
    assert_eq!(graph.fetch(put).await.unwrap(), json!(["Ada"]));
    graph.fetch(put).await.unwrap();
    let keys: Vec<String> = service
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 4);
    assert!(
        keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3],
        "{keys:?}"
    );
    assert!(keys[0].starts_with('"') && keys[0].ends_with('"'));
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    let service = scripted_with(&[(503, &[("retry-after", "1")][..]); 9]).await;
    let mut graph = Graph::new(USERS, &service.url);
    graph.context.deadline = now() + Duration::from_millis(500);
    let start = now();
    assert_eq!(graph.failure(USER).await.code, Code::UpstreamUnavailable);
    assert!(now() - start < Duration::from_millis(400));
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn a_mutation_whose_time_is_over_before_it_begins_has_not_happened() {
    let service = scripted(&[]).await;
    let mut graph = Graph::new(USERS, &service.url);
    graph.context.deadline = now();
    let error = graph.failure("mutation { add { name } }").await;
    assert_eq!(error.code, Code::NotStarted);
    assert!(!error.outcome_unknown);
    assert_eq!(graph.failure(USER).await.code, Code::DeadlineExceeded);
    assert!(service.seen().is_empty());
}

#[tokio::test]
async fn a_mutation_whose_turn_comes_with_less_time_than_its_source_needs_has_not_happened() {
    let service = scripted(&[]).await;
    let sdl = USERS.replacen("retry: {", "minDeadline: \"5s\", retry: {", 1);
    let mut graph = Graph::new(&sdl, &service.url);
    graph.context.deadline = now() + Duration::from_secs(4);
    let error = graph.failure("mutation { add { name } }").await;
    assert_eq!(
        (error.code, error.outcome_unknown),
        (Code::NotStarted, false)
    );
    assert!(service.seen().is_empty());
    assert!(graph.fetch(USER).await.is_ok(), "a read needs no such time");
    graph.context.deadline = now() + Duration::from_secs(6);
    assert!(graph.fetch("mutation { add { name } }").await.is_ok());
}

#[tokio::test]
async fn a_service_is_told_how_much_time_it_has() {
    let service = scripted(&[]).await;
    let mut graph = Graph::new(USERS, &service.url);
    graph.fetch(USER).await.unwrap();
    graph.context.deadline = now() + Duration::from_secs(2);
    graph.fetch(USER).await.unwrap();
    let told: Vec<u64> = service.seen().iter().map(time_told).collect();
    assert!(told[0] > 9_000 && told[0] <= 10_000, "its own: {told:?}");
    assert!(
        told[1] > 1_500 && told[1] <= 1_990,
        "the caller's, less a margin: {told:?}"
    );
}

#[tokio::test]
async fn the_time_of_all_attempts_together_bounds_each_of_them() {
    let service = hangs_at(&[0]).await;
    let first = Graph::new(USERS, &service.url);
    let start = now();
    let error = first.failure("{ short(id: 1) { name } }").await;
    assert_eq!(error.code, Code::UpstreamTimeout);
    assert!(now() - start < Duration::from_secs(5));

    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let service = Service::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            if number == 1 {
                std::future::pending::<()>().await;
            }
            reply(503, &json!({}))
        }
    })
    .await;
    let second = Graph::new(USERS, &service.url);
    let start = now();
    let error = second.failure("{ short(id: 1) { name } }").await;
    assert_eq!(error.code, Code::UpstreamTimeout);
    assert!(now() - start < Duration::from_secs(5));
    let told: Vec<u64> = service.seen().iter().map(time_told).collect();
    assert!(
        told.len() == 2 && told[0] <= 300 && told[1] < 300,
        "{told:?}"
    );
}

#[tokio::test]
async fn the_budget_of_a_source_is_that_of_all_requests() {
    let service = scripted(&[503; 200]).await;
    let config = rules(ResilienceRules {
        breaker: Some(false),
        budget_per_second: Some(0.5),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    for _ in 0..50 {
        graph.failure(USER).await;
    }
    // 5 by the floor, 5 by the tenth of 50 calls.
    assert_eq!(service.seen().len(), 60);
    let numbers = &graph.sources().numbers()[0];
    assert_eq!((numbers.retries, numbers.budget_left < 1.0), (10, true));
    assert!(numbers.retries_denied >= 40);
}

#[tokio::test]
async fn a_source_that_fails_is_left_in_peace_and_says_when_to_come_back() {
    let service = scripted(&[503; 200]).await;
    let graph = Graph::new(USERS, &service.url);
    for _ in 0..20 {
        graph.failure(USER).await;
    }
    let calls = service.seen().len();
    let error = graph.failure(USER).await;
    assert_eq!(error.code, Code::CircuitOpen);
    assert!(
        error
            .retry_after
            .is_some_and(|wait| wait > Duration::from_secs(3))
    );
    assert!(
        !graph
            .failure("mutation { add { name } }")
            .await
            .outcome_unknown
    );
    assert_eq!(service.seen().len(), calls, "nothing was sent");
    let last = graph.calls().pop().unwrap();
    assert_eq!(
        (last.status.as_str(), last.breaker),
        ("circuit open", "open")
    );
    let numbers = &graph.sources().numbers()[0];
    assert_eq!(
        (numbers.breaker.as_str(), numbers.breaker_openings),
        ("open", 1)
    );
}

#[tokio::test]
async fn who_tries_a_source_that_failed_does_not_keep_others_off_while_it_waits_for_its_turn() {
    let service = scripted(&[503]).await;
    let mut config = rules(ResilienceRules {
        attempts: Some(1),
        minimum_calls: Some(1),
        open: Some(Duration::ZERO),
        ..ResilienceRules::default()
    });
    let paced = SourceOverride {
        requests_per_second: NonZeroU32::new(5),
        burst: NonZeroU32::new(1),
        rate_wait: Some(Duration::from_secs(5)),
        ..SourceOverride::default()
    };
    config.sources.insert("users".to_owned(), paced);
    let graph = Graph::configured(USERS, &service.url, &config);
    graph.failure(USER).await;
    let other = "{ user(id: 2) { name } }";
    let (one, two) = tokio::join!(graph.fetch(USER), graph.fetch(other));
    assert_eq!(
        (one.unwrap(), two.unwrap()),
        (json!(["Ada"]), json!(["Ada"]))
    );
}

#[tokio::test]
async fn what_the_caller_did_wrong_says_nothing_about_the_service() {
    let service = scripted(&[400; 60]).await;
    let graph = Graph::new(USERS, &service.url);
    for _ in 0..50 {
        assert_eq!(graph.failure(USER).await.code, Code::BadUserInput);
    }
    assert_eq!(service.seen().len(), 50);
}

/// Hangs on whatever it is asked, until told to answer.
async fn hanging() -> (Service, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let service = Service::new(move |_| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            reply(200, &json!({ "name": "Ada" }))
        }
    });
    (service.await, go)
}

#[tokio::test]
async fn a_caller_with_little_time_does_not_open_the_breaker() {
    let (service, _go) = hanging().await;
    let mut graph = Graph::new(USERS, &service.url);
    for _ in 0..30 {
        graph.context.deadline = now() + Duration::from_millis(10);
        assert_eq!(graph.failure(USER).await.code, Code::DeadlineExceeded);
    }
    assert_eq!(graph.sources().numbers()[0].breaker.as_str(), "closed");
}

#[tokio::test]
async fn the_services_own_timeouts_open_the_breaker() {
    let (service, _go) = hanging().await;
    let config = rules(ResilienceRules {
        minimum_calls: Some(3),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    for _ in 0..3 {
        let _ = graph.fetch("{ told(id: 1) { name } }").await;
    }
    assert_eq!(graph.sources().numbers()[0].breaker.as_str(), "open");
}

#[tokio::test]
async fn a_source_has_so_many_calls_in_flight_and_no_more() {
    let (service, go) = hanging().await;
    let config = rules(ResilienceRules {
        concurrency: Some(2),
        queue: Some(0),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    let plans: Vec<_> = (1..=3)
        .map(|id| graph.plan(&format!("{{ user(id: {id}) {{ name }} }}")))
        .collect();
    let (one, two) = (context(), context());
    let full = async {
        while service.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        let refused = graph.fetch_in(&graph.context, &plans[2]).await.unwrap_err();
        assert_eq!(refused.code, Code::UpstreamUnavailable);
        assert_eq!(graph.calls()[0].status, "no seat");
        assert_eq!(graph.sources().numbers()[0].in_flight, 2);
        go.notify_one();
        go.notify_one();
    };
    let (one, two, ()) = tokio::join!(
        graph.fetch_in(&one, &plans[0]),
        graph.fetch_in(&two, &plans[1]),
        full
    );
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(graph.sources().numbers()[0].bulkhead_refused, 1);
}

#[tokio::test]
async fn a_call_that_waited_for_a_seat_until_its_deadline_was_not_begun() {
    let (service, _go) = hanging().await;
    let config = rules(ResilienceRules {
        concurrency: Some(1),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    let seated = graph.plan("{ user(id: 9) { name } }");
    let patient = context();
    let mut seated = Box::pin(graph.fetch_in(&patient, &seated));
    while service.seen().is_empty() {
        assert!(futures_util::poll!(&mut seated).is_pending());
        tokio::task::yield_now().await;
    }
    for (operation, code) in [
        (USER, Code::DeadlineExceeded),
        ("mutation { add { name } }", Code::NotStarted),
    ] {
        let mut late = context();
        late.deadline = now() + Duration::from_millis(30);
        let error = graph.fetch_in(&late, &graph.plan(operation)).await;
        let error = error.unwrap_err();
        assert_eq!((error.code, error.outcome_unknown), (code, false));
        assert_eq!(late.calls.unwrap().take()[0].status, "not begun");
    }
    assert_eq!(service.seen().len(), 1);
    assert_eq!(graph.sources().numbers()[0].bulkhead_refused, 2);
}

/// Answers at once, but for each request whose number is told to hang.
async fn hangs_at(numbers: &'static [usize]) -> Service {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Service::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            if numbers.contains(&number) {
                std::future::pending::<()>().await;
            }
            reply(200, &json!({ "name": number.to_string() }))
        }
    })
    .await
}

#[tokio::test]
async fn a_read_that_takes_longer_than_usual_gets_a_second_attempt_beside_it() {
    let service = hangs_at(&[20]).await;
    let graph = Graph::new(USERS, &service.url);
    learn(&graph).await;
    graph.calls();
    let hedged = graph.fetch("{ fast(id: 20) { name } }").await;
    assert_eq!(hedged.unwrap(), json!(["21"]));
    let calls = graph.calls();
    let lines: Vec<_> = calls
        .iter()
        .map(|it| (it.status.as_str(), it.hedge))
        .collect();
    assert_eq!(lines, [("superseded", false), ("200", true)]);
    let numbers = &graph.sources().numbers()[0];
    assert_eq!((numbers.hedges, numbers.hedges_won), (1, 1));
    assert!(
        numbers.budget_left < 31.5,
        "a hedge costs as much as a retry"
    );
}

/// Asks for hedged reads, so many that it is known how long they take.
async fn learn(graph: &Graph) {
    for id in 0..20 {
        let read = format!("{{ fast(id: {id}) {{ name }} }}");
        graph.fetch(&read).await.unwrap();
    }
}

#[tokio::test]
async fn a_hedge_goes_to_another_address_however_busy_that_is() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let service = |release: Arc<Notify>| {
        let asked = asked.clone();
        Service::new(move |seen| {
            let (asked, release) = (asked.clone(), release.clone());
            async move {
                if seen.target.starts_with("/users/") {
                    release.notified().await;
                } else if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 20 {
                    std::future::pending::<()>().await;
                }
                reply(200, &json!({ "name": "Ada" }))
            }
        })
    };
    let (busy, idle) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (one, two) = (service(busy.clone()).await, service(idle.clone()).await);
    let graph = Graph::new(USERS, &format!("{},{}", one.url, two.url));
    learn(&graph).await;
    let plans: Vec<_> = (0..4)
        .map(|id| graph.plan(&format!("{{ user(id: {id}) {{ name }} }}")))
        .collect();
    let held = plans
        .iter()
        .map(|plan| graph.fetch_in(&graph.context, plan));
    let holds = |service: &Service| {
        let targets = service.targets();
        targets
            .iter()
            .filter(|it| it.starts_with("/users/"))
            .count()
    };
    let hedged = async {
        until(|| (holds(&one), holds(&two)) == (2, 2)).await;
        idle.notify_waiters();
        until(|| graph.sources().numbers()[0].in_flight == 2).await;
        let hedged = graph.fetch("{ fast(id: 20) { name } }").await;
        assert_eq!(hedged.unwrap(), json!(["Ada"]));
        busy.notify_waiters();
    };
    tokio::join!(futures_util::future::join_all(held), hedged);
    for service in [one, two] {
        let targets = service.targets();
        assert!(targets.contains(&"/fast/20".to_owned()), "{targets:?}");
    }
}

/// Lets others go on until it is so.
async fn until(holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
    waited.expect("it comes to be so in time");
}

#[tokio::test]
async fn an_attempt_that_a_hedge_has_overtaken_was_a_slow_call() {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let service = Service::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            match number {
                20 => std::future::pending().await,
                21 => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => {}
            }
            reply(200, &json!({ "name": "Ada" }))
        }
    })
    .await;
    let config = rules(ResilienceRules {
        minimum_calls: Some(22),
        slow_call: Some(Duration::from_millis(50)),
        slow_call_rate: Some(0.05),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    learn(&graph).await;
    graph.fetch("{ fast(id: 20) { name } }").await.unwrap();
    assert_eq!(graph.sources().numbers()[0].breaker.as_str(), "open");
}

/// Where every first attempt hangs and every hedge is answered at once, an answer takes as long as it takes to hedge.
#[tokio::test]
async fn what_a_hedge_has_won_is_learnt_with_the_time_before_it() {
    const USUAL: Duration = Duration::from_millis(60);
    let known = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let service = Service::new(move |seen| {
        let usual = seen.target.len() < "/fast/100".len();
        let first = known.lock().unwrap().insert(seen.target);
        async move {
            match (usual, first) {
                (true, _) => tokio::time::sleep(USUAL).await,
                (false, true) => std::future::pending().await,
                (false, false) => {}
            }
            reply(200, &json!({ "name": "Ada" }))
        }
    })
    .await;
    let config = rules(ResilienceRules {
        breaker: Some(false),
        budget_ratio: Some(1.0),
        budget_per_second: Some(100.0),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    let all = async |ids: std::ops::Range<usize>| {
        let reads = ids.map(|id| format!("{{ fast(id: {id}) {{ name }} }}"));
        let plans: Vec<_> = reads.map(|read| graph.plan(&read)).collect();
        let answers = plans
            .iter()
            .map(|plan| graph.fetch_in(&graph.context, plan));
        let answers = futures_util::future::join_all(answers).await;
        assert!(answers.iter().all(Result::is_ok));
    };
    all(0..20).await;
    for round in 1..=9 {
        all(100 * round..100 * round + 50).await;
    }
    let start = now();
    all(999..1000).await;
    assert!(now() - start >= USUAL, "{:?}", now() - start);
}

#[tokio::test]
async fn another_attempt_goes_to_no_address_that_was_not_there_before() {
    let gone = [(); 2].map(|()| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    });
    for _ in 0..20 {
        let service = scripted(&[503]).await;
        let graph = Graph::new(USERS, &format!("{},{},{}", gone[0], gone[1], service.url));
        assert_eq!(graph.fetch(USER).await.unwrap(), json!(["Ada"]));
    }
}

fn named(name: &'static str) -> plan::source::Context {
    let mut context = caller(name);
    context.principal = Some(name.as_bytes().into());
    context
}

async fn stale_of(graph: &Graph, context: &plan::source::Context) -> Result<Json, SourceError> {
    let plan = graph.plan("{ stale(id: 1) { name } }");
    graph.fetch_in(context, &plan).await
}

#[tokio::test]
async fn the_last_good_reply_stands_for_a_failed_one_and_the_answer_says_so() {
    let service = scripted(&[200, 503, 503]).await;
    let graph = Graph::new(USERS, &service.url);
    let ada = named("ada");
    assert_eq!(stale_of(&graph, &ada).await.unwrap(), json!(["Bob"]));
    assert!(ada.stale.answers().is_empty());
    assert_eq!(stale_of(&graph, &ada).await.unwrap(), json!(["Bob"]));
    let stale = ada.stale.answers();
    assert_eq!((stale.len(), &*stale[0].source), (1, "users"));
    let calls = ada.calls.as_ref().unwrap().take();
    assert_eq!(statuses(&calls), ["200", "503", "stale"]);
    assert_eq!(graph.sources().numbers()[0].stale, 1);
    // Nobody else's.
    let error = stale_of(&graph, &named("eve")).await.unwrap_err();
    assert_eq!(error.code, Code::UpstreamUnavailable);
}

#[tokio::test]
async fn the_last_good_reply_is_never_answered_to_another_caller_with_the_same_headers() {
    let service = scripted(&[200, 503]).await;
    let graph = Graph::new(USERS, &service.url);
    stale_of(&graph, &named("ada")).await.unwrap();
    let mut other = named("ada");
    other.principal = Some(b"someone else"[..].into());
    assert!(stale_of(&graph, &other).await.is_err());
}

#[tokio::test]
async fn who_may_not_see_it_any_more_does_not_see_what_it_was() {
    for status in [401, 403] {
        let service = scripted(&[200, status, 503]).await;
        let graph = Graph::new(USERS, &service.url);
        let ada = named("ada");
        stale_of(&graph, &ada).await.unwrap();
        assert!(stale_of(&graph, &ada).await.is_err(), "not after {status}");
        assert!(stale_of(&graph, &ada).await.is_err(), "nor later");
    }
}

#[tokio::test]
async fn nor_where_a_mapping_calls_the_refusal_by_another_name() {
    let mapped = USERS.replace(
        "staleIfError: \"5m\",",
        "staleIfError: \"5m\", errors: { codes: [{ status: \"403\", code: \"UPSTREAM_ERROR\" }] },",
    );
    let service = scripted(&[200, 403, 503]).await;
    let graph = Graph::new(&mapped, &service.url);
    let ada = named("ada");
    stale_of(&graph, &ada).await.unwrap();
    assert_eq!(
        stale_of(&graph, &ada).await.unwrap_err().code,
        Code::UpstreamError
    );
    assert!(stale_of(&graph, &ada).await.is_err());
}

#[tokio::test]
async fn a_patient_caller_asks_itself_where_a_hasty_one_was_refused() {
    let service = hangs_at(&[0]).await;
    let config = rules(ResilienceRules {
        concurrency: Some(1),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    let (other, plan) = (graph.plan("{ user(id: 9) { name } }"), graph.plan(USER));
    let (mut seated, mut hasty, patient) = (context(), context(), context());
    seated.deadline = now() + Duration::from_millis(80);
    hasty.deadline = now() + Duration::from_millis(40);
    let (_, late, patient) = tokio::join!(
        graph.fetch_in(&seated, &other),
        graph.fetch_in(&hasty, &plan),
        graph.fetch_in(&patient, &plan),
    );
    assert!(late.is_err());
    assert_eq!(patient.unwrap(), json!(["1"]));
}

#[tokio::test]
async fn what_a_service_answered_is_told_rather_than_that_it_was_not_asked_again() {
    let service = scripted(&[503; 9]).await;
    let config = rules(ResilienceRules {
        minimum_calls: Some(1),
        ..ResilienceRules::default()
    });
    let graph = Graph::configured(USERS, &service.url, &config);
    assert_eq!(graph.failure(USER).await.code, Code::UpstreamUnavailable);
    assert_eq!(statuses(&graph.calls()), ["503", "circuit open"]);
}

#[tokio::test]
async fn what_is_gone_is_not_answered_from_memory() {
    let service = scripted(&[200, 410, 503]).await;
    let graph = Graph::new(USERS, &service.url);
    let ada = named("ada");
    stale_of(&graph, &ada).await.unwrap();
    assert_eq!(stale_of(&graph, &ada).await.unwrap(), Json::Null);
    assert!(stale_of(&graph, &ada).await.is_err());
}

#[tokio::test]
async fn of_two_addresses_the_one_that_is_not_there_costs_nobody_anything() {
    let service = scripted(&[]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let graph = Graph::new(USERS, &format!("{gone},{}", service.url));
    for id in 0..20 {
        graph
            .fetch(&format!("{{ user(id: {id}) {{ name }} }}"))
            .await
            .unwrap();
    }
    assert_eq!(service.seen().len(), 20);
    let numbers = &graph.sources().numbers()[0];
    assert_eq!(
        (numbers.addresses, numbers.ejected, numbers.retries),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn an_address_that_fails_in_a_row_is_passed_over() {
    let (good, bad) = (scripted(&[]).await, scripted(&[503; 100]).await);
    let graph = Graph::new(USERS, &format!("{},{}", good.url, bad.url));
    for id in 0..60 {
        graph
            .fetch(&format!("{{ user(id: {id}) {{ name }} }}"))
            .await
            .unwrap();
    }
    assert_eq!(bad.seen().len(), 5);
    assert_eq!(good.seen().len(), 60);
}

#[tokio::test]
async fn shared_work_goes_on_for_the_caller_who_waits_longest() {
    let (service, go) = hanging().await;
    let graph = Graph::new(USERS, &service.url);
    let plan = graph.plan(USER);
    let (mut hasty, patient) = (context(), context());
    hasty.deadline = now() + Duration::from_millis(30);
    let first = async {
        let late = graph.fetch_in(&hasty, &plan).await.unwrap_err();
        assert_eq!(late.code, Code::DeadlineExceeded);
        go.notify_one();
    };
    let ((), second) = tokio::join!(first, graph.fetch_in(&patient, &plan));
    assert_eq!(second.unwrap(), json!(["Ada"]));
    assert_eq!(service.seen().len(), 1);
    assert_eq!(graph.sources().numbers()[0].merged, 1);
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_of_an_unchanged_source() {
    let service = scripted(&[503; 200]).await;
    let before = Graph::new(USERS, &service.url);
    for _ in 0..20 {
        before.failure(USER).await;
    }
    let after = before.reloaded(USERS, &service.url, &SourcesConfig::default());
    assert_eq!(after.failure(USER).await.code, Code::CircuitOpen);
    let other = rules(ResilienceRules {
        attempts: Some(1),
        ..ResilienceRules::default()
    });
    let changed = before.reloaded(USERS, &service.url, &other);
    assert_eq!(changed.failure(USER).await.code, Code::UpstreamUnavailable);
}
