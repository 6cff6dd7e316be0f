//! Log lines, on standard error.
//!
//! Owns their form: for people on a terminal, one JSON object a line
//! otherwise. Every line that is written on behalf of a request carries its
//! ids. They travel with the task, not in a span: a span is filled in for each
//! request, and nearly all requests write no line.

use std::future::Future;
use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::Either;
use tracing::Event;
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

use crate::config::Log;
use crate::config::LogFormat;

/// The ids on the lines of one request.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    pub(crate) correlation_id: Arc<str>,
    pub(crate) request_id: Uuid,
}

tokio::task_local! {
    static LABELS: Labels;
}

/// Whatever `work` logs carries these ids.
pub(crate) fn on_behalf<F: Future>(labels: Labels, work: F) -> impl Future<Output = F::Output> {
    LABELS.scope(labels, work)
}

/// Whatever `work` logs carries the ids of the task that calls this, also in a task of its own.
pub(crate) fn on_same_behalf<F: Future>(work: F) -> impl Future<Output = F::Output> {
    match LABELS.try_with(Labels::clone) {
        Ok(labels) => Either::Left(on_behalf(labels, work)),
        Err(_) => Either::Right(work),
    }
}

/// Sets the process's log up, once.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter: Targets = log
        .level
        .parse()
        .with_context(|| format!("log.level: `{}` is no level", log.level))?;
    // What operators did is written whatever the level.
    let filter = filter.with_target("audit", tracing::Level::INFO);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = match pretty {
        true => lines
            .event_format(Labelled {
                format: fmt::format().with_target(false).with_ansi(terminal),
                label: label_text,
            })
            .with_filter(filter)
            .boxed(),
        false => lines
            .fmt_fields(JsonFields::new())
            .event_format(Labelled {
                format: fmt::format().json().flatten_event(true),
                label: label_json,
            })
            .with_filter(filter)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .try_init()
        .context("the log cannot be started")
}

/// A format whose lines carry the ids of the request on whose behalf they are written.
struct Labelled<F> {
    format: F,
    /// Adds the ids to a line that has been formatted.
    label: fn(Writer<'_>, &str, &Labels) -> std::fmt::Result,
}

impl<S, N, F> FormatEvent<S, N> for Labelled<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let Ok(labels) = LABELS.try_with(Labels::clone) else {
            return self.format.format_event(context, writer, event);
        };
        let mut line = String::new();
        let into = Writer::new(&mut line);
        self.format.format_event(context, into, event)?;
        (self.label)(writer, line.trim_end(), &labels)
    }
}

fn label_text(mut writer: Writer<'_>, line: &str, labels: &Labels) -> std::fmt::Result {
    write!(writer, "{line}")?;
    if !line.contains(" correlation_id=") {
        write!(writer, " correlation_id={}", labels.correlation_id)?;
    }
    writeln!(writer, " request_id={}", labels.request_id)
}

/// Both ids hold no character that JSON escapes. A room that names the correlation id itself is not repeated.
fn label_json(mut writer: Writer<'_>, line: &str, labels: &Labels) -> std::fmt::Result {
    write!(writer, "{}", line.strip_suffix('}').unwrap_or(line))?;
    if !line.contains(",\"correlation_id\":") {
        write!(writer, ",\"correlation_id\":\"{}\"", labels.correlation_id)?;
    }
    writeln!(writer, ",\"request_id\":\"{}\"}}", labels.request_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing::instrument::WithSubscriber as _;

    /// What a JSON log writes while `work` runs.
    async fn logged<F: Future>(work: F) -> Vec<serde_json::Value> {
        let lines: Arc<Mutex<Vec<u8>>> = Arc::default();
        let writer = lines.clone();
        let layer = fmt::layer()
            .with_writer(move || Lines(writer.clone()))
            .fmt_fields(JsonFields::new())
            .event_format(Labelled {
                format: fmt::format().json().flatten_event(true),
                label: label_json,
            });
        let subscriber = tracing_subscriber::registry().with(layer);
        work.with_subscriber(subscriber).await;
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let parse = |line: &str| {
            assert!(line.matches("\"correlation_id\"").count() <= 1, "{line}");
            serde_json::from_str(line).unwrap()
        };
        text.lines().map(parse).collect()
    }

    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn labels(correlation_id: &str) -> Labels {
        Labels {
            correlation_id: correlation_id.into(),
            request_id: Uuid::from_u128(7),
        }
    }

    #[tokio::test]
    async fn every_line_of_a_request_carries_its_ids_also_from_another_task() {
        let request = on_behalf(labels("checkout-1"), async {
            tracing::warn!(
                source = "users",
                correlation_id = "checkout-1",
                "a call failed"
            );
            let later = on_same_behalf(async { tracing::warn!("later") });
            tokio::spawn(later.with_current_subscriber()).await.unwrap();
        });
        let lines = logged(async {
            request.await;
            tracing::warn!("nobody's");
        });
        let lines = lines.await;
        let ids: Vec<_> = lines
            .iter()
            .map(|line| line["correlation_id"].as_str())
            .collect();
        assert_eq!(ids, [Some("checkout-1"), Some("checkout-1"), None]);
        assert_eq!(lines[0]["message"], "a call failed");
        assert_eq!(lines[0]["source"], "users");
        assert_eq!(lines[0]["request_id"], Uuid::from_u128(7).to_string());
    }
}
