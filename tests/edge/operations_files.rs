//! The files for operators in `ops/` and `docs/observability.md`, held against
//! what a gateway tells.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::metrics;
use super::metrics::Samples;
use super::scripted::Scripted;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Json {
    serde_yaml_ng::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every text below a key of this name.
fn below<'j>(json: &'j Json, key: &str, found: &mut Vec<&'j str>) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| name == key) {
                    Some(text) => found.push(text),
                    None => below(value, key, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| below(item, key, found)),
        _ => {}
    }
}

fn all<'j>(json: &'j Json, key: &str) -> Vec<&'j str> {
    let mut found = Vec::new();
    below(json, key, &mut found);
    assert!(!found.is_empty(), "no {key}");
    found
}

/// The names of ours and of the process that stand in a text.
fn named(text: &str) -> BTreeSet<String> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let ours = |word: &&str| {
        ["switchboard_", "switchboard:", "process_"]
            .iter()
            .any(|it| word.starts_with(it))
    };
    text.split(part).filter(ours).map(str::to_owned).collect()
}

/// The names that a gateway tells, those of histograms with their endings too.
async fn told() -> BTreeSet<String> {
    let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let config = "rate_limits: [{ name: few, key: $ip, requests: 100, per: 1h }]";
    let folder = service.folder(config);
    let gateway = service.gateway(&folder).await;
    gateway.ask("{ thing(id: 1) { name } }").await;
    let page = metrics::page(&gateway).await;
    let samples = Samples::of(&page);
    let things = "switchboard_source_attempts_total{source=\"things\",outcome=\"ok\"}";
    assert_eq!(samples.get(things), 1.0);
    let closed = "switchboard_source_breaker_state{source=\"things\",state=\"closed\"}";
    assert_eq!(samples.get(closed), 1.0);
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let kinds = lines.map(|line| line.split_once(' ').expect("a name and a type"));
    kinds
        .flat_map(|(name, kind)| match kind {
            "histogram" => ["", "_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")),
            _ => [""; 4].map(|end| format!("{name}{end}")),
        })
        .collect()
}

#[tokio::test]
async fn each_name_in_the_dashboard_the_rules_and_the_document_is_one_that_the_gateway_tells() {
    let told = told().await;
    let rules = yaml("ops/prometheus/rules.yml");
    let recorded: BTreeSet<String> = all(&rules, "record")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let dashboard: Json =
        serde_json::from_str(&text("ops/grafana/dashboards/switchboard.json")).expect("JSON");
    let mut used = BTreeSet::new();
    for expression in all(&rules, "expr")
        .into_iter()
        .chain(all(&dashboard, "expr"))
    {
        used.extend(named(expression));
    }
    for query in all(&dashboard, "definition") {
        used.extend(named(query));
    }
    let unknown: Vec<&String> = used.difference(&told).collect();
    let unknown: Vec<_> = unknown
        .into_iter()
        .filter(|name| !recorded.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let document = named(&text("docs/observability.md"));
    let document: BTreeSet<String> = document
        .into_iter()
        .filter(|it| !it.contains(':'))
        .collect();
    let unknown: Vec<&String> = document.difference(&told).collect();
    // The file that holds the token.
    assert_eq!(unknown, ["switchboard_admin_token"]);
    let endings = ["_bucket", "_sum", "_count"];
    let silent = told.difference(&document);
    let silent: Vec<&String> = silent
        .filter(|name| !endings.iter().any(|end| name.ends_with(end)))
        .collect();
    assert!(silent.is_empty(), "not documented: {silent:?}");
}

#[test]
fn the_compose_file_mounts_files_that_are_there_and_prometheus_asks_the_port_of_operators() {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().expect("services");
    let mut mounted = 0;
    for (service, settings) in services {
        let volumes = settings["volumes"].as_array().into_iter().flatten();
        for volume in volumes.filter_map(Json::as_str) {
            let source = volume.split(':').next().unwrap_or_default();
            if compose["volumes"].get(source).is_some() {
                continue;
            }
            assert!(path(source).exists(), "{service}: {source}");
            mounted += 1;
        }
    }
    assert!(mounted >= 5);
    let prometheus = yaml("ops/prometheus/prometheus.yml");
    let job = &prometheus["scrape_configs"][0];
    assert_eq!(job["metrics_path"], "/metrics");
    assert_eq!(job["static_configs"][0]["targets"][0], "gateway:4001");
    let gateway = &services["gateway"]["environment"];
    assert_eq!(gateway["SWITCHBOARD_ADMIN_LISTEN"], "0.0.0.0:4001");
    let token = &job["authorization"]["credentials_file"];
    let config = &services["prometheus"]["configs"][0];
    assert_eq!(config["target"], *token);
    let content = &compose["configs"][config["source"].as_str().expect("a name")]["content"];
    assert_eq!(*content, gateway["SWITCHBOARD_ADMIN_TOKEN"]);
    assert_eq!(gateway["SWITCHBOARD_OTLP_ENDPOINT"], "http://jaeger:4318");
}
