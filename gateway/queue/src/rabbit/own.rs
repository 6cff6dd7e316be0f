//! Owning partitions, and letting them go. Start reading at [`keep`].
//!
//! Owns the signs of life and the leases. Redis has one owner for each
//! partition, and the brokers one reader: whoever is neither gets nothing of it.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::millis;
use crate::rabbit::read;
use crate::rabbit::read::Owned;
use crate::rabbit::shared::Hold;
use crate::rabbit::shared::Shared;
use crate::rabbit::take;
use crate::rabbit::work::Part;
use crate::rabbit::work::Standing;
use crate::share::share;
use crate::store::Unavailable;

/// Of the silence of another, how many heartbeats are too much.
const SILENCE: u32 = 4;
/// How long deliveries may take to end when a partition is to be another's.
const LEAVING: Duration = Duration::from_secs(30);
/// Between two tries of listening.
const PAUSE: Duration = Duration::from_millis(250);

/// Says that this process lives, and takes and lets go of partitions, for as long as it is polled.
pub(super) async fn keep(shared: Hold) {
    let mut run = String::new();
    loop {
        if let Err(error) = look(&shared, &mut run).await {
            tracing::debug!(%error, "the queue's sign of life was not heard");
        }
        tokio::select! {
            () = tokio::time::sleep(shared.options.heartbeat) => {}
            () = shared.balance.notified() => {}
        }
    }
}

/// Who lives and delivers a queue, and who owns its partitions.
struct Seen {
    members: Vec<String>,
    /// Owner and fence.
    leases: Vec<(String, String)>,
}

async fn look(shared: &Hold, run: &mut String) -> Result<(), Unavailable> {
    if shared.is_closed() {
        return Ok(());
    }
    let queues = shared.work.queues();
    if queues.is_empty() {
        return Ok(());
    }
    let now = shared.index.run().await?;
    if !run.is_empty() && *run != now {
        tracing::warn!("Redis has started again: what waits is read again from the brokers");
        lose_all(shared).await;
    }
    *run = now;
    let seen = beat(shared, &queues).await?;
    let steps = queues
        .iter()
        .zip(&seen)
        .flat_map(|(queue, seen)| steps_for(shared, queue, seen));
    let steps: Vec<Step> = steps.collect();
    let done = join_all(steps.into_iter().map(|step| go(shared, step))).await;
    let mut trouble = Ok(());
    let mut owned = Vec::new();
    for done in done {
        match done {
            Ok(part) => owned.extend(part),
            Err(error) => trouble = Err(error),
        }
    }
    // Together, so that the oldest of all of them is given first.
    shared.work.own(owned);
    trouble
}

async fn beat(shared: &Shared, queues: &[String]) -> Result<Vec<Seen>, Unavailable> {
    let mut step = shared
        .index
        .step("beat")
        .arg(&shared.me)
        .arg(millis(shared.options.heartbeat * SILENCE))
        .arg(shared.options.partitions.get());
    for queue in queues {
        step = step.arg(queue);
    }
    let told: Vec<(Vec<String>, Vec<String>)> = step.ask().await?;
    let seen = told.into_iter().map(|(members, leases)| Seen {
        members,
        leases: leases
            .chunks_exact(2)
            .map(|lease| (lease[0].clone(), lease[1].clone()))
            .collect(),
    });
    Ok(seen.collect())
}

/// What is to be done about a partition.
enum Step {
    Take {
        queue: String,
        partition: u32,
    },
    Give {
        queue: String,
        partition: u32,
        fence: String,
    },
    Lost {
        queue: String,
        partition: u32,
    },
}

fn steps_for(shared: &Shared, queue: &str, seen: &Seen) -> Vec<Step> {
    let members: Vec<&str> = seen.members.iter().map(String::as_str).collect();
    let owners = share(queue, shared.options.partitions.get(), &members);
    let wanted = owners.iter().map(|owner| *owner == shared.me);
    let mut steps = Vec::new();
    for ((partition, wanted), (owner, fence)) in (0..).zip(wanted).zip(&seen.leases) {
        let queue = queue.to_owned();
        match shared.work.standing(&queue, partition) {
            Some(standing) if *owner != shared.me || *fence != standing.fence => {
                steps.push(Step::Lost { queue, partition });
            }
            Some(standing) => steps.extend(stay_or_go(shared, queue, partition, wanted, standing)),
            None if wanted && (*owner == shared.me || !members.contains(&owner.as_str())) => {
                steps.push(Step::Take { queue, partition });
            }
            // It was let go, and nobody could be told.
            None if *owner == shared.me => steps.push(Step::Give {
                queue,
                partition,
                fence: fence.clone(),
            }),
            None => {}
        }
    }
    steps
}

fn stay_or_go(
    shared: &Shared,
    queue: String,
    partition: u32,
    wanted: bool,
    standing: Standing,
) -> Option<Step> {
    match standing.leaving {
        Some(_) if wanted => shared.work.set_leaving(&queue, partition, None),
        None if !wanted => {
            let until = Instant::now() + LEAVING;
            shared.work.set_leaving(&queue, partition, Some(until));
            shared.balance.notify_one();
        }
        Some(until) if standing.out == 0 || until <= Instant::now() => {
            return Some(Step::Give {
                queue,
                partition,
                fence: standing.fence,
            });
        }
        _ => {}
    }
    None
}

async fn go(shared: &Hold, step: Step) -> Result<Option<Part>, Unavailable> {
    match step {
        Step::Take { queue, partition } => own(shared, queue, partition).await,
        Step::Give {
            queue,
            partition,
            fence,
        } => {
            if let Some(part) = shared.work.disown(&queue, partition) {
                end(part).await;
            }
            give(shared, &queue, partition, &fence).await?;
            Ok(None)
        }
        Step::Lost { queue, partition } => {
            tracing::warn!(queue, partition, "another owns this partition now");
            if let Some(part) = shared.work.disown(&queue, partition) {
                end(part).await;
            }
            shared.balance.notify_one();
            Ok(None)
        }
    }
}

async fn own(shared: &Hold, queue: String, partition: u32) -> Result<Option<Part>, Unavailable> {
    let step = shared.index.step("own").arg(partition).arg(&queue);
    let told: Vec<String> = step.arg(&shared.me).ask().await?;
    let [fence, whole] = &told[..] else {
        // Another was faster.
        return Ok(None);
    };
    tracing::debug!(queue, partition, fence, "this process owns a partition");
    let owned = Owned {
        queue: queue.clone(),
        partition,
        fence: fence.clone(),
        whole: whole == "1",
    };
    let (over, ended) = mpsc::unbounded_channel();
    let reader = tokio::spawn(read::read(shared.clone(), owned, ended));
    Ok(Some(Part {
        queue,
        partition,
        fence: fence.clone(),
        since: Instant::now(),
        leaving: None,
        over,
        reader,
    }))
}

/// Its reader ends in peace: what it holds is the next one's at once.
async fn end(part: Part) {
    let Part {
        over, mut reader, ..
    } = part;
    drop(over);
    let ended = tokio::time::timeout(Duration::from_secs(2), &mut reader);
    if ended.await.is_err() {
        reader.abort();
    }
}

async fn give(
    shared: &Shared,
    queue: &str,
    partition: u32,
    fence: &str,
) -> Result<(), Unavailable> {
    let step = shared.index.step("give").arg(partition).arg(queue);
    let _: u8 = step.arg(&shared.me).arg(fence).ask().await?;
    Ok(())
}

/// Nothing of what is owned is believed any more.
async fn lose_all(shared: &Shared) {
    let (_, owned) = shared.work.abandon();
    join_all(owned.into_iter().map(end)).await;
}

/// Gives back everything that this process has.
pub(super) async fn leave(shared: &Hold) {
    let (held, owned) = shared.work.abandon();
    join_all(held.iter().map(|held| take::give_back(shared, held))).await;
    let given = owned.into_iter().map(|part| async move {
        let (queue, partition, fence) = (part.queue.clone(), part.partition, part.fence.clone());
        end(part).await;
        // Where nobody answers it is taken over when this process was silent for long enough.
        let _ = give(shared, &queue, partition, &fence).await;
    });
    join_all(given).await;
    let mut step = shared.index.step("leave").arg(&shared.me);
    for queue in shared.work.queues() {
        step = step.arg(queue);
    }
    let _ = step.ask::<u8>().await;
}

/// Hears what is told in Redis, for as long as it is polled.
pub(super) async fn listen(shared: Hold, mut pubsub: Option<redis::aio::PubSub>) {
    loop {
        let listening = match pubsub.take() {
            Some(listening) => Ok(listening),
            None => shared.index.listen(&shared.names.news()).await,
        };
        if let Ok(listening) = listening {
            // Something may have been missed.
            shared.work.wake_all();
            let mut told = listening.into_on_message();
            while let Some(message) = told.next().await {
                hear(&shared, message.get_payload_bytes());
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn hear(shared: &Shared, told: &[u8]) {
    let told = String::from_utf8_lossy(told);
    let mut letters = told.chars();
    match letters.next() {
        Some('q') => shared.work.wake(letters.as_str()),
        Some('m') => {
            if let Ok(id) = Uuid::try_parse(letters.as_str()) {
                // Nobody may be listening.
                let _ = shared.changed.send(id);
            }
        }
        Some('b') => shared.balance.notify_one(),
        _ => {}
    }
}
