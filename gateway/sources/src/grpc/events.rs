//! A method that streams, read message by message: the events of a subscription.
//!
//! Owns the life of one such call. It goes where other calls go, with the same
//! credentials and labels, and none is begun while the breaker is open. It
//! takes no seat and is told no time, since it lasts for as long as somebody
//! listens; for the same reason it is no probe of a breaker, and what it comes
//! to is not counted there.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use http::header::AUTHORIZATION;
use plan::code::Code;
use plan::source::Events;
use plan::source::Fetch;
use plan::source::SourceError;
use plan::tape::Tape;

use super::Connection;
use super::Grpc;
use super::call;
use super::call::Failure;
use super::call::Listening;
use super::call::Outgoing;
use super::obey;
use super::program;
use super::request::Rendered;
use super::status::told_apart;
use crate::calls;
use crate::calls::Observed;
use crate::calls::Status;
use crate::calls::now;
use crate::exchange::Attempt;
use crate::exchange::Labels;
use crate::exchange::span;
use crate::failure::Failed;
use crate::failure::Unanswered;
use crate::peers::Picked;
use crate::protocol::Job;
use crate::protocol::Protocol as _;
use crate::resilience::Outcome;

/// The events of a fetch's call, which is made when the first of them is asked for.
pub(super) fn listen<'a>(grpc: &'a Grpc, fetch: Fetch<'a>) -> Events<'a> {
    let listener = Listener { grpc, fetch };
    let events = stream::try_unfold((listener, None), |(listener, open)| async move {
        let mut open = match open {
            Some(open) => open,
            None => listener.open().await?,
        };
        let event = listener.next(&mut open).await?;
        Ok(event.map(|tape| (tape, (listener, Some(open)))))
    });
    Box::pin(events)
}

struct Listener<'a> {
    grpc: &'a Grpc,
    fetch: Fetch<'a>,
}

/// A call that streams, and the address that is busy with it.
struct Open {
    messages: Listening,
    _address: Picked<Connection>,
}

impl Listener<'_> {
    async fn next(&self, open: &mut Open) -> Result<Option<Tape>, SourceError> {
        match open.messages.next().await {
            Ok(None) => Ok(None),
            Ok(Some(message)) => self.decode(message).map(Some),
            Err(failure) => {
                let error = self.failed(failure);
                calls::broken_off(self.fetch.context, &error);
                Err(error)
            }
        }
    }

    fn decode(&self, message: Bytes) -> Result<Tape, SourceError> {
        let request = self.grpc.request(self.fetch.resolver)?;
        let whole = 0..message.len();
        let tape = program(&self.fetch, request).decode(message, std::slice::from_ref(&whole));
        tape.map_err(|malformed| {
            let error = self.grpc.invalid(&Job::of(&self.fetch), &malformed);
            calls::unreadable(self.fetch.context, &error);
            error
        })
    }

    /// Begins the call, and writes it down. Credentials that are not accepted are not sent again.
    async fn open(&self) -> Result<Open, SourceError> {
        let rendered = self.rendered()?;
        let (start, span) = (now(), span());
        let outgoing = self.outgoing(&rendered, span).await?;
        let opened = self.open_with(&outgoing).await;
        let refused = |error: &SourceError| error.code == Code::Unauthenticated;
        if opened.as_ref().err().is_some_and(refused) {
            let sent = outgoing.metadata.get(AUTHORIZATION);
            self.grpc.link.bearer.refused(sent);
        }
        self.write_down(&rendered, (start, span), opened.as_ref().err());
        opened
    }

    fn rendered(&self) -> Result<Arc<Rendered>, SourceError> {
        self.grpc
            .render(&Job::of(&self.fetch), &self.fetch.rows, None)
    }

    /// As one call, which has ended when it has begun to stream.
    fn write_down(
        &self,
        rendered: &Arc<Rendered>,
        (start, span): (Instant, [u8; 8]),
        error: Option<&SourceError>,
    ) {
        let (status, outcome) = match error {
            None => ("OK", Outcome::Ok),
            Some(_) => ("failed", Outcome::Failed),
        };
        let attempt = Attempt {
            number: 0,
            hedge: false,
            span,
            start,
            end: now(),
            status: Status::Word(status),
            bytes: 0,
            outcome,
            breaker: self.grpc.link.guard.breaker.state(),
        };
        let shown = self.grpc.shown(rendered);
        let body = || self.grpc.body(rendered);
        let observed = Observed {
            context: self.fetch.context,
            step: self.fetch.step.id,
            source: &self.grpc.service.name,
            method: shown.method,
            target: shown.target,
            body: Some(&body),
            keys: 0,
            coalesced: false,
        };
        observed.attempted(&attempt, error);
    }

    /// Begins the call at the first address that can be connected to.
    async fn open_with(&self, outgoing: &Outgoing) -> Result<Open, SourceError> {
        let peers = &self.grpc.link.peers;
        let mut gone = Vec::new();
        loop {
            let picked = peers.pick(now(), &gone).await;
            let picked =
                picked.map_err(|error| self.failed(Failure::Unreachable(error.to_string())))?;
            let failure = match call::listen(picked.transport().clone(), outgoing).await {
                Ok(messages) => {
                    return Ok(Open {
                        messages,
                        _address: picked,
                    });
                }
                Err(failure) => failure,
            };
            gone.push(picked.address());
            let unreachable = matches!(failure, Failure::Unreachable(_));
            if unreachable {
                peers.unreachable(&picked, now());
            }
            if !unreachable || !peers.has_other(&gone) {
                return Err(self.failed(failure));
            }
        }
    }

    /// What is sent, once it may be.
    async fn outgoing(&self, rendered: &Rendered, span: [u8; 8]) -> Result<Outgoing, SourceError> {
        let context = self.fetch.context;
        let link = &self.grpc.link;
        let service = &self.grpc.service;
        if let Some(wait) = link.guard.breaker.refuses(now()) {
            let failed = Failed::new(
                Unanswered::CircuitOpen,
                &service.name,
                "the breaker is open",
            );
            return Err(failed.after(wait).error);
        }
        link.gate.pass(context.deadline).await?;
        let credentials = link.bearer.value().await?;
        let mut metadata = Labels::of(context).headers(span, credentials.as_ref());
        obey(&rendered.call.metadata, &mut metadata);
        Ok(Outgoing {
            path: rendered.call.path.clone(),
            metadata,
            message: rendered.call.message.clone(),
            take: rendered.call.take,
            max_bytes: service.settings.max_reply_bytes,
            wants_metadata: false,
        })
    }

    fn failed(&self, failure: Failure) -> SourceError {
        let service = &self.grpc.service;
        match told_apart(failure, &service.name) {
            Ok(refusal) => refusal.told(&self.fetch.resolver.policy.errors, &service.errors),
            Err(failed) => failed.error,
        }
    }
}
