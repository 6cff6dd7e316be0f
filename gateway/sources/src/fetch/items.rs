//! Batches item by item: what is kept is taken, and only the rest is asked for.
//!
//! Owns which batches can be taken apart, and putting kept items and those
//! that came together again. Such a batch does not wait for a window: what it
//! asks for is little.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;
use compose::model::Batch;
use compose::model::BatchOrder;
use compose::model::Resolver;
use compose::model::Target;
use plan::cache::CachePolicy;
use plan::source::Fetch;
use plan::source::KeyPart;
use plan::source::Reply;
use plan::source::Row;
use plan::source::SourceError;
use serde_json::Value as Json;

use super::gather::shares;
use super::gather::whole_replies;
use super::reading::Part;
use super::reading::ask;
use crate::cache::Asking;
use crate::cache::CallKey;
use crate::cache::ItemKey;
use crate::cache::Kept;
use crate::cache::Ticket;
use crate::cache::id_of;
use crate::protocol::Items;
use crate::protocol::Job;
use crate::protocol::Protocol;
use crate::render::visit;

/// A batch whose items may be kept one by one.
pub(super) struct ItemBatch<'b, P: Protocol> {
    protocol: &'b Arc<P>,
    items: &'b dyn Items<P::Reply>,
    asking: Asking<'b>,
    shared: Arc<ItemKey>,
    /// Of each row.
    ids: Vec<Arc<str>>,
}

/// The batch, where it can be taken apart and anybody allows to keep its items.
pub(super) fn batch_of<'b, P: Protocol>(
    protocol: &'b Arc<P>,
    job: &Job<'b>,
    rows: &[Row],
) -> Option<ItemBatch<'b, P>> {
    let resolver = job.resolver;
    let batch = resolver.batch.as_ref()?;
    let asking = protocol.service().asking(job)?;
    let items = protocol.items().filter(|_| is_separable(resolver, batch))?;
    let ids: Option<Vec<Arc<str>>> = rows.iter().map(|row| id(batch, row)).collect();
    Some(ItemBatch {
        protocol,
        items,
        asking,
        shared: Arc::new(shared(&**protocol, job, batch)),
        ids: ids?,
    })
}

/// Items carry the whole key as it is, and the list comes whole.
fn is_separable(resolver: &Resolver, batch: &Batch) -> bool {
    let plain = |by: &compose::model::BatchBy| by.format.is_none() && by.enum_values.is_none();
    batch.order == BatchOrder::Keyed
        && batch.by.len() == resolver.inputs.len()
        && batch.by.iter().all(plain)
        && resolver.page.is_none()
        && resolver.reply.connection.is_none()
}

/// A row's key as an item carries it, whatever JSON type it has there.
fn id(batch: &Batch, row: &Row) -> Option<Arc<str>> {
    let part = |part: &KeyPart| match part {
        KeyPart::Text(text) => Some(text.to_string()),
        KeyPart::Int(value) => Some(value.to_string()),
        KeyPart::UInt(value) => Some(value.to_string()),
        KeyPart::Bool(value) => Some(value.to_string()),
        KeyPart::Null | KeyPart::Float(_) | KeyPart::Json(_) | KeyPart::Representation(_) => None,
    };
    let parts = batch.by.iter().map(|by| part(row.get(by.input)?));
    let parts: Option<Vec<String>> = parts.collect();
    Some(id_of(parts?.iter().map(String::as_str)).into())
}

fn shared<P: Protocol>(protocol: &P, job: &Job<'_>, batch: &Batch) -> ItemKey {
    let resolver = job.resolver;
    let scope = job.scope(&[], &protocol.service().encodings);
    let ty = match &resolver.target {
        Target::Entity { ty, .. } | Target::Field { ty, .. } | Target::Root { ty, .. } => ty,
    };
    let field = |at: usize| resolver.inputs[at].iter().map(|name| name.as_str());
    ItemKey {
        resolver: resolver.id,
        args: Json::Object(job.args.clone()).to_string(),
        identity: visit::identity(&resolver.request, &protocol.service().rules, &scope),
        ty: ty.as_str().into(),
        fields: batch
            .by
            .iter()
            .map(|by| field(by.input).collect::<Vec<_>>().join("."))
            .collect(),
    }
}

/// What stands for the kept items among the outcomes.
const KEPT: usize = 0;

impl<P: Protocol> ItemBatch<'_, P> {
    pub(super) async fn run(self, fetch: &Fetch<'_>, job: &Job<'_>) -> Reply {
        let mut kept = Vec::new();
        let mut owners = vec![Some(KEPT); fetch.rows.len()];
        let mut missing: Vec<usize> = Vec::new();
        for (at, id) in self.ids.iter().enumerate() {
            match self.find(id) {
                Some(items) if items.is_empty() => {}
                Some(items) => kept.push(items),
                None => missing.push(at),
            }
        }
        let mut outcomes = vec![Ok(vec![self.items.join(job, &kept)])];
        if !missing.is_empty() {
            let rows: Vec<Row> = missing.iter().map(|at| fetch.rows[*at].clone()).collect();
            // Its items are kept, not its replies as a whole.
            let job = Job {
                cache: CachePolicy::NEVER,
                in_company: false,
                ..*job
            };
            let ticket = self.asking.ticket();
            for part in ask(self.protocol, &job, &rows).await {
                let asked = &missing[part.rows.clone()];
                asked
                    .iter()
                    .for_each(|at| owners[*at] = Some(outcomes.len()));
                outcomes.push(self.take(&job, &ticket, asked, part));
            }
        }
        let outcomes: Vec<_> = outcomes.iter().collect();
        shares(&**self.protocol, fetch, &owners, &outcomes)
    }

    fn key(&self, id: &Arc<str>) -> CallKey {
        CallKey::Item(self.shared.clone(), id.clone())
    }

    fn find(&self, id: &Arc<str>) -> Option<Bytes> {
        match self.asking.find(&self.key(id))?.kept {
            Kept::Items(items) => Some(items),
            Kept::Http(_) | Kept::Grpc(_) => None,
        }
    }

    /// Keeps what came for some rows.
    fn take(
        &self,
        job: &Job<'_>,
        ticket: &Ticket,
        asked: &[usize],
        part: Part<P::Reply>,
    ) -> Result<Vec<P::Reply>, SourceError> {
        let replies = whole_replies(part.outcome, &self.protocol.service().name);
        match &replies {
            Ok(replies) => replies
                .iter()
                .for_each(|reply| self.keep(job, ticket, asked, reply)),
            Err(_) => self.asking.lost(),
        }
        replies
    }

    fn keep(&self, job: &Job<'_>, ticket: &Ticket, asked: &[usize], reply: &P::Reply) {
        let headers = Some(self.items.headers(reply));
        self.asking.came(ticket, headers);
        let Some(items) = self.items.split(job, reply) else {
            return;
        };
        let mut by_key: HashMap<&str, BytesMut> = HashMap::new();
        for (id, item) in &items {
            let items = by_key.entry(id).or_default();
            if !items.is_empty() {
                items.put_u8(b',');
            }
            // A copy, since a part of a reply would hold the whole of it in memory.
            items.put_slice(item);
        }
        for at in asked {
            let id = &self.ids[*at];
            let items = by_key.remove(&**id).unwrap_or_default();
            ticket.store_items(self.key(id), items.freeze(), headers);
        }
    }
}
