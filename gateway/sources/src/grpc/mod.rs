//! gRPC sources.
mod call;
mod channel;
mod codec;
mod decode;
mod encode;
mod reflect;
mod status;

use decode::is_wrapper;
#[cfg(test)]
pub(crate) mod testing;
