//! A store in memory: what [`Store`] promises, in the plainest words.
//!
//! For tests only, of those who deliver and as the model of other stores.
//! Owns nothing durable, and is slow on purpose: everything is one list, and
//! each question is answered by reading it from the start.
//!
//! Where the contract leaves room, this is what is meant: nothing is taken of
//! a queue that is paused; a claim is lost when nobody has renewed it for the
//! store's visibility; a message that blocks its line is not swept away; what
//! comes later in a line is what was accepted later, so that several dead
//! letters of one key can come back one after the other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::Clock;
use crate::clock::millis;
use crate::message::Message;
use crate::store::BoxFuture;
use crate::store::Claim;
use crate::store::DeadLetter;
use crate::store::Delivery;
use crate::store::Depth;
use crate::store::Limits;
use crate::store::NotRetried;
use crate::store::NotSettled;
use crate::store::Paused;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Receipt;
use crate::store::Refused;
use crate::store::Settled;
use crate::store::Shown;
use crate::store::Status;
use crate::store::Store;
use crate::store::Taken;
use crate::store::Unavailable;

/// How long a claim is held without being renewed.
pub const VISIBILITY: Duration = Duration::from_secs(30);
/// What a caller who was refused should wait.
const SOON: Duration = Duration::from_secs(1);

/// Everything in one list, behind one lock.
pub struct PlainStore {
    clock: Clock,
    limits: Limits,
    held: Mutex<Held>,
    /// Told of each change.
    changes: watch::Sender<()>,
}

#[derive(Clone, Default)]
struct Held {
    /// In the order of their lines.
    messages: Vec<Kept>,
    deduped: BTreeMap<String, Deduped>,
    paused: BTreeMap<String, Paused>,
    tokens: u64,
    versions: u64,
    closed: bool,
    away: bool,
}

#[derive(Clone)]
struct Kept {
    message: Message,
    /// In the order of acceptance, wherever it stands now.
    number: u64,
    bytes: u64,
    erased: bool,
    progress: Progress,
    place: Place,
    version: u64,
}

/// Where a message is: in exactly one place.
#[derive(Clone)]
enum Place {
    Waits {
        due: u64,
        claim: Option<Claimed>,
    },
    Delivered {
        at: u64,
    },
    Dead {
        reason: Reason,
        at: u64,
        passed: bool,
    },
}

#[derive(Clone, Copy)]
struct Claimed {
    token: u64,
    until: u64,
}

#[derive(Clone)]
struct Deduped {
    id: Uuid,
    fingerprint: String,
    accepted_at: u64,
    until: u64,
}

impl PlainStore {
    /// An empty one.
    pub fn new(clock: Clock, limits: Limits) -> Self {
        Self {
            clock,
            limits,
            held: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// From now on nothing can be reached, as when a disk is full or a broker is away; or it can again.
    pub fn away(&self, away: bool) {
        self.held().away = away;
        self.changes.send_replace(());
    }

    /// All claims are lost at once, as when their holder was away for too long.
    pub fn forget_claims(&self) {
        for kept in &mut self.held().messages {
            if let Place::Waits { claim, .. } = &mut kept.place {
                *claim = None;
            }
        }
        self.changes.send_replace(());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds, where it can be reached.
    fn reached(&self) -> Result<MutexGuard<'_, Held>, Unavailable> {
        let held = self.held();
        match held.away {
            true => Err(Unavailable("it is away".into())),
            false => Ok(held),
        }
    }

    /// One change: what came to the head of its line begins to live, and whoever waits looks again.
    fn change<T>(&self, change: impl FnOnce(&mut Held, u64) -> T) -> Result<T, Unavailable> {
        let now = self.clock.now();
        let mut held = self.reached()?;
        let done = change(&mut held, now);
        for index in held.heads(None) {
            let progress = &mut held.messages[index].progress;
            if progress.active_since == 0 {
                progress.active_since = now;
            }
        }
        drop(held);
        self.changes.send_replace(());
        Ok(done)
    }

    /// Asks again after each change, and when the time comes that was named.
    async fn until<T>(
        &self,
        mut ask: impl FnMut(&mut Held, u64) -> Result<T, Option<u64>>,
    ) -> Result<T, Unavailable> {
        let mut changes = self.changes.subscribe();
        loop {
            let asked = ask(&mut *self.reached()?, self.clock.now());
            let due = match asked {
                Ok(answer) => return Ok(answer),
                Err(due) => due,
            };
            let time = async {
                match due {
                    Some(due) => tokio::time::sleep_until(self.clock.when(due)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender is this store's own.
                _ = changes.changed() => {}
                () = time => {}
            }
        }
    }
}

impl Store for PlainStore {
    fn is_atomic(&self) -> bool {
        true
    }

    fn append(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, Refused>>> {
        Box::pin(async move {
            let count = messages.len();
            let appended = self.change(|held, now| held.append_all(messages, &self.limits, now));
            appended.unwrap_or_else(|away| {
                let refused = || Refused::Unavailable {
                    reason: away.to_string(),
                    retry_after: SOON,
                };
                (0..count).map(|_| Err(refused())).collect()
            })
        })
    }

    fn take<'a>(
        &'a self,
        queue: &'a str,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Taken>, Unavailable>> {
        Box::pin(async move {
            let taken = self.until(move |held, now| held.take(queue, most, now));
            let taken = taken.await?;
            self.changes.send_replace(());
            Ok(taken)
        })
    }

    fn settle(&self, claim: Claim, settled: Settled) -> BoxFuture<'_, Result<(), NotSettled>> {
        Box::pin(async move {
            self.change(|held, now| held.settle(&claim, settled, now))?
                .ok_or(NotSettled::Lost)
        })
    }

    fn renew<'a>(&'a self, claims: &'a [Claim]) -> BoxFuture<'a, Vec<Claim>> {
        Box::pin(async move {
            let renewed = self.change(|held, now| {
                let lost = claims.iter().filter(|claim| !held.renew(claim, now));
                lost.cloned().collect()
            });
            // Nobody has taken them from a store that is away.
            renewed.unwrap_or_default()
        })
    }

    fn find(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>> {
        Box::pin(async move { Ok(self.reached()?.kept(id).map(Kept::delivery)) })
    }

    fn changed(
        &self,
        id: Uuid,
        since: u64,
    ) -> BoxFuture<'_, Result<Option<Delivery>, Unavailable>> {
        Box::pin(self.until(move |held, _| match held.kept(id) {
            Some(kept) if kept.version == since => Err(None),
            kept => Ok(kept.map(Kept::delivery)),
        }))
    }

    fn dead_letters<'a>(
        &'a self,
        queue: Option<&'a str>,
        after: Option<Uuid>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, Unavailable>> {
        Box::pin(async move {
            let held = self.reached()?;
            let letters = held.messages.iter().filter_map(Kept::dead_letter);
            let mut letters: Vec<_> = letters
                .filter(|it| queue.is_none_or(|queue| it.delivery.queue == queue))
                .collect();
            letters.sort_by_key(|it| (it.died_at, it.delivery.id));
            let skipped = after.and_then(|id| letters.iter().position(|it| it.delivery.id == id));
            let letters = letters.into_iter().skip(skipped.map_or(0, |at| at + 1));
            Ok(letters.take(most).collect())
        })
    }

    fn show(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Shown>, Unavailable>> {
        Box::pin(async move {
            let held = self.reached()?;
            Ok(held.kept(id).map(|kept| Shown {
                delivery: kept.delivery(),
                message: (!kept.erased).then(|| kept.message.clone()),
                progress: kept.progress.clone(),
            }))
        })
    }

    fn retry(&self, id: Uuid, force: bool) -> BoxFuture<'_, Result<(), NotRetried>> {
        Box::pin(async move { self.change(|held, _| held.retry(id, force))? })
    }

    fn purge(&self, id: Uuid) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async move {
            self.change(|held, _| {
                let before = held.messages.len();
                let purged = |kept: &Kept| kept.message.id == id && kept.is_dead();
                held.messages.retain(|kept| !purged(kept));
                held.messages.len() < before
            })
        })
    }

    fn erase<'a>(&'a self, caller: &'a str) -> BoxFuture<'a, Result<u64, Unavailable>> {
        Box::pin(async move { self.change(|held, _| held.erase(caller)) })
    }

    fn set_paused<'a>(
        &'a self,
        queue: &'a str,
        paused: Option<Paused>,
    ) -> BoxFuture<'a, Result<(), Unavailable>> {
        Box::pin(async move {
            self.change(|held, _| match paused {
                Some(paused) => drop(held.paused.insert(queue.to_owned(), paused)),
                None => drop(held.paused.remove(queue)),
            })
        })
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Unavailable>> {
        Box::pin(async move { Ok(self.reached()?.depths()) })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move { self.change(|held, now| held.sweep(&self.limits, now)) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // A store that is away has nothing to give back.
            let _ = self.change(|held, _| {
                held.closed = true;
                for kept in &mut held.messages {
                    kept.give_back();
                }
            });
        })
    }
}

impl Held {
    fn kept(&self, id: Uuid) -> Option<&Kept> {
        self.messages.iter().find(|kept| kept.message.id == id)
    }

    fn index(&self, id: Uuid) -> Option<usize> {
        self.messages.iter().position(|it| it.message.id == id)
    }

    /// All of them, or none.
    fn append_all(
        &mut self,
        messages: Vec<Message>,
        limits: &Limits,
        now: u64,
    ) -> Vec<Result<Receipt, Refused>> {
        let mut tried = self.clone();
        let answers = messages.into_iter();
        let answers: Vec<_> = answers.map(|it| tried.append(it, limits, now)).collect();
        if answers.iter().all(Result::is_ok) {
            *self = tried;
            return answers;
        }
        let answers = answers.into_iter();
        answers
            .map(|answer| Err(answer.err().unwrap_or(Refused::NotAlone)))
            .collect()
    }

    fn append(&mut self, message: Message, limits: &Limits, now: u64) -> Result<Receipt, Refused> {
        if self.closed {
            return Err(Refused::Unavailable {
                reason: "it is closed".into(),
                retry_after: SOON,
            });
        }
        if let Some(receipt) = self.repeated(&message, now)? {
            return Ok(receipt);
        }
        let bytes = message.encode().len();
        if bytes > limits.message {
            let limit = limits.message;
            return Err(Refused::TooLarge { bytes, limit });
        }
        let waiting = || self.messages.iter().filter(|kept| kept.waits());
        let held: u64 = waiting().map(|kept| kept.bytes).sum();
        if waiting().count() as u64 >= limits.messages || held + bytes as u64 > limits.bytes {
            return Err(Refused::Full { retry_after: SOON });
        }
        Ok(self.put(message, now))
    }

    /// Where the same was accepted before.
    fn repeated(&mut self, message: &Message, now: u64) -> Result<Option<Receipt>, Refused> {
        let Some(dedupe) = &message.dedupe else {
            return Ok(None);
        };
        self.deduped.retain(|_, known| known.until > now);
        let Some(known) = self.deduped.get(&dedupe.key) else {
            return Ok(None);
        };
        if known.fingerprint != dedupe.fingerprint {
            return Err(Refused::Conflict);
        }
        // What is no longer known was delivered long ago, or purged.
        let status = self.kept(known.id).map_or(Status::Delivered, Kept::status);
        Ok(Some(Receipt {
            id: known.id,
            status,
            accepted_at: known.accepted_at,
            duplicate: true,
        }))
    }

    fn put(&mut self, message: Message, now: u64) -> Receipt {
        let receipt = Receipt {
            id: message.id,
            status: Status::Queued,
            accepted_at: message.accepted_at,
            duplicate: false,
        };
        if let Some(dedupe) = &message.dedupe {
            let known = Deduped {
                id: message.id,
                fingerprint: dedupe.fingerprint.clone(),
                accepted_at: message.accepted_at,
                until: now.saturating_add(dedupe.window),
            };
            self.deduped.insert(dedupe.key.clone(), known);
        }
        self.versions += 1;
        self.messages.push(Kept {
            place: Place::Waits {
                due: message.not_before.unwrap_or(0),
                claim: None,
            },
            number: self.versions,
            bytes: message.encode().len() as u64,
            message,
            erased: false,
            progress: Progress::default(),
            version: self.versions,
        });
        receipt
    }

    /// Those that wait at the head of their lines, oldest first; a dead letter that blocks has nobody behind it there.
    fn heads(&self, queue: Option<&str>) -> Vec<usize> {
        let mut lines = BTreeSet::new();
        let mut heads = Vec::new();
        for (index, kept) in self.messages.iter().enumerate() {
            let asked = queue.is_none_or(|queue| kept.message.queue == queue);
            if asked && kept.is_in_line() && lines.insert(kept.line()) && kept.waits() {
                heads.push(index);
            }
        }
        heads
    }

    /// What may be taken now, or when to ask again.
    fn take(&mut self, queue: &str, most: usize, now: u64) -> Result<Vec<Taken>, Option<u64>> {
        if self.closed || self.paused.contains_key(queue) {
            return Err(None);
        }
        let mut taken = Vec::new();
        let mut next = None;
        for index in self.heads(Some(queue)) {
            let free = self.messages[index].free_at();
            if free > now {
                next = Some(next.map_or(free, |next: u64| next.min(free)));
            } else if taken.len() < most {
                taken.push(self.claim(index, now));
            }
        }
        match taken.is_empty() {
            true => Err(next),
            false => Ok(taken),
        }
    }

    fn claim(&mut self, index: usize, now: u64) -> Taken {
        self.tokens += 1;
        self.versions += 1;
        let kept = &mut self.messages[index];
        kept.version = self.versions;
        if let Place::Waits { claim, .. } = &mut kept.place {
            *claim = Some(Claimed {
                token: self.tokens,
                until: now + millis(VISIBILITY),
            });
        }
        Taken {
            claim: Claim {
                id: kept.message.id,
                queue: kept.message.queue.clone(),
                token: self.tokens,
            },
            message: kept.message.clone(),
            progress: kept.progress.clone(),
        }
    }

    /// None where the claim is not its holder's any more.
    fn settle(&mut self, claim: &Claim, settled: Settled, now: u64) -> Option<()> {
        let index = self.index(claim.id)?;
        self.messages[index].holds(claim, now)?;
        self.versions += 1;
        let kept = &mut self.messages[index];
        kept.version = self.versions;
        match settled {
            Settled::Delivered(progress) => {
                kept.progress = progress;
                kept.place = Place::Delivered { at: now };
                self.pass(index);
            }
            Settled::Again { progress, due } => {
                kept.progress = progress;
                kept.place = Place::Waits { due, claim: None };
            }
            Settled::Dead { progress, reason } => {
                kept.progress = progress;
                kept.place = Place::Dead {
                    reason,
                    at: now,
                    passed: false,
                };
            }
            Settled::Returned => kept.give_back(),
        }
        Some(())
    }

    /// One was delivered: the dead letters of its line that were accepted before it were passed by.
    fn pass(&mut self, index: usize) {
        let delivered = &self.messages[index];
        let (number, line) = (delivered.number, delivered.line());
        let before = |it: &Kept| it.is_dead() && it.number < number && it.line() == line;
        let before: Vec<bool> = self.messages.iter().map(before).collect();
        for (kept, _) in self.messages.iter_mut().zip(before).filter(|it| it.1) {
            if let Place::Dead { passed, .. } = &mut kept.place {
                *passed = true;
            }
        }
    }

    fn renew(&mut self, claim: &Claim, now: u64) -> bool {
        let kept = self.messages.iter_mut();
        let kept = kept.into_iter().find(|kept| kept.message.id == claim.id);
        let held = kept.and_then(|kept| kept.holds(claim, now));
        held.map(|held| held.until = now + millis(VISIBILITY))
            .is_some()
    }

    fn retry(&mut self, id: Uuid, force: bool) -> Result<(), NotRetried> {
        let index = self.index(id).ok_or(NotRetried::Unknown)?;
        let kept = &self.messages[index];
        let Place::Dead { passed, .. } = kept.place else {
            return Err(NotRetried::Unknown);
        };
        if kept.erased {
            return Err(NotRetried::Damaged);
        }
        let (number, line) = (kept.number, kept.line());
        let blocks = kept.message.blocks;
        let mut later = self.messages.iter().filter(|it| it.number > number);
        let moved_on = passed || later.any(|it| it.waits() && it.line() == line);
        if moved_on && !blocks && !force {
            return Err(NotRetried::MovedOn);
        }
        self.versions += 1;
        let mut kept = self.messages.remove(index);
        kept.version = self.versions;
        kept.progress = Progress::default();
        kept.place = Place::Waits {
            due: 0,
            claim: None,
        };
        let index = if blocks { index } else { self.messages.len() };
        self.messages.insert(index, kept);
        Ok(())
    }

    fn erase(&mut self, caller: &str) -> u64 {
        let is_theirs = |kept: &Kept| kept.message.caller.as_deref() == Some(caller);
        let unwanted = |kept: &Kept| is_theirs(kept) && kept.is_dead() && !kept.message.blocks;
        let before = self.messages.len();
        self.messages.retain(|kept| !unwanted(kept));
        let mut erased = before - self.messages.len();
        for kept in &mut self.messages {
            let said = matches!(kept.place, Place::Delivered { .. }) && !kept.erased;
            if is_theirs(kept) && said {
                kept.erased = true;
                erased += 1;
            }
        }
        erased as u64
    }

    fn sweep(&mut self, limits: &Limits, now: u64) {
        let over = |at: u64, kept: Duration| at.saturating_add(millis(kept)) <= now;
        self.messages.retain(|kept| match kept.place {
            Place::Waits { .. } => true,
            Place::Delivered { at } => !over(at, limits.delivered),
            Place::Dead { at, .. } => kept.message.blocks || !over(at, limits.dead),
        });
    }

    fn depths(&self) -> Vec<Depth> {
        let named = self.messages.iter().map(|kept| &kept.message.queue);
        let names: BTreeSet<&String> = named.chain(self.paused.keys()).collect();
        names.into_iter().map(|name| self.depth(name)).collect()
    }

    fn depth(&self, queue: &str) -> Depth {
        let all = || self.messages.iter().filter(|it| it.message.queue == queue);
        let waiting = || all().filter(|kept| kept.waits());
        Depth {
            queue: queue.to_owned(),
            waiting: waiting().count() as u64,
            bytes: waiting().map(|kept| kept.bytes).sum(),
            oldest: waiting().map(|kept| kept.message.accepted_at).min(),
            dead: all().filter(|kept| kept.is_dead()).count() as u64,
            paused: self.paused.get(queue).cloned(),
        }
    }
}

/// A queue and a key; a line of its own where there is no key.
type Line<'m> = (&'m str, Result<&'m str, Uuid>);

fn line_of(message: &Message) -> Line<'_> {
    (&message.queue, message.key.as_deref().ok_or(message.id))
}

impl Kept {
    fn line(&self) -> Line<'_> {
        line_of(&self.message)
    }

    fn waits(&self) -> bool {
        matches!(self.place, Place::Waits { .. })
    }

    fn is_dead(&self) -> bool {
        matches!(self.place, Place::Dead { .. })
    }

    /// Whether those behind it wait for it.
    fn is_in_line(&self) -> bool {
        self.waits() || (self.is_dead() && self.message.blocks)
    }

    /// When it may be taken.
    fn free_at(&self) -> u64 {
        match self.place {
            Place::Waits { due, claim } => due.max(claim.map_or(0, |claim| claim.until)),
            Place::Delivered { .. } | Place::Dead { .. } => u64::MAX,
        }
    }

    fn holds(&mut self, claim: &Claim, now: u64) -> Option<&mut Claimed> {
        match &mut self.place {
            Place::Waits {
                claim: Some(held), ..
            } if held.token == claim.token && held.until > now => Some(held),
            _ => None,
        }
    }

    fn give_back(&mut self) {
        if let Place::Waits { claim, .. } = &mut self.place {
            *claim = None;
        }
    }

    fn status(&self) -> Status {
        match &self.place {
            Place::Waits { claim: Some(_), .. } => Status::Delivering,
            Place::Waits { .. } if self.progress.last_error.is_some() => Status::Retrying,
            Place::Waits { .. } => Status::Queued,
            Place::Delivered { .. } => Status::Delivered,
            Place::Dead {
                reason: Reason::Expired,
                ..
            } => Status::Expired,
            Place::Dead { .. } => Status::DeadLettered,
        }
    }

    fn delivery(&self) -> Delivery {
        let status = self.status();
        let retrying = status == Status::Retrying;
        Delivery {
            id: self.message.id,
            queue: self.message.queue.clone(),
            field: self.message.field.clone(),
            caller: self.message.caller.clone(),
            correlation_id: self.message.correlation_id.clone(),
            status,
            attempts: self.progress.attempts,
            accepted_at: self.message.accepted_at,
            next_attempt_at: retrying.then(|| self.free_at()),
            delivered_at: match self.place {
                Place::Delivered { at } => Some(at),
                Place::Waits { .. } | Place::Dead { .. } => None,
            },
            error: self.progress.last_error.clone(),
            version: self.version,
        }
    }

    fn dead_letter(&self) -> Option<DeadLetter> {
        let Place::Dead { reason, at, .. } = self.place else {
            return None;
        };
        Some(DeadLetter {
            delivery: self.delivery(),
            reason,
            died_at: at,
            blocks: self.message.blocks,
            first_error: self.progress.first_error.clone(),
            request_id: self.message.request_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::message;

    fn store() -> PlainStore {
        PlainStore::new(Clock::default(), Limits::default())
    }

    fn of(id: u128, key: &str) -> Message {
        Message {
            key: Some(key.into()),
            ..message(id)
        }
    }

    async fn append(store: &PlainStore, messages: &[Message]) {
        let answers = store.append(messages.to_vec()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    /// What can be taken now.
    async fn take(store: &PlainStore) -> Vec<Taken> {
        let taken = store.take("email", 10);
        tokio::select! {
            biased;
            taken = taken => taken.unwrap(),
            () = std::future::ready(()) => Vec::new(),
        }
    }

    async fn ids(store: &PlainStore) -> Vec<u128> {
        let taken = take(store).await;
        taken.iter().map(|it| it.claim.id.as_u128()).collect()
    }

    async fn dies(store: &PlainStore, taken: &Taken) {
        let settled = Settled::Dead {
            progress: Progress::default(),
            reason: Reason::Refused,
        };
        store.settle(taken.claim.clone(), settled).await.unwrap();
    }

    async fn arrives(store: &PlainStore, taken: &Taken) {
        let settled = Settled::Delivered(Progress::default());
        store.settle(taken.claim.clone(), settled).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_each_line_is_taken_and_the_next_once_it_was_settled() {
        let store = store();
        append(&store, &[of(1, "a"), of(2, "a"), of(3, "b"), message(4)]).await;
        let taken = take(&store).await;
        let first: Vec<u128> = taken.iter().map(|it| it.claim.id.as_u128()).collect();
        assert_eq!(first, [1, 3, 4]);
        assert!(ids(&store).await.is_empty());
        arrives(&store, &taken[0]).await;
        assert_eq!(ids(&store).await, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_holds_its_line_and_is_taken_when_it_is_due() {
        let store = store();
        append(&store, &[of(1, "a"), of(2, "a")]).await;
        let taken = take(&store).await;
        let due = store.clock.now() + 5_000;
        let settled = Settled::Again {
            progress: Progress::default(),
            due,
        };
        store.settle(taken[0].claim.clone(), settled).await.unwrap();
        assert!(ids(&store).await.is_empty());
        let taken = store.take("email", 10).await.unwrap();
        assert_eq!((taken.len(), taken[0].claim.id.as_u128()), (1, 1));
        assert!(store.clock.now() >= due);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_is_not_renewed_is_lost_and_settles_nothing() {
        let store = store();
        append(&store, &[of(1, "a")]).await;
        let first = take(&store).await.remove(0);
        tokio::time::advance(VISIBILITY / 2).await;
        assert!(
            store
                .renew(std::slice::from_ref(&first.claim))
                .await
                .is_empty()
        );
        tokio::time::advance(VISIBILITY / 2).await;
        assert!(ids(&store).await.is_empty());
        tokio::time::advance(VISIBILITY / 2).await;
        assert_eq!(ids(&store).await, [1]);
        let late = store.settle(first.claim.clone(), Settled::Returned).await;
        assert_eq!(late, Err(NotSettled::Lost));
        let lost = store.renew(std::slice::from_ref(&first.claim)).await;
        assert_eq!(lost, [first.claim]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_letter_lets_its_line_go_unless_it_blocks() {
        let store = store();
        let blocking = Message {
            blocks: true,
            ..of(3, "b")
        };
        append(&store, &[of(1, "a"), of(2, "a"), blocking, of(4, "b")]).await;
        for taken in take(&store).await {
            dies(&store, &taken).await;
        }
        assert_eq!(ids(&store).await, [2]);
        assert!(store.purge(Uuid::from_u128(3)).await.unwrap());
        assert_eq!(ids(&store).await, [4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_letter_comes_back_at_the_end_and_only_by_force_once_its_key_has_moved_on() {
        let store = store();
        append(&store, &[of(1, "a"), of(2, "a")]).await;
        dies(&store, &take(&store).await[0]).await;
        let id = Uuid::from_u128(1);
        assert_eq!(store.retry(id, false).await, Err(NotRetried::MovedOn));
        arrives(&store, &take(&store).await[0]).await;
        assert_eq!(store.retry(id, false).await, Err(NotRetried::MovedOn));
        assert_eq!(store.retry(id, true).await, Ok(()));
        assert_eq!(ids(&store).await, [1]);
        assert_eq!(store.retry(id, true).await, Err(NotRetried::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_appended_as_a_whole_or_not_at_all() {
        let limits = Limits {
            messages: 2,
            ..Limits::default()
        };
        let store = PlainStore::new(Clock::default(), limits);
        let answers = store.append(vec![message(1), message(2), message(3)]).await;
        assert_eq!(answers[0], Err(Refused::NotAlone));
        assert_eq!(answers[2], Err(Refused::Full { retry_after: SOON }));
        assert!(ids(&store).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_again_is_no_second_message_and_another_payload_is_a_conflict() {
        let store = store();
        let said = |id, fingerprint: &str| Message {
            dedupe: Some(crate::message::Dedupe {
                key: "k".into(),
                fingerprint: fingerprint.into(),
                window: 1_000,
            }),
            ..message(id)
        };
        append(&store, &[said(1, "f")]).await;
        let again = store.append(vec![said(2, "f")]).await.remove(0).unwrap();
        assert_eq!((again.id.as_u128(), again.duplicate), (1, true));
        assert_eq!(
            store.append(vec![said(3, "g")]).await,
            [Err(Refused::Conflict)]
        );
        tokio::time::advance(Duration::from_secs(2)).await;
        append(&store, &[said(4, "g")]).await;
        assert_eq!(ids(&store).await, [1, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_taken_of_a_paused_queue_or_of_a_closed_store() {
        let store = store();
        append(&store, &[message(1)]).await;
        let paused = Paused {
            reason: "r".into(),
            since: 1,
            by_operator: true,
        };
        store.set_paused("email", Some(paused)).await.unwrap();
        assert!(ids(&store).await.is_empty());
        store.set_paused("email", None).await.unwrap();
        assert_eq!(ids(&store).await, [1]);
        store.close().await;
        assert!(ids(&store).await.is_empty());
        assert!(store.append(vec![message(2)]).await[0].is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_a_message_is_told_of_each_change() {
        let store = store();
        append(&store, &[message(1)]).await;
        let id = Uuid::from_u128(1);
        let queued = store.find(id).await.unwrap().unwrap();
        assert_eq!(queued.status, Status::Queued);
        let (changed, taken) = tokio::join!(store.changed(id, queued.version), take(&store));
        let delivering = changed.unwrap().unwrap();
        assert_eq!(delivering.status, Status::Delivering);
        let (changed, ()) = tokio::join!(
            store.changed(id, delivering.version),
            arrives(&store, &taken[0])
        );
        assert_eq!(changed.unwrap().unwrap().status, Status::Delivered);
        assert_eq!(store.changed(Uuid::nil(), 0).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn its_own_time_begins_at_the_head_of_its_line() {
        let store = store();
        append(&store, &[of(1, "a"), of(2, "a")]).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        arrives(&store, &take(&store).await[0]).await;
        let taken = take(&store).await;
        assert_eq!(taken[0].progress.active_since, store.clock.now());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_kept_long_enough_is_swept_and_a_caller_is_forgotten_on_demand() {
        let store = store();
        append(&store, &[message(1), message(2), message(3)]).await;
        let taken = take(&store).await;
        arrives(&store, &taken[0]).await;
        dies(&store, &taken[1]).await;
        assert_eq!(store.erase("issuer|ada").await, Ok(2));
        let shown = store.show(Uuid::from_u128(1)).await.unwrap().unwrap();
        assert_eq!(shown.message, None);
        assert_eq!(store.find(Uuid::from_u128(2)).await, Ok(None));
        tokio::time::advance(Limits::default().delivered).await;
        store.sweep().await.unwrap();
        assert_eq!(store.find(Uuid::from_u128(1)).await, Ok(None));
        assert!(store.find(Uuid::from_u128(3)).await.unwrap().is_some());
    }
}
