//! Batches that gather the parents of several client requests: one call for
//! all, decoded by each waiter into its own shape.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use compose::model::BatchOrder;
use compose::model::ResolverId;
use plan::cache::CachePolicy;
use plan::code::Code;
use plan::propagated::Propagated;
use plan::source::CallLog;
use plan::source::CallRecord;
use plan::source::Chunk;
use plan::source::Context;
use plan::source::Fetch;
use plan::source::Reply;
use plan::source::Row;
use plan::source::SourceError;
use plan::source::Stale;
use plan::source::StaleAnswer;
use serde_json::Value as Json;

use super::Fetcher;
use super::decode_batch;
use super::reading::Part;
use super::reading::Read;
use super::reading::ask;
use crate::batch::window::Asked;
use crate::batch::window::Close;
use crate::batch::window::row_id;
use crate::calls;
use crate::failure::fixed_text;
use crate::merge_reads::Work;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::render::visit;

/// Who gathers with whom: everything that makes two calls the same but for their keys, identity included.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct WindowKey {
    resolver: ResolverId,
    epoch: u64,
    args: String,
    identity: Vec<String>,
    /// Who asks, where the last good reply may be answered.
    principal: Option<Arc<[u8]>>,
}

/// What came back for all who gathered.
pub(super) struct Shared<R> {
    parts: Vec<SharedPart<R>>,
    log: CallLog,
    calls: Vec<CallRecord>,
    stale: Vec<StaleAnswer>,
}

struct SharedPart<R> {
    rows: HashSet<String>,
    outcome: Result<Vec<R>, SourceError>,
}

/// Position tells nothing among keys of several requests.
pub(super) fn window_of(job: &Job<'_>) -> Option<Duration> {
    let batch = job.resolver.batch.as_ref()?;
    batch
        .window
        .filter(|_| batch.order == BatchOrder::Keyed && job.may_merge())
}

impl<P: Protocol> Fetcher<P> {
    pub(super) async fn gather(&self, fetch: &Fetch<'_>, job: &Job<'_>, window: Duration) -> Reply {
        let close = Close {
            after: window,
            at: job.resolver.batch.as_ref().map_or(1, |batch| batch.max),
        };
        let run = self.gathered(fetch);
        let asked = Asked {
            rows: &fetch.rows,
            deadline: fetch.context.deadline,
        };
        let joined = self.windows.join(self.window_key(job), asked, close, run);
        match tokio::time::timeout_at(asked.deadline.into(), joined.work).await {
            Ok(shared) => {
                write_down(fetch, &shared, joined.follower);
                for StaleAnswer { source, age } in &shared.stale {
                    fetch.context.stale.answered(source, *age);
                }
                self.share_of(fetch, &shared)
            }
            Err(_) => {
                let code = Code::DeadlineExceeded;
                let error = SourceError::new(code, &self.protocol.service().name, fixed_text(code));
                Reply::one(fetch.rows.len(), Err(error))
            }
        }
    }

    fn window_key(&self, job: &Job<'_>) -> WindowKey {
        let stale = job.resolver.policy.stale_if_error;
        let scope = job.scope(&[], &self.protocol.service().encodings);
        WindowKey {
            resolver: job.resolver.id,
            epoch: job.context.epoch,
            args: Json::Object(job.args.clone()).to_string(),
            principal: job.context.principal.clone().filter(|_| stale.is_some()),
            identity: visit::identity(
                &job.resolver.request,
                &self.protocol.service().rules,
                &scope,
            ),
        }
    }

    /// The work for all who gather. It may outlive the fetch that opened the window, so it owns what it needs; each waiter keeps its own deadline, the work has the longest of them.
    fn gathered(
        &self,
        fetch: &Fetch<'_>,
    ) -> impl FnOnce(Vec<Row>, Instant) -> Work<Arc<Shared<P::Reply>>> + Send + 'static {
        let protocol = self.protocol.clone();
        let resolver = fetch.resolver.clone();
        let args = fetch.args.clone();
        let step = fetch.step.id;
        let now = calls::now();
        let mut context = Context {
            correlation_id: fetch.context.correlation_id.clone(),
            trace: fetch.context.trace.clone(),
            deadline: fetch.context.deadline,
            headers: fetch.context.headers.clone(),
            claims: fetch.context.claims.clone(),
            epoch: fetch.context.epoch,
            merge_reads: fetch.context.merge_reads,
            rehearsal: fetch.context.rehearsal.clone(),
            calls: Some(CallLog::new(now)),
            caching: None,
            principal: fetch.context.principal.clone(),
            stale: Stale::default(),
            calls_left: fetch.context.calls_left.anew(),
            propagated: Propagated::default(),
            outbox: None,
            effects: None,
        };
        move |rows, deadline| {
            context.deadline = deadline;
            Box::pin(async move {
                let job = Job {
                    step,
                    resolver: &resolver,
                    shape: None,
                    prepared: None,
                    args: &args,
                    below: &[],
                    context: &context,
                    cache: CachePolicy::NEVER,
                    in_company: false,
                };
                let parts = ask(&protocol, &job, &rows).await;
                let parts = parts
                    .into_iter()
                    .map(|part| shared_part(part, &rows, &protocol.service().name));
                let parts = parts.collect();
                let log = context.calls.unwrap_or_else(|| CallLog::new(now));
                let calls = log.take();
                let stale = context.stale.answers();
                Arc::new(Shared {
                    parts,
                    log,
                    calls,
                    stale,
                })
            })
        }
    }

    /// One waiter's chunks. The replies answer others as well; keys that it did not ask for are passed over later.
    fn share_of(&self, fetch: &Fetch<'_>, shared: &Shared<P::Reply>) -> Reply {
        let owners: Vec<Option<usize>> = fetch.rows.iter().map(|row| owner(shared, row)).collect();
        let outcomes: Vec<_> = shared.parts.iter().map(|part| &part.outcome).collect();
        shares(&*self.protocol, fetch, &owners, &outcomes)
    }
}

/// What each row gets of several outcomes, by its owner among them. Where all is well, one chunk is enough.
pub(super) fn shares<P: Protocol>(
    protocol: &P,
    fetch: &Fetch<'_>,
    owners: &[Option<usize>],
    outcomes: &[&Result<Vec<P::Reply>, SourceError>],
) -> Reply {
    let failed = |owner: &Option<usize>| owner.is_none_or(|at| outcomes[at].is_err());
    if owners.iter().any(failed) {
        let chunks = runs(owners).map(|rows| {
            let outcome = owners[rows.start].map(|at| outcomes[at]);
            share_of_run(protocol, fetch, outcome, rows)
        });
        return Reply {
            chunks: chunks.collect(),
        };
    }
    let mut used: Vec<usize> = owners.iter().copied().flatten().collect();
    used.sort_unstable();
    used.dedup();
    let replies = used.into_iter().filter_map(|at| outcomes[at].as_ref().ok());
    let replies: Vec<P::Reply> = replies.flatten().cloned().collect();
    Reply::one(fetch.rows.len(), decode_batch(protocol, fetch, &replies))
}

fn share_of_run<P: Protocol>(
    protocol: &P,
    fetch: &Fetch<'_>,
    outcome: Option<&Result<Vec<P::Reply>, SourceError>>,
    rows: Range<usize>,
) -> Chunk {
    let outcome = match outcome {
        Some(Ok(replies)) => decode_batch(protocol, fetch, replies),
        Some(Err(error)) => Err(error.clone()),
        None => {
            let code = Code::InternalError;
            let error = SourceError::new(code, &protocol.service().name, fixed_text(code));
            Err(error.internal("a row was asked for by no call"))
        }
    };
    Chunk { rows, outcome }
}

fn shared_part<R>(part: Part<R>, rows: &[Row], service: &Arc<str>) -> SharedPart<R> {
    SharedPart {
        rows: rows[part.rows].iter().map(row_id).collect(),
        outcome: whole_replies(part.outcome, service),
    }
}

/// The replies to a batch.
pub(super) fn whole_replies<R>(
    outcome: Result<Read<R>, SourceError>,
    service: &Arc<str>,
) -> Result<Vec<R>, SourceError> {
    outcome.and_then(|read| match read {
        Read::Replies(replies, _) => Ok(replies),
        // A status never stands for a whole batch.
        Read::Instead(_) => {
            let code = Code::UpstreamInvalidResponse;
            Err(SourceError::new(code, service, fixed_text(code)))
        }
    })
}

fn owner<R>(shared: &Shared<R>, row: &Row) -> Option<usize> {
    let id = row_id(row);
    shared.parts.iter().position(|part| part.rows.contains(&id))
}

/// Runs of rows with one owner.
fn runs(owners: &[Option<usize>]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    owners.chunk_by(|a, b| a == b).map(move |run| {
        let rows = start..start + run.len();
        start = rows.end;
        rows
    })
}

/// The shared calls, as one of those who waited for them sees them.
fn write_down<R>(fetch: &Fetch<'_>, shared: &Shared<R>, follower: bool) {
    let Some(log) = &fetch.context.calls else {
        return;
    };
    let shift = |time: Duration| (shared.log.started + time).saturating_duration_since(log.started);
    for call in &shared.calls {
        log.push(CallRecord {
            step: fetch.step.id,
            start: shift(call.start),
            end: shift(call.end),
            coalesced: follower || call.coalesced,
            ..call.clone()
        });
    }
}
