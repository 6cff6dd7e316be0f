//! Numbers of what outlives a request: sockets, and subscriptions over any transport.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::Counter;
use super::Metrics;
use super::text::Text;

/// What is open now, and what there was.
#[derive(Default)]
pub(crate) struct Live {
    sockets: AtomicUsize,
    subscriptions: AtomicUsize,
    begun: Counter,
    refused: Counter,
    /// Events that were answered.
    pub(crate) events: Counter,
}

/// A socket; no longer open once it is dropped.
pub(crate) struct OpenSocket(Arc<Metrics>);

/// A subscription; no longer open once it is dropped.
pub(crate) struct OpenSubscription(Arc<Metrics>);

impl OpenSocket {
    pub(crate) fn begin(metrics: &Arc<Metrics>) -> Self {
        metrics.live.sockets.fetch_add(1, Relaxed);
        Self(metrics.clone())
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.live.sockets.fetch_sub(1, Relaxed);
    }
}

impl OpenSubscription {
    /// None where so many are open already.
    pub(crate) fn begin(metrics: &Arc<Metrics>, most: usize) -> Option<Self> {
        let live = &metrics.live;
        let one_more = |open| (open < most).then_some(open + 1);
        let opened = live.subscriptions.fetch_update(Relaxed, Relaxed, one_more);
        match opened {
            Ok(_) => live.begun.count(),
            Err(_) => live.refused.count(),
        }
        opened.ok().map(|_| Self(metrics.clone()))
    }
}

impl Drop for OpenSubscription {
    fn drop(&mut self) {
        self.0.live.subscriptions.fetch_sub(1, Relaxed);
    }
}

impl Live {
    pub(super) fn write(&self, text: &mut Text) {
        text.gauge("switchboard_sockets_open", "WebSockets that are open.")
            .only(self.sockets.load(Relaxed));
        text.gauge(
            "switchboard_subscriptions_open",
            "Subscriptions that are open, over WebSocket or server-sent events.",
        )
        .only(self.subscriptions.load(Relaxed));
        text.counter(
            "switchboard_subscriptions_total",
            "Subscriptions that have begun.",
        )
        .only(self.begun.get());
        text.counter(
            "switchboard_subscriptions_refused_total",
            "Subscriptions for which there was no room.",
        )
        .only(self.refused.get());
        text.counter(
            "switchboard_subscription_events_total",
            "Events that were answered.",
        )
        .only(self.events.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetricsSettings;

    #[test]
    fn there_is_room_for_so_many_subscriptions_and_again_when_one_ends() {
        let metrics = Metrics::new(&MetricsSettings::default());
        let first = OpenSubscription::begin(&metrics, 1);
        assert!(first.is_some());
        assert!(OpenSubscription::begin(&metrics, 1).is_none());
        drop(first);
        assert!(OpenSubscription::begin(&metrics, 1).is_some());
        assert_eq!(metrics.live.begun.get(), 2);
        assert_eq!(metrics.live.refused.get(), 1);
    }
}
