//! The plan cache: an operation seen before is never parsed again.
//!
//! Owns the cache of one graph (a new graph starts with its own, so the
//! graph's version is part of the key by construction), the one hash of a
//! request's document, and the bounded pool in which unseen documents are
//! planned: once for all who wait for the same one. Knows nothing of HTTP.

use std::hash::BuildHasherDefault;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use compose::Supergraph;
use moka::Equivalent;
use moka::future::Cache;
use plan::Document;
use plan::DocumentLimits;
use plan::Plan;
use plan::Refusal;
use plan::code::Code;
use tokio::sync::Semaphore;

use crate::identity::Identity;

/// Everything that is worked out once for an operation.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// What of the caller its upstream calls depend on.
    pub(crate) identity: Identity,
    operation: Operation,
    uses: AtomicU64,
}

/// An operation as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Operation {
    document: Arc<str>,
    name: Option<Box<str>>,
}

/// The cache of one graph.
pub(crate) struct Plans {
    planner: Planner,
    cache: Cache<PlanKey, Arc<Planned>, BuildHasherDefault<Hashed>>,
    hasher: ahash::RandomState,
}

/// What planning needs besides the operation.
#[derive(Clone)]
pub(crate) struct Planner {
    pub(crate) supergraph: Arc<Supergraph>,
    pub(crate) limits: DocumentLimits,
    pub(crate) introspection: bool,
    /// How many unseen operations are planned at a time, over all graphs.
    pub(crate) pool: Arc<Semaphore>,
}

impl Plans {
    pub(crate) fn new(planner: Planner, entries: u64) -> Self {
        Self {
            planner,
            cache: Cache::builder()
                .max_capacity(entries)
                .build_with_hasher(BuildHasherDefault::default()),
            hasher: ahash::RandomState::new(),
        }
    }

    /// The plan of an operation, and whether it was there already.
    pub(crate) async fn get_or_plan(
        &self,
        document: &str,
        name: Option<&str>,
    ) -> Result<(Arc<Planned>, bool), Refusal> {
        let name = name.filter(|name| !name.is_empty());
        let wanted = Wanted {
            hash: self.hasher.hash_one((document, name)),
            document,
            name,
        };
        if let Some(planned) = self.cache.get(&wanted).await {
            planned.uses.fetch_add(1, Ordering::Relaxed);
            return Ok((planned, true));
        }
        let planned = self.plan_unseen(&wanted).await?;
        Ok((planned, false))
    }

    /// Whoever asks first plans; the others wait for it, and take over when it goes away.
    async fn plan_unseen(&self, wanted: &Wanted<'_>) -> Result<Arc<Planned>, Refusal> {
        let operation = wanted.to_operation();
        let key = PlanKey {
            hash: wanted.hash,
            operation: operation.clone(),
        };
        let planned = self
            .cache
            .try_get_with(key, self.planner.plan(operation))
            .await;
        planned.map_err(|refusal: Arc<Refusal>| (*refusal).clone())
    }

    /// Plans for this graph what was used most in another one. What no longer fits is left out.
    pub(crate) async fn warm_from(&self, other: &Plans, at_most: usize) -> usize {
        let mut used: Vec<Arc<Planned>> = other.cache.iter().map(|(_, planned)| planned).collect();
        used.sort_by_key(|planned| std::cmp::Reverse(planned.uses.load(Ordering::Relaxed)));
        let mut warmed = 0;
        for planned in used.into_iter().take(at_most) {
            let operation = &planned.operation;
            let again = self.get_or_plan(&operation.document, operation.name.as_deref());
            warmed += usize::from(again.await.is_ok());
        }
        warmed
    }
}

impl Planner {
    async fn plan(&self, operation: Operation) -> Result<Arc<Planned>, Refusal> {
        let pool = self.pool.clone().acquire_owned().await;
        let planner = self.clone();
        let planned = tokio::task::spawn_blocking(move || {
            // The permit is the worker's: a client who goes away frees no worker.
            let _permit = pool;
            planner.plan_now(operation)
        });
        planned
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Code::InternalError, "Planning failed.")))
            .map(Arc::new)
    }

    fn plan_now(&self, operation: Operation) -> Result<Planned, Refusal> {
        let schema = self.supergraph.api();
        let document = Document::parse(schema, &operation.document, &self.limits)?;
        let name = operation.name.as_deref();
        let plan = plan::plan(&self.supergraph, &document, name, &self.limits)?;
        if plan.introspection().is_some() && !self.introspection {
            return Err(Refusal::new(
                Code::GraphqlValidationFailed,
                "Introspection is turned off: __schema and __type are not answered here.",
            ));
        }
        Ok(Planned {
            identity: Identity::of(&plan),
            plan,
            operation,
            uses: AtomicU64::new(1),
        })
    }
}

/// The key of a plan. The hash is worked out once for each request; the text decides.
#[derive(Debug)]
struct PlanKey {
    hash: u64,
    operation: Operation,
}

/// A [`PlanKey`] that borrows from the request.
struct Wanted<'r> {
    hash: u64,
    document: &'r str,
    name: Option<&'r str>,
}

impl Wanted<'_> {
    fn to_operation(&self) -> Operation {
        Operation {
            document: self.document.into(),
            name: self.name.map(Into::into),
        }
    }
}

impl PartialEq for PlanKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.operation == other.operation
    }
}

impl Eq for PlanKey {}

impl Hash for PlanKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<PlanKey> for Wanted<'_> {
    fn equivalent(&self, key: &PlanKey) -> bool {
        self.hash == key.hash
            && self.document == &*key.operation.document
            && self.name == key.operation.name.as_deref()
    }
}

/// A hasher for keys that are hashed already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("plan keys write one number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
