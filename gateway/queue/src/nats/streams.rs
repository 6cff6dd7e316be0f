//! The streams and buckets: making them, and checking that they are as safe as was promised.
//!
//! Owns what is asked of the brokers at the start. A stream that is weaker than
//! promised is not mended silently: the start fails and says what to change.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::stream::DiscardPolicy;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::stream::RetentionPolicy;
use async_nats::jetstream::stream::StorageType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::nats::broker::Broker;
use crate::nats::broker::Expect;
use crate::nats::broker::NotPut;
use crate::nats::names::Bucket;
use crate::nats::names::Names;
use crate::nats::options::Durability;
use crate::nats::options::Options;
use crate::nats::shared::Shared;
use crate::seal::Seal;
use crate::store::Unavailable;

/// Within which the brokers know a message again that is published twice. It costs them memory for each message.
const DUPLICATES: Duration = Duration::from_secs(120);
/// The shortest age that brokers delete by, of what is not kept for ever.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long the start waits for a cluster that is about to elect its leaders.
const ELECTING: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// What the settings are sealed as.
const SETTINGS: Uuid = Uuid::from_u128(0x5e77_1265);
const PROOF: &[u8] = b"switchboard";

/// Makes what is missing, and checks what is there.
pub(super) async fn prepare(
    broker: &Broker,
    names: &Names,
    options: &Options,
    seal: &Seal,
) -> Result<(), String> {
    for wanted in wanted(names, options) {
        let info = ensure(broker, &wanted).await?;
        check(&info.config, &wanted, options.durability)?;
        adjust(broker, &info, &wanted).await?;
    }
    if options.durability == Durability::Relaxed {
        tracing::warn!(
            "the queue is as durable as one server that writes to its disk later: an outage of power may lose accepted mutations"
        );
    }
    check_settings(broker, names, options, seal).await
}

fn wanted(names: &Names, options: &Options) -> Vec<Config> {
    let base = |name: String, subjects: Vec<String>| Config {
        name,
        subjects,
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        num_replicas: options.durability.replicas(),
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: 1,
        duplicate_window: DUPLICATES,
        ..Config::default()
    };
    let bucket = |bucket, max_age: Duration| Config {
        max_age,
        // Nothing is published twice on purpose there, and brokers want it no longer than the age.
        duplicate_window: match max_age.is_zero() {
            true => DUPLICATES,
            false => max_age.min(DUPLICATES),
        },
        allow_rollup: true,
        ..base(names.bucket(bucket), vec![names.key(bucket, ">")])
    };
    let limits = &options.limits;
    let queue = Config {
        description: Some(described(options)),
        max_messages: i64::try_from(limits.messages).unwrap_or(i64::MAX),
        max_bytes: i64::try_from(limits.bytes).unwrap_or(i64::MAX),
        max_messages_per_subject: -1,
        ..base(names.waiting(), vec![names.all_waiting()])
    };
    let dead = Config {
        max_age: limits.dead.max(SHORTEST),
        duplicate_window: limits.dead.clamp(SHORTEST, DUPLICATES),
        ..base(names.dead(), vec![names.all_dead(), names.all_fallen()])
    };
    vec![
        queue,
        dead,
        bucket(Bucket::State, Duration::ZERO),
        bucket(Bucket::Done, limits.delivered.max(SHORTEST)),
        bucket(Bucket::Dedupe, options.remembered),
        bucket(Bucket::Control, Duration::ZERO),
    ]
}

fn described(options: &Options) -> String {
    format!("switchboard's queue in {} partitions", options.partitions)
}

/// What is there; what was not, is. Waits for a cluster that has no leader yet.
async fn ensure(broker: &Broker, wanted: &Config) -> Result<Info, String> {
    let deadline = Instant::now() + ELECTING;
    loop {
        let why = match had(broker, wanted).await {
            Ok(info) => return Ok(info),
            Err(NotHad::ForGood(why)) => return Err(why),
            Err(NotHad::Yet(why)) => why,
        };
        if Instant::now() >= deadline {
            return Err(format!(
                "the stream {} is not to be had: {why}",
                wanted.name
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

enum NotHad {
    Yet(String),
    ForGood(String),
}

async fn had(broker: &Broker, wanted: &Config) -> Result<Info, NotHad> {
    let missing = match broker.context().get_stream(&wanted.name).await {
        Ok(stream) => return Ok(stream.cached_info().clone()),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer) if answer.code() == 404 => wanted.clone(),
            _ => return Err(NotHad::Yet(error.to_string())),
        },
    };
    let error = match broker.context().create_stream(missing).await {
        Ok(stream) => return Ok(stream.cached_info().clone()),
        Err(error) => error,
    };
    let CreateStreamErrorKind::JetStream(answer) = error.kind() else {
        return Err(NotHad::Yet(error.to_string()));
    };
    let name = &wanted.name;
    match answer.error_code() {
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => Err(NotHad::ForGood(format!(
            "the stream {name} needs {} replicas, and this server is alone: run a cluster of three, or say which durability is meant: sync_interval: always, or relaxed",
            wanted.num_replicas
        ))),
        ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES => {
            Err(NotHad::ForGood(format!(
                "the brokers have no room for the stream {name} ({answer}): lower the limit of the queue's bytes ({}), or give JetStream more",
                wanted.max_bytes
            )))
        }
        _ => Err(NotHad::Yet(error.to_string())),
    }
}

/// Whether a stream is as safe as promised.
///
/// # Errors
/// Says what to change.
fn check(there: &Config, wanted: &Config, durability: Durability) -> Result<(), String> {
    let name = &there.name;
    let refuse = |what: &str, change: &str| Err(format!("the stream {name} {what}: {change}"));
    if there.storage != StorageType::File {
        return refuse(
            "is kept in memory",
            "it must be made anew with --storage file",
        );
    }
    if there.retention != RetentionPolicy::Limits {
        return refuse(
            "deletes by interest or acknowledgement",
            "it must be made anew with --retention limits",
        );
    }
    if there.discard != DiscardPolicy::New {
        return refuse(
            "drops its oldest messages where it is full",
            "nats stream edit --discard new",
        );
    }
    if there.max_messages_per_subject != wanted.max_messages_per_subject {
        return refuse(
            "keeps another number of messages for each subject",
            "it was not made by this gateway; name another prefix",
        );
    }
    if wanted.max_age.is_zero() && !there.max_age.is_zero() {
        return refuse("deletes by age", "nats stream edit --max-age 0");
    }
    if wanted.max_age.is_zero() && there.duplicate_window < wanted.duplicate_window {
        return refuse(
            "forgets too soon what was published",
            "nats stream edit --dupe-window 2m",
        );
    }
    if there.no_ack || there.sealed {
        return refuse("acknowledges nothing, or is sealed", "it must be made anew");
    }
    if there.num_replicas < wanted.num_replicas && durability == Durability::Replicated {
        let change = "nats stream edit --replicas 3, or say which durability is meant: sync_interval: always, or relaxed";
        return refuse(&format!("has {} replica(s)", there.num_replicas), change);
    }
    if wanted.description.is_some() && there.description != wanted.description {
        return refuse(
            &format!(
                "was made as \"{}\", and this is {}",
                there.description.as_deref().unwrap_or("something else"),
                wanted.description.as_deref().unwrap_or_default()
            ),
            "keep its number of partitions, or name another prefix: keys would lose their order",
        );
    }
    Ok(())
}

/// Limits and ages as they are configured now. The limit of what waits is never lowered below it:
/// a server that is told to keep fewer messages than it has deletes the oldest.
async fn adjust(broker: &Broker, info: &Info, wanted: &Config) -> Result<(), String> {
    let there = &info.config;
    let messages = i64::try_from(info.state.messages).unwrap_or(i64::MAX);
    let bytes = i64::try_from(info.state.bytes).unwrap_or(i64::MAX);
    let max_messages = limit(there.max_messages, wanted.max_messages, messages);
    let max_bytes = limit(there.max_bytes, wanted.max_bytes, bytes);
    if (max_messages, max_bytes) != (wanted.max_messages, wanted.max_bytes) {
        tracing::warn!(
            stream = there.name,
            "more waits than the configured limit leaves room for: the former limit stays until the next start"
        );
    }
    let max_age = match wanted.name.ends_with("_dedupe") {
        // Longer windows may have been asked for.
        true => wanted.max_age.max(there.max_age),
        false => wanted.max_age,
    };
    let duplicate_window = match max_age.is_zero() {
        true => there.duplicate_window,
        false => there.duplicate_window.min(max_age),
    };
    let adjusted = Config {
        max_messages,
        max_bytes,
        max_age,
        duplicate_window,
        ..there.clone()
    };
    if adjusted == *there {
        return Ok(());
    }
    let updated = broker.context().update_stream(adjusted).await;
    updated
        .map(drop)
        .map_err(|error| format!("the stream {} cannot be changed: {error}", there.name))
}

/// The limit that is safe to set where so much is stored; negative is without limit.
fn limit(there: i64, wanted: i64, stored: i64) -> i64 {
    let raised = wanted < 0 || (there >= 0 && wanted >= there);
    if raised || stored <= wanted / 2 {
        wanted
    } else {
        there
    }
}

/// What all gateways of a deployment must agree on.
#[derive(Serialize, Deserialize)]
struct Settings {
    partitions: u32,
    /// Sealed: whoever reads it has the key.
    proof: String,
}

async fn check_settings(
    broker: &Broker,
    names: &Names,
    options: &Options,
    seal: &Seal,
) -> Result<(), String> {
    let key = names.key(Bucket::Control, "settings");
    let settings = Settings {
        partitions: options.partitions.get(),
        proof: BASE64.encode(seal.seal(SETTINGS, PROOF)),
    };
    let payload = serde_json::to_vec(&settings).map_err(|error| error.to_string())?;
    let put = broker.put(
        key.clone(),
        HeaderMap::new(),
        payload.into(),
        Expect::Last(0),
    );
    match put.await {
        Ok(_) => return Ok(()),
        Err(NotPut::Conflict) => {}
        Err(error) => return Err(format!("the settings cannot be written: {error:?}")),
    }
    let there = broker.last(&names.bucket(Bucket::Control), &key).await;
    let there = there.map_err(|error| error.to_string())?;
    let there = there.and_then(|it| serde_json::from_slice::<Settings>(&it.payload).ok());
    let Some(there) = there else {
        return Err(
            "the settings in the control bucket cannot be read: name another prefix".into(),
        );
    };
    if there.partitions != options.partitions.get() {
        return Err(format!(
            "the queue has {} partitions, and {} are configured: keys would lose their order",
            there.partitions, options.partitions
        ));
    }
    let proof = BASE64.decode(&there.proof).unwrap_or_default();
    match seal.open(SETTINGS, &proof) {
        Ok(_) => Ok(()),
        Err(_) => Err(
            "what is stored was sealed with another key: with this one nothing of it can be read"
                .into(),
        ),
    }
}

/// Deduplication values are remembered for so long at least.
pub(super) async fn remember_for(shared: &Shared, window: Duration) -> Result<(), Unavailable> {
    // Kept a little longer, so that no clock decides.
    let window = window.saturating_add(Duration::from_secs(60));
    {
        let remembered = shared.remembered.lock();
        let remembered = remembered.unwrap_or_else(std::sync::PoisonError::into_inner);
        if *remembered >= window {
            return Ok(());
        }
    }
    let unavailable = |error: &dyn std::fmt::Display| Unavailable(error.to_string());
    let name = shared.names.bucket(Bucket::Dedupe);
    let context = shared.broker.context();
    let stream = context.get_stream(&name).await;
    let stream = stream.map_err(|error| unavailable(&error))?;
    let there = &stream.cached_info().config;
    let longest = there.max_age.max(window);
    if there.max_age < window {
        let config = Config {
            max_age: window,
            ..there.clone()
        };
        let updated = context.update_stream(config).await;
        updated.map_err(|error| unavailable(&error))?;
    }
    let remembered = shared.remembered.lock();
    *remembered.unwrap_or_else(std::sync::PoisonError::into_inner) = longest;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(durability: Durability) -> Config {
        let options = Options {
            durability,
            ..Options::default()
        };
        let names = Names::new("sb").unwrap();
        wanted(&names, &options).swap_remove(0)
    }

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let wanted = queue(Durability::Replicated);
        let mut there = wanted.clone();
        change(&mut there);
        check(&there, &wanted, Durability::Replicated).unwrap_err()
    }

    #[test]
    fn a_stream_that_is_weaker_than_promised_is_refused_with_what_to_change() {
        assert!(refusal(|it| it.storage = StorageType::Memory).contains("--storage file"));
        assert!(refusal(|it| it.retention = RetentionPolicy::WorkQueue).contains("--retention"));
        assert!(refusal(|it| it.discard = DiscardPolicy::Old).contains("--discard new"));
        assert!(refusal(|it| it.num_replicas = 1).contains("--replicas 3"));
        assert!(refusal(|it| it.max_age = DUPLICATES).contains("--max-age 0"));
        assert!(refusal(|it| it.max_messages_per_subject = 1).contains("another number"));
        let window = refusal(|it| it.duplicate_window = Duration::from_secs(1));
        assert!(window.contains("--dupe-window 2m"), "{window}");
        assert!(refusal(|it| it.no_ack = true).contains("acknowledges nothing"));
        let other =
            refusal(|it| it.description = Some("switchboard's queue in 8 partitions".into()));
        assert!(
            other.contains("8 partitions") && other.contains("32 partitions"),
            "{other}"
        );
    }

    #[test]
    fn one_replica_suffices_where_the_operator_says_so() {
        for durability in [Durability::SyncAlways, Durability::Relaxed] {
            let wanted = queue(durability);
            assert_eq!(wanted.num_replicas, 1);
            assert!(check(&wanted, &wanted, durability).is_ok());
        }
    }

    #[test]
    fn a_limit_is_not_lowered_below_what_waits() {
        assert_eq!(limit(100, 200, 90), 200, "raised");
        assert_eq!(limit(100, 50, 10), 50, "lowered with room");
        assert_eq!(limit(100, 50, 40), 100, "it might fill meanwhile");
        assert_eq!(limit(-1, 50, 60), -1);
        assert_eq!(limit(100, -1, 60), -1);
    }
}
