//! Mutations whose client gave an `Idempotency-Key`. Start reading at [`Idempotency::begin`].
//!
//! Owns what a key stands for: who may go on, who is answered with what was
//! answered before, and what is kept of an answer. Where keys are kept is the
//! queue's; how a refusal looks is the edge's. Knows nothing of how a mutation
//! is run. <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

mod answer;
mod effects;
mod header;
mod open;
mod refused;
mod settings;
mod used;

use std::sync::Arc;

use http::HeaderMap;
use queue::keys;
use queue::keys::Begun;
use queue::keys::Claim;
use queue::keys::Keys;
use tokio::sync::OnceCell;

pub(crate) use answer::Stored;
pub(crate) use header::ClientKey;
pub(crate) use header::HEADER;
pub(crate) use refused::Refused;
pub(crate) use settings::IdempotencySettings;
pub(crate) use settings::Mode;
pub(crate) use settings::StoreSettings;
pub(crate) use used::Mutation;
pub(crate) use used::Used;

use effects::ClientEffects;

/// The keys of all clients. Their store is opened for the first that comes.
pub(crate) struct Idempotency {
    settings: IdempotencySettings,
    store: OnceCell<Arc<dyn Keys>>,
}

/// What becomes of a mutation with a key.
pub(crate) enum Start {
    /// It is run, and its end is told to the guard, where there is one.
    Run(Option<Guard>),
    /// It was run before.
    Replay(Stored),
}

/// Keeps others from doing what is done under a key. Dropped, nobody knows whether that was done.
pub(crate) struct Guard {
    keys: Arc<dyn Keys>,
    claim: Claim,
    effects: Arc<ClientEffects>,
}

/// The key of a mutation; none where it has none, or where keys mean nothing.
///
/// # Errors
/// When it cannot be read, or has to be there and is not.
pub(crate) fn key_of(mode: Mode, headers: &HeaderMap) -> Result<Option<ClientKey>, Refused> {
    if mode == Mode::Off {
        return Ok(None);
    }
    match ClientKey::of(headers)? {
        None if mode == Mode::Required => Err(Refused::Missing),
        key => Ok(key),
    }
}

impl Idempotency {
    /// Nothing is opened.
    pub(crate) fn new(settings: IdempotencySettings) -> Self {
        Self {
            settings,
            store: OnceCell::new(),
        }
    }

    /// Begins what a key stands for, or finds what was answered before.
    pub(crate) async fn begin(&self, used: &Used) -> Result<Start, Refused> {
        let Some(asked) = &used.asked else {
            return Ok(Start::Run(None));
        };
        let keys = self.keys().await?;
        match keys.begin(asked.clone()).await {
            Ok(Begun::Fresh(claim)) => Ok(Start::Run(Some(Guard {
                keys,
                claim,
                effects: used.effects.clone(),
            }))),
            Ok(Begun::InFlight) => Err(Refused::InFlight),
            Ok(Begun::Mismatch) => Err(Refused::Mismatch),
            Ok(Begun::Unknown) => Err(Refused::Unknown),
            Ok(Begun::Finished(stored)) => {
                // Another release wrote it: that it was done is all that is known.
                let stored = Stored::decode(&stored).ok_or(Refused::Unknown)?;
                used.check(&stored)?;
                Ok(Start::Replay(stored))
            }
            Err(error) => {
                tracing::warn!(%error, "a mutation with an idempotency key was refused");
                Err(match error {
                    keys::Refused::Full => Refused::Full,
                    _ => Refused::Away,
                })
            }
        }
    }

    async fn keys(&self) -> Result<Arc<dyn Keys>, Refused> {
        let opened = self.store.get_or_try_init(|| open::open(&self.settings));
        let opened = opened.await.map_err(|why| {
            tracing::error!(
                why,
                "the store of idempotency keys cannot be opened: mutations that bring one are refused"
            );
            Refused::Away
        });
        opened.cloned()
    }

    /// Lets go of the store, for the process that comes next.
    pub(crate) async fn close(&self) {
        if let Some(keys) = self.store.get() {
            keys.close().await;
        }
    }
}

impl Guard {
    /// Keeps the answer, or forgets the key where nothing was sent.
    pub(crate) async fn end(self, answer: &Stored) {
        let ended = match self.effects.were_sent() {
            true => self.keys.finish(self.claim, answer.encode()).await,
            false => self.keys.abandon(self.claim).await,
        };
        if let Err(error) = ended {
            tracing::error!(%error, "the answer to a mutation could not be kept: who sends its idempotency key again is told that nobody knows");
        }
    }
}

#[cfg(test)]
mod tests;
