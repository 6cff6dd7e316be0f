//! Giving back room: a large file in which little lives is copied into a small one.
//!
//! A file never becomes smaller of itself: what is free in it is used again. Who
//! had a million messages once would keep their room for ever. The copy takes
//! the place of the file in one step, so that a crash leaves one or the other,
//! and it is bounded: where more than [`MOST`] lives, nothing is copied.

use std::sync::Arc;

use redb::Builder;
use redb::Database;
use redb::Key;
use redb::ReadTransaction;
use redb::ReadableDatabase as _;
use redb::ReadableTable as _;
use redb::ReadableTableMetadata as _;
use redb::TableDefinition;
use redb::Value;
use redb::WriteTransaction;

use super::blocks::Blocks;
use super::disk::Directory;
use super::disk::FileDisk;
use super::file::remove_if_there;
use super::tables;
use super::tables::Broken;

/// A smaller file is left as it is.
const LARGE: u64 = 16 << 20;
/// What is copied at most, in bytes: a tenth of a second on a common disk.
const MOST: u64 = 4 << 20;
/// The least that a message or a key and its indexes take.
const LEAST: u64 = 256;

/// Writes what lives in this file into the next one, where that is worth it.
pub(super) fn copy(directory: &Directory, database: &Database) -> Result<bool, Broken> {
    let length = std::fs::metadata(directory.file()).map_or(0, |file| file.len());
    if length < LARGE || !is_small(database)? {
        return Ok(false);
    }
    let io = |error: std::io::Error| Broken(error.to_string());
    let next = directory.next_file();
    remove_if_there(&next).map_err(io)?;
    let disk = FileDisk::open(&next).map_err(io)?;
    let blocks = Blocks::open(Arc::new(disk)).map_err(io)?;
    let copied = Builder::new().create_with_backend(blocks)?;
    let done = copy_tables(database, &copied)?;
    drop(copied);
    if !done {
        remove_if_there(&next).map_err(io)?;
    }
    Ok(done)
}

fn is_small(database: &Database) -> Result<bool, Broken> {
    let transaction = database.begin_read()?;
    let messages = transaction.open_table(tables::MESSAGES)?.len()?;
    let keys = transaction.open_table(tables::KEYS)?.len()?;
    Ok(messages + keys <= MOST / LEAST)
}

fn copy_tables(from: &Database, to: &Database) -> Result<bool, Broken> {
    let read = from.begin_read()?;
    let written = tables::begin(to)?;
    let mut copy = Copy {
        from: &read,
        to: &written,
        left: MOST,
    };
    let done = copy.table(tables::MESSAGES)?
        && copy.table(tables::LINES)?
        && copy.table(tables::DUE)?
        && copy.table(tables::WAITING)?
        && copy.table(tables::DEAD)?
        && copy.table(tables::BEHIND)?
        && copy.table(tables::DELIVERED)?
        && copy.table(tables::DEDUPE)?
        && copy.table(tables::DEDUPE_UNTIL)?
        && copy.table(tables::HELD)?
        && copy.table(tables::DAMAGED)?
        && copy.table(tables::QUEUES)?
        && copy.table(tables::KEYS)?
        && copy.table(tables::KEYS_UNTIL)?
        && copy.table(tables::META)?;
    match done {
        true => written.commit()?,
        false => written.abort()?,
    }
    Ok(done)
}

struct Copy<'t> {
    from: &'t ReadTransaction,
    to: &'t WriteTransaction,
    left: u64,
}

impl Copy<'_> {
    /// Whether all of it was copied.
    fn table<K: Key, V: Value>(&mut self, table: TableDefinition<K, V>) -> Result<bool, Broken> {
        let from = self.from.open_table(table)?;
        let mut to = self.to.open_table(table)?;
        for entry in from.iter()? {
            let (key, value) = entry?;
            let (key, value) = (key.value(), value.value());
            let bytes = K::as_bytes(&key).as_ref().len() + V::as_bytes(&value).as_ref().len();
            let Some(left) = self.left.checked_sub(bytes as u64) else {
                return Ok(false);
            };
            self.left = left;
            to.insert(key, value)?;
        }
        Ok(true)
    }
}
