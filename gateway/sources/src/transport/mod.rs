//! HTTP towards one service, the same for REST and GraphQL.
//!
//! Owns what a call is before it is sent and a reply once it has come, the
//! connections that calls go over, and what a status and an unsuccessful
//! reply mean to a client. Knows nothing of mappings, plans or what is asked.

mod call;
mod client;
mod encoding;
mod pool;
pub(crate) mod problem;
pub(crate) mod status;

pub(crate) use call::HttpCall;
pub(crate) use call::Rules;
pub(crate) use client::HttpClient;
pub(crate) use client::HttpReply;
pub(crate) use client::Reader;
pub(crate) use client::Transport;
pub(crate) use client::peers;
