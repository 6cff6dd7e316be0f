//! Calls that are made durable instead of being made.
//!
//! Owns what is handed over of a call, and what its field is answered with in
//! the service's place. Where calls wait is the outbox's; making them when
//! their time has come is [`crate::exchange`]'s.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::Expr;
use compose::model::HeaderRule;
use compose::model::QueueRule;
use compose::model::Target;
use http::HeaderMap;
use plan::code::Code;
use plan::effects::Effect;
use plan::outbox::Accepted;
use plan::outbox::Deferred;
use plan::outbox::Order;
use plan::source::Fetch;
use plan::source::Reply;
use plan::source::SourceError;
use plan::tape::Tape;
use serde_json::Value as Json;
use serde_json::json;

use crate::failure::fixed_text;
use crate::json;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::render::RenderError;
use crate::render::Scope;
use crate::render::headers;
use crate::render::text;

/// Hands the call of a fetch over, and answers when it is durable.
pub(crate) async fn put<P: Protocol>(
    protocol: &P,
    fetch: &Fetch<'_>,
    job: &Job<'_>,
    rule: &QueueRule,
) -> Reply {
    let put = Put {
        protocol,
        fetch,
        job,
        rule,
    };
    let outcome = put.run().await;
    Reply::one(fetch.rows.len(), outcome.map(|tape| vec![tape]))
}

struct Put<'p, P> {
    protocol: &'p P,
    fetch: &'p Fetch<'p>,
    job: &'p Job<'p>,
    rule: &'p QueueRule,
}

impl<P: Protocol> Put<'_, P> {
    async fn run(&self) -> Result<Tape, SourceError> {
        let Some(outbox) = &self.job.context.outbox else {
            return Err(self.failed("there is no outbox"));
        };
        let order = self.order().inspect_err(|_| outbox.withdraw(self.job.step));
        let accepted = outbox.put(order?).await?;
        if let Some(effects) = &self.job.context.effects {
            effects.sending();
        }
        let answer = Bytes::from(answer(&accepted));
        json::decode(answer, self.fetch.shape, 200).map_err(|bad| self.failed(&bad.0))
    }

    fn order(&self) -> Result<Order<'_>, SourceError> {
        let service = self.protocol.service();
        let scope = self.job.scope(&self.fetch.rows, &service.encodings);
        let call = self.protocol.defer(self.job, &self.fetch.rows)?;
        let text = |expr: &Option<Expr>| {
            let text = expr.as_ref().map(|expr| text::eval(expr, &scope));
            text.transpose().map_err(|error| error.of(&service.name))
        };
        Ok(Order {
            step: self.job.step,
            field: field(&self.job.resolver.target),
            rule: self.rule,
            key: text(&self.rule.key)?.flatten(),
            dedupe: text(&self.rule.dedupe)?.flatten(),
            effect: self.effect(),
            payload: payload(&call.target, &call.headers, self.job),
            call,
        })
    }

    /// Of the client's key, where it gave one.
    fn effect(&self) -> Option<Effect> {
        let effects = self.job.context.effects.as_ref();
        effects.map(|effects| effects.of(self.job.step))
    }

    fn failed(&self, why: &str) -> SourceError {
        let name: &Arc<str> = &self.protocol.service().name;
        let code = Code::InternalError;
        SourceError::new(code, name, fixed_text(code)).internal(why)
    }
}

/// Everything that the client gave: the body follows from it, and may be written with a boundary that chance chose.
fn payload(target: &str, headers: &[(String, Option<String>)], job: &Job<'_>) -> Vec<u8> {
    json!([target, headers, job.args]).to_string().into_bytes()
}

/// `Mutation.requestReview`
fn field(target: &Target) -> String {
    match target {
        Target::Root { ty, field, .. } | Target::Field { ty, field } => format!("{ty}.{field}"),
        Target::Entity { ty, .. } => ty.to_string(),
    }
}

/// What the schema lets a queued field return is read from this.
fn answer(accepted: &Accepted) -> String {
    json!({
        "id": accepted.id,
        "status": accepted.status,
        "acceptedAt": accepted.accepted_at,
        "duplicate": accepted.duplicate,
        "accepted": true,
    })
    .to_string()
}

/// What the rules of a call make of its client. What depends on nobody is left to the time of the
/// call, so that a secret that is exchanged until then does no harm. A rule of the operation stands
/// for the source's.
pub(crate) fn captured(
    source: &[HeaderRule],
    own: &[HeaderRule],
    scope: &Scope<'_>,
) -> Result<Vec<(String, Option<String>)>, RenderError> {
    let replaced = |rule: &&HeaderRule| own.iter().any(|it| it.name == rule.name);
    let rules = own
        .iter()
        .chain(source.iter().filter(|rule| !replaced(rule)));
    let rules = rules.filter(|rule| rule.value.depends_on_client());
    rules
        .map(|rule| Ok((rule.name.clone(), text::eval(&rule.value, scope)?)))
        .collect()
}

/// Adds what the rules say now that depend on nobody, and what was kept of the client.
pub(crate) fn resume_headers(
    call: &Deferred,
    source: &[HeaderRule],
    own: Option<&[HeaderRule]>,
    scope: &Scope<'_>,
    to: &mut HeaderMap,
) -> Result<(), String> {
    let rules = source.iter().chain(own.unwrap_or_default());
    let constant = rules.filter(|rule| !rule.value.depends_on_client());
    let kept = call.headers.iter().map(|(name, value)| HeaderRule {
        name: name.clone(),
        value: Expr::Const(value.clone().map_or(Json::Null, Json::String)),
    });
    let rules: Vec<HeaderRule> = constant.cloned().chain(kept).collect();
    headers::apply(&rules, scope, to).map_err(|error| error.0)
}

#[cfg(test)]
mod tests;
