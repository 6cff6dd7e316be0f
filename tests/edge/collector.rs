//! A collector of traces, as OpenTelemetry has it: what it receives is read
//! with the protocol's own types.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::sync::mpsc;

/// A running collector.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: mpsc::UnboundedReceiver<Received>,
}

/// What came with one request.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) spans: Vec<Seen>,
}

/// A span, as a test reads it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    /// 1 internal, 2 server, 3 client.
    pub(crate) kind: i32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The message of a failed one.
    pub(crate) error: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let (tell, received) = mpsc::unbounded_channel();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .with_state(tell);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, received }
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Received {
        let next = tokio::time::timeout(super::PATIENCE, self.received.recv());
        next.await.expect("spans in time").expect("it runs")
    }

    /// Whether nothing has come.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

impl Received {
    pub(crate) fn named(&self, name: &str) -> &Seen {
        let span = self.spans.iter().find(|span| span.name == name);
        span.unwrap_or_else(|| panic!("no `{name}` among {:#?}", self.spans))
    }
}

impl Seen {
    pub(crate) fn says(&self, key: &str) -> &str {
        let value = self.attributes.get(key);
        value.unwrap_or_else(|| panic!("no {key} in {self:#?}"))
    }
}

async fn take(
    State(tell): State<mpsc::UnboundedSender<Received>>,
    headers: HeaderMap,
    body: Bytes,
) {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.expect("a resource");
        let scopes = of_resource.scope_spans.into_iter();
        drop(tell.send(Received {
            headers: headers.clone(),
            resource: attributes(&resource.attributes),
            spans: scopes.flat_map(|scope| scope.spans).map(seen).collect(),
        }));
    }
}

fn seen(span: Span) -> Seen {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let failed = span.status.filter(|status| status.code == 2);
    Seen {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        error: failed.map(|status| status.message),
        attributes: attributes(&span.attributes),
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        other => panic!("{other:?}"),
    };
    let pair = |pair: &KeyValue| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        (pair.key.clone(), text(value.expect("a value")))
    };
    pairs.iter().map(pair).collect()
}
