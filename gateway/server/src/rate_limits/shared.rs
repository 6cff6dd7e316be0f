//! Limits that several gateways share, in Redis.
//!
//! Owns the one script that charges all policies of a request in one round
//! trip, the names of the buckets, and noticing that Redis is away. What then
//! happens is for whoever asks.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use queue::redis::Redis;
use redis::Script;
use ring::digest;

use super::Charge;
use super::breaker::Breaker;
use super::policy::Mode;
use super::verdict::Verdict;

/// Where the buckets are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisSettings {
    /// `redis://` or `rediss://`, with user and password.
    pub(crate) url: String,
    /// Begins every bucket's name: gateways with the same one share buckets.
    pub(crate) prefix: String,
    /// For one script call.
    pub(crate) timeout: Duration,
    pub(crate) on_failure: OnFailure,
}

/// The address may hold a password: it is not for logs.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

/// What happens while Redis is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Requests pass.
    Open,
    /// Requests are refused.
    Closed,
    /// Each gateway limits for itself.
    Local,
}

/// Redis did not answer.
pub(super) struct Away;

/// The buckets in Redis.
pub(super) struct Shared {
    redis: Redis,
    settings: RedisSettings,
    script: Script,
    breaker: Breaker,
}

impl Shared {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, String> {
        Ok(Self {
            redis: Redis::at(&settings.url, settings.timeout)?,
            settings: settings.clone(),
            script: Script::new(include_str!("shared.lua")),
            breaker: Breaker::new(),
        })
    }

    /// Charges all or nothing: a refusal that counts leaves every bucket as it is.
    pub(super) async fn charge(&self, charges: &[Charge<'_>]) -> Result<Vec<Verdict>, Away> {
        if !self.breaker.lets_through() {
            return Err(Away);
        }
        let answer = tokio::time::timeout(self.settings.timeout, self.call(charges)).await;
        let why = match answer {
            Ok(Ok(told)) if told.len() == charges.len() * 3 => {
                self.breaker.succeeded();
                return Ok(told.chunks_exact(3).map(verdict).collect());
            }
            Ok(Ok(_)) => "an answer that the script does not give".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.settings.timeout),
        };
        if self.breaker.failed() {
            let instead = self.settings.on_failure;
            tracing::warn!(why, ?instead, "Redis, which holds the rate limits, is away");
        }
        Err(Away)
    }

    async fn call(&self, charges: &[Charge<'_>]) -> redis::RedisResult<Vec<i64>> {
        let mut connection = self.redis.connection()?;
        let mut call = self.script.prepare_invoke();
        for charge in charges {
            let policy = charge.policy();
            let interval = policy.per.as_micros() as f64 / f64::from(policy.amount);
            call.key(self.bucket(&policy.name, &charge.key))
                .arg(interval)
                .arg(policy.burst)
                .arg(charge.amount.get())
                .arg(u8::from(policy.mode == Mode::Enforce));
        }
        call.invoke_async(&mut connection).await
    }

    /// Keys are hashed: an identity is nobody's to read in a store, and a name's length is bounded. The
    /// braces put all buckets into one slot of a cluster, where one script may see them together.
    fn bucket(&self, policy: &str, key: &[u8]) -> String {
        let hash = digest::digest(&digest::SHA256, key);
        let mut name = format!("{{{}}}:{policy}:", self.settings.prefix);
        for byte in &hash.as_ref()[..16] {
            // Writing to memory cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

fn verdict(told: &[i64]) -> Verdict {
    let micros = |at: usize| Duration::from_micros(u64::try_from(told[at]).unwrap_or(0));
    Verdict {
        remaining: u32::try_from(told[1]).unwrap_or(0),
        full_in: micros(2),
        wait: (told[0] > 0).then(|| micros(0)),
    }
}
