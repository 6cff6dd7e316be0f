//! A connection's cursors: opaque to the client, and enough for this gateway
//! to find the place again without remembering anything.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The place behind an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// After so many items of the whole list.
    Offset(u64),
    /// After so many items of the page at upstream's cursor; an empty one is the first page.
    Page {
        /// Upstream's cursor.
        page: String,
        /// Items of that page to pass over.
        skip: u64,
    },
}

impl Cursor {
    pub(super) fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(match self {
            Cursor::Offset(offset) => format!("o:{offset}"),
            Cursor::Page { page, skip } => format!("p:{skip}:{page}"),
        })
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        match text.split_once(':')? {
            ("o", offset) => offset.parse().ok().map(Cursor::Offset),
            ("p", rest) => {
                let (skip, page) = rest.split_once(':')?;
                Some(Cursor::Page {
                    page: page.to_owned(),
                    skip: skip.parse().ok()?,
                })
            }
            _ => None,
        }
    }

    /// Whether it belongs to a list with upstream cursors.
    pub(super) fn is_for(&self, upstream_cursors: bool) -> bool {
        upstream_cursors == matches!(self, Cursor::Page { .. })
    }
}
