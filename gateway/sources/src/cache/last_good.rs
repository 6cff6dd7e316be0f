//! The last good reply of each caller, for the time when its source fails.
//!
//! Owns what it is kept under, which always names the caller, and its bound on
//! memory. Only replies of resolvers that say `staleIfError` are here.

use std::sync::Arc;
use std::time::Duration;

use compose::model::SourceId;
use tokio::time::Instant;

use super::Cache;
use super::CallKey;
use super::Kept;
use super::key::Key;
use super::purge::Purge;
use super::purge::Stamps;
use super::types_of;
use crate::protocol::Job;

/// Whose reply to what.
pub(crate) struct LastGood {
    key: Key,
    types: Vec<Arc<str>>,
}

impl LastGood {
    /// Of a job's caller to its call.
    pub(crate) fn of(job: &Job<'_>, call: CallKey) -> Self {
        Self {
            key: Key {
                source: job.resolver.source,
                principal: job.context.principal.clone(),
                call,
            },
            types: types_of(job).map(Arc::from).collect(),
        }
    }
}

/// Last good replies.
pub(super) struct Last(moka::sync::Cache<Key, Arc<Entry>, ahash::RandomState>);

struct Entry {
    kept: Kept,
    stored: Instant,
    types: Vec<Arc<str>>,
}

impl Last {
    /// At most so many bytes.
    pub(super) fn new(size: u64) -> Self {
        let weigh = |key: &Key, entry: &Arc<Entry>| {
            let bytes = 256 + key.weight() + entry.kept.weight();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let entries = moka::sync::Cache::builder()
            .max_capacity(size)
            .weigher(weigh);
        Self(entries.build_with_hasher(ahash::RandomState::new()))
    }

    /// Takes away what a purge names; how many replies that were.
    pub(super) fn purge(&self, purge: &Purge, stamps: &Stamps) -> u64 {
        let mut gone = 0;
        for (key, entry) in &self.0 {
            let source: SourceId = key.source;
            if purge.takes(&key, &entry.types, stamps.source_name(source)) {
                self.0.invalidate(&*key);
                gone += 1;
            }
        }
        gone
    }
}

impl Cache {
    /// This is the last good reply now.
    pub(crate) fn remember(&self, whose: LastGood, kept: Kept) {
        let entry = Entry {
            kept,
            stored: Instant::now(),
            types: whose.types,
        };
        self.0.last.0.insert(whose.key, Arc::new(entry));
    }

    /// The last good reply and its age, where it is not older than this.
    pub(crate) fn last_good(&self, whose: &LastGood, oldest: Duration) -> Option<(Kept, Duration)> {
        let entry = self.0.last.0.get(&whose.key)?;
        let age = Instant::now().saturating_duration_since(entry.stored);
        (age <= oldest).then(|| (entry.kept.clone(), age))
    }

    /// There is none any more.
    pub(crate) fn forget(&self, whose: &LastGood) {
        self.0.last.0.invalidate(&whose.key);
    }
}
