//! What all gateways know of each other: who lives, who owns what, what is paused.
//!
//! Owns the control bucket and its reading. A member lives for as long as it is
//! heard of; nobody compares clocks. Whether a partition may be worked on is
//! decided here, whether a single message may be is decided by its record.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use crate::nats::names::token;
use crate::nats::names::untoken;
use crate::nats::pull::Pulled;
use crate::pauses::Pauses;

/// What was heard, the last of each key.
pub(super) struct View {
    /// Everything that was there at first has been read.
    pub(super) complete: bool,
    /// Since when nothing can have been missed.
    pub(super) listening_since: Instant,
    members: HashMap<String, Heard>,
    leases: HashMap<(String, u32), Lease>,
    pauses: HashMap<String, Pauses>,
    queues: BTreeSet<String>,
    /// The revision of each key of a member, to clear away what is of no use any more.
    revisions: BTreeMap<String, u64>,
}

struct Heard {
    member: Member,
    at: Instant,
}

/// A gateway, as it tells others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// What it delivers.
    pub(super) queues: BTreeSet<String>,
    /// It has said that it goes.
    #[serde(default)]
    pub(super) gone: bool,
}

/// Who owns a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    /// None where it was let go.
    pub(super) owner: Option<String>,
    /// Which one: later ones are greater.
    pub(super) revision: u64,
}

/// A lease, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredLease {
    pub(super) owner: Option<String>,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            complete: false,
            listening_since: Instant::now(),
            members: HashMap::new(),
            leases: HashMap::new(),
            pauses: HashMap::new(),
            queues: BTreeSet::new(),
            revisions: BTreeMap::new(),
        }
    }

    /// Whether anything but a sign of life was in it.
    pub(super) fn hear(&mut self, key: &str, pulled: &Pulled) -> bool {
        let value = &pulled.payload[..];
        let mut parts = key.split('.');
        match (parts.next(), parts.next().and_then(untoken), parts.next()) {
            (Some("member"), Some(name), None) => self.hear_member(name, value, pulled.sequence),
            (Some("lease"), Some(queue), Some(partition)) => {
                let lease = serde_json::from_slice::<StoredLease>(value);
                let (Ok(partition), Ok(lease)) = (partition.parse(), lease) else {
                    return false;
                };
                self.hear_lease(&queue, partition, lease.owner, pulled.sequence);
                true
            }
            (Some("pause"), Some(queue), None) => match serde_json::from_slice(value) {
                Ok(pauses) => {
                    self.pauses.insert(queue, pauses);
                    true
                }
                Err(_) => false,
            },
            (Some("queue"), Some(queue), None) => self.queues.insert(queue),
            _ => false,
        }
    }

    fn hear_member(&mut self, name: String, value: &[u8], revision: u64) -> bool {
        let Ok(member) = serde_json::from_slice::<Member>(value) else {
            return false;
        };
        self.revisions.insert(name.clone(), revision);
        let heard = Heard {
            member: member.clone(),
            at: Instant::now(),
        };
        let before = self.members.insert(name, heard);
        before.is_none_or(|before| before.member != member)
    }

    /// Somebody has a lease, or has let it go.
    pub(super) fn hear_lease(
        &mut self,
        queue: &str,
        partition: u32,
        owner: Option<String>,
        revision: u64,
    ) {
        let known = self.leases.entry((queue.into(), partition));
        let known = known.or_insert_with(|| Lease {
            owner: None,
            revision: 0,
        });
        // What this process has written itself it may hear of later.
        if revision >= known.revision {
            *known = Lease { owner, revision };
        }
    }

    /// Those that live and deliver a queue.
    pub(super) fn members_of(&self, queue: &str, silence: Duration) -> Vec<&str> {
        let mut members: Vec<&str> = self
            .members
            .iter()
            .filter(|(_, heard)| heard.member.queues.contains(queue))
            .filter(|(_, heard)| self.lives(heard, silence))
            .map(|(name, _)| name.as_str())
            .collect();
        members.sort_unstable();
        members
    }

    fn lives(&self, heard: &Heard, silence: Duration) -> bool {
        let since = heard.at.max(self.listening_since);
        !heard.member.gone && since.elapsed() < silence
    }

    /// Who owns a partition.
    pub(super) fn lease(&self, queue: &str, partition: u32) -> Option<&Lease> {
        self.leases.get(&(queue.to_owned(), partition))
    }

    /// When a queue was paused.
    pub(super) fn pauses(&self, queue: &str) -> Option<&Pauses> {
        self.pauses.get(queue)
    }

    /// Pauses as this process has just written them.
    pub(super) fn set_pauses(&mut self, queue: &str, pauses: Pauses) {
        self.pauses.insert(queue.into(), pauses);
    }

    /// Every queue that ever was.
    pub(super) fn queues(&self) -> &BTreeSet<String> {
        &self.queues
    }

    /// A queue was seen; whether it is new.
    pub(super) fn add_queue(&mut self, queue: &str) -> bool {
        !self.queues.contains(queue) && self.queues.insert(queue.into())
    }

    /// It was not named for the others after all.
    pub(super) fn drop_queue(&mut self, queue: &str) {
        self.queues.remove(queue);
    }

    /// What is kept of members that have not been heard of for so long: their revisions.
    pub(super) fn forgotten(&mut self, silence: Duration) -> Vec<u64> {
        let listening_since = self.listening_since;
        let old: Vec<String> = self
            .members
            .iter()
            .filter(|(_, heard)| heard.at.max(listening_since).elapsed() > silence)
            .map(|(name, _)| name.clone())
            .collect();
        old.iter()
            .inspect(|name| drop(self.members.remove(*name)))
            .filter_map(|name| self.revisions.remove(name))
            .collect()
    }
}

/// The key of a member.
pub(super) fn member_key(name: &str) -> String {
    format!("member.{}", token(name))
}

/// The key of a lease.
pub(super) fn lease_key(queue: &str, partition: u32) -> String {
    format!("lease.{}.{partition}", token(queue))
}

/// The key of a queue's pauses.
pub(super) fn pause_key(queue: &str) -> String {
    format!("pause.{}", token(queue))
}

/// The key that says that there is a queue.
pub(super) fn queue_key(queue: &str) -> String {
    format!("queue.{}", token(queue))
}
