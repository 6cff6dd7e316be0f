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
use compose::model::LabelId;
use moka::Equivalent;
use moka::sync::Cache;
use plan::Document;
use plan::OperationLimits;
use plan::Plan;
use plan::Refusal;
use plan::code::Code;
use tokio::sync::Semaphore;

use crate::coalesce::Flights;
use crate::hashed::Hashed;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::limits::Telling;
use crate::limits::Told;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::PlanNumbers;
use crate::suggest::suggest;

/// Everything that is worked out once for an operation.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// What of the caller its upstream calls depend on.
    pub(crate) identity: Identity,
    /// The labels of `@override` that it may be planned otherwise for; mostly none.
    labels: Box<[LabelId]>,
    /// Whether its client is given headers of services' answers: nobody else is given the answer then.
    pub(crate) propagates: bool,
    operation: Operation,
    uses: AtomicU64,
    /// What the operator was told of its excesses.
    pub(crate) telling: Telling,
    /// Where it is counted.
    pub(crate) numbers: PlanNumbers,
}

/// An operation as a client names it, and the labels of its graph that are active for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Operation {
    document: Arc<str>,
    name: Option<Box<str>>,
    active: Box<[LabelId]>,
}

/// The cache of one graph.
pub(crate) struct Plans {
    planner: Planner,
    cache: Cache<PlanKey, Arc<Planned>, BuildHasherDefault<Hashed>>,
    /// Operations that are being planned, for clients of one kind: others may be refused what these may do.
    unseen: Flights<(PlanKey, usize), Result<Arc<Planned>, Refusal>>,
    hasher: ahash::RandomState,
}

/// What planning needs besides the operation.
#[derive(Clone)]
pub(crate) struct Planner {
    pub(crate) supergraph: Arc<Supergraph>,
    pub(crate) introspection: bool,
    /// Whether errors say what was probably meant.
    pub(crate) suggestions: bool,
    /// How many unseen operations are planned at a time, over all graphs.
    pub(crate) pool: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Plans {
    pub(crate) fn new(planner: Planner, entries: u64) -> Self {
        Self {
            planner,
            cache: Cache::builder()
                .max_capacity(entries)
                .build_with_hasher(BuildHasherDefault::default()),
            unseen: Flights::new(),
            hasher: ahash::RandomState::new(),
        }
    }

    /// The plan of an operation while no label is active, and whether it was there already.
    pub(crate) async fn get_or_plan(
        &self,
        document: &str,
        name: Option<&str>,
        limits: &Limits,
    ) -> Result<(Arc<Planned>, bool), Refusal> {
        self.get_or_plan_while(&[], document, name, limits).await
    }

    /// The plan of an operation for a request that has decided its labels.
    pub(crate) async fn get_or_plan_for(
        &self,
        decide: impl Fn(LabelId) -> bool,
        document: &str,
        name: Option<&str>,
        limits: &Limits,
    ) -> Result<(Arc<Planned>, bool), Refusal> {
        let (planned, cached) = self.get_or_plan(document, name, limits).await?;
        let labels = planned.labels.iter().copied();
        let active: Vec<LabelId> = labels.filter(|label| decide(*label)).collect();
        match active.is_empty() {
            true => Ok((planned, cached)),
            // Boxed, so that requests which no label concerns do not carry its state.
            false => Box::pin(self.get_or_plan_while(&active, document, name, limits)).await,
        }
    }

    async fn get_or_plan_while(
        &self,
        active: &[LabelId],
        document: &str,
        name: Option<&str>,
        limits: &Limits,
    ) -> Result<(Arc<Planned>, bool), Refusal> {
        let name = name.filter(|name| !name.is_empty());
        let wanted = Wanted {
            hash: self.hasher.hash_one((document, name, active)),
            document,
            name,
            active,
        };
        if let Some(planned) = self.cache.get(&wanted) {
            planned.uses.fetch_add(1, Ordering::Relaxed);
            self.planner.metrics.plan_hits.count();
            limits.check(planned.plan.measures(), &planned.told())?;
            return Ok((planned, true));
        }
        self.planner.metrics.plan_misses.count();
        let planned = Box::pin(self.plan_unseen(&wanted, limits)).await?;
        limits.check(planned.plan.measures(), &planned.told())?;
        Ok((planned, false))
    }

    /// Whoever asks first plans; the others wait for it, and take over when it goes away.
    async fn plan_unseen(
        &self,
        wanted: &Wanted<'_>,
        limits: &Limits,
    ) -> Result<Arc<Planned>, Refusal> {
        let key = PlanKey {
            hash: wanted.hash,
            operation: wanted.to_operation(),
        };
        let (planner, cache) = (self.planner.clone(), self.cache.clone());
        let Limits {
            profile, operation, ..
        } = *limits;
        let plan = |key: PlanKey| async move {
            let planned = planner.plan(key.operation.clone(), operation).await?;
            cache.insert(key, planned.clone());
            Ok(planned)
        };
        let (planned, _) = self.unseen.join((key.clone(), profile), || plan(key)).await;
        planned
    }

    /// How many are kept.
    pub(crate) fn entries(&self) -> u64 {
        self.cache.entry_count()
    }

    /// Adds how often each plan ran to its fields.
    pub(crate) fn settle_fields(&self) {
        for (_, planned) in &self.cache {
            if let Some(fields) = &planned.numbers.fields {
                fields.settle();
            }
        }
    }

    /// Plans for this graph what was used most in another one. What no longer fits is left out.
    pub(crate) async fn warm_from(&self, other: &Plans, at_most: usize) -> usize {
        let mut used: Vec<Arc<Planned>> = other.cache.iter().map(|(_, planned)| planned).collect();
        // Another graph's labels are others, or count otherwise.
        used.retain(|planned| planned.operation.active.is_empty());
        used.sort_by_key(|planned| std::cmp::Reverse(planned.uses.load(Ordering::Relaxed)));
        let limits = Limits::of_known_operations();
        let mut warmed = 0;
        for planned in used.into_iter().take(at_most) {
            let operation = &planned.operation;
            let name = operation.name.as_deref();
            let again = self.get_or_plan(&operation.document, name, &limits);
            warmed += usize::from(again.await.is_ok());
        }
        warmed
    }
}

impl Planned {
    /// For what is to be told of its excesses.
    pub(crate) fn told(&self) -> Told<'_> {
        Told {
            telling: &self.telling,
            name: self.plan.operation_name(),
            document: &self.operation.document,
        }
    }
}

impl Planner {
    async fn plan(
        &self,
        operation: Operation,
        limits: OperationLimits,
    ) -> Result<Arc<Planned>, Refusal> {
        let pool = self.pool.clone().acquire_owned().await;
        let planner = self.clone();
        let planned = tokio::task::spawn_blocking(move || {
            // The permit is the worker's: a client who goes away frees no worker.
            let _permit = pool;
            let refuse = |refusal| planner.refuse(refusal);
            planner.plan_now(operation, &limits).map_err(refuse)
        });
        planned
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Code::InternalError, "Planning failed.")))
            .map(Arc::new)
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        match self.suggestions {
            true => suggest(self.supergraph.api(), refusal),
            false => refusal,
        }
    }

    fn plan_now(&self, operation: Operation, limits: &OperationLimits) -> Result<Planned, Refusal> {
        let schema = self.supergraph.api();
        let document = Document::parse(schema, &operation.document, limits)?;
        let name = operation.name.as_deref();
        let supergraph = match operation.active.is_empty() {
            true => self.supergraph.clone(),
            false => Arc::new(self.supergraph.while_active(&operation.active)),
        };
        let plan = plan::plan(&supergraph, &document, name, limits)?;
        if plan.introspection().is_some() && !self.introspection {
            return Err(Refusal::new(
                Code::GraphqlValidationFailed,
                "Introspection is turned off: __schema and __type are not answered here.",
            ));
        }
        Ok(Planned {
            labels: document.labels(&self.supergraph).into(),
            identity: Identity::of(&plan),
            propagates: propagates(&plan),
            numbers: self.metrics.planned(&plan),
            plan,
            operation,
            uses: AtomicU64::new(1),
            telling: Telling::counted_by(self.metrics.clone()),
        })
    }
}

/// Whether any service that it may call has headers for its client.
fn propagates(plan: &Plan) -> bool {
    let graph = plan.supergraph();
    let mut steps = plan.steps().iter();
    steps.any(|step| {
        let resolver = graph.resolver(step.resolver);
        !graph.source(resolver.source).propagated.is_empty()
    })
}

/// The key of a plan. The hash is worked out once for each request; the text decides.
#[derive(Debug, Clone)]
struct PlanKey {
    hash: u64,
    operation: Operation,
}

/// A [`PlanKey`] that borrows from the request.
struct Wanted<'r> {
    hash: u64,
    document: &'r str,
    name: Option<&'r str>,
    active: &'r [LabelId],
}

impl Wanted<'_> {
    fn to_operation(&self) -> Operation {
        Operation {
            document: self.document.into(),
            name: self.name.map(Into::into),
            active: self.active.into(),
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
            && *self.active == *key.operation.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetricsSettings;
    use crate::faults::Faults;
    use compose::SchemaFiles;
    use compose::SubgraphFile;
    use plan::limits::Kind;
    use plan::limits::Limit;

    const GRAPH: &str = r#"
        extend schema @source(name: "users", http: { baseURL: "http://users" })
        type Query { user(id: ID!): User @rest(GET: "/users/{id}") hello: String @rest(GET: "/hello") }
        type User { id: ID! name: String }
    "#;

    fn supergraph(sdl: &str) -> Arc<Supergraph> {
        let users = SubgraphFile {
            name: "users".into(),
            file: "users.graphql".into(),
            sdl: sdl.into(),
            ..SubgraphFile::default()
        };
        let files = SchemaFiles {
            subgraphs: vec![users],
            ..SchemaFiles::default()
        };
        Arc::new(compose::compose(&files).unwrap_or_else(|e| panic!("{e}")))
    }

    fn plans(sdl: &str, entries: u64) -> Plans {
        let planner = Planner {
            supergraph: supergraph(sdl),
            introspection: false,
            suggestions: false,
            pool: Arc::new(Semaphore::new(1)),
            metrics: Metrics::new(&MetricsSettings::default()),
        };
        Plans::new(planner, entries)
    }

    #[tokio::test]
    async fn an_operation_is_planned_once() {
        let plans = plans(GRAPH, 10);
        let (first, seen) = plans
            .get_or_plan("{ hello }", None, &Limits::default())
            .await
            .unwrap();
        assert!(!seen);
        let (second, seen) = plans
            .get_or_plan("{ hello }", Some(""), &Limits::default())
            .await
            .unwrap();
        assert!(seen && Arc::ptr_eq(&first, &second));
        let (third, seen) = plans
            .get_or_plan("{  hello }", None, &Limits::default())
            .await
            .unwrap();
        assert!(!seen && !Arc::ptr_eq(&first, &third));
    }

    #[tokio::test]
    async fn operations_of_one_document_have_plans_of_their_own() {
        let plans = plans(GRAPH, 10);
        let document = "query A { hello } query B { user(id: 1) { name } }";
        let (a, _) = plans
            .get_or_plan(document, Some("A"), &Limits::default())
            .await
            .unwrap();
        let (b, _) = plans
            .get_or_plan(document, Some("B"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(a.plan.operation_name(), Some("A"));
        assert_eq!(b.plan.operation_name(), Some("B"));
        let neither = plans
            .get_or_plan(document, Some("C"), &Limits::default())
            .await
            .unwrap_err();
        assert_eq!(neither.code, Code::OperationNotFound);
    }

    #[tokio::test]
    async fn all_who_wait_for_an_unseen_operation_share_one_plan() {
        let plans = plans(GRAPH, 10);
        let limits = Limits::default();
        let ask = || plans.get_or_plan("{ hello }", None, &limits);
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        let (a, b, c) = (a.unwrap().0, b.unwrap().0, c.unwrap().0);
        assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&b, &c));
    }

    #[tokio::test]
    async fn the_cache_is_bounded_and_keeps_what_is_used() {
        let plans = plans(GRAPH, 8);
        for n in 0..200 {
            plans
                .get_or_plan("{ hello }", None, &Limits::default())
                .await
                .unwrap();
            let document = format!("{{ hello{n}: hello }}");
            plans
                .get_or_plan(&document, None, &Limits::default())
                .await
                .unwrap();
        }
        plans.cache.run_pending_tasks();
        assert!(plans.cache.entry_count() <= 8);
        let (_, seen) = plans
            .get_or_plan("{ hello }", None, &Limits::default())
            .await
            .unwrap();
        assert!(seen);
    }

    #[tokio::test]
    async fn one_plan_serves_clients_with_different_limits() {
        let plans = plans(GRAPH, 10);
        let strict = Limits {
            profile: 1,
            operation: OperationLimits::default().with(Kind::Aliases, Limit::enforce(0)),
            ..Limits::default()
        };
        let loose = Limits::default();
        let document = "{ a: hello }";
        let refused = plans.get_or_plan(document, None, &strict).await;
        assert_eq!(refused.unwrap_err().code, Code::TooManyAliases);
        assert!(!plans.get_or_plan(document, None, &loose).await.unwrap().1);
        let refused = plans.get_or_plan(document, None, &strict).await;
        assert_eq!(refused.unwrap_err().code, Code::TooManyAliases);
        assert!(plans.get_or_plan(document, None, &loose).await.unwrap().1);
    }

    #[tokio::test]
    async fn fields_are_counted_once_for_each_time_that_their_plan_ran_also_when_it_is_gone() {
        let plans = plans(GRAPH, 10);
        let metrics = plans.planner.metrics.clone();
        let document = "query Who { user(id: 1) { name other: name __typename } hello }";
        let limits = Limits::default();
        let (planned, _) = plans.get_or_plan(document, None, &limits).await.unwrap();
        let used = |times: u64| {
            for _ in 0..times {
                metrics.answered(&planned.numbers, 1, 1, &Faults::default());
            }
            plans.settle_fields();
            metrics.fields_used()
        };
        let told = |times: u64| {
            let coordinates = ["Query.hello", "Query.user", "User.name"];
            coordinates.map(|it| (it.to_owned(), times)).to_vec()
        };
        assert_eq!(used(0), told(0));
        assert_eq!(used(3), told(3));
        assert_eq!(used(2), told(5));
        metrics.answered(&planned.numbers, 1, 1, &Faults::default());
        drop((planned, plans));
        assert_eq!(metrics.fields_used(), told(6));
        let smaller = GRAPH.replace(" hello: String @rest(GET: \"/hello\")", "");
        metrics.keep_fields_of(&supergraph(&smaller));
        assert_eq!(metrics.fields_used(), told(6)[1..]);
    }

    #[tokio::test]
    async fn an_operation_is_counted_under_its_name_whatever_its_text() {
        let plans = plans(GRAPH, 10);
        let limits = Limits::default();
        let ask = async |document| plans.get_or_plan(document, None, &limits).await;
        let one = ask("query Hello { hello }").await.unwrap().0;
        let other = ask("query Hello { hi: hello }").await.unwrap().0;
        let operation = |planned: &Planned| planned.numbers.operation.clone();
        assert!(Arc::ptr_eq(&operation(&one), &operation(&other)));
        assert!(ask("query Wrong { no }").await.is_err());
        ask("query Hello { hello }").await.unwrap();
        let metrics = &plans.planner.metrics;
        assert_eq!(metrics.plan_hits.get(), 1);
        assert_eq!(metrics.plan_misses.get(), 3);
    }

    #[tokio::test]
    async fn introspection_is_refused_where_it_is_off() {
        let plans = plans(GRAPH, 10);
        for document in [
            "{ __schema { types { name } } }",
            "{ __type(name: \"User\") { name } }",
        ] {
            let refusal = plans
                .get_or_plan(document, None, &Limits::default())
                .await
                .unwrap_err();
            assert_eq!(refusal.code, Code::GraphqlValidationFailed);
        }
        assert!(
            plans
                .get_or_plan("{ __typename }", None, &Limits::default())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_new_graph_is_warmed_with_what_is_used_most_and_still_fits() {
        let old = plans(GRAPH, 10);
        for (document, uses) in [
            ("{ hello }", 3),
            ("{ user(id: 1) { name } }", 2),
            ("{ a: hello }", 1),
        ] {
            for _ in 0..uses {
                old.get_or_plan(document, None, &Limits::default())
                    .await
                    .unwrap();
            }
        }
        let new = plans(&GRAPH.replace("name: String", "title: String"), 10);
        assert_eq!(new.warm_from(&old, 2).await, 1);
        assert!(
            new.get_or_plan("{ hello }", None, &Limits::default())
                .await
                .unwrap()
                .1
        );
        assert!(
            !new.get_or_plan("{ a: hello }", None, &Limits::default())
                .await
                .unwrap()
                .1
        );
    }
}
