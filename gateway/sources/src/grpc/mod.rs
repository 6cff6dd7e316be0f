//! gRPC sources.
mod decode;
mod encode;

use decode::is_wrapper;
#[cfg(test)]
pub(crate) mod testing;
