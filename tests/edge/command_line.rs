//! What the commands print, and how they exit: 0, 1 when the input is wrong, 2 when the command line is.

use super::binary::Folder;
use super::binary::run;
use super::scripted::THINGS;

const CONFIG: &str = "subgraphs:\n  things: { schema: things.graphql, env: [THINGS_URL] }\n";
const ENV: [(&str, &str); 1] = [("THINGS_URL", "http://127.0.0.1:1")];

fn folder(config: &str, sdl: &str) -> (Folder, String) {
    let folder = Folder::new(&[("switchboard.yaml", config), ("things.graphql", sdl)]);
    let config = folder.file("switchboard.yaml").display().to_string();
    (folder, config)
}

#[tokio::test]
async fn check_passes_over_a_sound_graph() {
    let (_folder, config) = folder(CONFIG, THINGS);
    let (code, _, errors) = run(&["check", "--config", &config], &ENV).await;
    assert_eq!(code, 0, "{errors}");
}

#[tokio::test]
async fn check_prints_every_finding_and_exits_with_one() {
    let sdl = THINGS.replace("/things/{id}\")\n  things", "/things/{ident}\")\n  things");
    let sdl = sdl.replace(
        "@rest(GET: \"/count\"",
        "@rest(source: \"thinks\", GET: \"/count\"",
    );
    let (_folder, config) = folder(CONFIG, &sdl);
    let (code, output, errors) = run(&["check", "--config", &config], &ENV).await;
    assert_eq!(code, 1);
    assert!(
        output.is_empty(),
        "diagnostics go to standard error: {output}"
    );
    for expected in [
        "error[UNKNOWN_ARGUMENT] ",
        "error[UNKNOWN_SOURCE] ",
        "things.graphql:8:",
        "help: ",
    ] {
        assert!(errors.contains(expected), "{expected} in:\n{errors}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_answered_with_the_place_and_a_suggestion() {
    let cases = [
        ("listn: 127.0.0.1:0\n", "listen"),
        ("limits: { tokenz: 5 }\n", "tokens"),
        ("listen: \"${NOT_SET_ANYWHERE}\"\n", "NOT_SET_ANYWHERE"),
        ("listen: [\n", "switchboard.yaml:"),
    ];
    for (line, expected) in cases {
        let (_folder, config) = folder(&format!("{line}{CONFIG}"), THINGS);
        let (code, _, errors) = run(&["check", "--config", &config], &ENV).await;
        assert_eq!(code, 1, "{line}: {errors}");
        assert!(errors.contains(expected), "{line}: {errors}");
        assert!(errors.contains("switchboard.yaml:"), "{line}: {errors}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let (_folder, config) = folder(&CONFIG.replace("things.graphql", "thinks.graphql"), THINGS);
    let (code, _, errors) = run(&["check", "--config", &config], &ENV).await;
    assert_eq!(code, 1);
    assert!(errors.contains("thinks.graphql"), "{errors}");
    let (code, _, errors) = run(&["check", "--config", "/nowhere/switchboard.yaml"], &[]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("/nowhere/switchboard.yaml"), "{errors}");
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named_where_it_is_used() {
    let (_folder, config) = folder(CONFIG, THINGS);
    let (code, _, errors) = run(&["check", "--config", &config], &[]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("error[UNKNOWN_ENV] "), "{errors}");
    assert!(errors.contains("THINGS_URL"), "{errors}");
}

#[tokio::test]
async fn a_wrong_command_line_exits_with_two() {
    for arguments in [&["serv"][..], &["check", "--confg", "x"], &["plan"]] {
        let (code, _, errors) = run(arguments, &[]).await;
        assert_eq!(code, 2, "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn every_command_explains_itself() {
    for command in [
        "serve", "check", "compose", "plan", "explain", "demo", "config",
    ] {
        let (code, output, _) = run(&[command, "--help"], &[]).await;
        assert_eq!(code, 0);
        assert!(output.contains("Usage: switchboard"), "{output}");
    }
}

#[tokio::test]
async fn plan_prints_the_calls_of_an_operation() {
    let (folder, config) = folder(CONFIG, THINGS);
    folder.write(
        "operation.graphql",
        "query($id: ID!) { thing(id: $id) { name } }",
    );
    let operation = folder.file("operation.graphql").display().to_string();
    let (code, output, errors) = run(&["plan", "--config", &config, &operation], &ENV).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        output.contains("[0] Query.thing from things: GET /things/{$args.id}"),
        "{output}"
    );
}

#[tokio::test]
async fn explain_prints_what_happens_when_a_service_fails_and_who_said_so() {
    let sdl = THINGS.replace(
        "type Query {",
        "type Query {\n  rates: [String!] @rest(GET: \"/rates\", hedge: true, staleIfError: \"5m\", retry: { attempts: 2 })",
    );
    let config = "subgraphs:\n  things: { schema: things.graphql, env: [THINGS_URL], sources: { things: { resilience: { concurrency: 7 } } } }\nresilience: { breaker: { window: 20s } }\n";
    let (_folder, config) = folder(config, &sdl);
    let (code, output, errors) = run(&["explain", "--config", &config, "Query.rates"], &ENV).await;
    assert_eq!(code, 0, "{errors}");
    let line = |name: &str| {
        let mut lines = output.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in:\n{output}"))
            .to_owned()
    };
    let starts_and_ends = |name: &str, value: &str, from: &str| {
        let line = line(name);
        assert!(line.contains(value) && line.contains(from), "{line}");
    };
    starts_and_ends("attempts", "2", "things.graphql:");
    starts_and_ends("pause", "50ms", "(default)");
    starts_and_ends(
        "budget",
        "10 % of the source's calls and 3 a second",
        "(default)",
    );
    starts_and_ends("hedge", "p95", "things.graphql:");
    starts_and_ends("if it fails", "300s", "things.graphql:");
    starts_and_ends("breaker", "in 20s, for 5s up to 60s", "(resilience)");
    starts_and_ends(
        "in flight",
        "7 calls, and 7 that wait",
        "sources.things.resilience)",
    );
}

#[tokio::test]
async fn compose_prints_the_schema_that_clients_see() {
    let (_folder, config) = folder(CONFIG, THINGS);
    let (code, output, _) = run(&["compose", "--config", &config], &ENV).await;
    assert_eq!(code, 0);
    assert!(output.contains("thing(id: ID!): Thing"), "{output}");
    assert!(
        !output.contains("@rest"),
        "none of our directives: {output}"
    );
}

#[tokio::test]
async fn compose_prints_a_supergraph_that_serves_in_place_of_its_subgraphs() {
    let (folder, config) = folder(CONFIG, THINGS);
    let (code, printed, _) = run(&["compose", "--supergraph", "--config", &config], &ENV).await;
    assert_eq!(code, 0);
    assert!(
        printed.contains("https://specs.apollo.dev/join/v0.5"),
        "{printed}"
    );
    let (_, schema, _) = run(&["compose", "--config", &config], &ENV).await;
    folder.write("supergraph.graphql", &printed);
    folder.write(
        "again.yaml",
        "supergraph: { file: supergraph.graphql, env: [THINGS_URL] }",
    );
    let again = folder.file("again.yaml");
    let again = again.to_str().expect("a path of text");
    let (code, same, told) = run(&["compose", "--config", again], &ENV).await;
    assert_eq!((code, same), (0, schema), "{told}");
}

#[tokio::test]
async fn compose_tells_who_answers_what() {
    let (_folder, config) = folder(CONFIG, THINGS);
    let (code, output, _) = run(&["compose", "--resolvers", "--config", &config], &ENV).await;
    assert_eq!(code, 0);
    assert!(output.contains("@call(source: \"things\""), "{output}");
}

#[tokio::test]
async fn an_algorithm_of_tokens_that_cannot_be_verified_is_refused_before_the_start() {
    let issuer = |algorithm: &str| {
        format!(
            "authentication: {{ jwt: {{ issuers: [{{ issuer: a, audiences: [b], algorithms: [{algorithm}], jwks: {{ url: \"https://id/keys\" }} }}] }} }}"
        )
    };
    for (algorithm, expected) in [("ES384", 0), ("ES512", 1), ("none", 1)] {
        let config = format!("{}\n{CONFIG}", issuer(algorithm));
        let (_folder, config) = folder(&config, THINGS);
        let (code, _, told) = run(&["check", "--config", &config], &ENV).await;
        assert_eq!(code, expected, "{algorithm}: {told}");
        assert!(expected == 0 || told.contains(algorithm), "{told}");
    }
}
