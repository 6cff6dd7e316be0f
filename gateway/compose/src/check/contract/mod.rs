//! Every mapping against the contract of the service that it calls, both ways.
//!
//! Owns the findings that only an OpenAPI document or .proto files can give:
//! what a request sends and the service does not take ([`request`]), and what a
//! field reads and the reply does not hold ([`reply`], [`view`]). Must not
//! change what was lowered, and says nothing where a contract says nothing.

mod called;
mod constant;
mod enumeration;
mod hint;
mod inward;
mod leaf;
mod object;
mod outward;
mod page;
mod reading;
mod reply;
mod request;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod view;

use super::Graph;
use crate::diagnostic::Diagnostics;
use called::Called;

/// Checks every resolver and every view whose source has a contract.
pub(crate) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    for resolver in &graph.lowered.resolvers {
        if let Some(called) = Called::of(graph, resolver) {
            request::check(&called, diagnostics);
            reply::check(&called, diagnostics);
            page::check(&called, diagnostics);
        }
    }
    view::check(graph, diagnostics);
}
