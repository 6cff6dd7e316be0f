//! Every way in which a connection to a service breaks, for REST and gRPC
//! alike: the field is null with one error that says what a client may know,
//! its neighbour answers, the answer is in time, the log has the rest, and
//! when the fault ends all is well again.

use std::time::Duration;

use proxy::Fault;
use serde_json::Value as Json;
use serde_json::json;

use super::shop::DEADLINE;
use super::shop::Kind;
use super::shop::LATE;
use super::shop::Shop;
use super::shop::TIMEOUT;

const UNAVAILABLE: &str = "UPSTREAM_UNAVAILABLE";
const TIMED_OUT: &str = "UPSTREAM_TIMEOUT";
const INVALID: &str = "UPSTREAM_INVALID_RESPONSE";

/// One fault, before one service, met by fresh and by used connections.
async fn falls(fault: Fault, kind: Kind, code: &str) {
    let shop = Shop::open().await;
    shop.proxy(kind).set(fault).await;
    told(&shop, kind, code, "fresh").await;
    shop.recovers(kind).await;
    shop.proxy(kind).set(fault).await;
    told(&shop, kind, code, "used").await;
    shop.recovers(kind).await;
}

/// What the client sees, and what the log has.
async fn told(shop: &Shop, kind: Kind, code: &str, id: &str) {
    let answer = shop.ask(id).await;
    let (body, case) = (&answer.body, format!("{id}: {}", answer.body));
    assert!(body["data"][kind.field()].is_null(), "{case}");
    assert!(
        body["data"][kind.other().field()]["name"].is_string(),
        "{case}"
    );
    let errors = body["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 1, "{case}");
    assert_eq!(errors[0]["path"], json!([kind.field()]), "{case}");
    let extensions = &errors[0]["extensions"];
    assert_eq!(extensions["code"], code, "{case}");
    assert_eq!(extensions["service"], kind.service(), "{case}");
    assert_eq!(extensions["retryable"], code != INVALID, "{case}");
    assert_eq!(extensions["correlationId"], id, "{case}");
    assert!(!shop.leaks(body), "{case}");
    assert!(answer.took < DEADLINE + LATE, "{:?}", answer.took);
    logged(shop, kind, code, id).await;
}

async fn logged(shop: &Shop, kind: Kind, code: &str, id: &str) {
    super::until(async || !shop.failures(id).is_empty()).await;
    let failures = shop.failures(id);
    let line = failures.last().map(Json::to_string).expect("a line");
    assert!(
        line.contains(kind.service()) && line.contains(code),
        "{line}"
    );
}

/// A test for each protocol.
macro_rules! falls {
    ($($name:ident: $fault:expr, $rest:expr, $grpc:expr;)*) => { $(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn before_a_rest_service() {
                falls($fault, Kind::Rest, $rest).await;
            }

            #[tokio::test]
            async fn before_a_grpc_service() {
                falls($fault, Kind::Grpc, $grpc).await;
            }
        }
    )* };
}

falls! {
    a_refused_connection_is_unavailable: Fault::Refuse, UNAVAILABLE, UNAVAILABLE;
    a_reset_connection_is_unavailable: Fault::Reset, UNAVAILABLE, UNAVAILABLE;
    a_black_hole_times_out: Fault::BlackHole, TIMED_OUT, TIMED_OUT;
    a_connection_closed_at_once_is_unavailable: Fault::Close, UNAVAILABLE, UNAVAILABLE;
    a_reply_that_drips_times_out: slow_drip(), TIMED_OUT, TIMED_OUT;
    a_reply_cut_off_is_unavailable: Fault::Truncate { after: 40 }, UNAVAILABLE, UNAVAILABLE;
    garbage_is_no_answer: Fault::Garbage, UNAVAILABLE, UNAVAILABLE;
    a_reply_after_the_timeout_comes_too_late: Fault::Delay(Duration::from_secs(10)), TIMED_OUT, TIMED_OUT;
    a_service_that_goes_away_mid_call_is_unavailable: Fault::GoAway { taken: true }, UNAVAILABLE, UNAVAILABLE;
    a_service_that_goes_away_before_a_call_is_unavailable: Fault::GoAway { taken: false }, UNAVAILABLE, UNAVAILABLE;
}

/// A reply takes minutes.
fn slow_drip() -> Fault {
    Fault::Drip {
        bytes: 1,
        every: Duration::from_secs(1),
    }
}

#[tokio::test]
async fn a_late_reply_in_time_is_an_answer() {
    let shop = Shop::open().await;
    for proxy in [&shop.users, &shop.products] {
        proxy.set(Fault::Delay(TIMEOUT / 8)).await;
    }
    let answer = shop.ask("late").await;
    assert_eq!(answer.body.get("errors"), None, "{}", answer.body);
}

#[tokio::test]
async fn a_connection_that_went_silent_is_given_up_and_the_next_call_takes_a_new_one() {
    let shop = Shop::open().await;
    assert!(shop.is_well().await);
    shop.users.set(Fault::HalfOpen).await;
    let before = shop.users.counts();
    super::until(async || shop.is_well().await).await;
    assert!(shop.users.counts().connections > before.connections);
}

#[tokio::test]
async fn the_proxy_counts_one_call_of_each_service() {
    let shop = Shop::open().await;
    assert!(shop.is_well().await);
    assert!(shop.is_well().await);
    for proxy in [&shop.users, &shop.products] {
        let counts = proxy.counts();
        assert_eq!((counts.connections, counts.requests), (1, 2), "{counts:?}");
    }
}
