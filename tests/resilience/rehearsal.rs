//! Faults on purpose: an outage is rehearsed through the gateway, for REST and
//! gRPC alike, by configuration or by a signed header.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ring::hmac;
use serde_json::Value as Json;
use serde_json::json;

use super::shop::Kind;
use super::shop::Setting;
use super::shop::Shop;
use super::until;

const SECRET: &str = "a secret of thirty-two characters";
const CONFIG: &str = "dev: { faults_secret: a secret of thirty-two characters }\n";
const BOTH: &str = "{ user(id: 1) { name } product(id: 1) { name } }";

fn rehearsing<'s>(source: &'s str) -> Setting<'s> {
    Setting {
        source,
        ..Setting::default()
    }
}

fn in_development<'s>() -> Setting<'s> {
    Setting {
        config: CONFIG,
        arguments: &["--dev"],
        ..Setting::default()
    }
}

fn codes(answer: &Json) -> Vec<&str> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    errors
        .filter_map(|error| error["extensions"]["code"].as_str())
        .collect()
}

#[tokio::test]
async fn calls_of_a_configured_source_are_answered_as_if_it_were_down_and_never_reach_it() {
    let faults = "faults: { abort: 503 }, resilience: { retry: { attempts: 1 } }";
    let shop = Shop::open_with(&rehearsing(faults)).await;
    let answer = shop.ask("rehearsal").await.body;
    assert_eq!(answer["data"], json!({ "user": null, "product": null }));
    assert_eq!(codes(&answer), ["UPSTREAM_UNAVAILABLE"; 2], "{answer}");
    for kind in [Kind::Rest, Kind::Grpc] {
        assert_eq!(shop.proxy(kind).counts().requests, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn the_log_tells_at_start_which_sources_fail_on_purpose() {
    let shop = Shop::open_with(&rehearsing("faults: { abort: 503, percentage: 10 }")).await;
    until(async || {
        let log = shop.gateway.log();
        let told = log
            .lines()
            .filter(|line| line.contains("faults on purpose"));
        told.filter(|line| line.contains("WARN")).count() == 2
    })
    .await;
}

#[tokio::test]
async fn calls_of_a_configured_source_are_late_and_come() {
    let shop = Shop::open_with(&rehearsing("faults: { delay: 150ms }")).await;
    let answer = shop.ask("rehearsal").await;
    assert_eq!(answer.body.get("errors"), None, "{}", answer.body);
    assert!(
        answer.took >= Duration::from_millis(150),
        "{:?}",
        answer.took
    );
}

#[tokio::test]
async fn a_delay_is_within_the_time_of_an_attempt() {
    let shop = Shop::open_with(&rehearsing("faults: { delay: 60s }")).await;
    let answer = shop.ask("rehearsal").await.body;
    assert_eq!(codes(&answer), ["UPSTREAM_TIMEOUT"; 2], "{answer}");
}

#[tokio::test]
async fn a_signed_request_breaks_its_own_calls_and_nobody_elses() {
    let shop = Shop::open_with(&in_development()).await;
    for kind in [Kind::Rest, Kind::Grpc] {
        let line = signed(&format!(
            "source={}; abort=503; expires={}",
            kind.service(),
            in_a_minute()
        ));
        let (status, answer) = asked(&shop, &line).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer["data"][kind.field()].is_null(), "{answer}");
        assert!(
            answer["data"][kind.other().field()]["name"].is_string(),
            "{answer}"
        );
        assert_eq!(codes(&answer), ["UPSTREAM_UNAVAILABLE"], "{answer}");
        assert!(shop.is_well().await, "others are not concerned");
    }
}

#[tokio::test]
async fn a_request_that_is_signed_wrongly_or_has_expired_is_refused() {
    let shop = Shop::open_with(&in_development()).await;
    let good = signed(&format!(
        "source=users; abort=503; expires={}",
        in_a_minute()
    ));
    let bad = [
        good.replace("users", "products"),
        good.replace("503", "500"),
        signed("source=users; abort=503; expires=1000000000"),
        signed(&format!(
            "source=nobody; abort=503; expires={}",
            in_a_minute()
        )),
    ];
    for line in bad {
        let (status, problem) = asked(&shop, &line).await;
        assert_eq!(status, 403, "{line}: {problem}");
        assert!(
            problem["type"]
                .as_str()
                .is_some_and(|it| it.ends_with("/forbidden")),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn in_production_nobodys_signature_is_good() {
    let production = Setting {
        config: CONFIG,
        ..Setting::default()
    };
    let shop = Shop::open_with(&production).await;
    let line = signed(&format!(
        "source=users; abort=503; expires={}",
        in_a_minute()
    ));
    let (status, problem) = asked(&shop, &line).await;
    assert_eq!(status, 403, "{problem}");
    assert!(shop.is_well().await);
}

async fn asked(shop: &Shop, line: &str) -> (u16, Json) {
    let request = shop.gateway.post(&json!({ "query": BOTH }));
    let request = request.header("switchboard-faults", line);
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, super::binary::body(response).await)
}

fn signed(text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, text.as_bytes());
    let bytes = signature.as_ref().iter();
    let hex: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    format!("{text}; signature={hex}")
}

fn in_a_minute() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs() + 60
}
