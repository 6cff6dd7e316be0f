//! What makes kept replies old before their time.
//!
//! Owns purges by source, type and key, and writes that went through this
//! gateway. Each is a number of an ever growing count: a reply whose call
//! began before the number is not answered again, also one that was still on
//! its way. Knows nothing of time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use compose::model::SourceId;
use serde_json::Map;
use serde_json::Value as Json;

use super::key::CallKey;
use super::key::Key;

/// What to take away.
#[derive(Debug, Clone, PartialEq)]
pub enum Purge {
    /// Everything.
    All,
    /// Every reply of a source, by its name.
    Source(String),
    /// Every reply in which objects of a type stand.
    Type(String),
    /// Of a type's single items the one with this key; replies as a whole in which objects of the type stand, since any may hold it.
    Entity {
        /// The type.
        ty: String,
        /// Field by field.
        key: Map<String, Json>,
    },
}

impl Purge {
    /// Whether it takes this reply.
    pub(super) fn takes(&self, key: &Key, types: &[Arc<str>], source: &str) -> bool {
        let times = |ty: &String| types.iter().filter(|it| ***it == **ty).count();
        match self {
            Purge::All => true,
            Purge::Source(name) => name == source,
            Purge::Type(ty) => times(ty) > 0,
            Purge::Entity { ty, key: wanted } => {
                let another = match &key.call {
                    // Where the type stands once, the item itself is it.
                    CallKey::Item(shared, id) if *shared.ty == **ty && times(ty) == 1 => {
                        item_id(&shared.fields, wanted).is_some_and(|wanted| *wanted != **id)
                    }
                    _ => false,
                };
                times(ty) > 0 && !another
            }
        }
    }
}

/// As [`crate::fetch`] writes the keys of items; none where another key of the type was given.
fn item_id(fields: &[String], wanted: &Map<String, Json>) -> Option<String> {
    if fields.len() != wanted.len() {
        return None;
    }
    let parts = fields.iter().map(|field| match wanted.get(field)? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    });
    let parts: Option<Vec<String>> = parts.collect();
    Some(id_of(parts?.iter().map(String::as_str)))
}

/// The parts of a key as one text; a part cannot be taken for two.
pub(crate) fn id_of<'p>(parts: impl Iterator<Item = &'p str>) -> String {
    let mut id = String::new();
    for part in parts {
        id.push_str(&part.len().to_string());
        id.push(':');
        id.push_str(part);
    }
    id
}

/// When what was purged last.
pub(super) struct Stamps {
    clock: AtomicU64,
    all: AtomicU64,
    keys: AtomicU64,
    sources: Vec<(String, AtomicU64)>,
    types: HashMap<Arc<str>, AtomicU64, ahash::RandomState>,
}

impl Stamps {
    /// All that can be named.
    pub(super) fn of<'n>(
        sources: impl Iterator<Item = &'n str>,
        types: impl Iterator<Item = &'n str>,
    ) -> Self {
        let never = || AtomicU64::new(0);
        Self {
            clock: never(),
            all: never(),
            keys: never(),
            sources: sources.map(|name| (name.to_owned(), never())).collect(),
            types: types.map(|name| (Arc::from(name), never())).collect(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::Acquire)
    }

    fn next(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn source_name(&self, source: SourceId) -> &str {
        self.sources
            .get(source.index())
            .map_or("", |(name, _)| name)
    }

    /// Whether a reply whose call began then may be answered to somebody who sees these types in it.
    pub(super) fn holds<'t>(
        &self,
        source: SourceId,
        mut types: impl Iterator<Item = &'t str>,
        begun: u64,
    ) -> bool {
        let before = |stamp: &AtomicU64| stamp.load(Ordering::Acquire) <= begun;
        let of_source = self.sources.get(source.index());
        before(&self.all)
            && of_source.is_none_or(|(_, stamp)| before(stamp))
            && types.all(|ty| self.types.get(ty).is_none_or(before))
    }

    /// A reply that was on its way while a key was purged may hold what was purged.
    pub(super) fn key_purged_since(&self, begun: u64) -> bool {
        self.keys.load(Ordering::Acquire) > begun
    }

    pub(super) fn purge(&self, purge: &Purge) {
        let now = self.next();
        let set = |stamp: &AtomicU64| {
            stamp.fetch_max(now, Ordering::AcqRel);
        };
        match purge {
            Purge::All => set(&self.all),
            Purge::Source(name) => self
                .sources
                .iter()
                .filter(|(known, _)| known == name)
                .for_each(|(_, stamp)| set(stamp)),
            Purge::Type(ty) => self.types.get(ty.as_str()).into_iter().for_each(set),
            Purge::Entity { .. } => set(&self.keys),
        }
    }

    pub(super) fn written(&self, sources: &[SourceId], types: &[Arc<str>]) {
        let now = self.next();
        let of_sources = sources.iter().filter_map(|id| self.sources.get(id.index()));
        let of_types = types.iter().filter_map(|ty| self.types.get(ty));
        for stamp in of_sources.map(|(_, stamp)| stamp).chain(of_types) {
            stamp.fetch_max(now, Ordering::AcqRel);
        }
    }
}
