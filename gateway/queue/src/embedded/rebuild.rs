//! The indexes, made anew from the messages: for files that hold nothing else.

use std::collections::BTreeMap;

use redb::ReadableTable as _;
use uuid::Uuid;

use super::ledger::Account;
use super::record::Record;
use super::record::State;
use super::record::Unreadable;
use super::tables::Broken;
use super::tables::Tables;
use super::tables::VERSION;
use crate::seal::Seal;

/// Fills all tables from that of the messages. Dead letters count as left behind: putting one
/// back needs force.
pub(super) fn indexes(mut tables: Tables<'_>, seal: &Seal) -> Result<(), Broken> {
    let accounts = index_messages(&mut tables, seal)?;
    index_heads(&mut tables, seal)?;
    for (queue, account) in accounts.0 {
        let account = serde_json::to_vec(&account)?;
        tables.queues.insert(&*queue, &*account)?;
    }
    tables.meta.insert("next place", accounts.1 + 1)?;
    tables.meta.insert("version", VERSION)?;
    Ok(())
}

/// What is counted of the queues, and the last place that is taken.
type Accounts = (BTreeMap<String, Account>, u64);

fn index_messages(tables: &mut Tables<'_>, seal: &Seal) -> Result<Accounts, Broken> {
    let mut accounts = Accounts::default();
    let mut next = Some(0);
    while let Some(from) = next {
        let entry = tables.messages.range(from..)?.next().transpose()?;
        let entry = entry.map(|(id, bytes)| (id.value(), bytes.value().to_vec()));
        let Some((id, bytes)) = entry else { break };
        next = id.checked_add(1);
        match Record::decode(id, &bytes, seal) {
            Ok(record) => index(tables, id, &record, &mut accounts)?,
            Err(Unreadable::Foreign(reason)) => return Err(Broken(reason)),
            Err(Unreadable::Damaged(reason)) => {
                let id_shown = Uuid::from_u128(id);
                tracing::error!(id = %id_shown, reason, "a stored message is damaged and is set aside");
                tables.damaged.insert(id, &*bytes)?;
                tables.messages.remove(id)?;
            }
        }
    }
    Ok(accounts)
}

fn index(
    tables: &mut Tables<'_>,
    id: u128,
    record: &Record,
    (accounts, last_place): &mut Accounts,
) -> Result<(), Broken> {
    let head = &record.head;
    let queue = &*head.queue;
    let account = accounts.entry(queue.to_owned()).or_default();
    *last_place = (*last_place).max(head.place);
    match head.state {
        State::Waiting { due } => {
            let bytes = record.content.as_ref().map_or(0, Vec::len) as u64;
            let accepted_at = record.facts().accepted_at;
            let at = (queue, head.place);
            tables.waiting.insert(at, (accepted_at, bytes))?;
            account.waiting += 1;
            account.bytes += bytes;
            match head.line() {
                Some(line) => drop(tables.lines.insert((line, head.place), id)?),
                None => {
                    let standing = (id, 0, head.progress.active_since.max(due));
                    tables.due.insert((queue, due, head.place), standing)?;
                }
            }
        }
        State::Delivered { at } => drop(tables.delivered.insert((at, id), ())?),
        State::Dead {
            at, died, blocks, ..
        } => {
            *last_place = (*last_place).max(died);
            let letter = (id, at, head.line().unwrap_or(0), head.place, blocks);
            tables.dead.insert((queue, died), letter)?;
            account.dead += 1;
            if let (Some(line), true) = (head.line(), blocks) {
                tables.lines.insert((line, head.place), id)?;
            }
        }
    }
    remember(tables, record)
}

fn remember(tables: &mut Tables<'_>, record: &Record) -> Result<(), Broken> {
    let Ok(message) = record.message() else {
        return Ok(());
    };
    if let Some(dedupe) = &message.dedupe {
        let (id, accepted_at) = (message.id.as_u128(), message.accepted_at);
        let until = accepted_at.saturating_add(dedupe.window);
        let remembered = (id, &*dedupe.fingerprint, accepted_at, until);
        tables.dedupe.insert(&*dedupe.key, remembered)?;
        tables.dedupe_until.insert((until, &*dedupe.key), ())?;
    }
    Ok(())
}

/// The first of each line is due.
fn index_heads(tables: &mut Tables<'_>, seal: &Seal) -> Result<(), Broken> {
    let mut next = Some(0);
    while let Some(from) = next {
        let entry = tables.lines.range((from, 0)..)?.next().transpose()?;
        let entry = entry.map(|(key, id)| (key.value(), id.value()));
        let Some(((line, place), id)) = entry else {
            break;
        };
        next = line.checked_add(1);
        let bytes = tables.messages.get(id)?;
        let record = bytes.and_then(|bytes| Record::decode(id, bytes.value(), seal).ok());
        if let Some(Record { head, .. }) = record
            && let State::Waiting { due } = head.state
        {
            let standing = (id, line, head.progress.active_since.max(due));
            tables.due.insert((&*head.queue, due, place), standing)?;
        }
    }
    Ok(())
}
