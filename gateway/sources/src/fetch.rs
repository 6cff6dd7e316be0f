//! One fetch, from its rows to its outcomes, for every protocol. Start reading
//! at [`Fetcher::run`].
//!
//! Owns the order of things: gathering across requests, splitting, paging,
//! decoding. Knows protocols only as [`Protocol`].

mod gather;
mod items;
mod reading;

use std::sync::Arc;

use plan::code::Code;
use plan::shape::ReplyShape;
use plan::source::BoxFuture;
use plan::source::Chunk;
use plan::source::Events;
use plan::source::Fetch;
use plan::source::Reply;
use plan::source::Source;
use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;

use crate::batch::window::Windows;
use crate::calls;
use crate::deferred;
use crate::failure::fixed_text;
use crate::page::connection;
use crate::protocol::Job;
use crate::protocol::Protocol;
use gather::Shared;
use gather::WindowKey;
use gather::window_of;
use reading::Read;
use reading::ask;

/// A source behind the port.
pub(crate) struct Fetcher<P: Protocol> {
    protocol: Arc<P>,
    windows: Windows<WindowKey, Arc<Shared<P::Reply>>>,
}

impl<P: Protocol> Fetcher<P> {
    pub(crate) fn new(protocol: P) -> Self {
        Self {
            protocol: Arc::new(protocol),
            windows: Windows::default(),
        }
    }
}

impl<P: Protocol> Fetcher<P> {
    /// What it speaks.
    pub(crate) fn protocol(&self) -> &Arc<P> {
        &self.protocol
    }
}

impl<P: Protocol> Source for Fetcher<P> {
    fn fetch<'a>(&'a self, fetch: Fetch<'a>) -> BoxFuture<'a, Reply> {
        Box::pin(async move { self.run(&fetch).await })
    }

    fn subscribe<'a>(&'a self, fetch: Fetch<'a>) -> Events<'a> {
        self.protocol.events(fetch)
    }
}

impl<P: Protocol> Fetcher<P> {
    async fn run(&self, fetch: &Fetch<'_>) -> Reply {
        let job = Job::of(fetch);
        if let Some(rule) = &fetch.resolver.queue {
            return Box::pin(deferred::put(&*self.protocol, fetch, &job, rule)).await;
        }
        if let Some(batch) = items::batch_of(&self.protocol, &job, &fetch.rows) {
            return Box::pin(batch.run(fetch, &job)).await;
        }
        let together = window_of(&job).filter(|_| self.protocol.service().may_share());
        if let Some(window) = together {
            return self.gather(fetch, &job, window).await;
        }
        let parts = ask(&self.protocol, &job, &fetch.rows).await;
        let chunks = parts.into_iter().map(|part| Chunk {
            outcome: part
                .outcome
                .and_then(|read| decode(&*self.protocol, fetch, read)),
            rows: part.rows,
        });
        Reply {
            chunks: chunks.collect(),
        }
    }
}

fn decode<P: Protocol>(
    protocol: &P,
    fetch: &Fetch<'_>,
    read: Read<P::Reply>,
) -> Result<Vec<Tape>, SourceError> {
    match read {
        Read::Instead(tape) => Ok(vec![tape]),
        Read::Replies(replies, _) if fetch.resolver.batch.is_some() => {
            decode_batch(protocol, fetch, &replies)
        }
        Read::Replies(replies, list) => {
            let decoded = protocol.decode(fetch, &replies);
            let mut tape = decoded.inspect_err(|error| calls::unreadable(fetch.context, error))?;
            if fetch.shape.connection.is_some() {
                null_is_empty(&mut tape);
            }
            if let Some(list) = list {
                connection::finish(&mut tape, fetch.shape, &list);
            }
            Ok(vec![tape])
        }
    }
}

fn decode_batch<P: Protocol>(
    protocol: &P,
    fetch: &Fetch<'_>,
    pages: &[P::Reply],
) -> Result<Vec<Tape>, SourceError> {
    let decode = |page| {
        let mut tape = protocol.decode(fetch, std::slice::from_ref(page))?;
        null_is_empty(&mut tape);
        match tape.root {
            Value::List { .. } => Ok(tape),
            _ => Err(no_list(&protocol.service().name, fetch.shape)),
        }
    };
    let tapes: Result<_, _> = pages.iter().map(decode).collect();
    tapes.inspect_err(|error| calls::unreadable(fetch.context, error))
}

/// How some services write an empty list.
fn null_is_empty(tape: &mut Tape) {
    if tape.root == Value::Null {
        tape.root = tape.list(&[]);
    }
}

fn no_list(service: &Arc<str>, shape: &ReplyShape) -> SourceError {
    let code = Code::UpstreamInvalidResponse;
    let place = match shape.unwrap.as_slice() {
        [] => "the reply".to_owned(),
        path => format!("`{}`", path.join(".")),
    };
    SourceError::new(code, service, fixed_text(code))
        .internal(format!("{place} is no list of items"))
}

#[cfg(test)]
mod tests;
