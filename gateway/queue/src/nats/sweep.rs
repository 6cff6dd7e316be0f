//! Clearing away what crashes have left.
//!
//! The brokers delete what has been kept long enough: buckets and dead letters
//! have an age. Here it is looked whether they have, and what is left to do is
//! rare: the record of a message that was moved already, or of one that was
//! refused and never stored.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::millis;
use crate::nats::keep::forget_members;
use crate::nats::letters;
use crate::nats::look;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::pull::Pulled;
use crate::nats::pull::Visit;
use crate::nats::pull::scan;
use crate::nats::record::Phase;
use crate::nats::shared::Shared;
use crate::store::Unavailable;

/// A record of what is over is left for so long to those who are about to move it.
const LEFT: Duration = Duration::from_secs(3600);

/// How often: it takes a reading of all that is known of what waits.
const EVERY: Duration = Duration::from_secs(3600);

/// Deletes what has been kept long enough.
pub(super) async fn sweep(shared: &Shared) -> Result<(), Unavailable> {
    forget_members(shared).await?;
    let limits = &shared.options.limits;
    let (done, all_done) = look::delivered(shared);
    for old in older(shared, &done, &all_done, limits.delivered).await? {
        shared.broker.delete(&done, old.sequence).await?;
    }
    let (dead, all_dead) = (shared.names.dead(), shared.names.all_dead());
    for old in older(shared, &dead, &all_dead, limits.dead).await? {
        // One that blocked its line lets it go.
        letters::purge(shared, old.id).await?;
    }
    {
        let next = shared.next_sweep.lock();
        let mut next = next.unwrap_or_else(PoisonError::into_inner);
        if *next > Instant::now() {
            return Ok(());
        }
        *next = Instant::now() + EVERY;
    }
    let over = records_of_what_is_over(shared).await?;
    for id in over {
        clear(shared, id).await?;
    }
    Ok(())
}

/// A record that has been kept long enough.
struct Old {
    id: Uuid,
    sequence: u64,
}

/// What came first is over first: there is nothing to read but what goes, and one more.
async fn older(
    shared: &Shared,
    stream: &str,
    subject: &str,
    kept: Duration,
) -> Result<Vec<Old>, Unavailable> {
    let before = shared.now().saturating_sub(millis(kept));
    let mut older = Vec::new();
    let visit = |pulled: Pulled| {
        let at = names::header::<u64>(&pulled.headers, names::FINAL);
        if at.is_none_or(|at| at > before) {
            return Visit::Enough;
        }
        let sequence = pulled.sequence;
        older.extend(names::id_of(&pulled.headers).map(|id| Old { id, sequence }));
        Visit::More
    };
    scan(&shared.broker, stream, subject, 1, true, visit).await?;
    Ok(older)
}

async fn records_of_what_is_over(shared: &Shared) -> Result<Vec<Uuid>, Unavailable> {
    let before = shared.now().saturating_sub(millis(LEFT));
    let all = shared.names.key(Bucket::State, ">");
    let mut over = Vec::new();
    let visit = |pulled: Pulled| {
        let since = names::header::<u64>(&pulled.headers, names::FINAL);
        if since.is_some_and(|since| since < before) {
            over.extend(names::id_of(&pulled.headers));
        }
        Visit::More
    };
    let stream = shared.names.bucket(Bucket::State);
    scan(&shared.broker, &stream, &all, 1, true, visit).await?;
    Ok(over)
}

async fn clear(shared: &Shared, id: Uuid) -> Result<(), Unavailable> {
    let Some((known, revision)) = shared.known(id).await? else {
        return Ok(());
    };
    let lies = match known.phase {
        Phase::Refused { .. } => false,
        Phase::Delivered { .. } | Phase::Dead { .. } => {
            let stream = shared.names.waiting();
            shared.broker.get(&stream, known.position).await?.is_some()
        }
        Phase::Waiting { .. } | Phase::Claimed { .. } => true,
    };
    match lies {
        true => Ok(()),
        false => shared.forget(revision).await,
    }
}
