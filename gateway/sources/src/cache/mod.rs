//! Replies that are kept, as long as the schema and the service allow.
//!
//! Owns the store: what a reply is kept under, for how long, what a purge
//! takes away, and the bound on memory. What is kept is what a service sent;
//! it is decoded anew for each request. A key holds the call as it was
//! rendered, so that whatever a claim or a header changed keeps callers apart;
//! what is private is kept under its caller too. Knows nothing of protocols.

mod freshness;
mod key;
mod last_good;
mod purge;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use compose::Supergraph;
use compose::model::SourceId;
use compose::model::Target;
use http::HeaderMap;
use plan::cache::CachePolicy;
use plan::cache::Caching;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::protocol::Job;
use freshness::Allowed;
use purge::Stamps;

pub use freshness::UpstreamRule;
pub(crate) use key::CallKey;
pub(crate) use key::ItemKey;
pub(crate) use key::Kept;
use key::Key;
use last_good::Last;
pub(crate) use last_good::LastGood;
pub use purge::Purge;
pub(crate) use purge::id_of;

/// Background refreshes at once, over all sources.
const REFRESHES: usize = 64;

/// What an operator decides about keeping replies.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Bytes that are kept at most.
    pub size: u64,
    /// Bytes of last good replies, for `staleIfError`.
    pub last_good_size: u64,
    /// What a service's own `Cache-Control` changes.
    pub upstream: UpstreamRule,
    /// How long a reply that is no longer fresh is answered while a new one is fetched, where the service does not say it.
    pub stale_while_revalidate: Duration,
    /// How long it is remembered that a batch's reply lacked an item.
    pub missing: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            size: 64 * 1024 * 1024,
            last_good_size: 16 * 1024 * 1024,
            upstream: UpstreamRule::Shorten,
            stale_while_revalidate: Duration::ZERO,
            missing: Duration::ZERO,
        }
    }
}

/// The replies of all sources of one graph. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cache(Arc<Store>);

struct Store {
    entries: moka::sync::Cache<Key, Arc<Entry>, ahash::RandomState>,
    stamps: Stamps,
    settings: CacheSettings,
    refreshes: Arc<Semaphore>,
    last: Last,
}

struct Entry {
    kept: Kept,
    stored: Instant,
    allowed: Allowed,
    /// When its call began, in purges.
    begun: u64,
    /// The object types that its first reader saw in it.
    types: Vec<Arc<str>>,
    /// Somebody is fetching it anew.
    refreshing: AtomicBool,
}

impl Cache {
    /// Empty. Purges can name the sources and types of the graph.
    pub(crate) fn new(settings: CacheSettings, graph: &Supergraph) -> Self {
        let sources = graph.sources().iter().map(|source| source.name.as_str());
        let types = graph.types().keys().map(|name| name.as_str());
        Self::with(settings, Stamps::of(sources, types))
    }

    /// Of no graph in particular.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let stamps = Stamps::of(std::iter::empty(), std::iter::empty());
        Self::with(CacheSettings::default(), stamps)
    }

    fn with(settings: CacheSettings, stamps: Stamps) -> Self {
        let entries = moka::sync::Cache::builder()
            .max_capacity(settings.size)
            .weigher(|key: &Key, entry: &Arc<Entry>| entry.weight(key))
            .build_with_hasher(ahash::RandomState::new());
        Self(Arc::new(Store {
            entries,
            stamps,
            last: Last::new(settings.last_good_size),
            settings,
            refreshes: Arc::new(Semaphore::new(REFRESHES)),
        }))
    }

    /// What may be kept and taken for a job; nothing where nobody allows it.
    pub(crate) fn asking<'a>(&'a self, job: &Job<'a>) -> Option<Asking<'a>> {
        let caching = job.context.caching.as_ref()?;
        let reads = job.resolver.policy.idempotent && !job.is_mutation();
        if !reads || !self.0.settings.upstream.may_keep(job.cache) {
            return None;
        }
        Some(Asking {
            cache: self,
            job: *job,
            caching,
        })
    }

    /// Takes away what a purge names; how many replies that were.
    pub(crate) fn purge(&self, purge: &Purge) -> u64 {
        let store = &self.0;
        store.stamps.purge(purge);
        let mut gone = store.last.purge(purge, &store.stamps);
        for (key, entry) in &store.entries {
            if purge.takes(&key, &entry.types, store.stamps.source_name(key.source)) {
                store.entries.invalidate(&*key);
                gone += 1;
            }
        }
        gone
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.0.entries.run_pending_tasks();
        self.0.entries.weighted_size()
    }

    /// What a finished mutation makes old: everything of the sources that it called, and of the types that it answered.
    pub(crate) fn written(&self, sources: &[SourceId], types: &[Arc<str>]) {
        self.0.stamps.written(sources, types);
    }
}

/// A job that may use kept replies.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    cache: &'a Cache,
    job: Job<'a>,
    caching: &'a Caching,
}

/// A reply that was kept.
pub(crate) struct Found {
    pub(crate) kept: Kept,
    /// Set where it is no longer fresh and nobody else fetches it anew: whoever holds it does.
    pub(crate) refresh: Option<Refresh>,
}

/// The right to keep the reply of a call that begins now.
pub(crate) struct Ticket {
    cache: Cache,
    source: SourceId,
    principal: Option<Arc<[u8]>>,
    policy: CachePolicy,
    types: Vec<Arc<str>>,
    begun: u64,
}

/// The right to fetch a stale reply anew, in the background.
pub(crate) struct Refresh {
    entry: Arc<Entry>,
    pub(crate) ticket: Ticket,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.entry.refreshing.store(false, Ordering::Release);
    }
}

impl<'a> Asking<'a> {
    /// The kept reply of a call: one that is fresh, or stale for a moment only. The answer is as old as it.
    pub(crate) fn find(&self, call: &CallKey) -> Option<Found> {
        let (entry, age) = self.entry(call)?;
        let left = self.lifetime(&entry).saturating_sub(age);
        let refresh = match left.is_zero() {
            false => None,
            true => {
                if age >= self.lifetime(&entry) + entry.allowed.stale {
                    return None;
                }
                self.refresh(&entry)
            }
        };
        let told = entry.allowed.age + age;
        self.caching.used(told, left, entry.allowed.private);
        Some(Found {
            kept: entry.kept.clone(),
            refresh,
        })
    }

    /// Under no caller first, then under this one.
    fn entry(&self, call: &CallKey) -> Option<(Arc<Entry>, Duration)> {
        let store = &self.cache.0;
        let get = |principal: Option<Arc<[u8]>>| {
            let key = Key {
                source: self.job.resolver.source,
                principal,
                call: call.clone(),
            };
            let entry = store.entries.get(&key)?;
            let holds = store
                .stamps
                .holds(key.source, types_of(&self.job), entry.begun);
            holds.then_some(entry)
        };
        let shared = (!self.job.cache.private).then(|| get(None)).flatten();
        let own = || get(Some(self.job.context.principal.clone()?));
        let entry = shared.or_else(own)?;
        let age = Instant::now().saturating_duration_since(entry.stored);
        Some((entry, age))
    }

    /// As the schema has it for this reader, and as it was allowed when it was stored.
    fn lifetime(&self, entry: &Entry) -> Duration {
        let own = self.job.cache.max_age.map(u64::from);
        let own = own.map(Duration::from_secs);
        own.unwrap_or(Duration::MAX).min(entry.allowed.fresh)
    }

    fn refresh(&self, entry: &Arc<Entry>) -> Option<Refresh> {
        if entry.refreshing.swap(true, Ordering::AcqRel) {
            return None;
        }
        let permit = self.cache.0.refreshes.clone().try_acquire_owned();
        let Ok(permit) = permit else {
            entry.refreshing.store(false, Ordering::Release);
            return None;
        };
        Some(Refresh {
            entry: entry.clone(),
            ticket: self.ticket(),
            _permit: permit,
        })
    }

    /// For a call that begins now.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket {
            cache: self.cache.clone(),
            source: self.job.resolver.source,
            principal: self.job.context.principal.clone(),
            policy: self.job.cache,
            types: types_of(&self.job).map(Arc::from).collect(),
            begun: self.cache.0.stamps.now(),
        }
    }

    /// What came is nothing that anybody may keep.
    pub(crate) fn lost(&self) {
        self.caching.used_up();
    }

    /// A reply came that was not kept before: the answer is as fresh as it.
    pub(crate) fn came(&self, ticket: &Ticket, headers: Option<&HeaderMap>) {
        match ticket.allowed(headers) {
            Some(allowed) => self
                .caching
                .used(allowed.age, allowed.fresh, allowed.private),
            None => self.caching.used_up(),
        }
    }
}

/// The object types of which a reader sees something; for a field's own call, the type that has the field.
fn types_of<'a>(job: &Job<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let layouts = job.shape.map(|shape| &shape.layouts[..]);
    let layouts = layouts.unwrap_or_default().iter();
    let owner = match &job.resolver.target {
        Target::Field { ty, .. } => Some(ty.as_str()),
        Target::Root { .. } | Target::Entity { .. } => None,
    };
    layouts.map(|layout| &*layout.ty).chain(owner)
}

impl Ticket {
    fn allowed(&self, headers: Option<&HeaderMap>) -> Option<Allowed> {
        freshness::allowed(&self.cache.0.settings, self.policy, headers)
    }

    /// Keeps a reply, where all who are asked allow it.
    pub(crate) fn store(&self, call: CallKey, kept: Kept, headers: Option<&HeaderMap>) {
        if let Some(allowed) = self.allowed(headers) {
            self.keep(call, kept, allowed);
        }
    }

    /// Keeps the items of one key; that there are none only as long as the operator says. They are never answered stale: nobody fetches a single one anew.
    pub(crate) fn store_items(&self, call: CallKey, items: Bytes, headers: Option<&HeaderMap>) {
        let longest = match items.is_empty() {
            true => self.cache.0.settings.missing,
            false => Duration::MAX,
        };
        if let Some(mut allowed) = self.allowed(headers)
            && !longest.is_zero()
        {
            allowed.fresh = allowed.fresh.min(longest);
            allowed.stale = Duration::ZERO;
            self.keep(call, Kept::Items(items), allowed);
        }
    }

    fn keep(&self, call: CallKey, kept: Kept, allowed: Allowed) {
        let principal = match (allowed.private, &self.principal) {
            (false, _) => None,
            (true, Some(principal)) => Some(principal.clone()),
            // Of nobody in particular, so for nobody.
            (true, None) => return,
        };
        let store = &self.cache.0;
        if store.stamps.key_purged_since(self.begun) {
            return;
        }
        let key = Key {
            source: self.source,
            principal,
            call,
        };
        let entry = Entry {
            kept,
            stored: Instant::now(),
            allowed,
            begun: self.begun,
            types: self.types.clone(),
            refreshing: AtomicBool::new(false),
        };
        store.entries.insert(key, Arc::new(entry));
    }
}

impl Entry {
    /// Bytes, about.
    fn weight(&self, key: &Key) -> u32 {
        const OWN: usize = 256;
        let bytes = OWN + key.weight() + self.kept.weight();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}
