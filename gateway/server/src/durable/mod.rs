//! Calls that outlive their request: from a field of a mutation to the queue,
//! and from the queue to a service.
//!
//! Owns what joins the two halves: what of a request becomes a message, and how
//! a message becomes a call of the graph in service. Where messages wait and
//! when they are attempted is the queue's; how a call is made the sources'.

mod deliver;
pub(crate) mod following;
mod identity;
mod open;
mod outbox;
mod settings;

use std::sync::Arc;

use compose::Diagnostics;
use queue::Queue;
use queue::clock::Clock;
use queue::deliver::Deliveries;

use crate::graph::Graph;
use crate::pipeline::Gateway;
use deliver::Deliver;

pub(crate) use identity::caller_of;
pub(crate) use identity::hash;
pub(crate) use outbox::OnBehalf;
pub(crate) use outbox::Place;
pub(crate) use outbox::RequestOutbox;
pub(crate) use settings::DurableSettings;
pub(crate) use settings::Pace;
pub(crate) use settings::StoreSettings;

/// The queue, for whoever hands calls over, delivers them, or asks after them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Durable {
    pub(crate) queue: Arc<Queue>,
    clock: Clock,
}

impl Durable {
    /// Where messages go.
    pub(crate) fn place(&self) -> Place {
        Place {
            store: self.queue.store.clone(),
            clock: self.clock,
        }
    }
}

/// Opens the store of a graph that queues calls, and begins to deliver what waits there. Nothing
/// happens where the graph queues nothing, or where that was done for the graph before.
///
/// # Errors
/// Why the store cannot be opened: what a graph without it would accept would be lost.
pub(crate) async fn start(gateway: &Arc<Gateway>, graph: &Graph) -> Result<(), Diagnostics> {
    if !graph.queues {
        return Ok(());
    }
    let settings = settings::of(graph);
    if let Some(durable) = gateway.durable.get() {
        durable.queue.deliveries.configure(settings);
        return Ok(());
    }
    let store = open::open(&graph.settings.queue).await?;
    let clock = Clock::default();
    let handler = Arc::new(Deliver::new(gateway, clock));
    let deliveries = Deliveries::start(store.clone(), handler, settings, clock);
    let queue = Arc::new(Queue { store, deliveries });
    let durable = Durable { queue, clock };
    // Reloads come one after the other, so that nobody else was faster.
    drop(gateway.durable.set(durable));
    Ok(())
}
