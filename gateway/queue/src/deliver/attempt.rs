//! One message, from our hands to its target and back to the store.
//!
//! Owns one attempt and the settlement that follows it, which is tried until
//! the store has it or the claim is another's.

use std::future::Future;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::Instant;

use super::desk::Desk;
use super::handler::Attempt;
use super::handler::Outcome;
use super::lane::Change;
use crate::message::Message;
use crate::store::Claim;
use crate::store::Failure;
use crate::store::NotSettled;
use crate::store::Progress;
use crate::store::Settled;

/// Before a settlement is tried again that the store could not take; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Event {
    /// There is room for another attempt.
    Ended(Claim),
    /// It is out of our hands.
    Settled(Claim),
}

/// A message in our hands. Its worker is told when it no longer is, however that comes.
pub(super) struct Hold {
    pub(super) desk: Arc<Desk>,
    pub(super) claim: Claim,
    /// It is another's now.
    pub(super) lost: Arc<AtomicBool>,
    /// No time is left.
    pub(super) cut: watch::Receiver<bool>,
    pub(super) events: UnboundedSender<Event>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A worker that has ended wants to know nothing.
        let _ = self.events.send(Event::Settled(self.claim.clone()));
    }
}

/// An attempt under way.
struct Running<'h>(&'h Hold);

impl<'h> Running<'h> {
    fn new(hold: &'h Hold) -> Self {
        hold.desk.numbers.in_flight.up();
        Self(hold)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.desk.numbers.in_flight.down();
        let _ = self.0.events.send(Event::Ended(self.0.claim.clone()));
    }
}

/// Sends a message once and settles it.
pub(super) async fn deliver(hold: Hold, message: Message, progress: Progress, probe: bool) {
    let running = Running::new(&hold);
    let outcome = attempt(&hold, &message, &progress).await;
    let (settled, change) = hold.desk.ended(&message, &progress, probe, outcome);
    drop(running);
    tell(&hold.desk, &message, &settled, change);
    settle(hold, settled).await;
}

/// None where it was cut off.
async fn attempt(hold: &Hold, message: &Message, progress: &Progress) -> Option<Outcome> {
    let mut cut = hold.cut.clone();
    let numbers = &hold.desk.numbers;
    let number = progress.attempts.saturating_add(1);
    if number > 1 {
        numbers.retries.up();
    }
    let began = Instant::now();
    let handler = &hold.desk.handler;
    let sent = caught(async { handler.deliver(Attempt { message, number }).await });
    let outcome = tokio::select! {
        biased;
        outcome = sent => Some(outcome.unwrap_or_else(|| panicked(hold.desk.clock.now()))),
        // Only the worker's end takes the sender away.
        _ = cut.wait_for(|cut| *cut) => None,
    };
    numbers.ended(outcome.as_ref(), began.elapsed());
    outcome
}

/// Tries until the store has it, or it is another's.
pub(super) async fn settle(mut hold: Hold, settled: Settled) {
    let mut wait = FIRST_WAIT;
    while !hold.lost.load(Ordering::Relaxed) {
        let answer = hold.desk.store.settle(hold.claim.clone(), settled.clone());
        match answer.await {
            Ok(()) => return counted(&hold.desk, &settled),
            Err(NotSettled::Lost) => return lost(&hold.desk, &hold.claim, &hold.lost),
            Err(NotSettled::Unavailable(error)) => {
                let (queue, id) = (&hold.desk.queue, hold.claim.id);
                tracing::warn!(%error, queue, %id, "a delivery could not be settled yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (2 * wait).min(LONGEST_WAIT),
            // What the store gives to somebody else later may be delivered twice.
            _ = hold.cut.wait_for(|cut| *cut) => return,
        }
    }
}

/// A claim is another's now. Said and counted once.
pub(super) fn lost(desk: &Desk, claim: &Claim, flag: &AtomicBool) {
    if !flag.swap(true, Ordering::Relaxed) {
        desk.numbers.lost.up();
        let (queue, id) = (&desk.queue, claim.id);
        tracing::warn!(queue, %id, "a claim was lost: the message may be delivered twice");
    }
}

fn counted(desk: &Desk, settled: &Settled) {
    match settled {
        Settled::Dead { reason, .. } => desk.numbers.died(*reason),
        Settled::Returned => desk.numbers.returned.up(),
        Settled::Delivered(_) | Settled::Again { .. } => {}
    }
}

fn tell(desk: &Desk, message: &Message, settled: &Settled, change: Change) {
    let (queue, source, numbers) = (&desk.queue, &message.source, &desk.numbers);
    match change {
        Change::None => {}
        Change::Closed => tracing::info!(queue, source, "deliveries go on"),
        Change::Opened => {
            numbers.openings.up();
            tracing::warn!(queue, source, "deliveries wait: the target is down");
        }
        Change::Denied => {
            numbers.denials.up();
            tracing::error!(
                event = "queue.denied",
                queue,
                source,
                "deliveries are paused: the target does not accept the gateway's credentials"
            );
        }
    }
    if let Settled::Dead { progress, reason } = settled {
        let last = progress.last_error.as_ref();
        let (id, correlation_id) = (message.id, &message.correlation_id);
        let code = last.map_or("", |failure| &failure.code);
        let internal = last.and_then(|failure| failure.internal.as_deref());
        let reason = reason.as_str();
        let attempts = progress.attempts;
        tracing::warn!(
            queue, source, %id, correlation_id, reason, attempts, code, internal,
            "a message was given up: it lies with the dead letters"
        );
    }
}

fn panicked(now: u64) -> Outcome {
    Outcome::Again {
        failure: Failure {
            code: "INTERNAL_ERROR".into(),
            message: "The delivery failed inside the gateway.".into(),
            status: "PANIC".into(),
            internal: Some("the attempt panicked".into()),
            at: now,
        },
        after: None,
        down: false,
    }
}

/// None where it panics.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // It is not polled again after a panic.
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
