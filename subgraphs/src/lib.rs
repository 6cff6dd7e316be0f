//! The example shop's services: what the gateway joins when nobody has brought services of their own.
//!
//! Each is a real server with seeded data, startable alone and able to misbehave on demand.
//! They know nothing of the gateway; the contracts that they keep are in `schema/`.

pub mod faults;
pub mod inventory;
pub mod notifications;
pub mod orders;
pub mod probe;
pub mod products;
pub mod reviews;
pub mod serve;
pub mod stats;
pub mod users;

mod misbehave;
mod reflection;
mod rest;
mod seed;

use std::io;

use tokio::net::TcpListener;

pub use crate::{faults::Faults, serve::Running};

/// One of the shop's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Customers, over REST.
    Users,
    /// The catalogue, over gRPC.
    Products,
    /// The warehouses, over gRPC.
    Inventory,
    /// What customers say, over REST.
    Reviews,
    /// What customers buy, over REST.
    Orders,
    /// What customers are told, over REST.
    Notifications,
}

impl Service {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 6] = [
        Self::Users,
        Self::Products,
        Self::Inventory,
        Self::Reviews,
        Self::Orders,
        Self::Notifications,
    ];

    /// The name as the command line and the log write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => users::NAME,
            Self::Products => products::NAME,
            Self::Inventory => inventory::NAME,
            Self::Reviews => reviews::NAME,
            Self::Orders => orders::NAME,
            Self::Notifications => notifications::NAME,
        }
    }

    /// The port to listen on when the caller names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Users => 4101,
            Self::Reviews => 4102,
            Self::Orders => 4103,
            Self::Notifications => 4104,
            Self::Products => 50051,
            Self::Inventory => 50052,
        }
    }

    /// Starts this service on a listener, inside the caller's tokio runtime.
    ///
    /// # Errors
    /// When the listener has no address of its own.
    pub fn serve(self, listener: TcpListener, faults: Faults) -> io::Result<Running> {
        match self {
            Self::Users => users::serve(listener, faults),
            Self::Products => products::serve(listener, faults),
            Self::Inventory => inventory::serve(listener, faults),
            Self::Reviews => reviews::serve(listener, faults),
            Self::Orders => orders::serve(listener, faults),
            Self::Notifications => notifications::serve(listener, faults),
        }
    }
}
