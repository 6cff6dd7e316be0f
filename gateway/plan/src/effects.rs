//! What the calls of a mutation have to do with its client's `Idempotency-Key`.
//!
//! Owns what sources ask of whoever keeps the client's key: by what a service
//! recognises an effect again. And what they tell: whether anything was sent,
//! so that nothing is remembered of a mutation that never left the gateway.

use std::fmt::Debug;
use std::time::Duration;

use crate::model::Origin;
use crate::model::Plan;
use crate::model::Step;
use crate::model::Variables;

/// What an effect is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The same whenever the same client sends the same key.
    pub key: String,
    /// How long the client may repeat itself.
    pub remembered: Duration,
}

/// The effects of one mutation whose client gave a key.
pub trait Effects: Send + Sync + Debug {
    /// A step's effect: each field of the operation has one of its own.
    fn of(&self, step: usize) -> Effect;

    /// A call may reach its service from now on, or was made durable.
    fn sending(&self);

    /// A call that was on its way never reached its service: there was no connection.
    fn unsent(&self);
}

impl Plan {
    /// Whether all that it changes with these variables may be changed again without further
    /// effect: each call says so of itself, or is recognised by the queue.
    pub fn may_be_repeated(&self, variables: &Variables) -> bool {
        let changes = |step: &&Step| {
            let condition = step.condition.map(|id| &self.conditions[id as usize]);
            step.parents.is_none() && condition.is_none_or(|condition| condition.holds(variables))
        };
        self.steps.iter().filter(changes).all(|step| {
            let resolver = self.supergraph.resolver(step.resolver);
            resolver.policy.idempotent || resolver.queue.is_some()
        })
    }

    /// The response key of each root field that a step answers, by step.
    pub fn response_keys(&self) -> impl Iterator<Item = (usize, &str)> {
        let fields = self.output.fields.iter();
        fields.filter_map(|field| match field.from {
            Origin::Root { step } => Some((step, &*field.name)),
            _ => None,
        })
    }
}
