//! Where the store's bytes are: one file in a directory of one process.
//!
//! Owns reading, writing and syncing of plain bytes, and the lock by which one
//! process has the directory. Knows nothing of what the bytes say.

use std::fmt::Debug;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::path::PathBuf;

/// Bytes that stay: a file, or what a test puts in its place to see what was written and to let it fail.
pub trait Disk: Debug + Send + Sync + 'static {
    /// How many bytes there are.
    ///
    /// # Errors
    /// When the medium fails.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are none.
    ///
    /// # Errors
    /// When the medium fails.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` from this offset on.
    ///
    /// # Errors
    /// When there are fewer bytes, or the medium fails.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of it; what was written is read at once, and stays after the next sync.
    ///
    /// # Errors
    /// When there is no room, or the medium fails.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts off, or adds zeros.
    ///
    /// # Errors
    /// When there is no room, or the medium fails.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// What was written before stays, whatever happens.
    ///
    /// # Errors
    /// When that is not certain. It never becomes certain by trying again: the system may have
    /// forgotten what it could not write.
    fn sync(&self) -> io::Result<()>;
}

/// A file.
#[derive(Debug)]
pub struct FileDisk(File);

impl FileDisk {
    /// The file at this path; made where there is none.
    ///
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.open(path).map(Self)
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// What a file of a directory holds. Each has a file of its own: what befalls one leaves the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Messages,
    Keys,
}

impl Contents {
    fn name(self) -> &'static str {
        match self {
            Contents::Messages => "queue",
            Contents::Keys => "idempotency",
        }
    }
}

/// The directory of a store, in the hands of this process until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    name: &'static str,
    _lock: File,
}

impl Directory {
    /// None while another process has it.
    pub(super) fn lock(path: &Path, contents: Contents) -> io::Result<Option<Self>> {
        let name = contents.name();
        std::fs::create_dir_all(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = options.open(path.join(format!("{name}.lock")))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                path: path.to_path_buf(),
                name,
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Where it is.
    pub(super) fn file(&self) -> PathBuf {
        self.path.join(format!("{}.redb", self.name))
    }

    /// Where a file is made that will take its place.
    pub(super) fn next_file(&self) -> PathBuf {
        self.path.join(format!("{}.redb.new", self.name))
    }

    /// Puts the next file, whose content is durable, in the place of the file.
    pub(super) fn replace(&self) -> io::Result<()> {
        std::fs::rename(self.next_file(), self.file())?;
        File::open(&self.path)?.sync_all()
    }
}
