//! Reading what arrives in a partition. Start reading at [`read`].
//!
//! Owns what is held unacknowledged: it is acknowledged when it is over, and
//! parked in the vault when it waits for long. Whoever was appended and is not
//! known, since its publisher or Redis has forgotten it, is known again here.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::Consumer;
use lapin::message::Delivery as Delivered;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::clock::millis;
use crate::message::Message;
use crate::rabbit::append::dedupe;
use crate::rabbit::broker::within;
use crate::rabbit::names;
use crate::rabbit::shared::Hold;
use crate::rabbit::shared::Shared;
use crate::rabbit::shared::short;
use crate::rabbit::stored;
use crate::rabbit::stored::Labels;
use crate::rabbit::stored::Lying;
use crate::rabbit::stored::Stamp;
use crate::rabbit::vault;
use crate::store::Progress;
use crate::store::Reason;
use crate::store::Unavailable;

/// Between two tries of reading.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked at what is held.
const TICK: Duration = Duration::from_secs(1);
/// Messages that are looked at together.
const AT_ONCE: usize = 64;

/// A partition that is read, by a fence.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub(super) queue: String,
    pub(super) partition: u32,
    pub(super) fence: String,
    /// What Redis knows of it is whole.
    pub(super) whole: bool,
}

/// Reads a partition until nobody tells what is over any more.
pub(super) async fn read(shared: Hold, mut owned: Owned, mut over: mpsc::UnboundedReceiver<Uuid>) {
    loop {
        match read_on(&shared, &mut owned, &mut over).await {
            Ok(()) => return,
            Err(error) => {
                tracing::debug!(%error, queue = owned.queue, partition = owned.partition, "reading again");
            }
        }
        tokio::time::sleep(PAUSE).await;
        if over.is_closed() {
            return;
        }
    }
}

async fn read_on(
    shared: &Hold,
    owned: &mut Owned,
    over: &mut mpsc::UnboundedReceiver<Uuid>,
) -> Result<(), Unavailable> {
    let declared = shared.broker.declare(&owned.queue, owned.partition);
    declared.await.map_err(Unavailable)?;
    let channel = shared.broker.reader(shared.options.window).await?;
    let reading = follow(shared, owned, over, &channel).await;
    // What was not acknowledged is the next one's.
    drop(within(channel.close(200, "".into())).await);
    reading
}

async fn follow(
    shared: &Hold,
    owned: &mut Owned,
    over: &mut mpsc::UnboundedReceiver<Uuid>,
    channel: &Channel,
) -> Result<(), Unavailable> {
    let name = shared.names.main(&owned.queue, owned.partition);
    let consumer = channel.basic_consume(
        name.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = within(consumer).await.map_err(Unavailable)?;
    let mut held = Held::new(shared, channel);
    if !owned.whole {
        vault::go_through(shared, &owned.queue, owned.partition).await?;
        held.marker = Some(vault::mark(shared, &name).await?);
    }
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = consumer.next() => {
                held.arrive(at_once(next, &mut consumer)?).await?;
            }
            ended = over.recv() => match ended {
                Some(id) => held.is_over(id).await?,
                None => return Ok(()),
            },
            _ = tick.tick() => {
                held.look_through(owned.whole).await?;
                if owned.whole {
                    compact(shared, owned).await?;
                }
            }
        }
        if held.caught_up && !owned.whole {
            owned.whole = is_whole(shared, owned).await?;
        }
        if !owned.whole && held.is_full() {
            held.park_half().await?;
        }
    }
}

/// What has arrived already, together.
fn at_once(
    first: Option<lapin::Result<Delivered>>,
    consumer: &mut Consumer,
) -> Result<Vec<Delivered>, Unavailable> {
    let mut arrived = Vec::new();
    let mut next = Some(first);
    while let Some(delivered) = next {
        match delivered {
            Some(Ok(delivered)) => arrived.push(delivered),
            Some(Err(error)) => return Err(Unavailable(error.to_string())),
            None => return Err(Unavailable("the reader was ended".into())),
        }
        next = (arrived.len() < AT_ONCE)
            .then(|| consumer.next().now_or_never())
            .flatten();
    }
    Ok(arrived)
}

async fn is_whole(shared: &Shared, owned: &Owned) -> Result<bool, Unavailable> {
    let step = shared
        .index
        .step("whole")
        .arg(owned.partition)
        .arg(&owned.queue)
        .arg(&shared.me)
        .arg(&owned.fence);
    let whole: u8 = step.ask().await?;
    shared.work.wake(&owned.queue);
    Ok(whole == 1)
}

/// Goes through the vault where most of it is of no use any more.
async fn compact(shared: &Shared, owned: &Owned) -> Result<(), Unavailable> {
    let step = shared
        .index
        .step("vault")
        .arg(owned.partition)
        .arg(&owned.queue);
    let told: Vec<Option<String>> = step.ask().await?;
    let number = |at: usize| {
        let text = told.get(at).and_then(Option::as_deref);
        text.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0)
    };
    let (live, garbage, urgent) = (number(0), number(1), number(2) == 1);
    let most = i64::try_from(shared.options.garbage).unwrap_or(i64::MAX);
    if urgent || garbage >= most.max(live) {
        vault::go_through(shared, &owned.queue, owned.partition).await?;
    }
    Ok(())
}

/// What is held unacknowledged.
struct Held<'a> {
    shared: &'a Shared,
    channel: &'a Channel,
    tags: HashMap<Uuid, u64>,
    /// Since when, oldest first: tags grow.
    since: BTreeMap<u64, (Uuid, Instant)>,
    /// What its publisher has not confirmed yet.
    pending: Vec<Delivered>,
    /// What says that everything was read that was there at first.
    marker: Option<String>,
    caught_up: bool,
    /// Acknowledged since it was looked last.
    done: usize,
}

impl<'a> Held<'a> {
    fn new(shared: &'a Shared, channel: &'a Channel) -> Self {
        Self {
            shared,
            channel,
            tags: HashMap::new(),
            since: BTreeMap::new(),
            pending: Vec::new(),
            marker: None,
            caught_up: false,
            done: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.since.len() + self.pending.len() >= usize::from(self.shared.options.window) / 4 * 3
    }

    async fn arrive(&mut self, arrived: Vec<Delivered>) -> Result<(), Unavailable> {
        let mut known = Vec::new();
        for delivered in arrived {
            if let Some(marker) = marker_of(&delivered) {
                self.caught_up |= self.marker.as_ref() == Some(&marker);
                self.acknowledge(delivered.delivery_tag).await?;
                continue;
            }
            match Lying::read(&delivered) {
                Some(lying) => known.push((delivered, lying)),
                None => {
                    foreign(self.shared, &delivered).await?;
                    self.acknowledge(delivered.delivery_tag).await?;
                }
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        let (delivered, lying): (Vec<_>, Vec<_>) = known.into_iter().unzip();
        let answers = ask(self.shared, &lying).await?;
        for ((delivered, lying), answer) in delivered.into_iter().zip(lying).zip(answers) {
            self.decide(delivered, lying, &answer).await?;
        }
        Ok(())
    }

    async fn decide(
        &mut self,
        delivered: Delivered,
        lying: Lying,
        answer: &str,
    ) -> Result<(), Unavailable> {
        let (id, tag) = (lying.id, delivered.delivery_tag);
        match follow_up(self.shared, lying, answer).await? {
            Good::Pending => self.pending.push(delivered),
            // The same was stored twice: one of them is enough.
            Good::Kept if self.tags.contains_key(&id) => self.acknowledge(tag).await?,
            Good::Kept => self.hold(id, tag),
            Good::Buried => {
                vault::put(self.shared, id, names::MAIN).await?;
                self.acknowledge(tag).await?;
            }
            Good::Nothing => self.acknowledge(tag).await?,
        }
        Ok(())
    }

    fn hold(&mut self, id: Uuid, tag: u64) {
        self.tags.insert(id, tag);
        self.since.insert(tag, (id, Instant::now()));
    }

    async fn is_over(&mut self, id: Uuid) -> Result<(), Unavailable> {
        if let Some(tag) = self.tags.remove(&id) {
            self.since.remove(&tag);
            self.acknowledge(tag).await?;
        }
        Ok(())
    }

    async fn acknowledge(&mut self, tag: u64) -> Result<(), Unavailable> {
        self.done += 1;
        let acked = self.channel.basic_ack(tag, BasicAckOptions::default());
        within(acked).await.map_err(Unavailable)
    }

    /// What is pending is asked for again; what is held for long, or stands in the way of others, is parked.
    async fn look_through(&mut self, whole: bool) -> Result<(), Unavailable> {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.arrive(pending).await?;
        }
        let stands = self.done * 4 < usize::from(self.shared.options.window);
        self.done = 0;
        // What was held when it was looked last stands in the way of others.
        let crowded = whole && stands && self.is_full();
        let longest = match crowded {
            true => TICK,
            false => self.shared.options.park_after,
        };
        let before = Instant::now().checked_sub(longest);
        let old = self
            .since
            .values()
            .take_while(|(_, since)| before.is_some_and(|it| *since < it));
        let old: Vec<Uuid> = old.map(|(id, _)| *id).collect();
        self.park(old).await
    }

    async fn park_half(&mut self) -> Result<(), Unavailable> {
        let half = usize::from(self.shared.options.window) / 2;
        let oldest = self.since.values().take(half).map(|(id, _)| *id);
        let oldest = oldest.collect();
        self.park(oldest).await
    }

    async fn park(&mut self, ids: Vec<Uuid>) -> Result<(), Unavailable> {
        let shared = self.shared;
        let parked = ids.iter().map(|id| vault::put(shared, *id, names::MAIN));
        for parked in futures_util::future::join_all(parked).await {
            parked?;
        }
        for id in ids {
            // Parked, or over meanwhile.
            self.is_over(id).await?;
        }
        Ok(())
    }
}

/// What a copy at the broker is good for.
pub(super) enum Good {
    /// It is what is known of lies.
    Kept,
    /// It is a dead letter, and belongs into the vault.
    Buried,
    /// Its publisher has not confirmed it yet.
    Pending,
    /// Another copy is what counts, or it is over.
    Nothing,
}

/// What one copy is good for.
pub(super) async fn good_for(shared: &Shared, lying: Lying) -> Result<Good, Unavailable> {
    let answer = ask(shared, std::slice::from_ref(&lying)).await?;
    let answer = answer.into_iter().next().unwrap_or_default();
    follow_up(shared, lying, &answer).await
}

async fn ask(shared: &Shared, lying: &[Lying]) -> Result<Vec<String>, Unavailable> {
    let mut step = shared
        .index
        .step("arrived")
        .arg(millis(shared.options.grace));
    for lying in lying {
        step = step
            .arg(short(lying.id))
            .arg(lying.version)
            .arg(&lying.place)
            .arg(lying.partition)
            .arg(&lying.queue);
    }
    Ok(step.ask().await?)
}

async fn follow_up(shared: &Shared, lying: Lying, answer: &str) -> Result<Good, Unavailable> {
    Ok(match answer {
        "keep" => Good::Kept,
        "bury" => Good::Buried,
        "pending" => Good::Pending,
        "garbage" => Good::Nothing,
        "put back" => {
            let step = shared
                .index
                .step("was_put_back")
                .arg(short(lying.id))
                .arg(lying.version)
                .arg(lying.position)
                .arg(&lying.place);
            let _: u8 = step.ask().await?;
            Good::Kept
        }
        "restore" => restore(shared, lying).await?,
        other => return Err(Unavailable(format!("an answer that is none: {other}"))),
    })
}

/// What is at the broker and not known is known again.
async fn restore(shared: &Shared, lying: Lying) -> Result<Good, Unavailable> {
    let (stamp, stored) = match lying.place == names::MAIN {
        true => (Stamp::default(), lying.stored.clone()),
        false => match Stamp::split(&shared.seal, lying.id, &lying.stored) {
            Ok(split) => split,
            Err(error) => {
                tracing::error!(%error, id = %lying.id, "what the vault holds cannot be read");
                let dead = Some((Reason::Damaged, shared.clock.now()));
                let progress = Progress::default();
                (Stamp { dead, progress }, lying.stored.clone())
            }
        },
    };
    let message = stored::message(&shared.seal, lying.id, &stored).ok();
    let facts = Facts::of(shared, &lying, message.as_ref());
    let answer = tell(shared, &lying, &stored, &stamp, &facts).await?;
    Ok(match (&*answer, &*lying.place) {
        ("known", _) => Good::Pending,
        ("dead", names::MAIN) => Good::Buried,
        _ => Good::Kept,
    })
}

/// What a message says of itself, or what stands outside of it.
struct Facts<'m> {
    labels: Labels,
    keyed: bool,
    bytes: usize,
    not_before: u64,
    blocks: bool,
    caller: String,
    dedupe: (&'m str, &'m str, u64),
}

impl<'m> Facts<'m> {
    fn of(shared: &Shared, lying: &Lying, message: Option<&'m Message>) -> Self {
        let Some(message) = message else {
            return Self {
                labels: lying.labels.clone(),
                keyed: lying.line != lying.id,
                bytes: lying.stored.len(),
                not_before: 0,
                blocks: false,
                caller: String::new(),
                dedupe: ("", "", 0),
            };
        };
        Self {
            labels: Labels::of(message),
            keyed: message.key.is_some(),
            bytes: message.encode().len(),
            not_before: message.not_before.unwrap_or(0),
            blocks: message.blocks && message.key.is_some(),
            caller: shared.caller(message.caller.as_deref()),
            dedupe: dedupe(message),
        }
    }
}

async fn tell(
    shared: &Shared,
    lying: &Lying,
    stored: &[u8],
    stamp: &Stamp,
    facts: &Facts<'_>,
) -> Result<String, Unavailable> {
    let seal = &shared.seal;
    let progress = match stamp.progress == Progress::default() {
        true => Vec::new(),
        false => stored::sealed_progress(seal, lying.id, &stamp.progress),
    };
    let (why, at) = stamp
        .dead
        .map_or(("", 0), |(reason, at)| (reason.as_str(), at));
    let step = shared
        .index
        .step("restore")
        .arg(short(lying.id))
        .arg(&lying.queue)
        .arg(lying.partition)
        .arg(names::hex(lying.line.into_bytes()))
        .arg(u8::from(facts.keyed))
        .arg(facts.bytes)
        .arg(lying.accepted_at)
        .arg(facts.dedupe.0)
        .arg(facts.dedupe.1)
        .arg(facts.dedupe.2)
        .bytes(&stored::sealed(seal, lying.id, &facts.labels))
        .bytes(stored)
        .arg(facts.not_before)
        .arg(u8::from(facts.blocks))
        .arg(&facts.caller)
        .arg(lying.position)
        .arg(lying.version)
        .arg(&lying.place)
        .arg(why)
        .arg(at)
        .bytes(&progress);
    Ok(step.ask().await?)
}

/// What is somebody else's under our names goes to the dead letters.
async fn foreign(shared: &Shared, delivered: &Delivered) -> Result<(), Unavailable> {
    let name = delivered.routing_key.as_str();
    tracing::error!(queue = name, "a message of the queue bears no name");
    let mut parts = name.rsplitn(2, '.');
    let partition = parts.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let queue = parts.next().and_then(|it| it.split_once(".q."));
    let id = Uuid::now_v7();
    let lying = Lying {
        id,
        queue: queue.map_or(name, |(_, queue)| queue).to_owned(),
        partition,
        line: id,
        position: 0,
        version: 1,
        place: names::MAIN.to_owned(),
        accepted_at: shared.clock.now(),
        labels: Labels::default(),
        stored: delivered.data.clone(),
    };
    let stamp = Stamp {
        dead: Some((Reason::Damaged, shared.clock.now())),
        progress: Progress::default(),
    };
    let facts = Facts::of(shared, &lying, None);
    tell(shared, &lying, &lying.stored, &stamp, &facts).await?;
    vault::put(shared, id, names::MAIN).await.map(drop)
}

/// What says up to where something was read.
pub(super) fn marker_of(delivered: &Delivered) -> Option<String> {
    let headers = delivered.properties.headers().as_ref()?;
    names::header(headers, names::MARKER)
}

/// Reads what the brokers have given up, for as long as it is polled: a message that came back too often, since those
/// who held it died, is parked and stays in its line. Whether it is at fault is seen where it is taken.
pub(super) async fn read_given_up(shared: Hold) {
    loop {
        if let Err(error) = follow_given_up(&shared).await {
            tracing::debug!(%error, "reading what the broker has given up again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_given_up(shared: &Shared) -> Result<(), Unavailable> {
    let channel = shared.broker.reader(AT_ONCE as u16).await?;
    let consumer = channel.basic_consume(
        shared.names.given_up().as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = within(consumer).await.map_err(Unavailable)?;
    while let Some(delivered) = consumer.next().await {
        let delivered = delivered.map_err(|error| Unavailable(error.to_string()))?;
        if let Some(lying) = Lying::read(&delivered) {
            tracing::warn!(id = %lying.id, "the broker has given up a message that came back too often: it is parked");
            let (id, place) = (lying.id, lying.place.clone());
            match good_for(shared, lying).await? {
                Good::Kept | Good::Buried => drop(vault::put(shared, id, &place).await?),
                Good::Pending => {
                    return Err(Unavailable("its publisher has not confirmed it".into()));
                }
                Good::Nothing => {}
            }
        }
        let acked = channel.basic_ack(delivered.delivery_tag, BasicAckOptions::default());
        within(acked).await.map_err(Unavailable)?;
    }
    Ok(())
}
