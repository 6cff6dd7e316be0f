//! Sending spans, beside all requests.
//!
//! Owns how many go together, how often sending is tried, and what is counted
//! when it fails. The queue in front of it is bounded: while a collector is
//! away, newer spans are dropped.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use prost::Message as _;
use sources::outbound::Outbound;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::TraceSettings;
use super::otlp::Attribute;
use super::otlp::Request;
use super::otlp::Resource;
use super::otlp::ResourceSpans;
use super::otlp::Response;
use super::otlp::Scope;
use super::otlp::ScopeSpans;
use super::otlp::Span;
use super::spans::Trace;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::Unsent;

/// Spans that go together at most, and then a whole trace beyond.
const MANY: usize = 512;
/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// Time for one attempt.
const PATIENCE: Duration = Duration::from_secs(10);
/// Waits between attempts.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// What the task is asked for.
pub(super) enum Job {
    Send(Box<Trace>),
    /// Send what is there, say so, and end.
    Finish(oneshot::Sender<()>),
}

/// Sends to one collector.
pub(super) struct Exporter {
    collector: Outbound,
    headers: HeaderMap,
    resource: Resource,
    metrics: Arc<Metrics>,
    /// Whether the last attempt failed: only a change is logged.
    failing: bool,
}

impl Exporter {
    /// # Errors
    /// Where a header cannot be sent.
    pub(super) fn new(
        collector: Outbound,
        settings: &TraceSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let header = |(name, value): &(String, sources::Secret)| {
            let header = HeaderName::try_from(name.as_str()).ok();
            let value = HeaderValue::try_from(value.reveal()).ok();
            let both = header.zip(value.map(sensitive));
            both.ok_or_else(|| format!("the header `{name}` cannot be sent"))
        };
        Ok(Self {
            collector,
            headers: settings
                .headers
                .iter()
                .map(header)
                .collect::<Result<_, _>>()?,
            resource: resource(settings),
            metrics,
            failing: false,
        })
    }

    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            let (mut spans, mut finish) = (Vec::new(), None);
            gather(job, &mut jobs, &mut spans, &mut finish).await;
            if !spans.is_empty() {
                self.send(spans).await;
            }
            if let Some(done) = finish {
                // Who waited may have given up.
                let _ = done.send(());
                return;
            }
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        let number = spans.len();
        let body = self.request(spans).encode_to_vec();
        match self.deliver(body.into()).await {
            Ok(rejected) => {
                let rejected = rejected.min(number);
                self.metrics.spans_sent(number - rejected);
                self.metrics.spans_dropped(Unsent::Rejected, rejected);
                self.tell(None);
            }
            Err(why) => {
                self.metrics.spans_dropped(Unsent::Failed, number);
                self.tell(Some(&why));
            }
        }
    }

    /// How many of them the collector has not taken, where it has answered.
    async fn deliver(&self, body: bytes::Bytes) -> Result<usize, String> {
        let mut waits = AGAIN.into_iter();
        loop {
            let deadline = Instant::now() + PATIENCE;
            let media = "application/x-protobuf";
            let headers = self.headers.clone();
            let sent = self.collector.post(body.clone(), media, headers, deadline);
            let why = match sent.await {
                Ok((200..300, answer)) => return Ok(rejected(&answer)),
                // What OTLP says may be sent again.
                Ok((status @ (429 | 502 | 503 | 504), _)) => format!("status {status}"),
                Ok((status, _)) => return Err(format!("status {status}")),
                Err(error) => error.to_string(),
            };
            match waits.next() {
                Some(wait) => tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await,
                None => return Err(why),
            }
        }
    }

    fn request(&self, spans: Vec<Span>) -> Request {
        let scope = Scope {
            name: "switchboard".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Request {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans,
                }],
            }],
        }
    }

    fn tell(&mut self, failed: Option<&str>) {
        match failed {
            Some(why) if !self.failing => tracing::warn!(
                collector = self.collector.url(),
                why,
                "spans cannot be sent, and are dropped until that is over"
            ),
            None if self.failing => tracing::info!("spans are sent again"),
            _ => {}
        }
        self.failing = failed.is_some();
    }
}

/// This one and those that come soon after it.
async fn gather(
    first: Job,
    jobs: &mut mpsc::Receiver<Job>,
    spans: &mut Vec<Span>,
    finish: &mut Option<oneshot::Sender<()>>,
) {
    let until = Instant::now() + GATHER;
    let mut next = Some(first);
    while let Some(job) = next {
        match job {
            Job::Send(trace) => trace.into_spans(spans),
            Job::Finish(done) => {
                *finish = Some(done);
                return;
            }
        }
        if spans.len() >= MANY {
            return;
        }
        next = tokio::time::timeout_at(until, jobs.recv())
            .await
            .ok()
            .flatten();
    }
}

fn rejected(answer: &[u8]) -> usize {
    // What is no answer of OTLP rejects nothing.
    let partial = Response::decode(answer).ok();
    let partial = partial.and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| {
        usize::try_from(partial.rejected_spans).unwrap_or(0)
    })
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn resource(settings: &TraceSettings) -> Resource {
    let mut attributes = vec![
        Attribute::new("service.name", &*settings.service),
        Attribute::new("service.version", env!("CARGO_PKG_VERSION")),
        Attribute::new("service.instance.id", Uuid::now_v7().to_string()),
        Attribute::new("telemetry.sdk.name", "switchboard"),
        Attribute::new("telemetry.sdk.language", "rust"),
    ];
    let own = settings.attributes.iter();
    attributes.extend(own.map(|(key, value)| Attribute::new(key, &**value)));
    Resource { attributes }
}
