//! What stands between redb and the disk: each block is checked when it is read.
//!
//! Owns the layout of the file, the checksums of its blocks, and what a failure
//! of the disk means: nothing more is written afterwards. redb trusts what it
//! reads and may end the process over bytes that it never wrote, so it reads
//! none. Knows nothing of messages.
//!
//! The file begins with four blocks for redb's header, which is the only thing
//! that is written in place: two copies each of the last and of the one before,
//! so that neither a torn write nor a damaged block takes both. Behind them stand
//! groups of 1,024 blocks of 4 KiB, each behind a block of their checksums.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use redb::StorageBackend;

use super::disk::Disk;
use super::leaf;

/// Bytes that have one checksum; redb's page.
pub(super) const BLOCK: usize = 4096;
/// Blocks whose checksums stand in one block.
const GROUP: u64 = 1024;
/// Copies of the header, each in a block of its own.
const COPIES: u64 = 4;
/// What one write of a disk takes whole.
const SECTOR: usize = 512;

const MAGIC: &[u8; 8] = b"SWBQUEUE";
/// The layout above.
const LAYOUT: u32 = 1;
/// Magic, layout, checksum, sequence, length.
const PREFIX: usize = 8 + 4 + 4 + 8 + 4;
/// Where what the checksum covers begins.
const CHECKED: usize = 8 + 4 + 4;
/// The longest header that fits into one sector with its prefix.
const LONGEST_HEADER: usize = SECTOR - PREFIX;

/// Why the disk is not written to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// There was no room; nothing is uncertain.
    Full,
    /// It could not be written or synced: what is on the disk is uncertain.
    Broken,
    /// A block is not what was written.
    Damaged,
}

/// The blocks of one file, as redb sees them.
#[derive(Debug, Clone)]
pub(super) struct Blocks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    header: Mutex<Header>,
    failure: Mutex<Option<(Failure, String)>>,
}

#[derive(Debug, Default)]
struct Header {
    image: Vec<u8>,
    /// What the last sync made durable.
    durable: Vec<u8>,
    sequence: u64,
}

impl Blocks {
    /// Over what is there.
    pub(super) fn open(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let header = read_header(&*disk)?;
        Ok(Self(Arc::new(Inner {
            disk,
            header: Mutex::new(header),
            failure: Mutex::new(None),
        })))
    }

    /// The first failure, if there was one.
    pub(super) fn failure(&self) -> Option<(Failure, String)> {
        lock(&self.0.failure).clone()
    }
}

impl StorageBackend for Blocks {
    fn len(&self) -> io::Result<u64> {
        Ok(count(self.0.disk.len()?) * BLOCK as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset == 0 && out.len() < BLOCK {
            return self.0.read_header(out);
        }
        let damaged = read_blocks(&*self.0.disk, first_block(offset, out.len())?, out)?;
        match damaged {
            Some(block) if !leaf::holds_records(out) => Err(self.0.damaged(block)),
            Some(_) | None => Ok(()),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.check()?;
        let result = self.0.set_len(length.div_ceil(BLOCK as u64));
        result.map_err(|error| self.0.failed(error))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.check()?;
        match self.0.disk.sync() {
            Ok(()) => {
                let mut header = lock(&self.0.header);
                header.durable = header.image.clone();
                Ok(())
            }
            Err(error) => Err(self.0.give_up(Failure::Broken, &error)),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.check()?;
        let result = if offset == 0 && data.len() < BLOCK {
            lock(&self.0.header).write(&*self.0.disk, data)
        } else {
            first_block(offset, data.len()).and_then(|first| self.0.write_blocks(first, data))
        };
        result.map_err(|error| self.0.failed(error))
    }
}

impl Inner {
    fn check(&self) -> io::Result<()> {
        match &*lock(&self.failure) {
            None => Ok(()),
            Some((_, reason)) => Err(io::Error::other(format!("given up before: {reason}"))),
        }
    }

    fn failed(&self, error: io::Error) -> io::Error {
        let full = [
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
            io::ErrorKind::FileTooLarge,
        ];
        match full.contains(&error.kind()) {
            true => self.give_up(Failure::Full, &error),
            false => self.give_up(Failure::Broken, &error),
        }
    }

    /// Nothing is written any more, but the header that was durable before: what was begun then
    /// never happened, as far as that can be had from a disk that fails.
    fn give_up(&self, failure: Failure, error: &io::Error) -> io::Error {
        let mut first = lock(&self.failure);
        if first.is_none() {
            *first = Some((failure, error.to_string()));
            let mut header = lock(&self.header);
            let durable = header.durable.clone();
            if header.image != durable && !durable.is_empty() {
                // It has failed already, and says so; there is nothing else to be done about it.
                let _ = header.write(&*self.disk, &durable);
            }
        }
        io::Error::new(error.kind(), error.to_string())
    }

    fn damaged(&self, block: u64) -> io::Error {
        let reason = format!("block {block} of the file is not what was written");
        let mut first = lock(&self.failure);
        first.get_or_insert((Failure::Damaged, reason.clone()));
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }

    fn read_header(&self, out: &mut [u8]) -> io::Result<()> {
        let header = lock(&self.header);
        let known = header.image.len().min(out.len());
        out[..known].copy_from_slice(&header.image[..known]);
        out[known..].fill(0);
        Ok(())
    }

    fn set_len(&self, blocks: u64) -> io::Result<()> {
        let before = count(self.disk.len()?);
        self.disk.set_len(length_of(blocks))?;
        let group_ends = before.next_multiple_of(GROUP);
        if blocks > before && before < group_ends {
            // A longer file may have left checksums there.
            let forgotten = vec![0; (group_ends - before) as usize * 4];
            self.disk.write_at(sum_place(before), &forgotten)?;
        }
        Ok(())
    }

    fn write_blocks(&self, first: u64, data: &[u8]) -> io::Result<()> {
        for (block, run) in runs(first, data.len()) {
            let data = &data[run];
            let sums = data.chunks(BLOCK).zip(block..).map(|(it, at)| sum(at, it));
            let sums = sums.flat_map(u32::to_le_bytes).collect::<Vec<_>>();
            self.disk.write_at(place(block), data)?;
            self.disk.write_at(sum_place(block), &sums)?;
        }
        Ok(())
    }
}

impl Header {
    /// Over the older pair of copies: the newer one stays whole.
    fn write(&mut self, disk: &dyn Disk, image: &[u8]) -> io::Result<()> {
        if image.len() > LONGEST_HEADER {
            return Err(io::Error::other("a header longer than a sector"));
        }
        self.sequence += 1;
        let sector = header_sector(self.sequence, image);
        for copy in [0, 1] {
            let block = (self.sequence % 2) * 2 + copy;
            disk.write_at(block * BLOCK as u64, &sector)?;
        }
        self.image = image.to_vec();
        Ok(())
    }
}

fn header_sector(sequence: u64, image: &[u8]) -> [u8; SECTOR] {
    let length = u32::try_from(image.len()).unwrap_or(u32::MAX);
    let body = [&sequence.to_le_bytes(), &length.to_le_bytes()[..], image].concat();
    let checksum = crc32fast::hash(&body);
    let mut sector = [0; SECTOR];
    let parts = [
        MAGIC,
        &LAYOUT.to_le_bytes()[..],
        &checksum.to_le_bytes(),
        &body,
    ]
    .concat();
    sector[..parts.len()].copy_from_slice(&parts);
    sector
}

/// The last header that is whole.
fn read_header(disk: &dyn Disk) -> io::Result<Header> {
    let length = disk.len()?;
    if length == 0 {
        return Ok(Header::default());
    }
    let mut last: Option<Header> = None;
    for copy in 0..COPIES {
        let mut sector = [0; SECTOR];
        let at = copy * BLOCK as u64;
        if at + SECTOR as u64 <= length {
            disk.read_at(at, &mut sector)?;
        }
        let Some((sequence, image)) = parse_header(&sector)? else {
            continue;
        };
        if last.as_ref().is_none_or(|last| last.sequence < sequence) {
            last = Some(Header {
                durable: image.clone(),
                image,
                sequence,
            });
        }
    }
    last.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its beginning is damaged"))
}

fn parse_header(sector: &[u8; SECTOR]) -> io::Result<Option<(u64, Vec<u8>)>> {
    let (prefix, image) = sector.split_at(PREFIX);
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| prefix[at + byte]));
    let length = number(24) as usize;
    if &prefix[..8] != MAGIC || length > image.len() {
        return Ok(None);
    }
    if crc32fast::hash(&sector[CHECKED..PREFIX + length]) != number(12) {
        return Ok(None);
    }
    if number(8) != LAYOUT {
        let later = format!(
            "its layout is {}, and this release reads {LAYOUT}",
            number(8)
        );
        return Err(io::Error::new(io::ErrorKind::Unsupported, later));
    }
    let sequence = u64::from(number(16)) | u64::from(number(20)) << 32;
    Ok(Some((sequence, image[..length].to_vec())))
}

/// Fills `out` from this block on; the first block that is not what was written.
pub(super) fn read_blocks(disk: &dyn Disk, first: u64, out: &mut [u8]) -> io::Result<Option<u64>> {
    let mut damaged = None;
    for (block, run) in runs(first, out.len()) {
        let out = &mut out[run];
        let mut sums = vec![0; out.len() / BLOCK * 4];
        disk.read_at(place(block), out)?;
        disk.read_at(sum_place(block), &mut sums)?;
        let whole = out.chunks(BLOCK).zip(block..).zip(sums.chunks(4));
        let wrong = whole
            .filter(|((data, at), stored)| !is_whole(*at, data, stored))
            .map(|((_, at), _)| at);
        damaged = damaged.or(wrong.min());
    }
    Ok(damaged)
}

/// Blocks of redb's in a file of this length.
pub(super) fn count(length: u64) -> u64 {
    let blocks = (length / BLOCK as u64).saturating_sub(COPIES);
    let (groups, rest) = (blocks / (GROUP + 1), blocks % (GROUP + 1));
    groups * GROUP + rest.saturating_sub(1)
}

fn length_of(blocks: u64) -> u64 {
    match blocks.checked_sub(1) {
        None => COPIES * BLOCK as u64,
        Some(last) => place(last) + BLOCK as u64,
    }
}

fn place(block: u64) -> u64 {
    (COPIES + block / GROUP * (GROUP + 1) + 1 + block % GROUP) * BLOCK as u64
}

fn sum_place(block: u64) -> u64 {
    (COPIES + block / GROUP * (GROUP + 1)) * BLOCK as u64 + block % GROUP * 4
}

/// Zero is what stands where nothing was written yet.
fn sum(block: u64, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&block.to_le_bytes());
    hasher.update(data);
    hasher.finalize().max(1)
}

fn is_whole(block: u64, data: &[u8], stored: &[u8]) -> bool {
    match stored {
        [0, 0, 0, 0] => data.iter().all(|byte| *byte == 0),
        stored => stored == sum(block, data).to_le_bytes(),
    }
}

/// Parts of so many bytes that stand one behind the other on the disk.
fn runs(first: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let block = first + (done / BLOCK) as u64;
        let together = ((GROUP - block % GROUP) as usize * BLOCK).min(length - done);
        let run = done..done + together;
        done += together;
        (together > 0).then_some((block, run))
    })
}

fn first_block(offset: u64, length: usize) -> io::Result<u64> {
    if offset.is_multiple_of(BLOCK as u64) && length.is_multiple_of(BLOCK) {
        return Ok(offset / BLOCK as u64);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a whole number of blocks",
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
