//! One operation, as those who look on see it.
//!
//! Owns what is remembered of it while it is answered, and who is told at its
//! end: metrics, the access log, the log of slow requests, the tracer. The
//! stages only say what they have done; none of them knows who listens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use plan::code::Code;
use plan::source::CallLog;
use tokio::time::Instant;
use uuid::Uuid;

use super::access;
use super::client::Client;
use super::metrics::Metrics;
use super::recording::Recording;
use super::recording::Wanted;
use super::slow;
use super::stages::Stage;
use super::stages::Stages;
use super::trace::Tracer;
use crate::coalesce::Role;
use crate::config::Config;
use crate::edge::problem::Kind;
use crate::edge::problem::Problem;
use crate::graph::Graph;
use crate::pipeline::Answer;
use crate::pipeline::Caller;
use crate::pipeline::Course;
use crate::plans::Planned;

/// An operation that is being answered. Dropped before its end, its client went away.
pub(crate) struct Seen<'r> {
    metrics: &'r Metrics,
    settings: &'r Config,
    tracer: Option<&'r Tracer>,
    asked: Asked,
    /// Where the access log has a line for it.
    client: Option<Box<Client>>,
    planned: Option<Arc<Planned>>,
    /// The plan was there already.
    cached: bool,
    stages: Stages,
    recording: Option<Box<Recording>>,
    ended: bool,
}

/// Who looks on.
pub(crate) struct Watched<'r> {
    pub(crate) graph: &'r Graph,
    pub(crate) tracer: Option<&'r Tracer>,
    pub(crate) wanted: Wanted,
    /// As far as they went before the operation was known.
    pub(crate) stages: Stages,
}

/// Who asked, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) address: IpAddr,
    pub(crate) received: Instant,
    pub(crate) request_id: Uuid,
    trace_id: [u8; 16],
}

/// What became of an operation.
pub(super) struct Ending<'a> {
    pub(super) asked: &'a Asked,
    pub(super) client: &'a Client,
    pub(super) planned: Option<&'a Arc<Planned>>,
    pub(super) cached: bool,
    pub(super) took: Duration,
    pub(super) how: How<'a>,
}

/// How an operation ended.
#[derive(Clone, Copy)]
pub(super) enum How<'a> {
    /// It ran.
    Answered(&'a Answer, StatusCode),
    /// It did not run.
    Refused(Code, StatusCode),
    /// It was a subscription, and is over.
    Streamed(&'a Course),
    /// It has no GraphQL response.
    Problem(Kind),
    /// Its client went away.
    Abandoned,
}

impl<'r> Seen<'r> {
    /// All that was read of it has been read.
    pub(crate) fn begin(watched: Watched<'r>, caller: &Caller, request_id: Uuid) -> Self {
        let Watched {
            graph,
            tracer,
            wanted,
            stages,
        } = watched;
        let recording = Recording::begin(wanted, &stages, caller);
        let share = graph.settings.access_log;
        let logged = share.is_some_and(|share| share.takes(request_id.as_bytes()));
        let client = logged || wanted.sampled;
        stages.ended(Stage::Read);
        Self {
            metrics: &graph.metrics,
            settings: &graph.settings,
            tracer,
            asked: Asked {
                address: caller.address,
                received: caller.received,
                request_id,
                trace_id: caller.trace.trace_id,
            },
            client: client.then(|| Box::new(Client::of(&caller.headers))),
            planned: None,
            cached: false,
            stages,
            recording,
            ended: false,
        }
    }

    /// A stage has ended.
    pub(crate) fn ended(&self, stage: Stage) {
        self.stages.ended(stage);
    }

    /// There is a plan.
    pub(crate) fn planned(&mut self, planned: &Arc<Planned>, cached: bool) {
        self.planned = Some(planned.clone());
        self.cached = cached;
        self.stages.ended(Stage::Plan);
    }

    /// For work that may go on elsewhere.
    pub(crate) fn stages(&self) -> Stages {
        self.stages.clone()
    }

    /// Where its calls are written down, where anybody wants to see them.
    pub(crate) fn calls(&self) -> Option<CallLog> {
        self.recording.as_ref().map(|it| it.calls.clone())
    }

    /// It ran.
    pub(crate) fn answered(mut self, answer: &Answer, status: StatusCode) {
        self.end(How::Answered(answer, status));
    }

    /// It was a subscription, and is over.
    pub(crate) fn streamed(mut self, course: &Course) {
        self.end(How::Streamed(course));
    }

    /// It did not run.
    pub(crate) fn refused(mut self, code: Code, status: StatusCode) {
        self.end(How::Refused(code, status));
    }

    /// It has no GraphQL response.
    pub(crate) fn problem(mut self, problem: Problem) -> Problem {
        self.end(How::Problem(problem.kind()));
        problem
    }

    /// Tells everybody who listens.
    fn end(&mut self, how: How<'_>) {
        self.ended = true;
        let nobody = Client::default();
        let ending = Ending {
            asked: &self.asked,
            client: self.client.as_deref().unwrap_or(&nobody),
            planned: self.planned.as_ref(),
            cached: self.cached,
            took: self.asked.received.elapsed(),
            how,
        };
        self.count(&ending);
        if self.is_logged() {
            access::tell(&ending);
        }
        let Some(recording) = &self.recording else {
            return;
        };
        // How long somebody listens says nothing.
        let lasts = matches!(how, How::Streamed(_));
        if let Some(above) = self.settings.slow_log.filter(|_| !lasts) {
            slow::tell(&ending, recording, above);
        }
        if let Some(tracer) = self.tracer.filter(|_| recording.sampled) {
            tracer.take(&ending, recording);
        }
    }

    fn is_logged(&self) -> bool {
        let share = self.settings.access_log;
        share.is_some_and(|share| share.takes(self.asked.request_id.as_bytes()))
    }

    fn count(&self, ending: &Ending<'_>) {
        let numbers = ending.planned.map(|planned| &planned.numbers);
        match (ending.how, numbers) {
            (How::Answered(answer, _), Some(numbers)) => {
                if answer.role == Role::Follower {
                    self.metrics.coalesced.count();
                }
                let cost = answer.cost.requested;
                self.metrics
                    .answered(numbers, ending.micros(), cost, &answer.faults);
            }
            (How::Refused(code, _), numbers) => {
                self.metrics.refused(numbers, ending.micros(), code);
            }
            (How::Abandoned, _) => self.metrics.abandoned.count(),
            // Problems are counted where they are written, subscriptions while they run.
            (How::Problem(_) | How::Streamed(_) | How::Answered(..), _) => {}
        }
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(How::Abandoned);
        }
    }
}

impl Ending<'_> {
    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)
    }

    /// As people read it.
    pub(super) fn trace_id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.asked.trace_id))
    }
}
