//! The tables of the file.
//!
//! Owns their names, keys and versions. Everything but the messages themselves
//! and the state of the queues is an index over them, and can be made anew.

use redb::Database;
use redb::ReadableTable;
use redb::Table;
use redb::TableDefinition;
use redb::WriteTransaction;

use super::keys::Kept;

/// The version of these tables.
pub(super) const VERSION: u64 = 1;
/// Messages alone, without any index: what salvage writes.
pub(super) const RECORDS_ONLY: u64 = 0;

/// Id → record.
pub(super) const MESSAGES: TableDefinition<u128, &[u8]> = TableDefinition::new("messages");
/// Line and place → id: all that wait in the lines of keys, and dead ones that hold theirs.
pub(super) const LINES: TableDefinition<(u128, u64), u128> = TableDefinition::new("lines");
/// Queue, due, place → the first of its line.
pub(super) const DUE: TableDefinition<(&str, u64, u64), Standing> = TableDefinition::new("due");
/// Queue and place → accepted at, bytes: all that wait.
pub(super) const WAITING: TableDefinition<(&str, u64), (u64, u64)> =
    TableDefinition::new("waiting");
/// Queue and place among the dead → the dead letter.
pub(super) const DEAD: TableDefinition<(&str, u64), Letter> = TableDefinition::new("dead");
/// Line and place → dead letters that no later one of their key was delivered after.
pub(super) const BEHIND: TableDefinition<(u128, u64), u128> = TableDefinition::new("behind");
/// Delivered at, id.
pub(super) const DELIVERED: TableDefinition<(u64, u128), ()> = TableDefinition::new("delivered");
/// Key → id, fingerprint, accepted at, until.
pub(super) const DEDUPE: TableDefinition<&str, (u128, &str, u64, u64)> =
    TableDefinition::new("dedupe");
/// Until, key.
pub(super) const DEDUPE_UNTIL: TableDefinition<(u64, &str), ()> =
    TableDefinition::new("dedupe until");
/// Id → where it stood: messages that this process cannot read, and that another may.
pub(super) const HELD: TableDefinition<u128, (&str, u64, u64, Standing)> =
    TableDefinition::new("held");
/// Id → bytes that were no record any more.
pub(super) const DAMAGED: TableDefinition<u128, &[u8]> = TableDefinition::new("damaged");
/// Queue → its account.
pub(super) const QUEUES: TableDefinition<&str, &[u8]> = TableDefinition::new("queues");
/// Keys of clients: name → what is kept of it.
pub(super) const KEYS: TableDefinition<u128, Kept> = TableDefinition::new("keys");
/// Kept until, name.
pub(super) const KEYS_UNTIL: TableDefinition<(u64, u128), ()> = TableDefinition::new("keys until");
/// Version of the tables, and the next place.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// The first of its line: its id, its line (0 without a key), and since when its own time runs.
pub(super) type Standing = (u128, u128, u64);

/// A dead letter: its id, when it died, its line (0 without a key), its place there, and whether it
/// holds its line.
pub(super) type Letter = (u128, u64, u128, u64, bool);

/// What redb says when something fails.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

macro_rules! broken_by {
    ($($error:ty),*) => {
        $(impl From<$error> for Broken {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })*
    };
}
broken_by!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    serde_json::Error
);

/// All tables, open for writing.
pub(super) struct Tables<'t> {
    pub(super) messages: Table<'t, u128, &'static [u8]>,
    pub(super) lines: Table<'t, (u128, u64), u128>,
    pub(super) due: Table<'t, (&'static str, u64, u64), Standing>,
    pub(super) waiting: Table<'t, (&'static str, u64), (u64, u64)>,
    pub(super) dead: Table<'t, (&'static str, u64), Letter>,
    pub(super) behind: Table<'t, (u128, u64), u128>,
    pub(super) delivered: Table<'t, (u64, u128), ()>,
    pub(super) dedupe: Table<'t, &'static str, (u128, &'static str, u64, u64)>,
    pub(super) dedupe_until: Table<'t, (u64, &'static str), ()>,
    pub(super) held: Table<'t, u128, (&'static str, u64, u64, Standing)>,
    pub(super) damaged: Table<'t, u128, &'static [u8]>,
    pub(super) queues: Table<'t, &'static str, &'static [u8]>,
    pub(super) keys: Table<'t, u128, Kept>,
    pub(super) keys_until: Table<'t, (u64, u128), ()>,
    pub(super) meta: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Broken> {
        Ok(Self {
            messages: transaction.open_table(MESSAGES)?,
            lines: transaction.open_table(LINES)?,
            due: transaction.open_table(DUE)?,
            waiting: transaction.open_table(WAITING)?,
            dead: transaction.open_table(DEAD)?,
            behind: transaction.open_table(BEHIND)?,
            delivered: transaction.open_table(DELIVERED)?,
            dedupe: transaction.open_table(DEDUPE)?,
            dedupe_until: transaction.open_table(DEDUPE_UNTIL)?,
            held: transaction.open_table(HELD)?,
            damaged: transaction.open_table(DAMAGED)?,
            queues: transaction.open_table(QUEUES)?,
            keys: transaction.open_table(KEYS)?,
            keys_until: transaction.open_table(KEYS_UNTIL)?,
            meta: transaction.open_table(META)?,
        })
    }
}

/// A transaction whose commit is synced, and after which opening the file takes no repair.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, Broken> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// The version of a file; none where it is new.
pub(super) fn version(database: &Database) -> Result<Option<u64>, Broken> {
    let transaction = begin(database)?;
    let version = {
        let meta = transaction.open_table(META)?;
        meta.get("version")?.map(|version| version.value())
    };
    transaction.abort()?;
    Ok(version)
}
