//! One subscription, from its first event to its last.
//!
//! Owns answering events one after the other, each in its own time and with
//! what is true then, and how far ahead of its client that may go. Knows
//! nothing of how a client is told.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use execute::Response;
use futures_util::StreamExt as _;
use plan::Refusal;
use plan::code::Code;
use plan::propagated::Propagated;
use plan::source::CallLog;
use plan::source::Context;
use plan::source::Stale;
use plan::tape::Tape;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::Arc;
use super::Gateway;
use super::Work;
use crate::cache;
use crate::config::WhenFull;
use crate::faults::Faults;
use crate::observe::metrics::OpenSubscription;
use crate::observe::report;
use crate::refusal;

/// A subscription that may begin.
pub(crate) struct Subscription {
    gateway: Arc<Gateway>,
    work: Work,
    _open: OpenSubscription,
}

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The response to one event.
    Next(Bytes),
    /// A response with errors, after which nothing comes.
    Failed(Bytes),
}

/// What became of a subscription.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Events that were answered.
    pub(crate) events: u64,
    /// Why it ended, where it was not its client or its source that had enough.
    pub(crate) faults: Faults,
}

impl Subscription {
    pub(super) fn begin(gateway: Arc<Gateway>, work: Work) -> Result<Self, Refusal> {
        let most = work.graph.settings.subscriptions.open;
        let open = OpenSubscription::begin(&gateway.metrics, most);
        Ok(Self {
            _open: open.ok_or_else(|| too_many(most))?,
            gateway,
            work,
        })
    }

    /// Answers events until there are no more, or nobody listens.
    pub(crate) async fn run<T: From<Event>>(self, to: &mpsc::Sender<T>) -> Course {
        let mut course = Course::default();
        let failed = tokio::select! {
            biased;
            () = to.closed() => None,
            failed = self.tell(to, &mut course) => failed,
        };
        if let Some((body, faults)) = failed {
            course.faults = faults;
            // Whoever does not listen any more does not miss it.
            let _ = to.send(Event::Failed(body).into()).await;
        }
        course
    }

    /// What ended it, where that was an error.
    async fn tell<T: From<Event>>(
        &self,
        to: &mpsc::Sender<T>,
        course: &mut Course,
    ) -> Option<(Bytes, Faults)> {
        let Work {
            planned,
            variables,
            graph,
            context,
            ..
        } = &self.work;
        let (plan, sources) = (&planned.plan, graph.sources());
        let Some(mut events) = execute::subscribe(plan, variables, sources, context) else {
            // Nothing runs: the response says what is denied.
            let denied = execute::execute(plan, variables, sources, context).await;
            return Some(finished(denied));
        };
        while let Some(event) = events.next().await {
            let body = match event {
                Ok(event) => self.answer(event).await,
                Err(error) => {
                    let failed = execute::failed(plan, &error, &context.correlation_id);
                    return Some(finished(failed));
                }
            };
            course.events += 1;
            self.gateway.metrics.live.events.count();
            if !self.pass(body, to).await {
                drop(events);
                let refusal = too_slow();
                let body = refusal::body(&refusal, &context.correlation_id);
                return Some((body, refusal.code.into()));
            }
        }
        None
    }

    /// Hands a response over; false where the client is too slow for that.
    async fn pass<T: From<Event>>(&self, body: Bytes, to: &mpsc::Sender<T>) -> bool {
        let event = Event::Next(body).into();
        match self.work.graph.settings.subscriptions.when_full {
            // Whoever does not listen any more is noticed elsewhere.
            WhenFull::Wait => drop(to.send(event).await),
            WhenFull::End => return !matches!(to.try_send(event), Err(TrySendError::Full(_))),
        }
        true
    }

    async fn answer(&self, event: Tape) -> Bytes {
        let Work {
            planned,
            variables,
            graph,
            charge,
            wants,
            planning,
            ..
        } = &self.work;
        let context = self.context();
        let plan = &planned.plan;
        let arrived = execute::answer(event, plan, variables, graph.sources(), &context).await;
        let actual = charge.counts.then(|| arrived.cost());
        if let Err(refusal) = charge.settle(actual) {
            return refusal::body(&refusal, &context.correlation_id);
        }
        let report = report::report(*wants, plan, planning, &context, charge, actual);
        arrived.respond().finish(report.as_deref()).into()
    }

    /// That of one event: what its caller is stays, all that is counted or depends on the time is new.
    fn context(&self) -> Context {
        let Work { context, wants, .. } = &self.work;
        let now = Instant::now();
        let settings = &self.work.graph.settings;
        let alone = context.rehearsal.is_some();
        Context {
            correlation_id: context.correlation_id.clone(),
            trace: context.trace.clone(),
            deadline: (now + self.work.time).into_std(),
            headers: context.headers.clone(),
            claims: context.claims.clone(),
            epoch: self.gateway.epoch.load(Ordering::Acquire),
            merge_reads: context.merge_reads,
            rehearsal: context.rehearsal.clone(),
            calls: wants.trace.then(|| CallLog::new(now.into_std())),
            caching: cache::caching(settings, &self.work.planned.plan).filter(|_| !alone),
            principal: context.principal.clone(),
            stale: Stale::default(),
            calls_left: context.calls_left.anew(),
            propagated: Propagated::default(),
            outbox: None,
            effects: None,
        }
    }
}

fn finished(response: Response) -> (Bytes, Faults) {
    let faults = response.errors().iter().map(|error| error.code).collect();
    (response.finish(None).into(), faults)
}

fn too_many(most: usize) -> Refusal {
    let message = "The gateway has as many subscriptions open as it may.";
    Refusal {
        details: vec![("limit", most as u64)],
        ..Refusal::new(Code::TooManySubscriptions, message)
    }
}

fn too_slow() -> Refusal {
    let message = "Events came faster than they were taken. Subscribe again.";
    Refusal::new(Code::SubscriberTooSlow, message)
}
