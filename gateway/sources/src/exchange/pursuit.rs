//! One call, from its first attempt to its last. Start reading at
//! [`Pursuit::run`].
//!
//! Owns what stands before an attempt (a seat, the source's pace, credentials,
//! the breaker), which address it goes to, and when another follows: only
//! where the call may be made twice, inside the budget and the deadline. What
//! an answer means to a client is decided elsewhere.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::Either;
use futures_util::future::select;
use http::HeaderValue;
use plan::effects::Effects;
use plan::rehearsal::Fault;
use smallvec::SmallVec;

use super::attempt::Attempt;
use super::attempt::Pursued;
use super::attempt::Tried;
use super::labels;
use super::labels::Labels;
use super::until::Until;
use crate::calls::Status;
use crate::calls::now;
use crate::failure::Failed;
use crate::failure::Unanswered;
use crate::protocol::Brought;
use crate::protocol::Protocol;
use crate::protocol::With;
use crate::resilience::Again;
use crate::resilience::BreakerState;
use crate::resilience::Health;
use crate::resilience::Outcome;
use crate::resilience::Passage;
use crate::resilience::Seat;
use crate::resilience::Seatless;
use crate::resilience::Struck;
use crate::resilience::Verdict;
use crate::resilience::pause;
use crate::resilience::strike;
use crate::service::CallPolicy;

/// What is left for the answer's way back, of the time that a service is told.
const MARGIN: Duration = Duration::from_millis(10);
/// Addresses that one attempt tries to connect to.
const ADDRESSES: usize = 3;

/// A call that is to be made. It owns what it needs: it may outlive whoever began it.
pub(super) struct Pursuit<P: Protocol> {
    pub(super) protocol: Arc<P>,
    pub(super) policy: Arc<CallPolicy>,
    /// Whether the source's breaker decides about it, and learns from it.
    pub(super) watched: bool,
    pub(super) call: P::Call,
    pub(super) labels: Labels,
    /// Where it is a mutation that may be made twice.
    pub(super) idempotency_key: Option<HeaderValue>,
    /// Who wants to know whether anything was sent, of a mutation whose client gave a key.
    pub(super) effects: Option<Arc<dyn Effects>>,
    /// What goes wrong on purpose.
    pub(super) fault: Option<Fault>,
    pub(super) until: Until,
}

type Addresses = SmallVec<[SocketAddr; 2]>;

/// What all attempts of a call have in common.
struct Course {
    trail: Trail,
    /// No attempt goes on after it: `retry: { total: … }`.
    end: Option<Instant>,
}

impl Course {
    /// The given time, or the end where that comes first.
    fn bound(&self, time: Instant) -> Instant {
        self.end.map_or(time, |end| time.min(end))
    }
}

/// Where the call has been sent to, so that its next attempt goes elsewhere: after this one or beside it.
#[derive(Default)]
struct Trail(Mutex<Addresses>);

impl Trail {
    fn so_far(&self) -> Addresses {
        self.addresses().clone()
    }

    fn leads_to(&self, address: SocketAddr) {
        self.addresses().push(address);
    }

    /// Consistent between any two statements, so a panic elsewhere does no harm.
    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Protocol> Pursuit<P> {
    /// Makes the call, and makes it again as long as that may help and may be done.
    pub(super) async fn run(self) -> Pursued<P::Raw> {
        let begun = now();
        self.protocol.link().guard.budget.called(begun);
        let total = self.policy.retry.total;
        let course = Course {
            trail: Trail::default(),
            end: total.map(|total| begun + total),
        };
        let mut tried = self.round(0, &course).await;
        let Some(pause) = self.pause(0, &course, &tried) else {
            return tried.into_pursued();
        };
        let mut attempts = std::mem::take(&mut tried.attempts);
        // Boxed, so that a call that succeeds at once does not carry its room along.
        let mut last = Box::pin(self.again(&course, pause, tried, &mut attempts)).await;
        last.attempts = attempts;
        last.into_pursued()
    }

    async fn again(
        &self,
        course: &Course,
        mut pause: Duration,
        mut before: Tried<P>,
        attempts: &mut SmallVec<[Attempt; 1]>,
    ) -> Tried<P> {
        let mut number = 0;
        loop {
            number += 1;
            tokio::time::sleep(pause).await;
            self.protocol.link().guard.numbers.retries.one_more();
            let mut tried = self.round(number, course).await;
            attempts.append(&mut tried.attempts);
            if !tried.was_sent() {
                // What the service answered before says more than that it was not asked again.
                return before;
            }
            let Some(next) = self.pause(number, course, &tried) else {
                return tried;
            };
            pause = next;
            before = tried;
        }
    }

    /// How long to wait before the next attempt; none where there is none.
    fn pause(&self, number: u32, course: &Course, tried: &Tried<P>) -> Option<Duration> {
        if !self.may_repeat(number, tried) {
            return None;
        }
        let retry = &self.policy.retry;
        let pause = pause(retry, number, tried.verdict.wait);
        let next = now() + pause;
        let guard = &self.protocol.link().guard;
        if next + MARGIN >= self.until.get() || course.end.is_some_and(|end| next >= end) {
            return None;
        }
        let granted = guard.budget.take(now());
        if !granted {
            guard.numbers.retries_denied.one_more();
        }
        granted.then_some(pause)
    }

    fn may_repeat(&self, number: u32, tried: &Tried<P>) -> bool {
        let CallPolicy {
            retry, repeatable, ..
        } = &*self.policy;
        let verdict = &tried.verdict;
        // Who began to answer a mutation has done it, however the answer ends.
        let done = self.policy.mutation && verdict.replied;
        if !repeatable || number + 1 >= retry.attempts || done || verdict.forbidden {
            return false;
        }
        let again = match retry.on.is_empty() || !tried.was_sent() {
            true => verdict.again,
            false if self.is_wanted(tried) => Again::Yes,
            false => Again::Never,
        };
        match again {
            Again::Never => false,
            Again::Once => number == 0,
            Again::WhenTold => verdict.wait.is_some(),
            Again::Yes => true,
        }
    }

    /// `retry: { on: … }`
    fn is_wanted(&self, tried: &Tried<P>) -> bool {
        let status = self.status(&tried.brought).to_string();
        let mut patterns = self.policy.retry.on.iter();
        patterns.any(|pattern| is_status(pattern, &status))
    }

    /// One attempt, or two where the first takes long and the call is hedged.
    async fn round(&self, number: u32, course: &Course) -> Tried<P> {
        let begun = Begun::now(number, false);
        let p95 = self.policy.hedged.as_ref().map(|hedged| hedged.p95());
        match p95 {
            None => self.attempt(begun, course).await,
            Some(None) => Box::pin(self.timed(begun, course)).await,
            Some(Some(p95)) => Box::pin(self.hedged(begun, course, p95)).await,
        }
    }

    /// Not enough is known yet to hedge; so that it will be.
    async fn timed(&self, begun: Begun, course: &Course) -> Tried<P> {
        let tried = self.attempt(begun, course).await;
        self.learn(&begun, &tried);
        tried
    }

    /// How long the answer took since the round began, be it that of a hedge: of itself that would be less than anybody has waited.
    fn learn(&self, begun: &Begun, tried: &Tried<P>) {
        if let (Some(latency), Health::Good) = (&self.policy.hedged, tried.verdict.health) {
            latency.took(now().saturating_duration_since(begun.start));
        }
    }

    async fn hedged(&self, begun: Begun, course: &Course, after: Duration) -> Tried<P> {
        let guard = &self.protocol.link().guard;
        let mut first = pin!(self.attempt(begun, course));
        if let Ok(tried) = tokio::time::timeout(after, &mut first).await {
            self.learn(&begun, &tried);
            return tried;
        }
        if now() + MARGIN >= course.bound(self.until.get()) || !guard.budget.take(now()) {
            let tried = first.await;
            self.learn(&begun, &tried);
            return tried;
        }
        guard.numbers.hedges.one_more();
        let hedge = Begun::now(begun.number, true);
        let second = pin!(self.attempt(hedge, course));
        let (tried, other, loser) = match select(first, second).await {
            Either::Left((tried, second)) => (tried, second, hedge),
            Either::Right((tried, first)) => (tried, first, begun),
        };
        let tried = match tried.verdict.health {
            Health::Good => self.won(tried, loser),
            // The faster one failed: the other may still succeed.
            Health::Bad | Health::Silent => tried.followed_by(other.await),
        };
        self.learn(&begun, &tried);
        tried
    }

    /// The other one is given up.
    fn won(&self, mut tried: Tried<P>, loser: Begun) -> Tried<P> {
        let guard = &self.protocol.link().guard;
        if !loser.hedge {
            guard.numbers.hedges_won.one_more();
        }
        guard.numbers.attempt(Outcome::Superseded, None);
        let status = Status::Word("superseded");
        let given_up = loser.ended(status, 0, Outcome::Superseded, guard.breaker.state());
        tried.attempts.insert(0, given_up);
        tried
    }

    async fn attempt(&self, begun: Begun, course: &Course) -> Tried<P> {
        let breaker = self.protocol.link().guard.breaker.state();
        let mut begun = begun;
        let (brought, verdict) = match self.ready(course).await {
            Ok(ready) => self.sent(ready, &begun, course).await,
            Err(failed) => {
                let verdict = failed.how.verdict();
                let numbers = &self.protocol.link().guard.numbers;
                numbers.attempt(verdict.outcome, None);
                begun.span = [0; 8];
                (Err(failed), verdict)
            }
        };
        let bytes = brought.as_ref().map_or(0, |raw| self.protocol.bytes(raw));
        let attempt = begun.ended(self.status(&brought), bytes, verdict.outcome, breaker);
        Tried {
            brought,
            verdict,
            attempts: SmallVec::from_buf([attempt]),
        }
    }

    fn status(&self, brought: &Brought<P>) -> Status {
        match brought {
            Ok(raw) => self.protocol.status(raw),
            Err(failed) => Status::Word(failed.how.word()),
        }
    }

    /// Everything that an attempt needs before anything is sent.
    async fn ready(&self, course: &Course) -> Result<Ready, Failed> {
        let link = self.protocol.link();
        let name = &self.protocol.service().name;
        let failed = |how, why: &str| Failed::new(how, name, why);
        let deadline = course.bound(self.until.get());
        if deadline <= now() {
            return Err(failed(Unanswered::NotBegun, "not begun"));
        }
        let open = |wait| failed(Unanswered::CircuitOpen, "the breaker is open").after(wait);
        // Nobody queues for a source that is left in peace.
        let refuses = || link.guard.breaker.refuses(now());
        if let Some(wait) = self.watched.then(refuses).flatten() {
            return Err(open(wait));
        }
        let seat = link.guard.bulkhead.enter(deadline).await.map_err(|why| {
            link.guard.numbers.bulkhead_refused.one_more();
            match why {
                Seatless::Full => failed(Unanswered::NoSeat, "too many calls wait already"),
                Seatless::Late => failed(Unanswered::NotBegun, "no seat in time"),
            }
        })?;
        let passed = link.gate.pass(deadline).await;
        passed.map_err(|error| Failed::told(Unanswered::RateLimited, error))?;
        let credentials = match self.until.bound(deadline, link.bearer.value()).await {
            Some(Ok(credentials)) => credentials,
            Some(Err(error)) => return Err(Failed::told(Unanswered::NoCredentials, error)),
            None => return Err(failed(Unanswered::NotBegun, "no credentials in time")),
        };
        // Last: who tries a source for all others does not wait for anything else.
        let (breaker, time) = (&link.guard.breaker, self.time());
        let passage = match self.watched {
            true => breaker.admit(now(), time).map_err(open)?,
            false => Passage::unwatched(now(), time),
        };
        Ok(Ready {
            _seat: seat,
            passage,
            credentials,
        })
    }

    /// Sends the call to an address, or to another where that cannot be connected to.
    async fn sent(&self, ready: Ready, begun: &Begun, course: &Course) -> (Brought<P>, Verdict) {
        let link = self.protocol.link();
        let start = now();
        let limit = start + self.policy.limit;
        let end = course.bound(limit);
        let curtailed = begun.number > 0 && end < limit;
        let mut left = ADDRESSES;
        let (brought, verdict) = loop {
            left -= 1;
            let avoid = course.trail.so_far();
            let picked = self.until.bound(end, link.peers.pick(now(), &avoid)).await;
            let picked = match picked {
                Some(Ok(picked)) => picked,
                Some(Err(error)) => {
                    let why = error.to_string();
                    break self.judged(Err(self.failed(Unanswered::Unreachable, why)));
                }
                None => {
                    let why = "no address in time";
                    break self.judged(Err(self.failed(Unanswered::NotBegun, why)));
                }
            };
            course.trail.leads_to(picked.address());
            let with = self.with(&ready, begun, end);
            let (brought, verdict) = match with {
                Some(with) => {
                    let cut = with.cut;
                    let brought = self.over(picked.transport(), with, end).await;
                    self.judged_within(brought, cut, curtailed)
                }
                None => self.judged(Err(self.failed(Unanswered::NotBegun, "no time is left"))),
            };
            match (&brought, verdict.health) {
                (Err(failed), _) if failed.how == Unanswered::Unreachable => {
                    link.peers.unreachable(&picked, now());
                    if left > 0 && link.peers.has_other(&course.trail.so_far()) {
                        continue;
                    }
                }
                (_, Health::Good) => link.peers.well(&picked),
                (_, Health::Bad) => link.peers.failed(&picked, now()),
                (_, Health::Silent) => {}
            }
            break (brought, verdict);
        };
        if let Ok(raw) = &brought
            && self.protocol.refuses_credentials(raw)
        {
            link.bearer.refused(ready.credentials.as_ref());
        }
        link.guard.ended(ready.passage, &verdict, now());
        (brought, verdict)
    }

    fn judged(&self, brought: Brought<P>) -> (Brought<P>, Verdict) {
        let verdict = match &brought {
            Ok(raw) => self.protocol.verdict(raw),
            Err(failed) => failed.how.verdict(),
        };
        (brought, verdict)
    }

    /// That the time did not suffice says nothing about the source where it was cut short: by the caller, or by what earlier attempts have used.
    fn judged_within(
        &self,
        brought: Brought<P>,
        cut: bool,
        curtailed: bool,
    ) -> (Brought<P>, Verdict) {
        let (brought, mut verdict) = self.judged(brought);
        if verdict.outcome != Outcome::TimedOut || !(cut || curtailed) {
            return (brought, verdict);
        }
        verdict.health = Health::Silent;
        if !cut {
            return (brought, verdict);
        }
        verdict.again = Again::Never;
        match brought {
            Ok(raw) => (Ok(raw), verdict),
            Err(_) => self.judged(Err(self.late())),
        }
    }

    fn late(&self) -> Failed {
        self.failed(Unanswered::OutOfTime, "no complete reply by the deadline")
    }

    /// What goes with an attempt; none where there is no time for it.
    fn with(&self, ready: &Ready, begun: &Begun, end: Instant) -> Option<With> {
        let left = self.until.get().saturating_duration_since(now());
        let own = end.saturating_duration_since(now());
        let time = match own <= left {
            true => own,
            // The answer has to find its way back, too.
            false => left.saturating_sub(MARGIN.min(left / 10)),
        };
        if time < Duration::from_millis(1) {
            return None;
        }
        Some(With {
            headers: self.labels.headers(begun.span, ready.credentials.as_ref()),
            idempotency_key: self.idempotency_key.clone(),
            time,
            cut: own > left,
            before: begun.number,
        })
    }

    /// One exchange, bounded by the attempt's own time and by whoever waits.
    async fn over(&self, transport: &P::Transport, with: With, end: Instant) -> Brought<P> {
        let work = self.made(transport, with);
        match self.until.bound(end, work).await {
            Some(brought) => brought,
            None if self.until.get() < end => Err(self.late()),
            None => Err(self.failed(Unanswered::TimedOut, "no complete reply in time")),
        }
    }

    async fn made(&self, transport: &P::Transport, with: With) -> Brought<P> {
        if let Some(fault) = &self.fault {
            let numbers = &self.protocol.link().guard.numbers;
            // Boxed, so that calls without faults do not carry its room.
            if let Struck::Aborted(status) = Box::pin(strike(fault, numbers)).await {
                return self.protocol.aborted(status);
            }
        }
        if let Some(effects) = &self.effects {
            effects.sending();
        }
        let brought = self.protocol.send(transport, &self.call, with).await;
        if let (Some(effects), Err(failed)) = (&self.effects, &brought)
            && !failed.how.maybe_done()
        {
            effects.unsent();
        }
        brought
    }

    /// How long one attempt may take, of itself.
    fn time(&self) -> Duration {
        let limit = self.policy.limit;
        let total = self.policy.retry.total;
        total.map_or(limit, |total| total.min(limit))
    }

    fn failed(&self, how: Unanswered, why: impl Into<String>) -> Failed {
        Failed::new(how, &self.protocol.service().name, why)
    }
}

/// What an attempt holds while it runs.
struct Ready {
    _seat: Seat,
    passage: Passage,
    credentials: Option<HeaderValue>,
}

/// An attempt that is under way.
#[derive(Debug, Clone, Copy)]
struct Begun {
    number: u32,
    hedge: bool,
    span: [u8; 8],
    start: Instant,
}

impl Begun {
    fn now(number: u32, hedge: bool) -> Self {
        Self {
            number,
            hedge,
            span: labels::span(),
            start: now(),
        }
    }

    fn ended(
        self,
        status: Status,
        bytes: usize,
        outcome: Outcome,
        breaker: BreakerState,
    ) -> Attempt {
        Attempt {
            number: self.number,
            hedge: self.hedge,
            span: self.span,
            start: self.start,
            end: now(),
            status,
            bytes,
            outcome,
            breaker,
        }
    }
}

/// A status or word as `retry: { on: … }` names it: `503`, `5xx`, `UNAVAILABLE`, `TIMEOUT`.
fn is_status(pattern: &str, status: &str) -> bool {
    pattern.len() == status.len()
        && pattern.bytes().zip(status.bytes()).all(|(wanted, is)| {
            let any = wanted.eq_ignore_ascii_case(&b'x') && is.is_ascii_digit();
            any || wanted.eq_ignore_ascii_case(&is)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_named_exactly_by_its_class_or_by_its_word() {
        for (pattern, status) in [
            ("503", "503"),
            ("5xx", "503"),
            ("50X", "503"),
            ("unavailable", "UNAVAILABLE"),
            ("TIMEOUT", "timeout"),
        ] {
            assert!(is_status(pattern, status), "{pattern} {status}");
        }
        for (pattern, status) in [("503", "502"), ("4xx", "503"), ("5", "503"), ("xxx", "abc")] {
            assert!(!is_status(pattern, status), "{pattern} {status}");
        }
    }
}
