//! Bringing back what can be read of a damaged file.
//!
//! Every message carries its own mark and checksum, and how it stands is stored
//! with it, so that neither the file's beginning nor its indexes are needed: all
//! blocks are searched for messages, and of each the last version that is whole
//! is written into a new file. Pages that are free hold earlier versions: where
//! the last one was lost, an earlier one comes back, and what was delivered may
//! be delivered again.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use redb::Builder;
use redb::Database;
use redb::ReadableTable as _;

use super::blocks;
use super::blocks::BLOCK;
use super::blocks::Blocks;
use super::disk::Disk;
use super::disk::FileDisk;
use super::file::OpenError;
use super::file::Place;
use super::file::remove_if_there;
use super::leaf;
use super::record::Record;
use super::record::Unreadable;
use super::tables;
use super::tables::Broken;
use super::tables::MESSAGES;
use super::tables::META;
use super::tables::RECORDS_ONLY;
use crate::seal::Seal;

/// Found messages that are written in one transaction.
const PORTION: usize = 1_000;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// Messages that are whole.
    pub messages: u64,
    /// Where the damaged file is now.
    pub damaged: PathBuf,
}

/// Makes a file of what can be read of the one in this directory, and keeps the damaged one beside it.
pub(super) fn salvage(place: &Place, seal: &Seal, now: u64) -> Result<Salvaged, OpenError> {
    let Place::Directory(directory) = place else {
        return Err(place.damaged("only a directory can be salvaged".into()));
    };
    let io = |error| place.io(error);
    let (file, next) = (directory.file(), directory.next_file());
    remove_if_there(&next).map_err(io)?;
    let from = FileDisk::open(&file).map_err(io)?;
    let to = FileDisk::open(&next).map_err(io)?;
    let blocks = Blocks::open(Arc::new(to)).map_err(io)?;
    let broken = |Broken(reason)| place.damaged(reason);
    let database = Builder::new().create_with_backend(blocks);
    let database = database.map_err(|error| place.damaged(error.to_string()))?;
    let messages = bring_back(&from, &database, seal).map_err(broken)?;
    drop(database);
    let damaged = beside(&file, now);
    std::fs::rename(&file, &damaged).map_err(io)?;
    directory.replace().map_err(io)?;
    Ok(Salvaged { messages, damaged })
}

fn beside(file: &Path, now: u64) -> PathBuf {
    file.with_extension(format!("redb.damaged-{now}"))
}

fn bring_back(from: &dyn Disk, to: &Database, seal: &Seal) -> Result<u64, Broken> {
    let length = from.len().map_err(|error| Broken(error.to_string()))?;
    let blocks = blocks::count(length);
    let (mut found, mut messages) = (Vec::new(), 0);
    for block in 0..blocks {
        found.extend(search(from, block, blocks));
        if found.len() >= PORTION || block + 1 == blocks {
            messages += keep_latest(to, &found, seal)?;
            found.clear();
        }
    }
    let transaction = tables::begin(to)?;
    transaction
        .open_table(META)?
        .insert("version", RECORDS_ONLY)?;
    // Made even where nothing was found.
    drop(transaction.open_table(MESSAGES)?);
    transaction.commit()?;
    Ok(messages)
}

/// The whole messages in the page that begins with this block, if one does.
fn search(disk: &dyn Disk, block: u64, blocks: u64) -> Vec<(u128, Vec<u8>)> {
    let mut page = vec![0; BLOCK];
    // Checksums of blocks do not matter here: each message has its own.
    if blocks::read_blocks(disk, block, &mut page).is_err() {
        return Vec::new();
    }
    let wanted = leaf::length(&page).div_ceil(BLOCK).next_power_of_two();
    let wanted = wanted.min((blocks - block) as usize);
    if wanted > 1 {
        page.resize(wanted * BLOCK, 0);
        if blocks::read_blocks(disk, block, &mut page).is_err() {
            return Vec::new();
        }
    }
    let whole = leaf::whole_records(&page);
    whole.map(|(id, bytes)| (id, bytes.to_vec())).collect()
}

/// Writes what is newer than what is there; how many were not there.
fn keep_latest(to: &Database, found: &[(u128, Vec<u8>)], seal: &Seal) -> Result<u64, Broken> {
    let mut new = 0;
    let transaction = tables::begin(to)?;
    let mut messages = transaction.open_table(MESSAGES)?;
    for (id, bytes) in found {
        let version = match Record::decode(*id, bytes, seal) {
            Ok(record) => record.head.version,
            Err(Unreadable::Damaged(_)) => continue,
            Err(foreign) => return Err(Broken(foreign.to_string())),
        };
        let known = messages.get(*id)?.map(|known| {
            let known = Record::decode(*id, known.value(), seal);
            known.map_or(0, |known| known.head.version)
        });
        if known.is_none_or(|known| known < version) {
            new += u64::from(known.is_none());
            messages.insert(*id, &**bytes)?;
        }
    }
    drop(messages);
    transaction.commit()?;
    Ok(new)
}
