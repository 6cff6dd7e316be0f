//! What `/metrics` tells operators, and that nobody else can make it grow.

use std::collections::BTreeMap;

use serde_json::json;

use super::binary::Gateway;
use super::scripted::Scripted;

/// The samples of a page, by name and labels. Fails where the page is not what Prometheus reads.
pub(super) struct Samples(BTreeMap<String, f64>);

impl Samples {
    pub(super) fn of(page: &str) -> Self {
        let mut types = BTreeMap::new();
        let mut samples = BTreeMap::new();
        for line in page.lines() {
            if let Some(described) = line.strip_prefix("# TYPE ") {
                let (name, kind) = described.split_once(' ').expect("a name and a type");
                assert!(types.insert(name, kind).is_none(), "{name} stands twice");
                assert!(kind != "counter" || name.ends_with("_total"), "{name}");
            } else if !line.starts_with("# HELP ") {
                let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
                let name = sample.split('{').next().unwrap_or_default();
                assert!(types.contains_key(family(name, &types)), "{line}");
                let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(samples.insert(sample.to_owned(), value).is_none(), "{line}");
            }
        }
        Self(samples)
    }

    pub(super) fn get(&self, sample: &str) -> f64 {
        let value = self.0.get(sample);
        *value.unwrap_or_else(|| panic!("no {sample} among {:#?}", self.0))
    }

    fn count(&self, prefix: &str) -> usize {
        self.0.keys().filter(|key| key.starts_with(prefix)).count()
    }
}

/// What a sample belongs to: a histogram's have names of their own.
fn family<'n>(name: &'n str, types: &BTreeMap<&str, &str>) -> &'n str {
    let whole = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let whole = whole.filter(|whole| types.get(whole) == Some(&"histogram"));
    whole.unwrap_or(name)
}

/// The page as an operator without tokens gets it.
pub(super) async fn page(gateway: &Gateway) -> String {
    let response = gateway.get(&format!("{}/metrics", gateway.admin)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    response.text().await.expect("text")
}

async fn started(service: &Scripted, config: &str) -> (super::binary::Folder, Gateway) {
    let folder = service.folder(config);
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

#[tokio::test]
async fn what_happened_is_told_by_operation_code_problem_and_field() {
    let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let (_folder, gateway) = started(&service, "coalesce: { operations: false }").await;
    for _ in 0..3 {
        gateway.ask("query One { thing(id: 1) { name } }").await;
    }
    gateway
        .ask("mutation { rename(id: 1, name: \"two\") { id } }")
        .await;
    service.reply(500, "application/json", "{}");
    gateway.ask("query One { thing(id: 1) { name } }").await;
    gateway.ask("query Wrong { no }").await;
    let not_json = gateway.post(&json!(null)).body("{").send().await;
    assert_eq!(not_json.expect("an answer").status(), 400);
    let page = page(&gateway).await;
    let samples = Samples::of(&page);
    let one = |outcome: &str| {
        let labels = format!("{{operation=\"One\",kind=\"query\",outcome=\"{outcome}\"}}");
        samples.get(&format!("switchboard_operation_requests_total{labels}"))
    };
    assert_eq!(one("ok"), 3.0);
    assert_eq!(one("client_error"), 0.0);
    assert_eq!(one("server_error"), 1.0);
    for (sample, value) in [
        (
            "switchboard_operation_requests_total{operation=\"\",kind=\"mutation\",outcome=\"ok\"}",
            1.0,
        ),
        (
            "switchboard_operation_duration_seconds_bucket{operation=\"One\",kind=\"query\",outcome=\"ok\",le=\"+Inf\"}",
            3.0,
        ),
        (
            "switchboard_operation_errors_total{operation=\"One\",kind=\"query\",code=\"UPSTREAM_ERROR\"}",
            1.0,
        ),
        (
            "switchboard_operations_refused_total{code=\"GRAPHQL_VALIDATION_FAILED\"}",
            1.0,
        ),
        (
            "switchboard_http_refusals_total{type=\"malformed-request\"}",
            1.0,
        ),
        (
            "switchboard_field_requests_total{type=\"Thing\",field=\"name\"}",
            4.0,
        ),
        (
            "switchboard_field_requests_total{type=\"Mutation\",field=\"rename\"}",
            1.0,
        ),
        ("switchboard_plan_cache_hits_total", 3.0),
        ("switchboard_plan_cache_misses_total", 3.0),
        ("switchboard_requests_in_flight", 0.0),
        ("switchboard_operation_cost_points_count", 5.0),
        ("switchboard_reloads_total{outcome=\"failed\"}", 0.0),
    ] {
        assert_eq!(samples.get(sample), value, "{sample}");
    }
    assert!(!page.contains("Wrong"), "only what was planned has a name");
    assert!(samples.get("process_resident_memory_bytes") > 1e6);
    assert!(samples.get("process_cpu_seconds_total") >= 0.0);
    assert!(samples.get("switchboard_uptime_seconds") > 0.0);
}

#[tokio::test]
async fn requests_in_flight_and_those_whose_client_went_away_are_told() {
    let mut service = Scripted::closed("{}").await;
    let (_folder, gateway) = started(&service, "").await;
    let asked = gateway.post(&json!({ "query": "{ thing(id: 1) { name } }" }));
    let asked = tokio::spawn(asked.send());
    service.next().await;
    let samples = Samples::of(&page(&gateway).await);
    assert_eq!(samples.get("switchboard_requests_in_flight"), 1.0);
    asked.abort();
    let gone = async {
        loop {
            let samples = Samples::of(&page(&gateway).await);
            if samples.get("switchboard_requests_in_flight") == 0.0 {
                return samples;
            }
        }
    };
    let samples = tokio::time::timeout(super::PATIENCE, gone).await;
    let samples = samples.expect("it is noticed");
    assert_eq!(samples.get("switchboard_requests_abandoned_total"), 1.0);
}

#[tokio::test]
async fn invented_names_are_one_series_beyond_those_that_the_operator_grants() {
    let service = Scripted::open("3").await;
    let (_folder, gateway) = started(&service, "metrics: { operations: 5 }").await;
    gateway.ask("query Known { count }").await;
    for n in 0..200 {
        gateway.ask(&format!("query Invented{n} {{ count }}")).await;
    }
    gateway.ask("query Known { count }").await;
    let samples = Samples::of(&page(&gateway).await);
    let requests = "switchboard_operation_requests_total{operation=";
    let ok = |name: &str| format!("{requests}\"{name}\",kind=\"query\",outcome=\"ok\"}}");
    assert_eq!(samples.get(&ok("Known")), 2.0);
    assert_eq!(samples.get(&ok("other")), 196.0);
    // Five names, `other`, and queries and mutations without a name; each with three outcomes.
    assert_eq!(samples.count(requests), 8 * 3);
    assert_eq!(samples.get("switchboard_operation_names"), 5.0);
}

#[tokio::test]
async fn numbers_are_for_operators_and_can_be_turned_off() {
    let service = Scripted::open("3").await;
    let token = "0123456789abcdef";
    let guarded = format!("admin: {{ tokens: {{ prometheus: {token} }} }}");
    let (_folder, gateway) = started(&service, &guarded).await;
    let metrics = format!("{}/metrics", gateway.admin);
    assert_eq!(gateway.get(&metrics).await.status(), 401);
    let live = gateway.get(&format!("{}/health/live", gateway.admin)).await;
    assert_eq!(live.status(), 200);
    let with_token = gateway.request(&metrics).bearer_auth(token).send().await;
    let page = with_token.expect("an answer");
    assert_eq!(page.status(), 200);
    let samples = Samples::of(&page.text().await.expect("text"));
    let unauthenticated = "switchboard_http_refusals_total{type=\"unauthenticated\"}";
    assert_eq!(samples.get(unauthenticated), 1.0);
    let clients = gateway.url.replace("/graphql", "/metrics");
    assert_eq!(gateway.get(&clients).await.status(), 404);
    let (_folder, off) = started(&service, "metrics: { enabled: false }").await;
    let metrics = format!("{}/metrics", off.admin);
    assert_eq!(off.get(&metrics).await.status(), 404);
}

#[tokio::test]
async fn limits_are_counted_where_they_refuse_and_where_they_only_measure() {
    let service = Scripted::open("3").await;
    let config = "limits: { aliases: { max: 0, mode: measure }, cost: { max: 2, mode: enforce } }\n\
        rate_limits:\n- { name: few, key: $ip, requests: 3, per: 1h }\n\
        - { name: fewer, key: $ip, requests: 1, per: 1h, mode: measure }\n\
        admin: { tokens: {} }\n";
    let (_folder, gateway) = started(&service, config).await;
    gateway.ask("query A { a: count }").await;
    gateway.ask("query B { b: things { id } }").await;
    gateway.ask("query A { a: count }").await;
    for _ in 0..2 {
        gateway.ask("query A { a: count }").await;
    }
    let samples = Samples::of(&page(&gateway).await);
    for (sample, value) in [
        ("switchboard_limit_measured_total{limit=\"aliases\"}", 3.0),
        (
            "switchboard_operations_refused_total{code=\"COST_LIMIT_EXCEEDED\"}",
            1.0,
        ),
        (
            "switchboard_operation_errors_total{operation=\"B\",kind=\"query\",code=\"COST_LIMIT_EXCEEDED\"}",
            1.0,
        ),
        (
            "switchboard_rate_limit_denials_total{policy=\"few\",unit=\"requests\"}",
            2.0,
        ),
        (
            "switchboard_rate_limit_measured_total{policy=\"fewer\",unit=\"requests\"}",
            2.0,
        ),
        (
            "switchboard_http_refusals_total{type=\"quota-exceeded\"}",
            2.0,
        ),
    ] {
        assert_eq!(samples.get(sample), value, "{sample}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_counted_by_the_reason() {
    let service = Scripted::open("3").await;
    let config = "authentication: { required: true, api_keys: { file: keys.yaml } }\n";
    let folder = service.folder(config);
    folder.write("keys.yaml", super::authorization::KEYS);
    let gateway = service.gateway(&folder).await;
    let query = serde_json::json!({ "query": "{ count }" });
    for key in [
        None,
        Some("forged"),
        Some("forged-too"),
        Some("granted-key"),
    ] {
        let asked = gateway.post(&query);
        let asked = match key {
            Some(key) => asked.header("x-api-key", key),
            None => asked,
        };
        let status = asked.send().await.expect("an answer").status();
        assert_eq!(status == 200, key == Some("granted-key"), "{key:?}");
    }
    let samples = Samples::of(&page(&gateway).await);
    for (reason, value) in [("missing", 1.0), ("api_key_unknown", 2.0)] {
        let sample = format!("switchboard_authentication_failures_total{{reason=\"{reason}\"}}");
        assert_eq!(samples.get(&sample), value, "{reason}");
    }
}
