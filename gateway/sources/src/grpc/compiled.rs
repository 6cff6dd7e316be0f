//! What is worked out once for a step: how its replies are decoded, and what
//! of its requests never changes.

use std::sync::Arc;

use compose::model::GrpcRequest;
use http::uri::PathAndQuery;
use plan::source::Fetch;
use prost_reflect::MessageDescriptor;

use super::call::Take;
use super::channel::Address;
use super::decode::Program;
use super::mask;

/// What a step's calls have in common.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) program: Program,
    pub(super) input: MessageDescriptor,
    /// With what stands before it in the source's address.
    pub(super) path: PathAndQuery,
    /// `package.Service/Method`.
    pub(super) target: String,
    pub(super) take: Take,
    /// The request's field mask and the paths in it.
    pub(super) mask: Option<(String, Vec<String>)>,
}

impl Compiled {
    /// Made at a step's first call and kept with its plan.
    pub(super) fn of(fetch: &Fetch<'_>, request: &GrpcRequest, address: &Address) -> Arc<Self> {
        let make = || Arc::new(Self::new(fetch, request, address)) as Arc<_>;
        let kept = fetch.prepared.0.get_or_init(make).clone();
        // Only this room prepares its own steps; were it otherwise, the step is prepared anew.
        kept.downcast()
            .unwrap_or_else(|_| Arc::new(Self::new(fetch, request, address)))
    }

    fn new(fetch: &Fetch<'_>, request: &GrpcRequest, address: &Address) -> Self {
        let method = &request.method;
        let target = format!("{}/{}", method.parent_service().full_name(), method.name());
        let output = method.output();
        let streamed = method.is_server_streaming();
        Self {
            program: match streamed {
                true => Program::streamed(fetch.shape, &output),
                false => Program::unary(fetch.shape, &output),
            },
            input: method.input(),
            // Names of a contract are letters, digits, dots and underscores; the address was parsed.
            path: PathAndQuery::try_from(address.path(&target))
                .unwrap_or(PathAndQuery::from_static("/")),
            take: match streamed {
                true => Take::UpTo(request.max_messages),
                false => Take::One,
            },
            mask: request
                .field_mask
                .clone()
                .map(|field| (field, mask::paths(fetch.shape, &output))),
            target,
        }
    }
}
