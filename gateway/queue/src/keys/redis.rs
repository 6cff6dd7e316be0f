//! Keys that several gateways share, in Redis.
//!
//! Owns one script for each step, which Redis runs as a whole, and the lease by
//! which a claim of a process that died is told from one that is worked on.
//! What Redis forgets was never there: how it is to be run is for operators.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use redis::RedisResult;
use redis::Script;
use redis::Value;
use tokio::task::AbortHandle;

use super::Asked;
use super::Begun;
use super::Claim;
use super::Entry;
use super::Held;
use super::Keys;
use super::Name;
use super::Refused;
use super::sealed_for;
use crate::clock::millis;
use crate::redis::Redis;
use crate::seal::Seal;
use crate::store::BoxFuture;

/// Where the keys are.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisKeysSettings {
    /// `redis://` or `rediss://`, with user and password.
    pub url: String,
    /// Begins every key's name: gateways with the same one share keys.
    pub prefix: String,
    /// For one script call.
    pub timeout: Duration,
    /// How long a claim holds that nobody renews. A third of it is between two renewals.
    pub lease: Duration,
    /// Bytes of one answer.
    pub answer: usize,
}

/// The address may hold a password: it is not for logs.
impl fmt::Debug for RedisKeysSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisKeysSettings")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("lease", &self.lease)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// Keys in Redis.
pub struct RedisKeys(Arc<Inner>);

struct Inner {
    redis: Redis,
    settings: RedisKeysSettings,
    seal: Seal,
    begin: Script,
    settle: Script,
}

impl RedisKeys {
    /// Nothing is dialled before the first key.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(settings: RedisKeysSettings, seal: Seal) -> Result<Self, String> {
        Ok(Self(Arc::new(Inner {
            redis: Redis::at(&settings.url, settings.timeout)?,
            settings,
            seal,
            begin: Script::new(include_str!("redis/begin.lua")),
            settle: Script::new(include_str!("redis/settle.lua")),
        })))
    }
}

impl Keys for RedisKeys {
    fn begin(&self, asked: Asked) -> BoxFuture<'_, Result<Begun, Refused>> {
        Box::pin(async move {
            let entry = Entry::of(&asked, &self.0.seal);
            let claim = Claim {
                name: entry.name,
                token: uuid::Uuid::new_v4().as_u64_pair().0,
                keep: asked.keep,
                held: None,
            };
            match self.0.begin(&asked, entry, &claim).await {
                Ok(Answered::Fresh) => Ok(Begun::Fresh(self.0.held(claim))),
                Ok(Answered::Known(begun)) => Ok(begun),
                Err(refused) => {
                    self.0.take_back(claim);
                    Err(refused)
                }
            }
        })
    }

    fn finish(&self, claim: Claim, answer: Vec<u8>) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move {
            let (bytes, limit) = (answer.len(), self.0.settings.answer);
            if bytes > limit {
                return Err(Refused::TooLarge { bytes, limit });
            }
            let answer = self.0.seal.seal(sealed_for(claim.name), &answer);
            self.0.settle(&claim, Step::Finish(&answer)).await
        })
    }

    fn abandon(&self, claim: Claim) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move { self.0.settle(&claim, Step::Abandon).await })
    }

    /// Redis forgets by itself.
    fn sweep(&self) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What Redis answers to who begins.
enum Answered {
    Fresh,
    Known(Begun),
}

enum Step<'a> {
    Renew,
    Finish(&'a [u8]),
    Abandon,
}

impl Inner {
    async fn begin(&self, asked: &Asked, entry: Entry, claim: &Claim) -> Result<Answered, Refused> {
        let mut call = self.begin.prepare_invoke();
        call.key(self.name(entry.name))
            .arg(format!("{:032x}", entry.fingerprint))
            .arg(claim.token)
            .arg(millis(self.settings.lease))
            .arg(millis(asked.keep))
            .arg(u8::from(asked.repeatable));
        let told: Vec<Vec<u8>> = self.call(call).await?;
        let mut told = told.into_iter();
        let word = told.next().unwrap_or_default();
        Ok(match (word.as_slice(), told.next()) {
            (b"fresh", _) => Answered::Fresh,
            (b"in flight", _) => Answered::Known(Begun::InFlight),
            (b"mismatch", _) => Answered::Known(Begun::Mismatch),
            (b"unknown", _) => Answered::Known(Begun::Unknown),
            (b"finished", Some(answer)) => {
                let answer = self.seal.open(sealed_for(entry.name), &answer);
                let answer = answer.map_err(|error| Refused::Unavailable(error.to_string()))?;
                Answered::Known(Begun::Finished(answer))
            }
            _ => {
                let strange = "an answer that the script does not give".to_owned();
                return Err(Refused::Unavailable(strange));
            }
        })
    }

    async fn settle(&self, claim: &Claim, step: Step<'_>) -> Result<(), Refused> {
        let mut call = self.settle.prepare_invoke();
        call.key(self.name(claim.name)).arg(claim.token);
        match step {
            Step::Renew => call.arg("renew").arg(millis(self.settings.lease)),
            Step::Finish(answer) => call.arg("finish").arg(millis(claim.keep)).arg(answer),
            Step::Abandon => call.arg("abandon"),
        };
        let done: u8 = self.call(call).await?;
        match done {
            1 => Ok(()),
            _ => Err(Refused::Lost),
        }
    }

    async fn call<T: redis::FromRedisValue>(
        &self,
        call: redis::ScriptInvocation<'_>,
    ) -> Result<T, Refused> {
        let answered = async {
            let mut connection = self.redis.connection()?;
            let answered: Value = call.invoke_async(&mut connection).await?;
            RedisResult::Ok(redis::from_redis_value(answered)?)
        };
        match tokio::time::timeout(self.redis.timeout(), answered).await {
            Ok(answered) => answered.map_err(|error| refused(&error)),
            Err(_) => {
                let why = format!("no answer within {:?}", self.redis.timeout());
                Err(Refused::Unavailable(why))
            }
        }
    }

    /// The claim, renewed for as long as it is held.
    fn held(self: &Arc<Self>, claim: Claim) -> Claim {
        let (keys, own) = (Arc::downgrade(self), bare(&claim));
        let pause = self.settings.lease / 3;
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(keys) = keys.upgrade() else { return };
                // Where Redis is away, it may be back before the lease ends.
                if keys.settle(&own, Step::Renew).await == Err(Refused::Lost) {
                    return;
                }
            }
        });
        Claim {
            held: Some(Held::new(Renewal(renewal.abort_handle()))),
            ..claim
        }
    }

    /// Nobody knows whether it was begun, and nobody goes on with it.
    fn take_back(self: &Arc<Self>, claim: Claim) {
        let keys = self.clone();
        tokio::spawn(async move {
            // Where this fails too, the claim is lost, which is the safe side.
            let _ = keys.settle(&claim, Step::Abandon).await;
        });
    }

    fn name(&self, name: Name) -> String {
        format!("{}:idempotency:{name:032x}", self.settings.prefix)
    }
}

fn bare(claim: &Claim) -> Claim {
    Claim {
        held: None,
        ..*claim
    }
}

/// Ends with its claim.
struct Renewal(AbortHandle);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn refused(error: &RedisError) -> Refused {
    // `maxmemory` is reached, and nothing may be evicted.
    match error.code() {
        Some("OOM") => Refused::Full,
        _ => Refused::Unavailable(error.to_string()),
    }
}
