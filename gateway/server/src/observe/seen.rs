//! One operation, as those who look on see it.
//!
//! Owns what is remembered of it while it is answered, and who is told at its
//! end: metrics and the access log. The stages only say what they have done;
//! none of them knows who listens.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use plan::code::Code;
use tokio::time::Instant;

use super::access;
use super::metrics::Metrics;
use crate::coalesce::Role;
use crate::config::Config;
use crate::edge::problem::Problem;
use crate::graph::Graph;
use crate::pipeline::Answer;
use crate::pipeline::Caller;
use crate::plans::Planned;

/// An operation that is being answered. Dropped before its end, its client went away.
pub(crate) struct Seen<'r> {
    metrics: &'r Metrics,
    settings: &'r Config,
    asked: Asked,
    planned: Option<Arc<Planned>>,
    ended: bool,
}

/// Who asked, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) address: IpAddr,
    pub(crate) received: Instant,
}

impl<'r> Seen<'r> {
    pub(crate) fn begin(graph: &'r Graph, caller: &Caller) -> Self {
        Self {
            metrics: &graph.metrics,
            settings: &graph.settings,
            asked: Asked {
                address: caller.address,
                received: caller.received,
            },
            planned: None,
            ended: false,
        }
    }

    /// There is a plan.
    pub(crate) fn planned(&mut self, planned: &Arc<Planned>) {
        self.planned = Some(planned.clone());
    }

    /// It ran.
    pub(crate) fn answered(mut self, answer: &Answer, status: StatusCode) {
        self.ended = true;
        let Some(planned) = &self.planned else {
            return;
        };
        let micros = self.asked.micros();
        if answer.role == Role::Follower {
            self.metrics.coalesced.count();
        }
        self.metrics.answered(
            &planned.numbers,
            micros,
            answer.cost.requested,
            &answer.faults,
        );
        if self.settings.access_log {
            access::answered(self.asked, micros, planned, answer, status);
        }
    }

    /// It did not run.
    pub(crate) fn refused(mut self, code: Code, status: StatusCode) {
        self.ended = true;
        let micros = self.asked.micros();
        let numbers = self.planned.as_ref().map(|planned| &planned.numbers);
        self.metrics.refused(numbers, micros, code);
        if self.settings.access_log {
            access::refused(self.asked, micros, code.as_str(), status);
        }
    }

    /// It has no GraphQL response.
    pub(crate) fn problem(mut self, problem: Problem) -> Problem {
        self.ended = true;
        let kind = problem.kind();
        if self.settings.access_log {
            let micros = self.asked.micros();
            access::refused(self.asked, micros, kind.slug(), kind.status());
        }
        problem
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.abandoned.count();
        }
    }
}

impl Asked {
    /// Since it arrived.
    fn micros(self) -> u64 {
        u64::try_from(self.received.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
