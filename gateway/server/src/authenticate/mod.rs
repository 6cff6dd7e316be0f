//! Who asks, verified before anything else looks at a request.
//!
//! Owns the way from a request's credentials to a [`Principal`]. Knows nothing
//! of what a principal may do, and nothing of operations.

mod principal;

pub(crate) use principal::Principal;
