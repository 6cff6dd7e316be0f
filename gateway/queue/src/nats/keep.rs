//! Owning partitions, and letting them go. Start reading at [`keep`].
//!
//! Owns the signs of life, the leases and the readers of what is owned. A
//! partition changes hands by compare-and-set of its lease, whose revision
//! tells its owners apart: what an earlier one does is refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::lines::Next;
use crate::nats::broker::Expect;
use crate::nats::broker::NotPut;
use crate::nats::control::Member;
use crate::nats::control::StoredLease;
use crate::nats::control::lease_key;
use crate::nats::control::member_key;
use crate::nats::names;
use crate::nats::names::Bucket;
use crate::nats::pull::Pull;
use crate::nats::pull::Pulled;
use crate::nats::pull::Visit;
use crate::nats::pull::scan;
use crate::nats::shared::Hold;
use crate::nats::shared::Shared;
use crate::nats::work::Owned;
use crate::seal::Line;
use crate::store::Unavailable;

/// Of the silence of another, how many heartbeats are too much.
const SILENCE: u32 = 4;
/// Of our own: fewer, so that we stop before another begins.
const OWN_SILENCE: u32 = 3;
/// How long deliveries may take to end when a partition is to be another's.
const LEAVING: Duration = Duration::from_secs(30);
/// How long the start waits for what the others have said.
const HEARD: Duration = Duration::from_secs(10);
/// Between two tries of reading.
const PAUSE: Duration = Duration::from_millis(250);
/// Members of which nothing was heard for so long are cleared away.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// Says that this process lives, and takes and lets go of partitions, for as long as it is polled.
pub(super) async fn keep(shared: Hold) {
    let heartbeat = shared.options.heartbeat;
    let mut next_beat = Instant::now();
    loop {
        let news = shared.news.swap(false, Ordering::AcqRel);
        if news || Instant::now() >= next_beat {
            next_beat = Instant::now() + heartbeat;
            beat(&shared, false).await;
            for queue in shared.work.queues() {
                name_queue(&shared, &queue).await;
            }
        }
        shared.work.expire(shared.now());
        balance(&shared).await;
        tokio::select! {
            () = tokio::time::sleep_until(next_beat) => {}
            () = shared.balance.notified() => {}
        }
    }
}

/// A sign of life, or the last one.
pub(super) async fn beat(shared: &Shared, gone: bool) {
    let sent = Instant::now();
    let member = Member {
        queues: shared.work.queues().into_iter().collect(),
        gone,
    };
    let key = shared.names.key(Bucket::Control, &member_key(&shared.me));
    match put_json(shared, key, &member, Expect::Anything).await {
        Ok(_) => {
            let was_valid = shared.is_valid();
            let until = shared.valid_until.lock();
            *until.unwrap_or_else(PoisonError::into_inner) =
                sent + shared.options.heartbeat * OWN_SILENCE;
            if !was_valid {
                shared.work.wake_all();
            }
        }
        Err(error) => tracing::debug!(?error, "the queue's sign of life was not heard"),
    }
}

async fn put_json(
    shared: &Shared,
    key: String,
    value: &impl Serialize,
    expect: Expect,
) -> Result<u64, NotPut> {
    let payload = serde_json::to_vec(value).unwrap_or_default();
    let put = shared
        .broker
        .put(key, HeaderMap::new(), payload.into(), expect);
    put.await
}

/// Compares what is owned with what should be, and begins to mend it.
async fn balance(shared: &Hold) {
    if shared.is_closed() || !shared.is_valid() || !shared.view().complete {
        return;
    }
    let mut steps = Vec::new();
    for queue in shared.work.queues() {
        steps.extend(steps_for(shared, &queue));
    }
    join_all(steps.into_iter().map(|step| go(shared, step))).await;
}

/// What is to be done about a partition.
enum Step {
    Take {
        queue: String,
        partition: u32,
        revision: u64,
    },
    Give(Owned),
    Lost(Owned),
}

fn steps_for(shared: &Shared, queue: &str) -> Vec<Step> {
    let view = shared.view();
    let partitions = shared.options.partitions.get();
    let members = view.members_of(queue, shared.options.heartbeat * SILENCE);
    let owners = crate::share::share(queue, partitions, &members);
    let is_free = |owner: &str| owner == shared.me || !members.contains(&owner);
    let mut steps = Vec::new();
    for (partition, wanted) in (0..).zip(owners) {
        let wanted = wanted == shared.me;
        let lease = view.lease(queue, partition);
        let revision = lease.map_or(0, |lease| lease.revision);
        let owner = lease.and_then(|lease| lease.owner.as_deref());
        match shared.work.standing(queue, partition) {
            Some(standing) => {
                let owned = Owned {
                    queue: queue.into(),
                    partition,
                    lease: standing.lease,
                };
                if revision > standing.lease {
                    steps.push(Step::Lost(owned));
                } else if wanted && standing.leaving.is_some() {
                    shared.work.set_leaving(&owned, None);
                } else if !wanted {
                    let over = standing
                        .leaving
                        .is_some_and(|until| until <= Instant::now());
                    if over || shared.work.disown_idle(&owned) {
                        steps.push(Step::Give(owned));
                    } else if standing.leaving.is_none() {
                        shared
                            .work
                            .set_leaving(&owned, Some(Instant::now() + LEAVING));
                    }
                }
            }
            None if wanted && owner.is_none_or(is_free) => steps.push(Step::Take {
                queue: queue.into(),
                partition,
                revision,
            }),
            // It was let go, and nobody could be told.
            None if owner == Some(&shared.me) => steps.push(Step::Give(Owned {
                queue: queue.into(),
                partition,
                lease: revision,
            })),
            None => {}
        }
    }
    steps
}

async fn go(shared: &Hold, step: Step) {
    match step {
        Step::Take {
            queue,
            partition,
            revision,
        } => take(shared, queue, partition, revision).await,
        Step::Give(owned) => give(shared, &owned).await,
        Step::Lost(owned) => {
            tracing::warn!(
                queue = owned.queue,
                partition = owned.partition,
                "another owns this partition now"
            );
            shared.work.disown(&owned);
            shared.balance.notify_one();
        }
    }
}

async fn take(shared: &Hold, queue: String, partition: u32, revision: u64) {
    let owner = Some(shared.me.clone());
    let key = shared
        .names
        .key(Bucket::Control, &lease_key(&queue, partition));
    let stored = StoredLease {
        owner: owner.clone(),
    };
    let Ok(lease) = put_json(shared, key, &stored, Expect::Last(revision)).await else {
        // Another was faster, or nobody answers: what is heard next decides.
        return;
    };
    shared.view().hear_lease(&queue, partition, owner, lease);
    let owned = Owned {
        queue,
        partition,
        lease,
    };
    tracing::debug!(
        queue = owned.queue,
        partition,
        lease,
        "this process owns a partition"
    );
    shared.work.own(&owned);
    let reading = tokio::spawn(read(shared.clone(), owned.clone()));
    shared.work.read_by(&owned, reading.abort_handle());
}

/// Lets a partition go, for whoever wants it.
pub(super) async fn give(shared: &Shared, owned: &Owned) {
    shared.work.disown(owned);
    let key = lease_key(&owned.queue, owned.partition);
    let key = shared.names.key(Bucket::Control, &key);
    let stored = StoredLease { owner: None };
    if let Ok(revision) = put_json(shared, key, &stored, Expect::Last(owned.lease)).await {
        let mut view = shared.view();
        view.hear_lease(&owned.queue, owned.partition, None, revision);
    }
}

/// Reads a partition for as long as it is owned.
async fn read(shared: Hold, owned: Owned) {
    loop {
        match fallen(&shared, &owned).await {
            Ok(fallen) => break shared.work.set_fallen(&owned, fallen),
            Err(error) => tracing::debug!(%error, "a partition of the queue cannot be read"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut connections = shared.broker.connections();
    let mut from = 1;
    loop {
        connections.mark_unchanged();
        tokio::select! {
            read = read_on(&shared, &owned, &mut from) => {
                tracing::debug!(?read, queue = owned.queue, partition = owned.partition, "reading again");
                tokio::time::sleep(PAUSE).await;
            }
            // A server that was killed may have forgotten what it had deleted last: it is found and
            // deleted again.
            Ok(()) = connections.changed() => from = 1,
        }
    }
}

async fn fallen(shared: &Shared, owned: &Owned) -> Result<HashMap<Line, Uuid>, Unavailable> {
    let subject = shared.names.fallen_of(&owned.queue, owned.partition);
    let mut fallen = HashMap::new();
    let visit = |pulled: Pulled| {
        let line = pulled.subject.rsplit('.').next();
        if let Some(line) = line.and_then(|line| Uuid::try_parse(line).ok()) {
            fallen.insert(line.into_bytes(), moved_to(&pulled.payload));
        }
        Visit::More
    };
    scan(
        &shared.broker,
        &shared.names.dead(),
        &subject,
        1,
        false,
        visit,
    )
    .await?;
    Ok(fallen)
}

/// The last message of a line that was delivered after it had lost one to the dead letters; nil for none.
pub(super) fn moved_to(stored: &[u8]) -> Uuid {
    Uuid::from_slice(stored).unwrap_or_default()
}

async fn read_on(shared: &Shared, owned: &Owned, from: &mut u64) -> Result<(), Unavailable> {
    let subject = shared.names.partition(&owned.queue, owned.partition);
    let stream = shared.names.waiting();
    let mut pull = Pull::follow(&shared.broker, &stream, &subject, *from, true).await?;
    if pull.at_first == 0 {
        shared.work.caught_up(owned);
    }
    while let Some(pulled) = pull.next().await? {
        *from = pulled.sequence + 1;
        let next = Next {
            position: pulled.sequence,
            due: names::header(&pulled.headers, names::NOT_BEFORE).unwrap_or(0),
        };
        // What bears no name of ours is looked at all the same, and goes to the dead letters.
        let line = names::line_of(&pulled.headers).unwrap_or_else(|| nameless(pulled.sequence));
        let room = shared.work.arrived(owned, line, next, shared.now());
        if pulled.pending == 0 {
            shared.work.caught_up(owned);
        }
        if let Some(room) = room {
            while !shared.work.has_room(owned) {
                room.notified().await;
            }
        }
    }
    Ok(())
}

/// The line of a message that names none.
pub(super) fn nameless(position: u64) -> Line {
    Uuid::from_u64_pair(u64::MAX, position).into_bytes()
}

/// Hears what the others say, for as long as it is polled.
pub(super) async fn listen(shared: Hold) {
    let mut from = 1;
    loop {
        if let Err(error) = listen_on(&shared, &mut from).await {
            tracing::debug!(%error, "listening to the other gateways again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen_on(shared: &Shared, from: &mut u64) -> Result<(), Unavailable> {
    let all = shared.names.key(Bucket::Control, ">");
    let stream = shared.names.bucket(Bucket::Control);
    let mut pull = Pull::follow(&shared.broker, &stream, &all, *from, false).await?;
    shared.view().listening_since = Instant::now();
    if pull.at_first == 0 {
        shared.view().complete = true;
        shared.balance.notify_one();
    }
    while let Some(pulled) = pull.next().await? {
        *from = pulled.sequence + 1;
        let key = pulled.subject.get(all.len() - 1..).unwrap_or_default();
        let mut view = shared.view();
        let news = view.hear(key, &pulled);
        let completed = !view.complete && pulled.pending == 0;
        view.complete |= completed;
        drop(view);
        if news || completed {
            shared.balance.notify_one();
            shared.work.wake_all();
        }
    }
    Ok(())
}

/// Everything that the others have said was heard.
pub(super) async fn heard(shared: &Shared) -> Result<(), String> {
    let deadline = Instant::now() + HEARD;
    while !shared.view().complete {
        if Instant::now() >= deadline {
            return Err("the control bucket cannot be read".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// That a line should be looked at again, by whoever owns its partition.
#[derive(Serialize, Deserialize)]
struct Look {
    queue: String,
    partition: u32,
    line: Uuid,
}

/// Says that a line should be looked at again.
pub(super) async fn tell_to_look(shared: &Shared, queue: &str, partition: u32, line: Line) {
    let look = Look {
        queue: queue.into(),
        partition,
        line: Uuid::from_bytes(line),
    };
    let payload = serde_json::to_vec(&look).unwrap_or_default();
    shared.broker.tell(shared.names.look(), payload).await;
}

/// Hears which lines should be looked at, for as long as it is polled.
pub(super) async fn listen_for_lines(shared: Hold) {
    loop {
        if let Ok(mut told) = shared.broker.client().subscribe(shared.names.look()).await {
            while let Some(message) = told.next().await {
                if let Ok(look) = serde_json::from_slice::<Look>(&message.payload) {
                    let line = look.line.into_bytes();
                    shared
                        .work
                        .look(&look.queue, look.partition, line, shared.now());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gives back everything that this process has. Nothing is taken or appended afterwards.
pub(super) async fn leave(shared: &Arc<Shared>) {
    shared.closed.store(true, Ordering::Release);
    let (held, owned) = shared.work.abandon();
    join_all(held.into_iter().map(|held| async move {
        let due = crate::nats::record::Phase::Waiting { due: 0 };
        let known = held.known.with(due, held.known.progress.clone());
        // Where nobody answers, whoever takes the partition over finds it claimed by an earlier lease.
        let _ = shared.change(held.id, &known, held.revision).await;
    }))
    .await;
    join_all(owned.iter().map(|owned| give(shared, owned))).await;
    beat(shared, true).await;
}

/// Clears away members that are long gone.
pub(super) async fn forget_members(shared: &Shared) -> Result<(), Unavailable> {
    let forgotten = shared.view().forgotten(FORGOTTEN);
    let stream = shared.names.bucket(Bucket::Control);
    for revision in forgotten {
        shared.broker.delete(&stream, revision).await?;
    }
    Ok(())
}

/// A queue is named for the others, once.
pub(super) async fn name_queue(shared: &Shared, queue: &str) {
    if !shared.view().add_queue(queue) {
        return;
    }
    let key = crate::nats::control::queue_key(queue);
    let key = shared.names.key(Bucket::Control, &key);
    let put = shared
        .broker
        .put(key, HeaderMap::new(), Bytes::new(), Expect::Anything);
    if let Err(error) = put.await {
        // It is named again by whoever appends to it or takes from it next.
        shared.view().drop_queue(queue);
        tracing::debug!(?error, queue, "the queue was not named for the others");
    }
}
