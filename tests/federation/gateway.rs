//! One gateway over a case's services, put together as the server does it: compose, connect, plan, execute.

use std::sync::Arc;
use std::time::Duration;

use compose::SchemaFiles;
use compose::Supergraph;
use plan::Document;
use plan::OperationLimits;
use plan::Plan;
use plan::Refusal;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Context;
use plan::source::Sources;
use plan::source::TraceContext;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::Instant;

const CORRELATION_ID: &str = "federation";

pub(crate) struct Gateway {
    pub(crate) graph: Arc<Supergraph>,
    sources: Box<dyn Sources>,
}

/// What came of one operation.
pub(crate) struct Ran {
    pub(crate) response: Json,
    pub(crate) calls: Vec<CallRecord>,
}

impl Gateway {
    pub(crate) fn connect(files: &SchemaFiles) -> Self {
        let graph = match compose::compose(files) {
            Ok(graph) => Arc::new(graph),
            Err(diagnostics) => panic!("the files do not compose:\n{diagnostics}"),
        };
        let config = sources::SourcesConfig::default();
        let sources = sources::connect(&graph, &config, None).expect("the sources can be set up");
        Self {
            graph,
            sources: Box::new(sources),
        }
    }

    pub(crate) fn plan(&self, operation: &str) -> Result<Plan, Refusal> {
        let limits = OperationLimits::off();
        let document = Document::parse(self.graph.api(), operation, &limits)?;
        plan::plan(&self.graph, &document, None, &limits)
    }

    pub(crate) async fn run(&self, plan: &Plan, variables: &Map<String, Json>) -> Ran {
        let variables = match plan.coerce(variables) {
            Ok(variables) => variables,
            Err(refusal) => {
                return Ran {
                    response: refused(&refusal),
                    calls: Vec::new(),
                };
            }
        };
        let context = context();
        let response = execute::execute(plan, &variables, &*self.sources, &context).await;
        let body = response.finish(None);
        let mut response: Json = serde_json::from_slice(&body)
            .unwrap_or_else(|bad| panic!("{bad}: {}", String::from_utf8_lossy(&body)));
        forget_correlation_ids(&mut response);
        Ran {
            response,
            calls: context.calls.into_iter().flat_map(|it| it.take()).collect(),
        }
    }
}

/// The response to an operation that does not run.
pub(crate) fn refused(refusal: &Refusal) -> Json {
    let errors = refusal
        .errors
        .iter()
        .map(|it| json!({ "message": it.message }));
    json!({ "errors": errors.collect::<Vec<_>>() })
}

fn forget_correlation_ids(response: &mut Json) {
    let errors = response.get_mut("errors").and_then(Json::as_array_mut);
    for error in errors.into_iter().flatten() {
        if let Some(extensions) = error["extensions"].as_object_mut() {
            extensions.shift_remove("correlationId");
        }
    }
}

fn context() -> Context {
    let now = Instant::now().into_std();
    Context {
        correlation_id: Arc::from(CORRELATION_ID),
        trace: TraceContext::default(),
        deadline: now + Duration::from_secs(60),
        headers: http::HeaderMap::new(),
        claims: Json::Null.into(),
        epoch: 0,
        merge_reads: true,
        rehearsal: None,
        calls: Some(CallLog::new(now)),
        caching: None,
        principal: None,
        stale: Default::default(),
        calls_left: Default::default(),
        propagated: Default::default(),
        outbox: None,
        effects: None,
    }
}
