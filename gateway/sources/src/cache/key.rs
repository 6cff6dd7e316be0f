//! What replies are kept under, and what is kept.

use std::sync::Arc;

use bytes::Bytes;
use compose::model::ResolverId;
use compose::model::SourceId;

use crate::grpc::GrpcCall;
use crate::grpc::Incoming;
use crate::transport::HttpCall;
use crate::transport::HttpReply;

/// Everything that makes two replies the same, identity included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: SourceId,
    /// For whom it is, where it is not for everybody.
    pub(super) principal: Option<Arc<[u8]>>,
    pub(super) call: CallKey,
}

/// A call, rendered; or one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CallKey {
    Http(Arc<HttpCall>),
    Grpc(Arc<GrpcCall>),
    Item(Arc<ItemKey>, Arc<str>),
}

/// What the items of one batch have in common: the request without its keys.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ItemKey {
    pub(crate) resolver: ResolverId,
    /// The field's arguments, as JSON text.
    pub(crate) args: String,
    /// Every header and claim that the request is made from.
    pub(crate) identity: Vec<String>,
    /// The object type of the items, and the names of the fields that are their key.
    pub(crate) ty: Arc<str>,
    pub(crate) fields: Vec<String>,
}

/// What a service sent. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Http(Arc<HttpReply>),
    Grpc(Incoming),
    /// Items of one key, as written, with commas between them; empty where there are none.
    Items(Bytes),
}

impl Key {
    pub(super) fn weight(&self) -> usize {
        let principal = self.principal.as_ref().map_or(0, |it| it.len());
        principal
            + match &self.call {
                CallKey::Http(call) => call.weight(),
                CallKey::Grpc(call) => call.weight(),
                // What its batch shares is counted with the first items of it: little, and the same for all.
                CallKey::Item(_, id) => id.len(),
            }
    }
}

impl Kept {
    pub(super) fn weight(&self) -> usize {
        match self {
            Kept::Http(reply) => reply.weight(),
            Kept::Grpc(incoming) => incoming.weight(),
            Kept::Items(text) => text.len(),
        }
    }
}
