//! One GraphQL request, from document to response. Start reading here.
//!
//! Owns the order of the steps and nothing of how a step works. Knows nothing
//! of HTTP: the edge makes the request and answers with the result.

mod subscription;

use std::future::Future;
use std::hash::Hash;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use http::header::RETRY_AFTER;
use plan::Plan;
use plan::Refusal;
use plan::cache::Freshness;
use plan::code::Code;
use plan::model::Variables;
use plan::outbox::Outbox;
use plan::propagated::Propagated;
use plan::queued::Queued;
use plan::rehearsal::Rehearsal;
use plan::source::CallLog;
use plan::source::CallsLeft;
use plan::source::Context;
use plan::source::Stale;
use plan::source::TraceContext;
use serde_json::Map;
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::admission::Admission;
use crate::admission::Admitted;
use crate::admission::Stays;
use crate::authenticate::Principal;
use crate::authorize::Asking;
use crate::cache;
use crate::coalesce::Flights;
use crate::coalesce::Role;
use crate::cost::Charge;
use crate::cost::Cost;
use crate::deadline::until;
use crate::documents::Asked;
use crate::documents::NotMeant;
use crate::durable;
use crate::durable::Durable;
use crate::durable::OnBehalf;
use crate::durable::RequestOutbox;
use crate::faults::Faults;
use crate::graph::Graph;
use crate::idempotency;
use crate::idempotency::Idempotency;
use crate::idempotency::Start;
use crate::idempotency::Stored;
use crate::idempotency::Used;
use crate::observe::log;
use crate::observe::metrics::Metrics;
use crate::observe::report;
use crate::observe::seen::Seen;
use crate::observe::stages::Stage;
use crate::observe::stages::Stages;
use crate::observe::trace::Tracer;
use crate::plans::Planned;
use crate::rate_limits::Amount;
use crate::rate_limits::Denied;
use crate::rate_limits::RateLimits;
use crate::rate_limits::Standings;
use crate::rate_limits::Unit;
use crate::rate_limits::Who;
use crate::refusal;

pub(crate) use subscription::Course;
pub(crate) use subscription::Event;
pub(crate) use subscription::Subscription;

/// The gateway: the graph in service, and what outlives any one graph.
pub(crate) struct Gateway {
    pub(crate) graph: ArcSwap<Graph>,
    flights: Flights<FlightKey, Done>,
    /// Advanced by each finished mutation: no query joins work that began before.
    epoch: AtomicU64,
    pub(crate) metrics: Arc<Metrics>,
    /// Where some requests become traces.
    pub(crate) tracer: Option<Tracer>,
    /// Whether requests are taken.
    pub(crate) admission: Arc<Admission>,
    /// Told each time another graph is in service.
    replaced: watch::Sender<()>,
    /// Where calls wait that are queued; empty while no graph has queued any.
    pub(crate) durable: Arc<OnceLock<Durable>>,
    /// What clients' keys stand for.
    pub(crate) idempotency: Idempotency,
}

/// One operation and on whose behalf it runs.
pub(crate) struct GraphqlRequest<'r, 's> {
    /// The part of the graph that its client sees; none for the whole.
    pub(crate) contract: Option<&'r str>,
    pub(crate) document: Asked<'r>,
    pub(crate) operation_name: Option<&'r str>,
    pub(crate) variables: Map<String, Json>,
    pub(crate) carries: Carries,
    /// What a developer wants to see beside the answer.
    pub(crate) wants: Wants,
    pub(crate) caller: Caller,
    /// Its room.
    pub(crate) admitted: &'r Admitted<'r>,
    /// Where the rate limits that it was charged to say how they stand.
    pub(crate) standings: &'r mut Standings,
    /// What those who look on have seen of it.
    pub(crate) seen: &'r mut Seen<'s>,
}

/// What a transport may carry beside queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carries {
    pub(crate) mutations: bool,
    pub(crate) subscriptions: bool,
}

impl Carries {
    fn check(self, plan: &Plan) -> Result<(), NotRun> {
        if plan.is_mutation() && !self.mutations {
            return Err(NotRun::MutationOverGet);
        }
        if plan.is_subscription() && !self.subscriptions {
            return Err(needs_a_stream().into());
        }
        Ok(())
    }
}

/// An operation that runs.
pub(crate) enum Begun {
    /// It is answered.
    Answer(Answer),
    /// It is answered again and again.
    Subscription(Box<Subscription>),
}

/// Who asks.
pub(crate) struct Caller {
    /// Where the request came from: of the client, as far as trusted proxies tell.
    pub(crate) address: IpAddr,
    pub(crate) principal: Principal,
    pub(crate) correlation_id: Arc<str>,
    pub(crate) request_id: Uuid,
    pub(crate) trace: TraceContext,
    /// What goes wrong with its calls, on purpose.
    pub(crate) rehearsal: Option<Arc<Rehearsal>>,
    pub(crate) headers: HeaderMap,
    pub(crate) received: Instant,
    pub(crate) deadline: Instant,
}

/// What is wanted beside the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wants {
    pub(crate) plan: bool,
    pub(crate) trace: bool,
    /// What the operation costs: for application authors too.
    pub(crate) cost: bool,
}

/// A GraphQL response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) role: Role,
    pub(crate) faults: Faults,
    /// How fresh it is, where it may be kept.
    pub(crate) fresh: Option<Freshness>,
    /// Of services' answers, for the client.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) cost: Cost,
    /// Nothing was asked but that calls are made durable.
    pub(crate) queued: bool,
    /// It was answered before, to the same key.
    pub(crate) replayed: bool,
}

/// A request that is not executed.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// The operation is at fault.
    Refused(Refusal),
    /// A mutation over a transport that carries queries only.
    MutationOverGet,
    /// A document that the operator does not know.
    NotTrusted,
    /// The part of the graph that it asks is not served.
    NotServed,
    /// More than a rate limit grants.
    Denied(Denied),
    /// What its idempotency key stands for is not to be had, or it has none.
    Key(idempotency::Refused),
}

/// What is shared between callers of one piece of work.
#[derive(Debug, Clone)]
struct Done {
    body: Bytes,
    /// Whose correlation id the body's errors carry.
    correlation_id: Arc<str>,
    faults: Faults,
    fresh: Option<Freshness>,
    /// Of services' answers, for the client.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Cut short by the deadline of the caller who began it.
    late: bool,
    /// What the answer has cost, where it was counted.
    actual: Option<u64>,
    /// It was answered before, to the same key.
    replayed: bool,
}

impl Gateway {
    pub(crate) fn new(graph: Graph) -> Self {
        let idempotency = graph.settings.idempotency.clone();
        Self {
            metrics: graph.metrics.clone(),
            admission: Arc::new(Admission::new(graph.settings.admission)),
            durable: graph.durable.clone(),
            graph: ArcSwap::from_pointee(graph),
            flights: Flights::new(),
            epoch: AtomicU64::new(0),
            tracer: None,
            replaced: watch::channel(()).0,
            idempotency: Idempotency::new(idempotency),
        }
    }

    /// Puts another graph in service. What runs goes on where it began.
    pub(crate) fn replace(&self, graph: Graph) {
        self.graph.store(Arc::new(graph));
        self.replaced.send_replace(());
    }

    /// For those who want to know when that happens.
    pub(crate) fn replacements(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// The same, with traces of some requests.
    pub(crate) fn traced(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// Answers one request on the graph that it arrived on.
    pub(crate) async fn run(
        self: &Arc<Self>,
        graph: &Arc<Graph>,
        request: GraphqlRequest<'_, '_>,
    ) -> Result<Answer, NotRun> {
        let admitted = request.admitted;
        let work = self.admit(graph, request).await?;
        self.answer(work, admitted).await
    }

    /// The same for a transport that carries subscriptions too.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        graph: &Arc<Graph>,
        request: GraphqlRequest<'_, '_>,
    ) -> Result<Begun, NotRun> {
        let admitted = request.admitted;
        let work = self.admit(graph, request).await?;
        if !work.planned.plan.is_subscription() {
            return self.answer(work, admitted).await.map(Begun::Answer);
        }
        let subscription = Subscription::begin(self.clone(), work)?;
        Ok(Begun::Subscription(Box::new(subscription)))
    }

    /// Everything that is decided before anything runs.
    async fn admit(
        self: &Arc<Self>,
        graph: &Arc<Graph>,
        request: GraphqlRequest<'_, '_>,
    ) -> Result<Work, NotRun> {
        let caller = request.caller;
        let limits = graph.settings.limits.of(&caller.principal);
        let meant = graph.documents.resolve(&request.document);
        let operation = meant.as_ref().ok();
        let operation = operation.and_then(|meant| meant.operation(request.operation_name));
        let mut account = caller.account(graph, operation, request.standings);
        // Before anything is parsed, so that a bad document costs its sender as much as a good one.
        account.charge_request().await?;
        request.seen.ended(Stage::Charge);
        let meant = meant?;
        let plans = graph.plans_of(request.contract);
        let plans = plans.ok_or(NotRun::NotServed)?;
        let decide = |label| graph.overrides.is_active(label, &caller.correlation_id);
        let plans = plans.get_or_plan_for(decide, meant.text(), request.operation_name, limits);
        let (planned, cached) = within(caller.deadline, plans).await?;
        request.seen.planned(&planned, cached);
        graph.documents.remember(&meant);
        request.carries.check(&planned.plan)?;
        let key = caller.idempotency_key(graph, &planned.plan)?;
        limits.check_variables(&request.variables, &planned.told())?;
        let mut variables = planned.plan.coerce(&request.variables)?;
        let wants = request.wants.allowed(graph);
        let charge = graph
            .costs
            .charge(&planned, &variables, limits, wants.cost)?;
        account.charge_operation(&planned, &variables).await?;
        if !planned.plan.demands().is_empty() {
            let asking = caller.asking();
            let judged = graph.authorization.judge(&planned.plan, variables, asking);
            // Boxed, so that requests which demand nothing do not carry its state.
            variables = Box::pin(judged).await?;
        }
        if planned.plan.is_mutation() {
            enough_time(&planned.plan, &variables, caller.deadline)?;
        }
        request.seen.ended(Stage::Admit);
        let used = key.map(|key| {
            let mutation = idempotency::Mutation {
                document: meant.text(),
                operation_name: request.operation_name,
                variables: &request.variables,
                plan: &planned.plan,
                decided: &variables,
            };
            let keep = graph.settings.idempotency.keep;
            Used::new(&key, &caller.principal, &mutation, keep)
        });
        let new = || CallLog::new(caller.received.into_std());
        let calls = request.seen.calls().or_else(|| wants.trace.then(new));
        let time = caller.deadline - caller.received;
        let outbox = self.outbox(&planned.plan, &variables, &caller);
        Ok(Work {
            wants,
            time,
            planning: report::Planning::begun(wants, caller.received, cached),
            stages: request.seen.stages(),
            context: Context {
                outbox: outbox.clone().map(|outbox| outbox as Arc<dyn Outbox>),
                effects: used.as_ref().map(Used::effects),
                ..self.context(graph, &planned.plan, caller, calls)
            },
            outbox,
            used,
            graph: graph.clone(),
            planned,
            variables,
            charge,
        })
    }

    async fn answer(
        self: &Arc<Self>,
        work: Work,
        admitted: &Admitted<'_>,
    ) -> Result<Answer, NotRun> {
        // Boxed, so that what is awaited around it stays small enough to move cheaply.
        match work.is_worth_sharing() {
            true => Ok(Box::pin(self.share(work)).await?),
            false => Box::pin(self.run_alone(work, admitted)).await,
        }
    }

    /// Where the operation's queued calls go; none where it has none.
    fn outbox(
        &self,
        plan: &Plan,
        variables: &Variables,
        caller: &Caller,
    ) -> Option<Arc<RequestOutbox>> {
        let queued = plan.queued();
        if queued == Queued::Nothing {
            return None;
        }
        let place = self.durable.get()?.place();
        let who = OnBehalf {
            caller: durable::caller_of(&caller.principal),
            correlation_id: caller.correlation_id.clone(),
            request_id: caller.request_id,
            trace: caller.trace.clone(),
        };
        Some(Arc::new(match queued {
            Queued::All => RequestOutbox::together(place, who, plan.queued_together(variables)),
            _ => RequestOutbox::one_by_one(place, who),
        }))
    }

    fn context(
        &self,
        graph: &Graph,
        plan: &Plan,
        caller: Caller,
        calls: Option<CallLog>,
    ) -> Context {
        // What goes wrong for one is not hidden by what went well for others, nor the other way round.
        let alone = caller.rehearsal.is_some();
        let caching = cache::caching(&graph.settings, plan).filter(|_| !alone);
        Context {
            principal: cache::principal(plan, caching.as_ref(), &caller.principal),
            caching,
            stale: Stale::default(),
            propagated: Propagated::default(),
            outbox: None,
            effects: None,
            calls_left: CallsLeft::new(graph.settings.upstream_calls),
            calls,
            correlation_id: caller.correlation_id,
            trace: caller.trace,
            deadline: caller.deadline.into_std(),
            headers: caller.headers,
            claims: caller.principal.shared_claims(),
            epoch: self.epoch.load(Ordering::Acquire),
            merge_reads: graph.settings.coalesce.reads,
            rehearsal: caller.rehearsal,
        }
    }

    async fn run_alone(
        self: &Arc<Self>,
        work: Work,
        admitted: &Admitted<'_>,
    ) -> Result<Answer, NotRun> {
        let requested = work.charge.requested;
        let queued = work.planned.plan.queued() == Queued::All;
        let done = match work.planned.plan.is_mutation() {
            true => self.mutate(work, admitted.stay()).await?,
            false => work.execute().await,
        };
        Ok(Answer {
            queued,
            ..done.answer(Role::Leader, requested)
        })
    }

    /// Runs the work, or joins equal work that is in flight.
    async fn share(self: &Arc<Self>, work: Work) -> Result<Answer, Refusal> {
        let requested = work.charge.requested;
        let (key, deadline) = (work.key(), work.context.deadline.into());
        let mut own = Some(work);
        let work = || execute(own.take());
        let shared = self.flights.join_until(deadline, key, work);
        let shared = shared.await.ok_or_else(too_late)?;
        Ok(match (shared, own) {
            // It was cut short for the caller who began it, and this one has time left.
            ((done, _), Some(own)) if done.late && !own.is_late() => {
                own.execute().await.answer(Role::Leader, requested)
            }
            ((done, role), Some(own)) => {
                own.stages.ended(Stage::Execute);
                let done = done.for_caller(&own.context.correlation_id);
                done.answer(role, requested)
            }
            ((done, role), None) => done.answer(role, requested),
        })
    }

    /// A mutation that has begun is finished, whoever still listens: half of it would help nobody. Until then it holds its room.
    async fn mutate(self: &Arc<Self>, mut work: Work, room: Arc<Stays>) -> Result<Done, NotRun> {
        let gateway = self.clone();
        let correlation_id = work.context.correlation_id.clone();
        let task = async move {
            let _room = room;
            let Some(used) = work.used.take() else {
                return Ok(gateway.change(work).await);
            };
            // Boxed, so that mutations without a key do not carry its room along.
            Box::pin(gateway.change_once(&used, work)).await
        };
        let task = tokio::spawn(log::on_same_behalf(task));
        let done = task.await;
        done.unwrap_or_else(|_| Ok(Done::failed(correlation_id)))
    }

    /// What a key stands for: what was answered before, or what is done now.
    async fn change_once(&self, used: &Used, work: Work) -> Result<Done, NotRun> {
        let guard = match self.idempotency.begin(used).await? {
            Start::Replay(stored) => {
                work.stages.ended(Stage::Execute);
                return Ok(Done::again(stored, work.context.correlation_id));
            }
            Start::Run(guard) => guard,
        };
        let done = self.change(work).await;
        if let Some(guard) = guard {
            guard.end(&done.stored(used.denied())).await;
        }
        Ok(done)
    }

    async fn change(&self, work: Work) -> Done {
        let (graph, planned) = (work.graph.clone(), work.planned.clone());
        let _epoch = NextEpoch(&self.epoch);
        let _written = cache::Written {
            graph: &graph,
            plan: &planned.plan,
            current: &self.graph,
        };
        work.execute().await
    }
}

/// Charges a request that is refused before it is a GraphQL request.
pub(crate) async fn charge_refused(
    graph: &Graph,
    principal: &Principal,
    address: IpAddr,
    deadline: Instant,
    standings: &mut Standings,
) -> Result<(), NotRun> {
    let who = Who {
        principal,
        address,
        operation: None,
    };
    let mut account = Account {
        limits: &graph.rate_limits,
        who,
        deadline,
        standings,
    };
    account.charge_request().await
}

impl Caller {
    /// What its request is charged to.
    fn account<'r>(
        &'r self,
        graph: &'r Graph,
        operation: Option<&'r str>,
        standings: &'r mut Standings,
    ) -> Account<'r> {
        Account {
            limits: &graph.rate_limits,
            who: Who {
                principal: &self.principal,
                address: self.address,
                operation,
            },
            deadline: self.deadline,
            standings,
        }
    }

    /// What a mutation of its is remembered by; none for what changes nothing.
    fn idempotency_key(
        &self,
        graph: &Graph,
        plan: &Plan,
    ) -> Result<Option<idempotency::ClientKey>, NotRun> {
        match plan.is_mutation() {
            true => Ok(idempotency::key_of(
                graph.settings.idempotency.mode,
                &self.headers,
            )?),
            false => Ok(None),
        }
    }

    /// On whose behalf a field is allowed or denied.
    fn asking(&self) -> Asking<'_> {
        Asking {
            principal: &self.principal,
            correlation_id: &self.correlation_id,
            deadline: self.deadline,
        }
    }
}

/// What one request is charged to.
struct Account<'r> {
    limits: &'r RateLimits,
    who: Who<'r>,
    /// Nobody waits longer for the store.
    deadline: Instant,
    standings: &'r mut Standings,
}

impl Account<'_> {
    async fn charge_request(&mut self) -> Result<(), NotRun> {
        let amount = Amount { now: 1, before: 0 };
        self.charge(Unit::Requests, amount).await
    }

    /// Its cost; and each root field of a mutation after the first as one more request, since each changes something.
    async fn charge_operation(
        &mut self,
        planned: &Planned,
        variables: &Variables,
    ) -> Result<(), NotRun> {
        let plan = &planned.plan;
        if plan.is_mutation() {
            let more = plan.root_fields(variables).saturating_sub(1);
            let amount = Amount {
                now: more as u64,
                before: 1,
            };
            self.charge(Unit::Requests, amount).await?;
        }
        if self.limits.limits(Unit::Cost) {
            let amount = Amount {
                now: plan.cost(variables),
                before: 0,
            };
            self.charge(Unit::Cost, amount).await?;
        }
        Ok(())
    }

    async fn charge(&mut self, unit: Unit, amount: Amount) -> Result<(), NotRun> {
        if amount.now == 0 || !self.limits.limits(unit) {
            return Ok(());
        }
        let charged = self.limits.charge(unit, &self.who, amount, self.standings);
        // Boxed, so that a request without limits does not carry its room along.
        let charged = Box::pin(until(self.deadline, charged)).await;
        Ok(charged.ok_or_else(too_late)??)
    }
}

/// Advances the epoch when a mutation ends, however it ends.
struct NextEpoch<'g>(&'g AtomicU64);

impl Drop for NextEpoch<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// An operation that is ready to run, with everything that it needs: it may outlive its caller.
struct Work {
    graph: Arc<Graph>,
    planned: Arc<Planned>,
    variables: Variables,
    charge: Charge,
    context: Context,
    /// Where its queued calls go; the context's, too.
    outbox: Option<Arc<RequestOutbox>>,
    /// Of a mutation whose client gave a key.
    used: Option<Used>,
    /// From its arrival to its deadline.
    time: Duration,
    wants: Wants,
    planning: report::Planning,
    stages: Stages,
}

/// What two operations must have in common to be one piece of work.
#[derive(Clone)]
struct FlightKey {
    /// The plan itself: it belongs to one version of the graph.
    planned: Arc<Planned>,
    epoch: u64,
    /// Who would wait longer than another is not answered with what arrived for that one, or too late.
    time: Duration,
    /// Variables, and every header and claim that the plan's calls are made from.
    identity: Box<[u8]>,
    /// Whose kept replies may be used, where any may.
    principal: Option<Arc<[u8]>>,
}

/// Work that is begun at most once.
async fn execute(work: Option<Work>) -> Done {
    match work {
        Some(work) => work.execute().await,
        None => Done::failed("".into()),
    }
}

impl Work {
    fn key(&self) -> FlightKey {
        let identity = &self.planned.identity;
        FlightKey {
            planned: self.planned.clone(),
            epoch: self.context.epoch,
            time: self.time,
            identity: identity.key(&self.variables, &self.context.headers, &self.context.claims),
            principal: self.context.principal.clone(),
        }
    }

    /// No mutation, nothing that needs no call, nothing that carries a report of its own.
    fn is_worth_sharing(&self) -> bool {
        let plan = &self.planned.plan;
        let calls = !plan.steps().is_empty() || plan.introspection().is_some();
        let alone = plan.is_mutation() || self.planned.propagates;
        let works = calls && !alone && self.context.rehearsal.is_none();
        self.graph.settings.coalesce.operations && works && self.wants == Wants::default()
    }

    /// What services have said to the client. Nobody keeps an answer of which a part is old already.
    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.context.propagated.take();
        let stale = self.planned.plan.may_be_stale() && !self.context.stale.answers().is_empty();
        headers.retain(|(name, _)| !stale || *name != CACHE_CONTROL);
        let wait = self.outbox.as_ref().and_then(|outbox| outbox.retry_after());
        headers.extend(wait.map(retry_after));
        headers
    }

    fn is_late(&self) -> bool {
        Instant::now().into_std() >= self.context.deadline
    }

    async fn execute(self) -> Done {
        let plan = &self.planned.plan;
        let sources = self.graph.sources();
        let arrived = execute::arrive(plan, &self.variables, sources, &self.context).await;
        self.stages.ended(Stage::Execute);
        let actual = self.charge.counts.then(|| arrived.cost());
        let response = arrived.respond();
        if let Err(refusal) = self.charge.settle(actual) {
            return Done::refused(&refusal, self.context.correlation_id);
        }
        let late = |error: &execute::FieldError| error.code == Code::DeadlineExceeded;
        let late = response.errors().iter().any(late);
        let faults: Faults = response.errors().iter().map(|error| error.code).collect();
        let report = report::report(
            self.wants,
            plan,
            &self.planning,
            &self.context,
            &self.charge,
            actual,
        );
        let whole = faults.is_empty() && report.is_none();
        let caching = self.context.caching.as_ref().filter(|_| whole);
        let body = response.finish(report.as_deref()).into();
        self.stages.ended(Stage::Write);
        Done {
            actual,
            replayed: false,
            body,
            fresh: cache::freshness(&self.planned, caching, self.context.principal.is_some()),
            headers: self.headers(),
            correlation_id: self.context.correlation_id,
            faults,
            late,
        }
    }
}

impl Done {
    /// The work itself failed, which is a fault of ours.
    fn failed(correlation_id: Arc<str>) -> Self {
        let refusal = Refusal::new(Code::InternalError, "The gateway failed.");
        Self::refused(&refusal, correlation_id)
    }

    fn refused(refusal: &Refusal, correlation_id: Arc<str>) -> Self {
        Self {
            body: refusal::body(refusal, &correlation_id),
            correlation_id,
            faults: refusal.code.into(),
            fresh: None,
            headers: Vec::new(),
            late: false,
            actual: None,
            replayed: false,
        }
    }

    /// What was answered before; its errors name the request that it was answered to first.
    fn again(stored: Stored, correlation_id: Arc<str>) -> Self {
        Self {
            body: stored.body,
            correlation_id,
            faults: stored.faults,
            fresh: None,
            headers: stored.headers,
            late: false,
            actual: stored.actual,
            replayed: true,
        }
    }

    /// What is kept of it, to be answered again.
    fn stored(&self, denied: Vec<String>) -> Stored {
        Stored {
            body: self.body.clone(),
            faults: self.faults.clone(),
            headers: self.headers.clone(),
            actual: self.actual,
            denied,
        }
    }

    /// The same answer, with the follower's own correlation id in its errors.
    fn for_caller(mut self, correlation_id: &str) -> Self {
        if !self.faults.is_empty() {
            self.body = relabel(&self.body, &self.correlation_id, correlation_id).into();
        }
        self
    }

    fn answer(self, role: Role, requested: u64) -> Answer {
        Answer {
            cost: Cost {
                requested,
                actual: self.actual,
            },
            body: self.body,
            role,
            faults: self.faults,
            fresh: self.fresh,
            headers: self.headers,
            queued: false,
            replayed: self.replayed,
        }
    }
}

/// Correlation ids hold no character that JSON escapes, so they are replaced as bytes.
fn relabel(body: &[u8], from: &str, to: &str) -> Vec<u8> {
    let member = |id: &str| format!("\"correlationId\":\"{id}\"").into_bytes();
    let (from, to) = (member(from), member(to));
    let mut relabelled = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&first, after)) = rest.split_first() {
        match rest.strip_prefix(from.as_slice()) {
            Some(after) => {
                relabelled.extend_from_slice(&to);
                rest = after;
            }
            None => {
                relabelled.push(first);
                rest = after;
            }
        }
    }
    relabelled
}

impl Wants {
    /// Plans and calls are shown to developers only, costs to whom the operator lets know.
    fn allowed(self, graph: &Graph) -> Self {
        let developer = graph.settings.features.playground;
        Self {
            plan: self.plan && developer,
            trace: self.trace && developer,
            cost: self.cost && graph.settings.cost.expose,
        }
    }
}

/// What an answer waits for ends with the request's time.
async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    until(deadline, work)
        .await
        .unwrap_or_else(|| Err(too_late()))
}

fn needs_a_stream() -> Refusal {
    let message = "A subscription is answered over WebSocket, or with Accept: text/event-stream.";
    Refusal::new(Code::GraphqlValidationFailed, message)
}

fn retry_after(wait: Duration) -> (HeaderName, HeaderValue) {
    let seconds = wait.as_millis().div_ceil(1_000);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    (RETRY_AFTER, HeaderValue::from(seconds))
}

fn too_late() -> Refusal {
    Refusal::new(Code::DeadlineExceeded, "The request took too long.")
}

/// A mutation that would probably be cut short is not begun.
fn enough_time(plan: &Plan, variables: &Variables, deadline: Instant) -> Result<(), Refusal> {
    let Some((source, least)) = plan.min_deadline(variables) else {
        return Ok(());
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left >= least {
        return Ok(());
    }
    let (left, least) = (left.as_millis() as u64, least.as_millis() as u64);
    let message = format!(
        "Nothing was done: {left} ms are left, and a mutation at `{source}` begins with at least {least} ms."
    );
    Err(Refusal {
        details: vec![("remainingMs", left), ("requiredMs", least)],
        ..Refusal::new(Code::DeadlineTooShort, message)
    })
}

impl From<Refusal> for NotRun {
    fn from(refusal: Refusal) -> Self {
        NotRun::Refused(refusal)
    }
}

impl From<idempotency::Refused> for NotRun {
    fn from(refused: idempotency::Refused) -> Self {
        use idempotency::Refused as Key;
        match refused {
            Key::Unknown => NotRun::Refused(Refusal::new(
                Code::OutcomeUnknown,
                "It was begun before under this Idempotency-Key, and nobody knows whether it was done. Ask for its effect before sending it under another key.",
            )),
            Key::Denied(code) => NotRun::Refused(Refusal::new(
                code,
                "It was answered before under this Idempotency-Key, with something that may not be seen now.",
            )),
            refused => NotRun::Key(refused),
        }
    }
}

impl From<NotMeant> for NotRun {
    fn from(not_meant: NotMeant) -> Self {
        match not_meant {
            NotMeant::Refused(refusal) => NotRun::Refused(refusal),
            NotMeant::NotTrusted => NotRun::NotTrusted,
        }
    }
}

impl From<Denied> for NotRun {
    fn from(denied: Denied) -> Self {
        NotRun::Denied(denied)
    }
}

impl PartialEq for FlightKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.planned, &other.planned)
            && self.epoch == other.epoch
            && self.time == other.time
            && self.identity == other.identity
            && self.principal == other.principal
    }
}

impl Eq for FlightKey {}

impl Hash for FlightKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.planned) as usize).hash(state);
        self.epoch.hash(state);
        self.identity.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_reads_its_own_correlation_id_in_every_error() {
        let errors = |id: &str| {
            let error = format!(r#"{{"message":"m","extensions":{{"correlationId":"{id}"}}}}"#);
            format!(r#"{{"data":{{"id":"{id}x"}},"errors":[{error},{error}]}}"#)
        };
        let body = errors("leader");
        let relabelled = relabel(body.as_bytes(), "leader", "me");
        let expected = errors("me").replace(r#""id":"mex""#, r#""id":"leaderx""#);
        assert_eq!(String::from_utf8(relabelled).unwrap(), expected);
    }
}
