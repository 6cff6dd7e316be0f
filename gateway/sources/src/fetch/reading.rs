//! Making the calls of some rows, and reading on.

use std::ops::Range;
use std::sync::Arc;

use compose::model::Page;
use futures_util::future::join_all;
use plan::code::Code;
use plan::source::Row;
use plan::source::SourceError;
use plan::tape::Tape;

use crate::batch;
use crate::batch::Split;
use crate::exchange::exchange;
use crate::page::ListRead;
use crate::page::Progress;
use crate::page::Purpose;
use crate::page::Reading;
use crate::protocol::Answer;
use crate::protocol::Job;
use crate::protocol::Protocol;

/// What was read for some of the rows.
pub(super) struct Part<R> {
    pub(super) rows: Range<usize>,
    pub(super) outcome: Result<Read<R>, SourceError>,
}

pub(super) enum Read<R> {
    /// The value itself.
    Instead(Tape),
    /// Replies to decode: one, or the pages of a list.
    Replies(Vec<R>, Option<ListRead>),
}

/// Splits the rows into calls and makes them at once.
pub(super) async fn ask<P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'_>,
    rows: &[Row],
) -> Vec<Part<P::Reply>> {
    let mut calls = split(protocol, job, rows);
    if calls.len() == 1
        && let Some(only) = calls.pop()
    {
        return parts(protocol, job, rows, only).await;
    }
    let all = calls
        .into_iter()
        .map(|call| parts(protocol, job, rows, call));
    join_all(all).await.into_iter().flatten().collect()
}

/// Without a batch there is one row and one call.
fn split<P: Protocol>(protocol: &Arc<P>, job: &Job<'_>, rows: &[Row]) -> Vec<Split<P::Call>> {
    let Some(batch) = &job.resolver.batch else {
        return vec![Split {
            rows: 0..rows.len(),
            call: first_call(protocol, job, rows),
        }];
    };
    let render = |rows: &[Row]| first_call(protocol, job, rows);
    batch::split(rows, batch.max, render, |call| protocol.is_too_long(call))
}

fn first_call<P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'_>,
    rows: &[Row],
) -> Result<P::Call, SourceError> {
    let Some(rule) = &job.resolver.page else {
        return protocol.render(job, rows, None);
    };
    let reading = begin(protocol, job, rule, rows)?;
    protocol.render(job, rows, Some(&reading.ask()))
}

/// One call's rows: usually one part, more where a list had to be read in smaller pieces.
async fn parts<P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'_>,
    rows: &[Row],
    split: Split<P::Call>,
) -> Vec<Part<P::Reply>> {
    let run = split.rows;
    let outcome = match split.call {
        Ok(call) => read(protocol, job, &rows[run.clone()], call).await,
        Err(error) => Err(Stopped::Failed(error)),
    };
    match outcome {
        Ok(read) => vec![Part {
            rows: run,
            outcome: Ok(read),
        }],
        Err(Stopped::Failed(error)) => vec![Part {
            rows: run,
            outcome: Err(error),
        }],
        Err(Stopped::RanOut) => smaller(protocol, job, rows, run).await,
    }
}

enum Stopped {
    Failed(SourceError),
    /// A batch's list has more pages than may be read: what is missing would be taken for nothing.
    RanOut,
}

impl From<SourceError> for Stopped {
    fn from(error: SourceError) -> Self {
        Stopped::Failed(error)
    }
}

fn begin<'j, P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'j>,
    rule: &'j Page,
    rows: &[Row],
) -> Result<Reading<'j>, SourceError> {
    let scope = job.scope(rows, &protocol.service().encodings);
    let connection = job.shape.and_then(|shape| shape.connection.as_ref());
    let page_info = connection.and_then(|connection| connection.page_info.as_ref());
    let purpose = match (&job.resolver.batch, connection) {
        (Some(batch), _) => Purpose::Batch {
            limit: batch
                .limit
                .as_ref()
                .filter(|_| batch.to_many && rows.len() == 1),
        },
        (None, Some(_)) => Purpose::Connection {
            tells_next: page_info.is_some_and(|info| info.has_next.is_some()),
        },
        (None, None) => Purpose::List,
    };
    Reading::begin(rule, purpose, &scope).map_err(|error| error.of(&protocol.service().name))
}

/// Makes a call, and reads on where the resolver says so.
async fn read<P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'_>,
    rows: &[Row],
    mut call: P::Call,
) -> Result<Read<P::Reply>, Stopped> {
    let keys = job.keys(rows.len());
    let Some(rule) = &job.resolver.page else {
        return Ok(match exchange(protocol, job, call, keys).await? {
            Answer::Instead(tape) => Read::Instead(tape),
            Answer::Reply(reply) => Read::Replies(vec![reply], None),
        });
    };
    let mut reading = begin(protocol, job, rule, rows)?;
    let mut replies = Vec::new();
    loop {
        let reply = match exchange(protocol, job, call, keys).await? {
            Answer::Instead(tape) => return Ok(Read::Instead(tape)),
            Answer::Reply(reply) => reply,
        };
        let progress = reading.took(&protocol.facts(job, rule, &reply)?);
        replies.push(reply);
        match progress {
            Progress::ReadOn => call = protocol.render(job, rows, Some(&reading.ask()))?,
            Progress::RanOut if job.resolver.batch.is_some() => return Err(Stopped::RanOut),
            Progress::RanOut | Progress::Done => break,
        }
    }
    Ok(Read::Replies(replies, Some(reading.finish())))
}

/// Asks for fewer keys at a time, in at most `fanout` further readings.
async fn smaller<P: Protocol>(
    protocol: &Arc<P>,
    job: &Job<'_>,
    rows: &[Row],
    run: Range<usize>,
) -> Vec<Part<P::Reply>> {
    let mut left = job.resolver.policy.fanout.unwrap_or(0);
    let mut pending = vec![run];
    let mut parts = Vec::new();
    while let Some(run) = pending.pop() {
        if run.len() < 2 || left < 2 {
            parts.push(Part {
                rows: run,
                outcome: Err(too_many_pages(&protocol.service().name)),
            });
            continue;
        }
        left -= 2;
        for half in batch::halves(&run) {
            let rows = &rows[half.clone()];
            let outcome = match first_call(protocol, job, rows) {
                Ok(call) => read(protocol, job, rows, call).await,
                Err(error) => Err(Stopped::Failed(error)),
            };
            let outcome = match outcome {
                Err(Stopped::RanOut) => {
                    pending.push(half);
                    continue;
                }
                Err(Stopped::Failed(error)) => Err(error),
                Ok(read) => Ok(read),
            };
            parts.push(Part {
                rows: half,
                outcome,
            });
        }
    }
    parts
}

fn too_many_pages(service: &Arc<str>) -> SourceError {
    let message = "The service's list has more pages than may be read.";
    SourceError::new(Code::FanoutExceeded, service, message)
}
