//! How much each client may ask for: named policies, each a bucket per key.
//!
//! Owns whose bucket is charged, with how much, and what is answered above the
//! limit. A request is charged to all policies of a unit or to none: what one
//! policy refuses must not eat what others grant. Knows nothing of HTTP beyond
//! the fields that tell how a bucket stands.

mod breaker;
mod buckets;
mod key;
mod local;
mod notice;
mod policy;
mod shared;
mod verdict;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::observe::metrics::Counter;

use key::KeyBytes;
use local::Local;
use notice::Notice;
use shared::Away;
use shared::Shared;
use verdict::Verdict;

pub(crate) use key::Key;
pub(crate) use key::Who;
pub(crate) use policy::Headers;
pub(crate) use policy::Mode;
pub(crate) use policy::Policy;
pub(crate) use policy::Unit;
pub(crate) use shared::OnFailure;
pub(crate) use shared::RedisSettings;
pub(crate) use verdict::Standings;
pub(crate) use verdict::seconds;

/// Most requests meet no more policies of one unit than this.
const FEW: usize = 4;

/// What the operator decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    pub(crate) policies: Vec<Policy>,
    /// Where the buckets are; in this process without it.
    pub(crate) redis: Option<RedisSettings>,
}

/// All limits of a gateway.
pub(crate) struct RateLimits {
    requests: Vec<Arc<Limiter>>,
    cost: Vec<Arc<Limiter>>,
    shared: Option<(Arc<Shared>, RedisSettings)>,
}

/// One policy and its buckets in this process.
struct Limiter {
    policy: Arc<Policy>,
    local: Local,
    measured: Notice,
    /// Charges that were refused.
    denials: Counter,
    /// Charges that would have been.
    excesses: Counter,
}

/// What became of one policy's charges.
pub(crate) struct Told<'l> {
    policy: &'l str,
    unit: &'static str,
    pub(crate) denied: u64,
    pub(crate) measured: u64,
}

impl Told<'_> {
    /// How the policy is told apart from others.
    pub(crate) fn labels(&self) -> [(&'static str, &str); 2] {
        [("policy", self.policy), ("unit", self.unit)]
    }
}

/// What a request takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) now: u64,
    /// What it was charged before, to the same policies.
    pub(crate) before: u64,
}

/// What one policy is asked for.
struct Charge<'l> {
    limiter: &'l Limiter,
    key: KeyBytes,
    amount: NonZeroU32,
    /// Who comes back is charged this first, and so waits for it too.
    before: u32,
}

/// Why a request is not served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Some buckets hold too little.
    Exhausted {
        /// Those that do.
        policies: Vec<Arc<str>>,
        /// When all of them hold enough.
        wait: Duration,
    },
    /// No bucket will ever hold as much.
    AboveBurst {
        policy: Arc<str>,
        unit: Unit,
        amount: u64,
        burst: u32,
    },
    /// The store of the buckets is away, and nothing passes without it.
    Away,
}

impl RateLimits {
    /// The limits, with the buckets of those that `old` has already: a reload fills nobody's.
    pub(crate) fn new(settings: &Settings, old: Option<&Self>) -> Result<Self, String> {
        let known = |policy: &Policy| {
            let mut old = old
                .into_iter()
                .flat_map(|old| old.requests.iter().chain(&old.cost));
            old.find(|limiter| *limiter.policy == *policy).cloned()
        };
        let limiter = |policy: &Policy| {
            let new = || Arc::new(Limiter::new(policy.clone()));
            known(policy).unwrap_or_else(new)
        };
        let of = |unit: Unit| {
            let policies = settings.policies.iter();
            let policies = policies.filter(|policy| policy.unit == unit);
            policies.map(limiter).collect()
        };
        let old_shared = old.and_then(|old| old.shared.as_ref());
        let shared = match (&settings.redis, old_shared) {
            (None, _) => None,
            (Some(redis), Some((shared, before))) if redis == before => {
                Some((shared.clone(), redis.clone()))
            }
            (Some(redis), _) => Some((Arc::new(Shared::new(redis)?), redis.clone())),
        };
        Ok(Self {
            requests: of(Unit::Requests),
            cost: of(Unit::Cost),
            shared,
        })
    }

    /// Whether anything is limited in this unit.
    pub(crate) fn limits(&self, unit: Unit) -> bool {
        !self.of(unit).is_empty()
    }

    /// Takes the amount from the bucket of each policy, or nothing from any.
    pub(crate) async fn charge(
        &self,
        unit: Unit,
        who: &Who<'_>,
        amount: Amount,
        standings: &mut Standings,
    ) -> Result<(), Denied> {
        let charges = charges(self.of(unit), who, amount)?;
        if charges.is_empty() {
            return Ok(());
        }
        let verdicts = match &self.shared {
            None => take_all(&charges),
            Some((shared, settings)) => match shared.charge(&charges).await {
                Ok(verdicts) => verdicts.into(),
                Err(Away) => match settings.on_failure {
                    OnFailure::Open => return Ok(()),
                    OnFailure::Closed if !charges.iter().any(Charge::counts) => return Ok(()),
                    OnFailure::Closed => return Err(Denied::Away),
                    OnFailure::Local => take_all(&charges),
                },
            },
        };
        judge(&charges, &verdicts, standings)
    }

    /// What became of each policy's charges so far.
    pub(crate) fn told(&self) -> impl Iterator<Item = Told<'_>> {
        let limiters = self.requests.iter().chain(&self.cost);
        limiters.map(|limiter| Told {
            policy: &limiter.policy.name,
            unit: match limiter.policy.unit {
                Unit::Requests => "requests",
                Unit::Cost => "points",
            },
            denied: limiter.denials.get(),
            measured: limiter.excesses.get(),
        })
    }

    fn of(&self, unit: Unit) -> &[Arc<Limiter>] {
        match unit {
            Unit::Requests => &self.requests,
            Unit::Cost => &self.cost,
        }
    }
}

impl Limiter {
    fn new(policy: Policy) -> Self {
        Self {
            local: Local::new(&policy),
            policy: Arc::new(policy),
            measured: Notice::new(),
            denials: Counter::default(),
            excesses: Counter::default(),
        }
    }

    /// In `measure` mode, instead of a refusal.
    fn measured(&self, amount: u64, wait: Option<Duration>) {
        self.excesses.count();
        let Some(times) = self.measured.happened() else {
            return;
        };
        tracing::info!(
            policy = &*self.policy.name,
            amount,
            retry_after_s = wait.map(seconds),
            times,
            "above a rate limit that is only measured"
        );
    }
}

impl Charge<'_> {
    fn policy(&self) -> &Policy {
        &self.limiter.policy
    }

    fn counts(&self) -> bool {
        self.policy().mode == Mode::Enforce
    }
}

/// What is more than a whole bucket is refused before any is charged.
fn charges<'l>(
    limiters: &'l [Arc<Limiter>],
    who: &Who<'_>,
    amount: Amount,
) -> Result<SmallVec<[Charge<'l>; FEW]>, Denied> {
    let mut charges = SmallVec::new();
    let whole = amount.now.saturating_add(amount.before);
    for limiter in limiters {
        let policy = &limiter.policy;
        let narrow = |amount: u64| u32::try_from(amount).unwrap_or(u32::MAX);
        match whole <= u64::from(policy.burst) {
            true => charges.extend(NonZeroU32::new(narrow(amount.now)).map(|now| Charge {
                limiter,
                key: policy.key.of(who),
                amount: now,
                before: narrow(amount.before),
            })),
            false if policy.mode == Mode::Measure => limiter.measured(whole, None),
            false => {
                limiter.denials.count();
                return Err(Denied::AboveBurst {
                    policy: policy.name.clone(),
                    unit: policy.unit,
                    amount: whole,
                    burst: policy.burst,
                });
            }
        }
    }
    Ok(charges)
}

/// Charges within this process. After a refusal that counts, what was taken before it goes back.
fn take_all(charges: &[Charge<'_>]) -> SmallVec<[Verdict; FEW]> {
    let mut verdicts = SmallVec::<[Verdict; FEW]>::new();
    for charge in charges {
        let local = &charge.limiter.local;
        let verdict = local.take(&local.hash(&charge.key), charge.amount);
        verdicts.push(verdict);
        if charge.counts() && !verdict.is_granted() {
            give_back(charges, &mut verdicts);
            break;
        }
    }
    verdicts
}

fn give_back(charges: &[Charge<'_>], verdicts: &mut [Verdict]) {
    let granted = charges
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| verdict.is_granted());
    for (charge, verdict) in granted {
        let local = &charge.limiter.local;
        local.give_back(&local.hash(&charge.key), charge.amount);
        verdict.remaining = verdict.remaining.saturating_add(charge.amount.get());
    }
}

fn judge(
    charges: &[Charge<'_>],
    verdicts: &[Verdict],
    standings: &mut Standings,
) -> Result<(), Denied> {
    let mut policies = Vec::new();
    let mut longest = Duration::ZERO;
    for (charge, verdict) in charges.iter().zip(verdicts) {
        let policy = &charge.limiter.policy;
        let again = policy.interval().saturating_mul(charge.before);
        let verdict = Verdict {
            wait: verdict.wait.map(|wait| wait + again),
            ..*verdict
        };
        standings.note(policy, verdict);
        match verdict.wait {
            Some(wait) if charge.counts() => {
                charge.limiter.denials.count();
                policies.push(policy.name.clone());
                longest = longest.max(wait);
            }
            Some(wait) => charge
                .limiter
                .measured(u64::from(charge.amount.get()), Some(wait)),
            None => {}
        }
    }
    match policies.is_empty() {
        true => Ok(()),
        false => Err(Denied::Exhausted {
            policies,
            wait: longest,
        }),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
