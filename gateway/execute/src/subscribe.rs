//! Subscriptions: a stream of events in, one response for each out.
//!
//! Owns asking the source of events, and running the rest of the plan for each
//! of them. <https://spec.graphql.org/September2025/#sec-Subscription>

use std::sync::Arc;

use plan::model::Plan;
use plan::model::Step;
use plan::model::Variables;
use plan::source::Context;
use plan::source::Events;
use plan::source::Fetch;
use plan::source::Row;
use plan::source::SourceError;
use plan::source::Sources;
use plan::tape::Tape;

use crate::response::FieldError;
use crate::response::PathSegment;
use crate::response::Response;
use crate::run::Arrived;
use crate::run::arrive;
use crate::run::arrive_after;

/// The events of a subscription; none where its caller may not see its field, or it is none.
/// The context's deadline bounds no event.
pub fn subscribe<'r>(
    plan: &'r Plan,
    variables: &'r Variables,
    sources: &'r dyn Sources,
    context: &'r Context,
) -> Option<Events<'r>> {
    let step = plan.events().filter(|step| runs(plan, step, variables))?;
    let resolver = plan.supergraph().resolver(step.resolver);
    let source = sources.source(resolver.source);
    Some(source.subscribe(Fetch {
        step,
        shape: &step.shape,
        prepared: &step.prepared,
        resolver,
        args: step.arguments(variables),
        below: step.arguments_below(variables),
        rows: vec![Row::new()],
        context,
    }))
}

/// Answers one event: everything that the plan brings beside it is brought anew.
pub async fn answer<'r>(
    event: Tape,
    plan: &'r Plan,
    variables: &'r Variables,
    sources: &'r dyn Sources,
    context: &'r Context,
) -> Arrived<'r> {
    match plan.events() {
        Some(step) => arrive_after((step, event), plan, variables, sources, context).await,
        None => arrive(plan, variables, sources, context).await,
    }
}

/// The response after which no event comes: the stream itself has failed.
pub fn failed(plan: &Plan, error: &SourceError, correlation_id: &Arc<str>) -> Response {
    let mut failed = FieldError::of_source(error);
    if let Some(root) = plan.output().fields.first() {
        failed.path = vec![PathSegment::Key(root.name.clone())];
        failed.location = root.location;
    }
    Response {
        body: b"{\"data\":null".to_vec(),
        errors: vec![failed],
        correlation_id: correlation_id.clone(),
        has_data: false,
    }
}

fn runs(plan: &Plan, step: &Step, variables: &Variables) -> bool {
    let condition = step.condition.map(|id| &plan.conditions()[id as usize]);
    condition.is_none_or(|condition| condition.holds(variables))
}
