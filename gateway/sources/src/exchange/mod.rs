//! One call of a job, for every protocol. Start reading at [`exchange`].
//!
//! Owns where a reply comes from: one that was kept, that of an identical read
//! in flight, a call of its own, or, where the source fails and the schema
//! offers it, the last good one. Every attempt is written down.

mod attempt;
mod delivery;
mod labels;
mod pursuit;
mod until;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use http::HeaderValue;
use plan::code::Code;
use plan::effects::Effects;
use plan::rehearsal::Fault;
use plan::source::SourceError;
use smallvec::SmallVec;

use crate::cache::Asking;
use crate::cache::LastGood;
use crate::cache::Refresh;
use crate::calls::Observed;
use crate::calls::Status;
use crate::calls::now;
use crate::failure::Failed;
use crate::failure::Unanswered;
use crate::failure::fixed_text;
use crate::merge_reads::MergeReads;
use crate::merge_reads::Work;
use crate::protocol::Answer;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::protocol::Shown;
use crate::protocol::Travel;
use crate::resilience::Numbers;
use crate::resilience::Outcome;
use crate::service::CallPolicy;
pub(crate) use attempt::Attempt;
pub(crate) use attempt::Pursued;
pub use delivery::Fate;
pub use delivery::Label;
pub use delivery::NotDelivered;
pub(crate) use delivery::deliver;
pub(crate) use delivery::no_such_source;
pub(crate) use labels::Labels;
pub(crate) use labels::span;
use pursuit::Pursuit;
pub(crate) use until::Longest;
pub(crate) use until::Until;

/// Reads of one source in flight.
pub(crate) type Reads<P> = MergeReads<ReadKey<<P as Protocol>::Call>, Came<P>>;

type Came<P> = Pursued<<P as Protocol>::Raw>;

/// Everything that makes two reads the same, identity included: what a claim or header changed, it changed in the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ReadKey<C> {
    call: C,
    limit: Duration,
    epoch: u64,
}

/// Makes a call, or finds its reply elsewhere, and writes it down. Ends with the request's deadline.
pub(crate) async fn exchange<P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'_>,
    call: P::Call,
    keys: usize,
) -> Result<Answer<P::Reply>, SourceError> {
    if !job.context.calls_left.take() {
        return Err(too_many(&protocol.service().name, job));
    }
    let exchange = Exchange {
        protocol,
        job,
        call,
        keys,
        policy: protocol.service().policy(job.resolver),
        start: now(),
    };
    exchange.run().await
}

fn too_many(service: &Arc<str>, job: &Job<'_>) -> SourceError {
    let most = job.context.calls_left.most();
    let message = format!("The operation needs more than {most} calls of services.");
    SourceError::new(Code::FanoutExceeded, service, message)
}

struct Exchange<'e, P: Protocol> {
    protocol: &'e Arc<P>,
    job: &'e Job<'e>,
    call: P::Call,
    /// Of the batch; 0 without one.
    keys: usize,
    policy: Arc<CallPolicy>,
    start: Instant,
}

/// Where a reply came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// A call of its own.
    Called,
    /// That of an identical call in flight, or with that of another one.
    Merged,
    /// It was kept.
    Kept,
}

impl<P: Protocol> Exchange<'_, P> {
    async fn run(&self) -> Result<Answer<P::Reply>, SourceError> {
        let (came, how) = self.came().await;
        let judged = match &came.brought {
            Ok(raw) => self.protocol.judge(self.job, raw),
            Err(failed) => Err(self.unanswered(failed)),
        };
        match came.brought.as_ref().map(|raw| self.protocol.travel(raw)) {
            Ok(Travel::Along) => {
                self.write_down(&came.attempts, judged.as_ref().err(), How::Merged);
            }
            Ok(Travel::AfterAll(status)) => {
                let in_vain = self.line(status, 0, Outcome::Ok);
                self.write_down(&[in_vain], None, how);
                self.write_down(&came.attempts, judged.as_ref().err(), how);
            }
            Ok(Travel::Alone) | Err(_) => {
                self.write_down(&came.attempts, judged.as_ref().err(), how);
            }
        }
        if let (Ok(raw), Ok(_)) = (&came.brought, &judged) {
            self.propagate(raw);
        }
        match self.policy.stale {
            None => judged,
            Some(oldest) => self.or_stale(judged, &came, oldest),
        }
    }

    /// Keeps what of an answer's headers the client is given.
    fn propagate(&self, raw: &P::Raw) {
        let rules = &self.protocol.service().propagated;
        if !rules.is_empty()
            && let Some(headers) = self.protocol.metadata(raw)
        {
            let propagated = &self.job.context.propagated;
            propagated.brought(self.job.step, rules, headers);
        }
    }

    /// The reply: one that was kept, where anybody allows it, or one that comes.
    async fn came(&self) -> (Came<P>, How) {
        if let Some(why) = self.too_late() {
            return (self.not_asked(Unanswered::NotBegun, why), How::Called);
        }
        match self.protocol.service().asking(self.job) {
            None => self.called().await,
            Some(asking) => Box::pin(self.kept_or_called(asking)).await,
        }
    }

    /// Why the call is not begun, where it is too late for it: a mutation, also one whose turn comes after others, needs the time that its source says.
    fn too_late(&self) -> Option<&'static str> {
        let left = self.job.context.deadline.checked_duration_since(self.start);
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            return Some("not begun");
        };
        let least = self.protocol.service().min_deadline?;
        (self.policy.mutation && left < least).then_some("less time is left than `minDeadline`")
    }

    async fn kept_or_called(&self, asking: Asking<'_>) -> (Came<P>, How) {
        let key = self.protocol.key(&self.call);
        if let Some(found) = asking.find(&key)
            && let Some(raw) = self.protocol.kept(found.kept)
        {
            if let Some(refresh) = found.refresh {
                self.refresh(refresh);
            }
            self.numbers().kept.one_more();
            return (self.found(raw, "cached"), How::Kept);
        }
        let ticket = asking.ticket();
        let (came, how) = self.called().await;
        match came
            .brought
            .as_ref()
            .map(|raw| (raw, self.protocol.keep(raw)))
        {
            Ok((raw, Some(kept))) => {
                let caching = self.protocol.caching(raw);
                asking.came(&ticket, caching);
                if how == How::Called {
                    ticket.store(key, kept, caching);
                }
            }
            Ok((_, None)) | Err(_) => asking.lost(),
        }
        (came, how)
    }

    /// Fetches a reply anew that was answered already, in its own time and on nobody's behalf.
    fn refresh(&self, refresh: Refresh) {
        let work = self.pursuit(Labels::default(), Until::At(now() + self.policy.limit));
        let (protocol, key) = (self.protocol.clone(), self.protocol.key(&self.call));
        tokio::spawn(async move {
            let came = work.run().await;
            if let Ok(raw) = &came.brought
                && let Some(kept) = protocol.keep(raw)
            {
                refresh.ticket.store(key, kept, protocol.caching(raw));
            }
        });
    }

    /// The reply of this call, or of an identical one in flight. Each waiter keeps its own deadline; shared work goes on until the last one's.
    async fn called(&self) -> (Came<P>, How) {
        if self.keys > 0 {
            self.protocol.link().guard.numbers.batch(self.keys);
        }
        let deadline = self.job.context.deadline;
        let service = self.protocol.service();
        let merges = service.settings.merge_reads && service.may_share();
        if !merges || !self.job.may_merge() {
            let work = self.pursuit(Labels::of(self.job.context), Until::At(deadline));
            return (work.run().await, How::Called);
        }
        let key = ReadKey {
            call: self.call.clone(),
            limit: self.policy.limit,
            epoch: self.job.context.epoch,
        };
        let begin = |longest| self.work(longest);
        let joined = self.protocol.reads().join(key, deadline, begin);
        let how = match joined.follower {
            true => {
                self.numbers().merged.one_more();
                How::Merged
            }
            false => How::Called,
        };
        let came = tokio::time::timeout_at(deadline.into(), joined.work).await;
        let late = |_| self.not_asked(Unanswered::OutOfTime, "no complete reply by the deadline");
        let came = came.unwrap_or_else(late);
        match how == How::Merged && self.was_cut_short(&came) {
            true => {
                let work = self.pursuit(Labels::of(self.job.context), Until::At(deadline));
                (Box::pin(work.run()).await, How::Called)
            }
            false => (came, how),
        }
    }

    /// For another caller, who had less time, while this one has some left.
    fn was_cut_short(&self, came: &Came<P>) -> bool {
        let how = came.brought.as_ref().err().map(|failed| failed.how);
        let cut = matches!(
            how,
            Some(
                Unanswered::NotBegun
                    | Unanswered::OutOfTime
                    | Unanswered::NoSeat
                    | Unanswered::RateLimited
            )
        );
        cut && now() < self.job.context.deadline
    }

    fn work(&self, longest: Longest) -> Work<Came<P>> {
        let work = self.pursuit(Labels::of(self.job.context), Until::Longest(longest));
        Box::pin(work.run())
    }

    fn pursuit(&self, labels: Labels, until: Until) -> Pursuit<P> {
        let twice = self.policy.mutation && self.policy.repeatable;
        Pursuit {
            protocol: self.protocol.clone(),
            policy: self.policy.clone(),
            watched: true,
            call: self.call.clone(),
            labels,
            idempotency_key: twice.then(|| self.idempotency_key()).flatten(),
            effects: self.effects().cloned(),
            fault: self.fault(),
            until,
        }
    }

    /// Those of the request, where the call has one.
    fn effects(&self) -> Option<&Arc<dyn Effects>> {
        let effects = self.job.context.effects.as_ref();
        effects.filter(|_| self.policy.mutation)
    }

    /// Of the client's key, where it gave one: it stays the same when the client repeats itself.
    fn idempotency_key(&self) -> Option<HeaderValue> {
        match self.effects() {
            Some(effects) => structured(&effects.of(self.job.step).key),
            None => structured(&format!("{:032x}", rand::random::<u128>())),
        }
    }

    /// On purpose: what this request wants to go wrong, or what always does.
    fn fault(&self) -> Option<Fault> {
        let service = self.protocol.service();
        let rehearsal = self.job.context.rehearsal.as_ref();
        let wanted = rehearsal.and_then(|rehearsal| rehearsal.of(&service.name));
        wanted.or(service.settings.fault.as_ref()).copied()
    }

    /// The last good reply of the same caller, where the source fails.
    fn or_stale(
        &self,
        judged: Result<Answer<P::Reply>, SourceError>,
        came: &Came<P>,
        oldest: Duration,
    ) -> Result<Answer<P::Reply>, SourceError> {
        let last = LastGood::of(self.job, self.protocol.key(&self.call));
        let cache = &self.protocol.service().cache;
        let error = match (judged, &came.brought) {
            (Ok(answer), Ok(raw)) => {
                match self.protocol.keep(raw) {
                    Some(kept) => cache.remember(last, kept),
                    // There is nothing any more, which is an answer too.
                    None => cache.forget(&last),
                }
                return Ok(answer);
            }
            (Ok(answer), Err(_)) => return Ok(answer),
            (Err(error), _) => error,
        };
        // Who may not see it now does not see what it was.
        let denied = came
            .brought
            .as_ref()
            .is_ok_and(|raw| self.protocol.denies(raw));
        if denied {
            cache.forget(&last);
        }
        if denied || !is_the_sources(error.code) {
            return Err(error);
        }
        let found = cache.last_good(&last, oldest);
        let found = found.and_then(|(kept, age)| Some((self.protocol.kept(kept)?, age)));
        let Some((raw, age)) = found else {
            return Err(error);
        };
        self.numbers().stale.one_more();
        self.job
            .context
            .stale
            .answered(&self.protocol.service().name, age);
        if let Some(caching) = &self.job.context.caching {
            caching.used_up();
        }
        self.write_down(&self.found(raw.clone(), "stale").attempts, None, How::Kept);
        self.protocol.judge(self.job, &raw)
    }

    fn unanswered(&self, failed: &Failed) -> SourceError {
        // Of a mutation it matters that nothing has happened.
        if failed.how == Unanswered::NotBegun && self.job.is_mutation() {
            let name = &self.protocol.service().name;
            let text = fixed_text(Code::NotStarted);
            return SourceError::new(Code::NotStarted, name, text).internal("not begun");
        }
        SourceError {
            outcome_unknown: self.job.is_unmarked_mutation() && failed.how.maybe_done(),
            ..failed.error.clone()
        }
    }

    /// A reply for which nothing was sent.
    fn found(&self, raw: P::Raw, word: &'static str) -> Came<P> {
        let bytes = self.protocol.bytes(&raw);
        Pursued {
            brought: Ok(raw),
            attempts: SmallVec::from_buf([self.line(Status::Word(word), bytes, Outcome::Ok)]),
        }
    }

    fn not_asked(&self, how: Unanswered, why: &str) -> Came<P> {
        let outcome = how.verdict().outcome;
        Pursued {
            brought: Err(Failed::new(how, &self.protocol.service().name, why)),
            attempts: SmallVec::from_buf([self.line(Status::Word(how.word()), 0, outcome)]),
        }
    }

    /// A line about something that is no attempt.
    fn line(&self, status: Status, bytes: usize, outcome: Outcome) -> Attempt {
        Attempt {
            number: 0,
            hedge: false,
            span: [0; 8],
            start: self.start,
            end: now(),
            status,
            bytes,
            outcome,
            breaker: self.protocol.link().guard.breaker.state(),
        }
    }

    fn write_down(&self, attempts: &[Attempt], error: Option<&SourceError>, how: How) {
        let Shown { method, target } = self.protocol.shown(&self.call);
        let body = || self.protocol.body(&self.call);
        let observed = Observed {
            context: self.job.context,
            step: self.job.step,
            source: &self.protocol.service().name,
            method,
            target,
            body: Some(&body),
            keys: self.keys,
            coalesced: how != How::Called,
        };
        let Some((last, before)) = attempts.split_last() else {
            return;
        };
        before.iter().for_each(|it| observed.attempted(it, None));
        observed.attempted(last, error);
    }

    fn numbers(&self) -> &Numbers {
        &self.protocol.link().guard.numbers
    }
}

/// A key that all attempts of one call share, as a structured string: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.
fn structured(key: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{key}\"")).ok()
}

/// The source is at fault, or cannot be asked.
fn is_the_sources(code: Code) -> bool {
    matches!(
        code,
        Code::RateLimited
            | Code::UpstreamError
            | Code::UpstreamUnavailable
            | Code::UpstreamTimeout
            | Code::UpstreamInvalidResponse
            | Code::CircuitOpen
            | Code::DeadlineExceeded
    )
}

#[cfg(test)]
mod tests;
