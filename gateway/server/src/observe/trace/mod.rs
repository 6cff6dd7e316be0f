//! Traces: spans of sampled requests, sent to a collector over OTLP.
//!
//! Owns which requests are sampled and the way from a request's end to the
//! queue of what is to be sent. Spans are made afterwards, beside the request,
//! from what was written down of it: there is no span while it runs. What
//! cannot be sent is dropped and counted; no request waits for it.

mod export;
mod otlp;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use plan::source::TraceContext;
use sources::Secret;
use sources::Tls;
use sources::outbound::Outbound;
use sources::outbound::OutboundSettings;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use self::export::Exporter;
use self::export::Job;
use self::spans::Trace;
use super::metrics::Metrics;
use super::metrics::Unsent;
use super::recording::Recording;
use super::seen::Ending;
use super::share::Share;

/// The sampled bit of trace flags.
const SAMPLED: u8 = 0x01;
/// Time in which what is queued is sent when the process ends.
const LAST: Duration = Duration::from_secs(5);

/// What the operator decides of traces.
#[derive(Debug, Clone)]
pub(crate) struct TraceSettings {
    /// Where a collector takes OTLP over HTTP.
    pub(crate) endpoint: String,
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) tls: Tls,
    /// Of requests that belong to no trace yet.
    pub(crate) share: Share,
    /// Whether a caller's own decision counts.
    pub(crate) parent: bool,
    pub(crate) service: String,
    /// What is said of this gateway beside its name.
    pub(crate) attributes: Vec<(String, String)>,
    /// Requests that wait to be sent.
    pub(crate) queue: usize,
}

/// Chooses requests and takes them.
pub(crate) struct Tracer {
    share: Share,
    parent: bool,
    queue: mpsc::Sender<Job>,
    metrics: Arc<Metrics>,
}

impl Tracer {
    /// Begins to send, on the runtime that this is called on.
    ///
    /// # Errors
    /// Where the collector's address or headers cannot be sent to.
    pub(crate) fn start(settings: TraceSettings, metrics: Arc<Metrics>) -> Result<Self, String> {
        let outbound = OutboundSettings {
            tls: settings.tls.clone(),
            ..OutboundSettings::default()
        };
        let collector =
            Outbound::new(&settings.endpoint, &outbound).map_err(|error| error.to_string())?;
        let (queue, jobs) = mpsc::channel(settings.queue.max(1));
        let exporter = Exporter::new(collector, &settings, metrics.clone())?;
        tokio::spawn(exporter.run(jobs));
        Ok(Self {
            share: settings.share,
            parent: settings.parent,
            queue,
            metrics,
        })
    }

    /// Whether a request becomes a trace. Its calls carry the decision on.
    pub(crate) fn samples(&self, trace: &mut TraceContext) -> bool {
        let began_elsewhere = trace.parent_id != [0; 8];
        let sampled = match began_elsewhere && self.parent {
            true => trace.flags & SAMPLED != 0,
            false => self.share.takes(&trace.trace_id),
        };
        match sampled {
            true => trace.flags |= SAMPLED,
            false => trace.flags &= !SAMPLED,
        }
        sampled
    }

    /// Takes what was written down of a request.
    pub(super) fn take(&self, ending: &Ending<'_>, recording: &Recording) {
        let trace = Trace::of(ending, recording);
        let spans = trace.spans();
        if self.queue.try_send(Job::Send(Box::new(trace))).is_err() {
            self.metrics.spans_dropped(Unsent::QueueFull, spans);
        }
    }

    /// Sends what is queued, for as long as that is worth waiting for.
    pub(crate) async fn finish(&self) {
        let (done, sent) = oneshot::channel();
        let finish = async {
            if self.queue.send(Job::Finish(done)).await.is_ok() {
                // Dropped unanswered only with the task itself.
                let _ = sent.await;
            }
        };
        if tokio::time::timeout(LAST, finish).await.is_err() {
            tracing::warn!("spans were still unsent when the time for that ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetricsSettings;

    fn tracer(ratio: f64, parent: bool) -> Tracer {
        Tracer {
            share: Share::of(ratio).unwrap(),
            parent,
            queue: mpsc::channel(1).0,
            metrics: Metrics::new(&MetricsSettings::default()),
        }
    }

    /// Whether a request is sampled, and whether its calls say so.
    fn sampled(tracer: &Tracer, parent: u8, flags: u8) -> (bool, bool) {
        let mut trace = TraceContext {
            trace_id: [7; 16],
            parent_id: [parent; 8],
            flags,
            state: None,
        };
        let sampled = tracer.samples(&mut trace);
        (sampled, trace.flags & SAMPLED != 0)
    }

    #[test]
    fn a_callers_decision_is_kept_to_and_told_on() {
        let (none, all) = (tracer(0.0, true), tracer(1.0, true));
        assert_eq!(sampled(&none, 9, 1), (true, true));
        assert_eq!(sampled(&all, 9, 0), (false, false));
    }

    #[test]
    fn the_share_decides_of_traces_that_begin_here_and_of_all_where_callers_do_not_count() {
        let both = [true, false];
        for parent in both {
            assert_eq!(sampled(&tracer(1.0, parent), 0, 2), (true, true));
            assert_eq!(sampled(&tracer(0.0, parent), 0, 2), (false, false));
        }
        assert_eq!(sampled(&tracer(0.0, false), 9, 1), (false, false));
        assert_eq!(sampled(&tracer(1.0, false), 9, 0), (true, true));
    }
}
