//! The `yaml upstream` blocks: which request gets which reply.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::Value as Json;

use super::Barriers;
use crate::spec::document::Spec;

/// What one service knows.
pub(crate) struct Script {
    entries: Vec<Entry>,
    asked: Vec<AtomicUsize>,
}

/// One request and its reply. Of several entries for one request each answers once, the last one always.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// `GET /users?id=1`, `package.Service/Method`, or the text of an operation.
    pub(crate) request: String,
    /// REST: JSON, or text for bodies that are not JSON. Absent: no body.
    #[serde(default)]
    pub(crate) body: Option<Json>,
    /// GraphQL: the variables of the operation, which is the request. Absent: none.
    #[serde(default)]
    pub(crate) variables: Option<Json>,
    /// gRPC: the request message as JSON.
    #[serde(default)]
    pub(crate) message: Option<Json>,
    /// Headers that it must carry; null for one that it must not.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Option<String>>,
    pub(crate) reply: Reply,
}

/// What comes back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reply {
    /// 200, or a gRPC status such as `NOT_FOUND`.
    pub(crate) status: Option<Json>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) json: Option<Json>,
    pub(crate) text: Option<String>,
    /// gRPC: one message.
    pub(crate) message: Option<Json>,
    /// gRPC: a stream.
    pub(crate) messages: Option<Vec<Json>>,
    /// gRPC: the status's message.
    pub(crate) detail: Option<String>,
    /// gRPC: `google.rpc` details, each with its `@type`.
    pub(crate) details: Vec<Json>,
    /// The reply never comes.
    pub(crate) hang: bool,
    /// The connection is closed instead of a reply.
    pub(crate) reset: bool,
    /// The connection is closed in the middle of the body.
    pub(crate) truncated: bool,
    /// Held back until every reply of this name was asked for.
    pub(crate) together: Option<String>,
}

impl Script {
    /// Every entry that the spec has for a source.
    pub(crate) fn of(spec: &Spec, source: &str) -> Self {
        let own = spec
            .all("upstream")
            .filter(|block| block.argument.as_deref() == Some(source));
        let entries: Vec<Entry> = own
            .flat_map(|block| {
                serde_yaml_ng::from_str::<Vec<Entry>>(&block.text)
                    .unwrap_or_else(|bad| panic!("{}: {bad}", block.info()))
            })
            .collect();
        let asked = entries.iter().map(|_| AtomicUsize::new(0)).collect();
        Self { entries, asked }
    }

    /// Says which replies wait for each other.
    pub(super) fn join(&self, barriers: &Barriers) {
        for name in self
            .entries
            .iter()
            .filter_map(|entry| entry.reply.together.as_ref())
        {
            barriers.add(name);
        }
    }

    /// The entry that answers a request.
    pub(super) fn find(&self, fits: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let fitting: Vec<usize> = (0..self.entries.len())
            .filter(|it| fits(&self.entries[*it]))
            .collect();
        let asked = |index: &usize| self.asked[*index].load(Ordering::SeqCst) > 0;
        let fresh = fitting.iter().copied().find(|index| !asked(index));
        let index = fresh.or(fitting.last().copied())?;
        self.asked[index].fetch_add(1, Ordering::SeqCst);
        Some(&self.entries[index])
    }

    /// Requests that were described and never made.
    pub(crate) fn never_asked(&self) -> impl Iterator<Item = &str> {
        let pairs = self.entries.iter().zip(&self.asked);
        let unasked = pairs.filter(|(_, asked)| asked.load(Ordering::SeqCst) == 0);
        unasked.map(|(entry, _)| entry.request.as_str())
    }
}
