//! Opening the file: whose it is, whether it can be read, and which version it has.

use std::path::PathBuf;
use std::sync::Arc;

use redb::Builder;
use redb::Database;
use redb::ReadableTable as _;

use super::blocks::Blocks;
use super::disk::Directory;
use super::disk::Disk;
use super::disk::FileDisk;
use super::rebuild;
use super::shared::Opened;
use super::tables;
use super::tables::Broken;
use super::tables::META;
use super::tables::RECORDS_ONLY;
use super::tables::Tables;
use super::tables::VERSION;
use crate::seal::Seal;

/// Pages that are kept in memory, in bytes.
const CACHE: usize = 16 << 20;

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another process has the queue in {}: stop it first, or give each process a directory of its own", .0.display())]
    InUse(PathBuf),
    /// It was written by a later release.
    #[error("{} was written by a later release: {found}, and this one reads up to {VERSION}. Start the release that wrote it", .file.display())]
    Later {
        /// The file.
        file: PathBuf,
        /// What was found.
        found: String,
    },
    /// What it holds is not what was written.
    #[error("{} is damaged: {reason}. Nothing was changed. Keep a copy of it; what is whole in it can be salvaged: docs/queue.md, \"Damage\"", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The system refuses.
    #[error("{} cannot be opened: {error}", .file.display())]
    Io {
        /// The file, or its directory.
        file: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Where the file is.
pub(super) enum Place {
    Directory(Directory),
    Disk(Arc<dyn Disk>),
}

impl Place {
    /// For people.
    pub(super) fn file(&self) -> PathBuf {
        match self {
            Place::Directory(directory) => directory.file(),
            Place::Disk(_) => PathBuf::from("the disk"),
        }
    }

    /// A new one is made where there is none, whole or not at all.
    pub(super) fn make(&self) -> Result<(), OpenError> {
        let io = |error| self.io(error);
        let Place::Directory(directory) = self else {
            return Ok(());
        };
        if directory.file().exists() {
            return Ok(());
        }
        let next = directory.next_file();
        remove_if_there(&next).map_err(io)?;
        let disk = FileDisk::open(&next).map_err(io)?;
        drop(self.open_disk(Arc::new(disk))?);
        directory.replace().map_err(io)
    }

    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        match self {
            Place::Directory(directory) => {
                let disk = FileDisk::open(&directory.file()).map_err(|error| self.io(error))?;
                self.open_disk(Arc::new(disk))
            }
            Place::Disk(disk) => self.open_disk(Arc::clone(disk)),
        }
    }

    fn open_disk(&self, disk: Arc<dyn Disk>) -> Result<Opened, OpenError> {
        let blocks = Blocks::open(disk).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => self.damaged(error.to_string()),
            std::io::ErrorKind::Unsupported => self.later(error.to_string()),
            _ => self.io(error),
        })?;
        let database = Builder::new()
            .set_cache_size(CACHE)
            .create_with_backend(blocks.clone())
            .map_err(|error| self.damaged(error.to_string()))?;
        let broken = |Broken(reason)| self.damaged(reason);
        match tables::version(&database).map_err(broken)? {
            None => prepare(&database).map_err(broken)?,
            Some(RECORDS_ONLY..=VERSION) => {}
            Some(later) => return Err(self.later(format!("its version is {later}"))),
        }
        Ok(Opened { database, blocks })
    }

    pub(super) fn damaged(&self, reason: String) -> OpenError {
        let file = self.file();
        OpenError::Damaged { file, reason }
    }

    fn later(&self, found: String) -> OpenError {
        let file = self.file();
        OpenError::Later { file, found }
    }

    pub(super) fn io(&self, error: std::io::Error) -> OpenError {
        let file = self.file();
        OpenError::Io { file, error }
    }
}

pub(super) fn remove_if_there(file: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes the tables.
fn prepare(database: &Database) -> Result<(), Broken> {
    let transaction = tables::begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    tables.meta.insert("version", VERSION)?;
    drop(tables);
    transaction.commit()?;
    Ok(())
}

/// Makes of an older version the present one.
pub(super) fn upgrade(database: &Database, seal: &Seal) -> Result<(), Broken> {
    let transaction = tables::begin(database)?;
    let version = transaction
        .open_table(META)?
        .get("version")?
        .map(|it| it.value());
    if version == Some(VERSION) {
        transaction.abort()?;
        return Ok(());
    }
    rebuild::indexes(Tables::open(&transaction)?, seal)?;
    transaction.commit()?;
    Ok(())
}
