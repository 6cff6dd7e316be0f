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
    let Some(pairs @ 1..) = pairs(page) else {
        return false;
    };
    let mut before = None;
    (0..pairs).all(|pair| match found(page, pairs, pair) {
        Some((key, value)) => {
            let ascends = before.is_none_or(|before| before < key);
            before = Some(key);
            ascends && record::is_marked(value)
        }
        None => false,
    })
}

/// How long a page says that it is, in bytes; 0 where it is no leaf.
pub(super) fn length(page: &[u8]) -> usize {
    const LONGEST: usize = 64 << 20;
    let last = pairs(page).and_then(|pairs| end(page, pairs.checked_sub(1)?));
    last.filter(|length| *length <= LONGEST).unwrap_or(0)
}

/// The messages in a page that are what was written, whatever became of the others.
pub(super) fn whole_records(page: &[u8]) -> impl Iterator<Item = (u128, &[u8])> {
    let pairs = pairs(page).unwrap_or(0);
    let found = (0..pairs).filter_map(move |pair| found(page, pairs, pair));
    found.filter(|(key, value)| record::is_whole(*key, value))
}

fn found(page: &[u8], pairs: usize, pair: usize) -> Option<(u128, &[u8])> {
    let keys = PREFIX + pairs * 4;
    let start = match pair.checked_sub(1) {
        None => keys + pairs * KEY,
        Some(before) => end(page, before)?,
    };
    let key = keys + pair * KEY;
    let key = u128::from_le_bytes(page.get(key..key + KEY)?.try_into().ok()?);
    Some((key, page.get(start..end(page, pair)?)?))
}

fn pairs(page: &[u8]) -> Option<usize> {
    let [LEAF, _, low, high, ..] = page else {
        return None;
    };
    Some(usize::from(u16::from_le_bytes([*low, *high])))
}

fn end(page: &[u8], pair: usize) -> Option<usize> {
    let at = PREFIX + pair * 4;
    let end = page.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(end) as usize)
}
