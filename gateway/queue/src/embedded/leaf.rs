//! Whether a damaged page can be read still.
//!
//! Owns the little that must be known of redb's pages: how a leaf of messages is
//! laid out. Where only what is stored of a message was damaged, and not how the
//! page says where it stands, redb reads the page safely, the message's own
//! checksum tells which one it is, and the others are not lost with it.
//! <https://github.com/cberner/redb/blob/master/docs/design.md#leaf-page-format>

use super::record;

/// A page of pairs.
const LEAF: u8 = 1;
/// Type, a byte of padding, how many pairs.
const PREFIX: usize = 4;
/// A message's id.
const KEY: usize = 16;

/// Whether this is a leaf of the table of messages in which every pair can be found.
pub(super) fn holds_records(page: &[u8]) -> bool {
    records(page).is_some()
}

/// What stands in a leaf of the table of messages; none where this is no such leaf, or a damaged one.
pub(super) fn records(page: &[u8]) -> Option<Vec<(u128, &[u8])>> {
    let [LEAF, _, low, high, ..] = page else {
        return None;
    };
    let pairs = usize::from(u16::from_le_bytes([*low, *high]));
    let keys = PREFIX + pairs * 4;
    let mut start = keys + pairs * KEY;
    let mut found: Vec<(u128, &[u8])> = Vec::with_capacity(pairs.min(page.len() / KEY));
    for pair in 0..pairs {
        let end = PREFIX + pair * 4;
        let end = u32::from_le_bytes(page.get(end..end + 4)?.try_into().ok()?) as usize;
        let key = keys + pair * KEY;
        let key = u128::from_le_bytes(page.get(key..key + KEY)?.try_into().ok()?);
        let value = page.get(start..end)?;
        let ascends = found.last().is_none_or(|(before, _)| *before < key);
        if !ascends || !record::is_marked(value) {
            return None;
        }
        found.push((key, value));
        start = end;
    }
    (pairs > 0).then_some(found)
}
