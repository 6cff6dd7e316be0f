//! One gateway, put together as the server does it: compose, connect, plan, execute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use compose::SchemaFiles;
use compose::SourceOverride;
use compose::SubgraphFile;
use compose::Supergraph;
use compose::join::SupergraphFile;
use futures_util::StreamExt as _;
use plan::Document;
use plan::Plan;
use plan::Refusal;
use plan::access::Asker;
use plan::cache::Caching;
use plan::model::Variables;
use plan::outbox::Outbox;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Context;
use plan::source::Sources;
use plan::source::TraceContext;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::Instant;

use super::config::Config;
use super::document::Block;
use super::document::Spec;
use super::json::pretty;
use super::queued::WrittenDown;
use super::report::Report;
use super::shop;
use super::upstream::Barriers;
use super::upstream::Log;
use super::upstream::Script;
use super::upstream::Upstream;

const CORRELATION_ID: &str = "spec-correlation-id";

/// Runs a spec and reports what it showed.
pub(crate) async fn run<'s>(spec: &'s Spec, report: &mut Report<'s>) {
    let config = Config::of(spec);
    if config.shop {
        return shop::run(spec, &config, report).await;
    }
    let upstreams = bind(spec, &config).await;
    let composed = composed(spec, &config, &upstreams);
    let Some(supergraph) = check_composition(composed, spec, report) else {
        return;
    };
    let log = Arc::new(Log::default());
    let addresses: Vec<String> = upstreams.iter().map(|it| it.address.to_string()).collect();
    let scripts = serve(upstreams, &supergraph, spec, &log);
    let gateway = Gateway::connect(supergraph, &config);
    let recorded = match spec.block("operation") {
        Some(operation) => gateway.operation(operation, spec, report).await,
        None => return,
    };
    report.compare_calls(&log.calls());
    for problem in log.problems() {
        report.problem(problem);
    }
    for request in scripts.iter().flat_map(|script| script.never_asked()) {
        report.problem(format!("nobody asked: {request}"));
    }
    check_call_log(&recorded, &log.calls(), report);
    check_secrets(&addresses, report);
}

fn composed(
    spec: &Spec,
    config: &Config,
    upstreams: &[Upstream],
) -> Result<Supergraph, compose::Diagnostics> {
    let mut files = files(spec, config, upstreams);
    for mut subgraph in supergraph(spec)? {
        subgraph.url = Some(address_of(&subgraph.name, upstreams));
        files.subgraphs.push(subgraph);
    }
    compose::compose(&files)
}

/// The subgraphs of a ready-made supergraph.
fn supergraph(spec: &Spec) -> Result<Vec<SubgraphFile>, compose::Diagnostics> {
    let Some(block) = spec.supergraph() else {
        return Ok(Vec::new());
    };
    compose::join::subgraphs(&SupergraphFile {
        file: block.name.clone(),
        sdl: block.text.clone(),
        ..SupergraphFile::default()
    })
}

async fn bind(spec: &Spec, config: &Config) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    if spec.block("operation").is_none() {
        return upstreams;
    }
    for subgraph in supergraph(spec).unwrap_or_default() {
        let down = config.sources.get(&subgraph.name).is_some_and(|it| it.down);
        upstreams.push(Upstream::bind(&subgraph.name, down).await);
    }
    for block in spec.subgraphs() {
        for source in sources_of(block, config) {
            let down = config.sources.get(source).is_some_and(|it| it.down);
            upstreams.push(Upstream::bind(source, down).await);
        }
    }
    upstreams
}

/// The sources of a file: itself, where it is served as a whole.
fn sources_of<'b>(block: &'b Block, config: &Config) -> Vec<&'b str> {
    match is_served(block, config) {
        true => vec![subgraph_name(block)],
        false => source_names(&block.text),
    }
}

fn is_served(block: &Block, config: &Config) -> bool {
    config.served.iter().any(|it| it == subgraph_name(block))
}

fn subgraph_name(block: &Block) -> &str {
    block.name.trim_end_matches(".graphql")
}

/// The names that the `@source`s of a file declare.
fn source_names(sdl: &str) -> Vec<&str> {
    let declarations = sdl.split("@source(").skip(1);
    let name = |text: &'_ str| -> Option<(usize, usize)> {
        let after = text.find("name:")? + "name:".len();
        let from = after + text[after..].find('"')? + 1;
        Some((from, from + text[from..].find('"')?))
    };
    declarations
        .filter_map(|text| name(text).map(|(from, to)| &text[from..to]))
        .collect()
}

fn files(spec: &Spec, config: &Config, upstreams: &[Upstream]) -> SchemaFiles {
    let subgraph = |block: &Block| SubgraphFile {
        name: subgraph_name(block).to_owned(),
        file: block.name.clone(),
        sdl: block.text.clone(),
        env: environment(&block.text, config, upstreams),
        sources: overrides(&block.text, config, upstreams),
        url: is_served(block, config).then(|| address_of(subgraph_name(block), upstreams)),
        ..SubgraphFile::default()
    };
    let document = |block: &Block| (block.name.clone(), block.text.clone().into_bytes());
    SchemaFiles {
        subgraphs: spec.subgraphs().map(subgraph).collect(),
        files: spec.files().map(document).collect(),
        config: config.config.clone(),
        request_timeout: Some(Duration::from_secs(30)),
        ..SchemaFiles::default()
    }
}

/// Of a subgraph's own service; any where none is bound, since nothing is asked.
fn address_of(subgraph: &str, upstreams: &[Upstream]) -> String {
    let bound = upstreams.iter().find(|it| it.source == subgraph);
    bound.map_or_else(|| format!("http://{subgraph}"), Upstream::url)
}

/// `USERS_URL` is the address of the source `users`, for files that ask for it.
fn environment(
    sdl: &str,
    config: &Config,
    upstreams: &[Upstream],
) -> BTreeMap<String, Option<String>> {
    let address = |it: &Upstream| (variable(&it.source), Some(it.url()));
    let own = upstreams
        .iter()
        .map(address)
        .filter(|(name, _)| sdl.contains(&format!("$env.{name}")));
    own.chain(config.env.clone()).collect()
}

/// Elsewhere the server takes the place of the address that the file names.
fn overrides(
    sdl: &str,
    config: &Config,
    upstreams: &[Upstream],
) -> BTreeMap<String, SourceOverride> {
    let names = source_names(sdl);
    let own = upstreams
        .iter()
        .filter(|it| names.contains(&it.source.as_str()));
    own.map(|it| {
        let named = sdl.contains(&format!("$env.{}", variable(&it.source)));
        let timeout = config.sources.get(&it.source).and_then(|it| it.timeout);
        let source = SourceOverride {
            url: (!named).then(|| it.url()),
            timeout: timeout.map(Duration::from_millis),
            min_deadline: None,
        };
        (it.source.clone(), source)
    })
    .collect()
}

fn variable(source: &str) -> String {
    format!("{}_URL", source.to_uppercase().replace('-', "_"))
}

/// Compares diagnostics and the API; a graph that does not compose where it should is a problem.
fn check_composition(
    composed: Result<Supergraph, compose::Diagnostics>,
    spec: &Spec,
    report: &mut Report<'_>,
) -> Option<Arc<Supergraph>> {
    match composed {
        Ok(supergraph) => {
            report.compare("diagnostics", &supergraph.warnings().to_string());
            report.compare("api", &supergraph.api().to_string());
            Some(Arc::new(supergraph))
        }
        Err(diagnostics) if spec.block("diagnostics").is_some() => {
            report.compare("diagnostics", &diagnostics.to_string());
            None
        }
        Err(diagnostics) => {
            report.problem(format!("the files do not compose:\n{diagnostics}"));
            None
        }
    }
}

fn serve(
    upstreams: Vec<Upstream>,
    supergraph: &Supergraph,
    spec: &Spec,
    log: &Arc<Log>,
) -> Vec<Arc<Script>> {
    let barriers = Arc::new(Barriers::default());
    let all = upstreams.into_iter().filter_map(|upstream| {
        let mut sources = supergraph.sources().iter();
        let source = sources.find(|source| source.name == upstream.source)?;
        Some(upstream.serve(source, spec, log, &barriers))
    });
    all.collect()
}

/// The playground's list of calls is what the services saw; a source's base path is left out of it.
fn check_call_log(recorded: &[CallRecord], seen: &[String], report: &mut Report<'_>) {
    let sent = recorded
        .iter()
        .filter(|call| !call.coalesced && !call.status.eq_ignore_ascii_case("unreachable"));
    let mut sent: Vec<Vec<&str>> = sent.map(words_of_record).collect();
    let mut seen: Vec<Vec<&str>> = seen.iter().map(|call| words_of_call(call)).collect();
    sent.sort();
    seen.sort();
    let alike = |(sent, seen): (&Vec<&str>, &Vec<&str>)| {
        let (target, start) = sent.split_last().expect("a call has a target");
        seen.starts_with(start) && seen.last().is_some_and(|it| it.ends_with(target))
    };
    if sent.len() != seen.len() || !sent.iter().zip(&seen).all(alike) {
        report.problem(format!(
            "the gateway's own list of calls is {sent:?}\nand the services saw {seen:?}"
        ));
    }
}

fn words_of_record(call: &CallRecord) -> Vec<&str> {
    match call.method.as_str() {
        "gRPC" => vec![&call.source, &call.target],
        // The operation's kind and name, which its text begins with.
        "GraphQL" => std::iter::once(&*call.source)
            .chain(call.target.split(' '))
            .collect(),
        method => vec![&call.source, method, &call.target],
    }
}

/// Without the body.
fn words_of_call(call: &str) -> Vec<&str> {
    let words = call.split(' ');
    let is_grpc = words.clone().nth(1).is_some_and(|word| word.contains('/'));
    let words = words.take(if is_grpc { 2 } else { 3 });
    words
        .map(|word| word.split('(').next().unwrap_or(word))
        // Of several operations in one, the first is the call, and the others came along.
        .map(|word| word.split("__").next().unwrap_or(word))
        .collect()
}

/// No service's address may reach a client.
fn check_secrets(addresses: &[String], report: &mut Report<'_>) {
    for address in addresses {
        if report.showed(address) {
            report.problem(format!("the response tells the address {address}"));
        }
    }
}

/// A graph and its sources.
pub(crate) struct Gateway<'c> {
    supergraph: Arc<Supergraph>,
    sources: Box<dyn Sources>,
    config: &'c Config,
}

impl<'c> Gateway<'c> {
    pub(crate) fn connect(supergraph: Arc<Supergraph>, config: &'c Config) -> Self {
        let sources = sources::connect(&supergraph, &config.sources(), None)
            .unwrap_or_else(|bad| panic!("the sources cannot be set up: {bad}"));
        Self {
            supergraph,
            sources: Box::new(sources),
            config,
        }
    }

    /// Runs the operation, compares plan and response, and returns the calls that the gateway says it made.
    pub(crate) async fn operation<'s>(
        &self,
        operation: &Block,
        spec: &'s Spec,
        report: &mut Report<'s>,
    ) -> Vec<CallRecord> {
        let plan = match self.plan(operation) {
            Ok(plan) => plan,
            Err(refusal) => {
                compare_response(refused(&refusal), spec, report);
                return Vec::new();
            }
        };
        report.compare("plan", &plan.to_string());
        let outbox = Arc::new(WrittenDown::default());
        let context = self.context(spec, outbox.clone());
        let variables = match plan.coerce(&object(spec, "variables")) {
            Ok(variables) => variables,
            Err(refusal) => {
                compare_response(refused(&refusal), spec, report);
                return Vec::new();
            }
        };
        let judged = self.judge(&plan, variables, &context.claims, report);
        let variables = match judged {
            Ok(variables) => variables,
            Err(refusal) => {
                compare_response(refused(&refusal), spec, report);
                return Vec::new();
            }
        };
        if plan.is_subscription() {
            return self.events(&plan, &variables, spec, report).await;
        }
        let mut recorded = Vec::new();
        let mut body = Vec::new();
        for _ in 0..self.config.times.unwrap_or(1) {
            let context = self.context(spec, outbox.clone());
            let response = execute::execute(&plan, &variables, &*self.sources, &context).await;
            body = response.finish(None);
            recorded.extend(context.calls.into_iter().flat_map(|log| log.take()));
        }
        report.compare("queued", &outbox.text());
        let response = serde_json::from_slice(&body).unwrap_or_else(|bad| {
            panic!(
                "the response is no JSON: {bad}\n{}",
                String::from_utf8_lossy(&body)
            )
        });
        compare_response(response, spec, report);
        recorded
    }

    /// The same for a subscription: a list of responses, one for each event.
    async fn events<'s>(
        &self,
        plan: &Plan,
        variables: &Variables,
        spec: &'s Spec,
        report: &mut Report<'s>,
    ) -> Vec<CallRecord> {
        let outbox = Arc::new(WrittenDown::default());
        let began = self.context(spec, outbox.clone());
        let sources = &*self.sources;
        let events = execute::subscribe(plan, variables, sources, &began);
        let mut events = events.expect("a spec's caller may subscribe");
        let mut recorded = Vec::new();
        let mut responses = Vec::new();
        while let Some(event) = events.next().await {
            let context = self.context(spec, outbox.clone());
            let response = match event {
                Ok(event) => {
                    let answer = execute::answer(event, plan, variables, sources, &context);
                    answer.await.respond()
                }
                Err(error) => execute::failed(plan, &error, &began.correlation_id),
            };
            let json = serde_json::from_slice(&response.finish(None));
            let mut json: Json = json.expect("a response is JSON");
            take_correlation_ids(&mut json, report);
            responses.push(json);
            recorded.extend(context.calls.into_iter().flat_map(|log| log.take()));
        }
        drop(events);
        recorded.extend(began.calls.into_iter().flat_map(|log| log.take()));
        compare_response(Json::Array(responses), spec, report);
        recorded
    }

    fn plan(&self, operation: &Block) -> Result<Plan, Refusal> {
        let schema: &Valid<Schema> = self.supergraph.api();
        let limits = self.config.document_limits();
        let document = Document::parse(schema, &operation.text, &limits)?;
        plan::plan(
            &self.supergraph,
            &document,
            operation.argument.as_deref(),
            &limits,
        )
    }

    /// Decides what the plan demands of the caller, as the server does.
    fn judge(
        &self,
        plan: &Plan,
        variables: Variables,
        claims: &Json,
        report: &mut Report<'_>,
    ) -> Result<Variables, Refusal> {
        let decided = &self.config.authorization;
        let mut judgement = plan.judge(variables, &Claims(claims));
        let asked: String = judgement
            .policies()
            .iter()
            .map(|it| format!("{it}\n"))
            .collect();
        report.compare("policies", &asked);
        let holds = |policy: &str| decided.policies.iter().any(|it| it == policy);
        judgement.decide(match decided.undecided {
            true => None,
            false => Some(&holds),
        });
        match judgement.refusal().filter(|_| decided.refuse) {
            Some(refusal) => Err(refusal),
            None => Ok(judgement.into_variables()),
        }
    }

    fn context(&self, spec: &Spec, outbox: Arc<dyn Outbox>) -> Context {
        let now = Instant::now().into_std();
        Context {
            correlation_id: Arc::from(CORRELATION_ID),
            trace: TraceContext::default(),
            deadline: now + Duration::from_millis(self.config.deadline.unwrap_or(20_000)),
            headers: headers(&object(spec, "headers")),
            claims: spec
                .block("claims")
                .map_or(Json::Null, |_| Json::Object(object(spec, "claims")))
                .into(),
            epoch: 0,
            merge_reads: true,
            rehearsal: None,
            calls: Some(CallLog::new(now)),
            caching: Some(Caching::default()),
            principal: None,
            stale: Default::default(),
            calls_left: Default::default(),
            propagated: Default::default(),
            outbox: Some(outbox),
            effects: None,
        }
    }
}

/// The caller of a spec: whoever has claims is authenticated.
struct Claims<'c>(&'c Json);

impl Asker for Claims<'_> {
    fn is_authenticated(&self) -> bool {
        !self.0.is_null()
    }

    fn has_scope(&self, scope: &str) -> bool {
        let scopes = self.0["scope"].as_str().unwrap_or_default();
        scopes.split(' ').any(|it| it == scope)
    }
}

fn object(spec: &Spec, name: &str) -> Map<String, Json> {
    match spec.text(name) {
        "" => Map::new(),
        text => serde_json::from_str(text).unwrap_or_else(|bad| panic!("json {name}: {bad}")),
    }
}

fn headers(values: &Map<String, Json>) -> http::HeaderMap {
    let header = |(name, value): (&String, &Json)| {
        let name = http::HeaderName::try_from(name).expect("a header's name");
        let value = value
            .as_str()
            .and_then(|it| http::HeaderValue::from_str(it).ok());
        (name, value.expect("a header's value"))
    };
    values.iter().map(header).collect()
}

/// An operation that is refused has errors and no data.
fn refused(refusal: &Refusal) -> Json {
    let error = |error: &plan::RequestError| {
        let place = |(line, column): &(usize, usize)| json!({ "line": line, "column": column });
        let mut out = json!({ "message": error.message });
        if !error.locations.is_empty() {
            out["locations"] = error.locations.iter().map(place).collect();
        }
        out["extensions"] = json!({ "code": refusal.code.as_str() });
        out
    };
    json!({ "errors": refusal.errors.iter().map(error).collect::<Vec<_>>() })
}

/// Compares the response; with a place (`response /data/user`) only what is there, and then no error may be.
fn compare_response<'s>(mut response: Json, spec: &'s Spec, report: &mut Report<'s>) {
    report.saw(response.to_string());
    take_correlation_ids(&mut response, report);
    for block in spec.all("response") {
        match &block.argument {
            None => report.compare_json(block, &response),
            Some(place) => {
                let part = response.pointer(place).unwrap_or(&Json::Null);
                report.compare_json(block, part);
                if let Some(errors) = response.get("errors") {
                    report.problem(format!("there are errors: {}", pretty(errors)));
                }
            }
        }
    }
}

/// Every error of a run carries the request's id; the specs leave it out.
fn take_correlation_ids(response: &mut Json, report: &mut Report<'_>) {
    let errors = response.get_mut("errors").and_then(Json::as_array_mut);
    let is_run = |error: &&mut Json| error.get("path").is_some();
    for error in errors.into_iter().flatten().filter(is_run) {
        let extensions = error["extensions"]
            .as_object_mut()
            .expect("an error has extensions");
        let id = extensions.shift_remove("correlationId");
        if id != Some(CORRELATION_ID.into()) {
            report.problem(format!("the error's correlation id is {id:?}"));
        }
    }
}
