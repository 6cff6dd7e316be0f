//! What a wrong configuration file is told.

use super::*;
use crate::limits::Limits;
use plan::limits::Kind;
use plan::limits::Limit;
use plan::limits::Mode;

fn env(pairs: &[(&str, &str)]) -> Environment {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Environment::default().with(pairs)
}

fn parse(text: &str, environment: &Environment) -> Result<Config, Diagnostics> {
    let text = interpolate::interpolate("switchboard.yaml", text, environment)?;
    let file = file::parse("switchboard.yaml", &text)?;
    convert::convert(Path::new("schema/switchboard.yaml"), file, environment)
}

fn refused(text: &str) -> String {
    parse(text, &env(&[])).unwrap_err().to_string()
}

#[test]
fn the_least_file_has_safe_defaults() {
    let config = parse("subgraphs: { users: { schema: users.graphql } }", &env(&[])).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(config.admin.to_string(), "127.0.0.1:4001");
    let file = SchemaOrigin::File("schema/users.graphql".into());
    assert_eq!(config.subgraphs[0].origin, file);
    assert_eq!(config.http.body, 1024 * 1024);
    assert_eq!(config.request_timeout, Duration::from_secs(30));
    assert_eq!(config.sources.timeout, Duration::from_secs(10));
    assert_eq!(config.sources.connect_timeout, Duration::from_secs(2));
    assert!(!config.features.introspection && !config.features.playground);
    assert!(config.coalesce.operations && config.coalesce.reads);
    assert!(config.metrics.enabled && config.metrics.fields);
    assert!(config.access_log.is_none() && config.slow_log.is_none() && config.tracing.is_none());
}

#[test]
fn the_rates_of_a_breaker_are_above_zero_and_at_most_one() {
    for key in ["failure_rate", "slow_call_rate"] {
        let with = |rate| observed(&format!("resilience: {{ breaker: {{ {key}: {rate} }} }}"));
        for rate in ["0.01", "1"] {
            assert!(with(rate).is_ok(), "{key}: {rate}");
        }
        for rate in ["0", "-0.5", "1.1", ".nan"] {
            let told = with(rate).unwrap_err().to_string();
            assert!(
                told.contains("above 0 and at most 1"),
                "{key}: {rate}: {told}"
            );
        }
    }
    assert!(observed("resilience: { retry_budget: { ratio: 0 } }").is_ok());
}

fn observed(section: &str) -> Result<Config, Diagnostics> {
    let file = format!("subgraphs: {{ users: {{ schema: users.graphql }} }}\n{section}\n");
    parse(&file, &env(&[("TOKEN", "s3cret")]))
}

#[test]
fn the_access_log_is_of_all_requests_or_of_a_share_of_them() {
    let share = |section| observed(section).unwrap().access_log;
    assert_eq!(share("access_log: false"), None);
    assert_eq!(share("access_log: true"), Share::of(1.0));
    assert_eq!(share("access_log: { sample: 0.25 }"), Share::of(0.25));
    assert_eq!(share("access_log: { enabled: false, sample: 0.25 }"), None);
    for wrong in [
        "access_log: maybe",
        "access_log: { sample: 2 }",
        "access_log: { rate: 1 }",
    ] {
        assert!(observed(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn traces_go_where_a_collector_is_named_and_nowhere_without_one() {
    let tracing = |section| observed(section).unwrap().tracing;
    assert!(tracing("tracing: { sample: 1 }").is_none());
    assert!(tracing("tracing: { endpoint: \"${COLLECTOR:-}\" }").is_none());
    let jaeger = tracing(
        "tracing: { endpoint: \"http://jaeger:4318/\", headers: { authorization: \"${TOKEN}\" } }",
    );
    let jaeger = jaeger.unwrap();
    assert_eq!(jaeger.endpoint, "http://jaeger:4318/v1/traces");
    assert_eq!(Some(jaeger.share), Share::of(0.01));
    assert!(jaeger.parent && !format!("{jaeger:?}").contains("s3cret"));
    let elsewhere = tracing("tracing: { endpoint: \"https://otlp.example.com/in\" }");
    assert_eq!(elsewhere.unwrap().endpoint, "https://otlp.example.com/in");
    assert!(observed("tracing: { endpoint: \"http://a b\" }").is_err());
}

#[test]
fn a_header_rule_does_one_thing_and_touches_no_connection() {
    let with = |rule: &str| {
        refused(&format!(
            "subgraphs: {{ users: {{ schema: users.graphql }} }}\nheaders: {{ request: [{rule}] }}"
        ))
    };
    for rule in [
        "{}",
        "{ forward: x-a, remove: x-a }",
        "{ as: x-b }",
        "{ set: x-a }",
        "{ value: x }",
        "{ forward: x-a, value: x }",
    ] {
        assert!(with(rule).contains("a rule does one thing"), "{rule}");
    }
    for name in [
        "Connection",
        "TE",
        "host",
        "content-length",
        "grpc-timeout",
        "traceparent",
    ] {
        for rule in [
            format!("{{ forward: {name} }}"),
            format!("{{ forward: x-a, as: {name} }}"),
            format!("{{ set: {name}, value: x }}"),
            format!("{{ remove: {name} }}"),
        ] {
            assert!(
                with(&rule).contains("is not for a rule to decide"),
                "{rule}"
            );
        }
    }
    for name in [
        "Connection",
        "access-control-allow-origin",
        "Content-Length",
        "vary",
        "grpc-status",
    ] {
        let text = format!(
            "subgraphs: {{ users: {{ schema: users.graphql }} }}\nheaders: {{ response: [{{ propagate: {name} }}] }}"
        );
        assert!(
            refused(&text).contains("is not for a service to say"),
            "{name}"
        );
    }
    assert!(with("{ forward: \"x y\" }").contains("is no header"));
    assert!(with("{ forward: x-a, via: x }").contains("via"));
}

#[test]
fn a_client_has_the_limits_of_all_but_for_its_own() {
    let text = "subgraphs: { users: { schema: users.graphql } }\n\
        limits:\n  mode: measure\n  depth: { max: 7, mode: enforce }\n  tokens: off\n  aliases: 9\n\
        \x20 clients:\n  - match: { api_key: mobile }\n    limits: { depth: 30, cost: { mode: off } }\n";
    let config = parse(text, &env(&[])).unwrap();
    let limit = |max, mode| Limit { max, mode };
    let others = config.limits.others;
    let operation = |limits: &Limits, kind| limits.operation.get(kind);
    assert_eq!(operation(&others, Kind::Depth), limit(7, Mode::Enforce));
    assert_eq!(operation(&others, Kind::Tokens), limit(2_000, Mode::Off));
    assert_eq!(operation(&others, Kind::Aliases), limit(9, Mode::Measure));
    assert_eq!(
        operation(&others, Kind::RootFields),
        limit(20, Mode::Measure)
    );
    let (_, mobile) = &config.limits.clients[0];
    assert_eq!((others.profile, mobile.profile), (0, 1));
    assert_eq!(operation(mobile, Kind::Depth), limit(30, Mode::Measure));
    assert_eq!(operation(mobile, Kind::Aliases), limit(9, Mode::Measure));
    assert_eq!(mobile.cost, limit(5_000, Mode::Off));
}

#[test]
fn a_client_that_nothing_tells_apart_is_refused() {
    for (matches, word) in [("{}", "nothing says"), ("{ claim: org }", "go together")] {
        let text = format!(
            "subgraphs: {{ users: {{ schema: users.graphql }} }}\nlimits: {{ clients: [{{ match: {matches}, limits: {{}} }}] }}\n"
        );
        let told = refused(&text);
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn an_unknown_key_is_underlined_and_the_likely_one_offered() {
    let text = "listen: 127.0.0.1:0\nsubgraphs:\n  users:\n    shema: users.graphql\n";
    assert_eq!(
        refused(text),
        "error[UNKNOWN_KEY] switchboard.yaml:4:5\n\
         \x20 4 |     shema: users.graphql\n\
         \x20   |     ^^^^^ no such key\n\
         \x20 help: did you mean `schema`?\n"
    );
}

#[test]
fn an_unknown_key_at_the_top_is_found_on_its_own_line() {
    let text = "subgraphs: { users: { schema: users.graphql } }\n# listn\nlistn: 127.0.0.1:0\n";
    let told = refused(text);
    assert!(
        told.starts_with("error[UNKNOWN_KEY] switchboard.yaml:3:1\n"),
        "{told}"
    );
    assert!(told.contains("did you mean `listen`?"), "{told}");
}

#[test]
fn every_variable_that_is_not_set_is_named_where_it_stands() {
    let text = "listen: \"${HOST}:${PORT}\"\nsubgraphs: {}\n";
    assert_eq!(
        refused(text),
        "error[MISSING_ENV] switchboard.yaml:1:10\n\
         \x20 1 | listen: \"${HOST}:${PORT}\"\n\
         \x20   |          ^^^^^^^ not set\n\
         \x20 help: set HOST in the environment, or give a default: ${HOST:-...}\n\
         \n\
         error[MISSING_ENV] switchboard.yaml:1:18\n\
         \x20 1 | listen: \"${HOST}:${PORT}\"\n\
         \x20   |                  ^^^^^^^ not set\n\
         \x20 help: set PORT in the environment, or give a default: ${PORT:-...}\n"
    );
}

#[test]
fn variables_win_over_their_defaults_and_empty_ones_do_not() {
    let text = "listen: ${L:-127.0.0.1:1}\nadmin: { listen: \"${A:-127.0.0.1:2}\" }\nsubgraphs: { u: { schema: '${S:-a.graphql}' } }";
    let config = parse(text, &env(&[("L", "127.0.0.1:7"), ("A", "")])).unwrap();
    assert_eq!(config.listen.port(), 7);
    assert_eq!(config.admin.port(), 2);
    let file = SchemaOrigin::File("schema/a.graphql".into());
    assert_eq!(config.subgraphs[0].origin, file);
}

#[test]
fn a_variable_cannot_change_the_structure_of_the_file() {
    let text = "subgraphs: { u: { schema: \"${S}\" } }\n";
    let config = parse(text, &env(&[("S", "a\" }, evil: { schema: \"b")])).unwrap();
    assert_eq!(config.subgraphs.len(), 1);
    let plain = "subgraphs: { u: { schema: ${S} } }\n";
    let told = parse(plain, &env(&[("S", "a }, evil: { schema: b")])).unwrap_err();
    assert_eq!(told.codes(), ["CONFIG_VALUE"]);
}

#[test]
fn comments_and_doubled_dollars_are_left_alone() {
    let text = "# ${NOT_SET}\nsubgraphs: { u: { schema: a } } # ${NOT_SET}\nconfig: { price: \"$${x}\" }\n";
    let config = parse(text, &env(&[])).unwrap();
    assert_eq!(config.values["price"], "${x}");
}

#[test]
fn a_wrong_value_says_what_is_expected() {
    let told = refused("subgraphs: { u: { schema: a } }\ntimeouts: { request: 30 }\n");
    assert!(
        told.starts_with("error[CONFIG_VALUE] switchboard.yaml:2:22\n"),
        "{told}"
    );
    assert!(told.contains("such as 250ms, 2s, 5m or 24h"), "{told}");
}

#[test]
fn a_syntax_error_says_where() {
    let told = refused("subgraphs: { users: { schema: \"users.graphql } }\n");
    assert!(
        told.starts_with("error[CONFIG_SYNTAX] switchboard.yaml:"),
        "{told}"
    );
}

#[test]
fn numbers_are_asked_for_in_plain_words() {
    let graph = "subgraphs: { u: { schema: a } }";
    let told = refused(&format!("{graph}\noverride_labels: {{ x: 20% }}\n"));
    assert!(told.contains("expected a number"), "{told}");
    let told = refused(&format!("{graph}\nplan_cache: {{ entries: many }}\n"));
    assert!(told.contains("expected a whole number"), "{told}");
}

#[test]
fn a_missing_key_is_named() {
    let told = refused("tls:\n  certificate: a.pem\n");
    assert!(
        told.starts_with("error[MISSING_KEY] switchboard.yaml:2:3\n"),
        "{told}"
    );
    assert!(told.contains("`key` is needed here"), "{told}");
}

#[test]
fn problem_types_are_named_below_an_absolute_address() {
    let given = |url: &str| {
        let text =
            format!("subgraphs: {{ u: {{ schema: a }} }}\nproblems: {{ base_url: \"{url}\" }}\n");
        parse(&text, &env(&[])).map(|config| config.problems)
    };
    for url in ["https://api.example.com", "http://localhost:4000/api"] {
        assert_eq!(given(url).unwrap().as_deref(), Some(url));
    }
    for wrong in [
        "",
        "/problems",
        "api.example.com",
        "ftp://a",
        "https://a/?b",
        "https://a/#b",
    ] {
        let told = given(wrong).unwrap_err().to_string();
        assert!(told.contains("no absolute address"), "{told}");
    }
}

/// CORS as a file with these origins would set it.
pub(crate) fn cors_for_tests(origins: &[&str], credentials: bool) -> Result<Cors, Diagnostics> {
    let text = format!(
        "subgraphs: {{ u: {{ schema: a }} }}\ncors: {{ origins: {origins:?}, credentials: {credentials} }}\n"
    );
    Ok(parse(&text, &env(&[]))?.edge.cors.unwrap())
}

#[test]
fn an_admin_port_that_others_reach_needs_tokens_or_certificates() {
    let with = |admin: &str| {
        let text = format!("subgraphs: {{ u: {{ schema: a }} }}\nadmin: {{ {admin} }}\n");
        parse(&text, &env(&[])).unwrap().check_admin()
    };
    let told = with("listen: 0.0.0.0:4001").unwrap_err();
    assert_eq!(told.codes(), ["OPEN_ADMIN_PORT"]);
    let tls = |required: bool| {
        format!(
            "listen: 0.0.0.0:4001, tls: {{ certificate: c, key: k, clients: {{ ca: a, required: {required} }} }}"
        )
    };
    assert!(with(&tls(false)).is_err());
    let empty = "listen: 0.0.0.0:4001, tokens: { deploy: \"${NO_SUCH:-}\" }";
    assert!(with(empty).is_err());
    for guarded in [
        "listen: 127.0.0.1:4001",
        "listen: \"[::1]:4001\"",
        "listen: 0.0.0.0:4001, tokens: { deploy: 0123456789abcdef }",
        &tls(true),
    ] {
        assert!(with(guarded).is_ok(), "{guarded}");
    }
}

#[test]
fn a_token_that_could_be_guessed_is_refused() {
    let told = refused("subgraphs: { u: { schema: a } }\nadmin: { tokens: { deploy: short } }\n");
    assert!(told.contains("shorter than 16 characters"), "{told}");
    assert!(!told.contains("`short`"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let told = load(Path::new("no/such.yaml"), &env(&[])).unwrap_err();
    assert_eq!(
        told.to_string(),
        "error[FILE_NOT_FOUND] there is no file no/such.yaml\n  help: say where it is with --config FILE\n"
    );
}

#[test]
fn a_subgraph_file_reads_only_the_names_that_it_is_given() {
    let text = "subgraphs: { u: { schema: a, env: [URL, NOT_SET] } }";
    let config = parse(text, &env(&[("URL", "http://x"), ("SECRET", "s")])).unwrap();
    let env = &config.subgraphs[0].env;
    assert_eq!(env["URL"].as_deref(), Some("http://x"));
    assert_eq!(env["NOT_SET"], None);
    assert!(!env.contains_key("SECRET"));
}

#[test]
fn the_schema_of_the_file_forbids_unknown_keys_and_describes_every_key() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    for (name, property) in schema["properties"].as_object().unwrap() {
        assert!(
            property["description"].is_string(),
            "{name} has no description"
        );
    }
}

#[test]
fn a_supergraph_stands_instead_of_subgraphs() {
    let config = parse("supergraph: shop.graphql", &env(&[])).unwrap();
    let supergraph = config.supergraph.unwrap();
    assert!(
        matches!(&supergraph.origin, SupergraphOrigin::File(file) if file == "schema/shop.graphql")
    );
    let file = "supergraph: { url: https://registry/graph, headers: { authorization: \"Bearer ${TOKEN}\" }, env: [A], sources: { users: { url: http://u, timeout: 2s } } }";
    let config = parse(file, &env(&[("TOKEN", "t"), ("A", "a")])).unwrap();
    let timeout = config.sources.sources["users"].timeout;
    assert_eq!(timeout, Some(Duration::from_secs(2)));
    let supergraph = config.supergraph.unwrap();
    assert_eq!(supergraph.env["A"].as_deref(), Some("a"));
    assert_eq!(supergraph.sources["users"].url.as_deref(), Some("http://u"));
    let address = supergraph.address().unwrap();
    assert_eq!(address.poll, Duration::from_secs(30));
    assert_eq!(address.headers["authorization"], "Bearer t");
    assert!(!format!("{address:?}").contains("Bearer"));
    let keep = address.keep.as_deref().unwrap();
    assert!(
        keep.ends_with("schema/./data/supergraph.graphql"),
        "{keep:?}"
    );
}

#[test]
fn a_supergraph_is_a_file_or_an_address_and_has_no_subgraphs_beside_it() {
    for (file, told) in [
        ("listen: 127.0.0.1:0", "there is no subgraph"),
        (
            "subgraphs: { a: { schema: a.graphql } }\nsupergraph: b.graphql",
            "there are `subgraphs` and a `supergraph`",
        ),
        ("supergraph: {}", "say `file` or `url`"),
        (
            "supergraph: { file: a, url: http://b }",
            "say `file` or `url`",
        ),
        (
            "supergraph: { url: http://b, poll: 0s }",
            "no time between two questions",
        ),
        (
            "supergraph: { url: http://b, headers: { \"a b\": c } }",
            "cannot be sent",
        ),
        ("supergraph: { urls: http://b }", "no such key"),
        ("supergraph: 5", "the name of a file"),
    ] {
        assert!(refused(file).contains(told), "{file}: {}", refused(file));
    }
}
