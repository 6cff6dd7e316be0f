//! GraphQL over server-sent events, one connection for each operation:
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode>.
//!
//! Owns the form of the stream, and when it ends. What an operation is refused
//! for is told in the stream; who may not ask at all, or asks too often, is
//! answered as anywhere else. Ends without `complete` where the client had
//! better come back.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header::CACHE_CONTROL;
use http::header::CONTENT_TYPE;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;
use tokio::time::interval_at;

use super::super::Request;
use super::super::body;
use super::super::connections::Lasting;
use super::super::csrf;
use super::super::graphql;
use super::super::negotiate::ContentType;
use super::super::problem::Problem;
use super::Answer;
use super::Opening;
use super::client::Client;
use super::operation::Asked;
use super::operation::Operation;
use super::operation::Told;
use super::socket::RECHECK;
use crate::config::OnReload;
use crate::pipeline::Carries;
use crate::refusal;

const HEARTBEAT: &[u8] = b":\n\n";
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers one operation with a stream.
pub(super) async fn open(opening: Opening<'_>, request: Request) -> Result<Answer, Problem> {
    let Opening { arrival, stays, .. } = opening;
    let graph = arrival.gateway.graph.load_full();
    let settings = &graph.settings;
    let (head, body) = request.into_parts();
    let content = ContentType::of(&head.headers);
    let mutations = match head.method {
        Method::POST if content != ContentType::Json => return Err(graphql::unsupported()),
        Method::GET if content == ContentType::Other => return Err(graphql::unsupported()),
        Method::POST => true,
        Method::GET => false,
        _ => {
            let detail = "GraphQL is served to GET and POST.";
            return Err(Problem::method_not_allowed("GET, POST", detail));
        }
    };
    csrf::check(&head.headers, content)?;
    let address = settings.client_address.of(arrival.peer, &head.headers);
    let client = Arc::new(Client::new(arrival, address, head.headers));
    let deadline = arrival.received + graphql::granted(settings).time(&client.headers);
    // Nothing is read for those who are refused.
    let principal = client.principal(&graph, deadline).await?;
    let asked = match mutations {
        true => {
            let whole = deadline.min(Instant::now() + settings.http.body_time);
            match body::read(body, settings.http.body, whole).await {
                Ok(body) => Asked::Body(body),
                Err(problem) => {
                    let charged = graphql::charged(&graph, &principal, address, deadline, problem);
                    return Err(charged.await);
                }
            }
        }
        false => Asked::Query(head.uri.query().unwrap_or("").to_owned()),
    };
    let operation = Operation {
        client: client.clone(),
        asked,
        carries: Carries {
            mutations,
            subscriptions: true,
        },
        ids: arrival.ids.clone(),
    };
    let keep_alive = settings.subscriptions.keep_alive;
    let mut told = operation.begin(settings.subscriptions.buffer);
    let first = match told.recv().await {
        Some(Told::Problem(problem, _)) => return Err(*problem),
        first => first,
    };
    let stream = Stream {
        first: Some(first),
        told,
        beat: every(keep_alive),
        recheck: every(RECHECK),
        replaced: client.gateway.replacements(),
        on_reload: settings.subscriptions.on_reload,
        lasting: stays.begin(),
        correlation_id: arrival.ids.correlation.clone(),
        client,
        over: false,
    };
    Ok(streamed(stream))
}

fn every(period: std::time::Duration) -> Interval {
    let mut every = interval_at(Instant::now() + period, period);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

fn streamed(stream: Stream) -> Answer {
    let frames = stream::unfold(stream, |mut stream| async {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(text)), stream))
    });
    let mut answer = Answer::new(Body::new(StreamBody::new(frames)));
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Proxies that would wait for more pass it on at once.
        (X_ACCEL_BUFFERING, "no"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// A stream that is under way.
struct Stream {
    /// What came before the stream began.
    first: Option<Option<Told>>,
    told: mpsc::Receiver<Told>,
    beat: Interval,
    recheck: Interval,
    replaced: watch::Receiver<()>,
    on_reload: OnReload,
    lasting: Lasting,
    client: Arc<Client>,
    correlation_id: Arc<str>,
    over: bool,
}

impl Stream {
    /// The next text; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(self.tell(first));
        }
        loop {
            tokio::select! {
                biased;
                () = self.lasting.told_to_end() => return None,
                _ = self.replaced.changed(), if self.on_reload == OnReload::End => return None,
                _ = self.recheck.tick() => {
                    if self.client.is_denied().await {
                        return Some(self.tell(Some(Told::Failed(self.denied()))));
                    }
                }
                told = self.told.recv() => return Some(self.tell(told)),
                _ = self.beat.tick() => return Some(Bytes::from_static(HEARTBEAT)),
            }
        }
    }

    fn tell(&mut self, told: Option<Told>) -> Bytes {
        match told {
            // Something comes at once, so that whoever waits for the head of the answer has it.
            Some(Told::Begun) => Bytes::from_static(HEARTBEAT),
            Some(Told::Next(body)) => next(&body).into(),
            Some(Told::Failed(body)) => self.last(next(&body)),
            Some(Told::Problem(problem, _)) => {
                let body = problem.into_graphql(&self.correlation_id);
                self.last(next(&body))
            }
            None => self.last(Vec::new()),
        }
    }

    fn last(&mut self, mut text: Vec<u8>) -> Bytes {
        self.over = true;
        text.extend_from_slice(COMPLETE);
        text.into()
    }

    fn denied(&self) -> Bytes {
        let message = "The credentials are good no longer.";
        let refusal = plan::Refusal::new(plan::code::Code::Unauthenticated, message);
        refusal::body(&refusal, &self.correlation_id)
    }
}

/// One event. A line break within it begins another line of its data.
fn next(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len() + 32);
    text.extend_from_slice(b"event: next\ndata: ");
    let mut lines = body.split(|byte| matches!(byte, b'\n' | b'\r'));
    text.extend_from_slice(lines.next().unwrap_or_default());
    for line in lines {
        text.extend_from_slice(b"\ndata: ");
        text.extend_from_slice(line);
    }
    text.extend_from_slice(b"\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_name_its_data_and_an_empty_line() {
        let text = |body: &str| String::from_utf8(next(body.as_bytes())).unwrap();
        assert_eq!(text("{}"), "event: next\ndata: {}\n\n");
        assert_eq!(text("{\n}"), "event: next\ndata: {\ndata: }\n\n");
    }
}
