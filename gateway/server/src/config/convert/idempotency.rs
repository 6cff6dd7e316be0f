//! Idempotency keys.

use std::path::Path;
use std::time::Duration;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use queue::keys;
use queue::keys::RedisKeysSettings;

use super::beside;
use super::file::File;
use super::file::Replicas;
use super::file::idempotency as file;
use super::only;
use super::queue::secret;
use crate::idempotency::IdempotencySettings;
use crate::idempotency::Mode;
use crate::idempotency::StoreSettings;

/// A client that repeats itself may do so the next day.
const SHORTEST: Duration = Duration::from_secs(24 * 3600);
/// How long a claim holds that its process does not renew: after that the process is dead.
const LEASE: Duration = Duration::from_secs(10);
/// The time of one call of Redis, unless it is given.
const CALL: Duration = Duration::from_millis(250);

pub(super) fn settings(path: &Path, file: &File) -> Result<IdempotencySettings, Diagnostics> {
    let written = &file.idempotency;
    let mode = match written.mode {
        file::Mode::Required => Mode::Required,
        file::Mode::Optional => Mode::Optional,
        file::Mode::Off => Mode::Off,
    };
    if written.keep.0 < SHORTEST {
        let message = "idempotency.keep: an answer is kept for 24 hours at least";
        return Err(only(Diagnostic::error("CONFIG_VALUE", message)));
    }
    let many = file.replicas == Replicas::Many;
    if many && mode != Mode::Off && written.store.redis.is_none() {
        return Err(only_here());
    }
    let key = file.queue.encryption_key.as_ref();
    let key = key.map(|key| secret(&key.0)).transpose()?;
    Ok(IdempotencySettings {
        mode,
        keep: written.keep.0,
        store: store(path, file),
        key: key.map(Into::into),
    })
}

fn store(path: &Path, file: &File) -> StoreSettings {
    let file::Idempotency { store, limits, .. } = &file.idempotency;
    match &store.redis {
        Some(redis) => StoreSettings::Redis(RedisKeysSettings {
            url: redis.url.clone(),
            prefix: redis.prefix.clone(),
            timeout: redis.timeout.as_ref().map_or(CALL, |timeout| timeout.0),
            lease: LEASE,
            answer: limits.answer.0,
        }),
        None => StoreSettings::Embedded {
            path: beside(path, &file.queue.path).into(),
            limits: keys::Limits {
                entries: limits.entries,
                bytes: limits.bytes.0 as u64,
                answer: limits.answer.0,
            },
        },
    }
}

/// The same key at another gateway would be done again.
fn only_here() -> Diagnostics {
    let message = "replicas: many, and each gateway would know only its own idempotency keys";
    let help = "keep them in Redis: idempotency: { store: { redis: { url: \"redis://...\" } } }; or ignore them: idempotency: { mode: off }";
    only(Diagnostic::error("LOCAL_STORE", message).help(help))
}

#[cfg(test)]
mod tests {
    use super::super::super::file::parse;
    use super::*;

    fn told(more: &str) -> Result<IdempotencySettings, String> {
        let text = format!("subgraphs: {{ users: {{ schema: users.graphql }} }}\n{more}");
        let file = parse("switchboard.yaml", &text).map_err(|error| error.to_string())?;
        settings(Path::new("/etc/switchboard.yaml"), &file).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_optional_and_kept_for_a_day_beside_the_queue() {
        let settings = told("").unwrap();
        assert_eq!((settings.mode, settings.keep), (Mode::Optional, SHORTEST));
        let StoreSettings::Embedded { path, limits } = settings.store else {
            panic!("another store");
        };
        assert!(path.starts_with("/etc") && path.ends_with("data/queue"));
        assert_eq!(limits, keys::Limits::default());
    }

    #[test]
    fn answers_are_kept_for_a_day_at_least() {
        let refused = told("idempotency: { keep: 23h }").unwrap_err();
        assert!(refused.contains("24 hours"), "{refused}");
        assert!(told("idempotency: { keep: 48h }").is_ok());
    }

    #[test]
    fn several_gateways_share_their_keys_or_ignore_them() {
        let refused = told("replicas: many").unwrap_err();
        assert!(refused.contains("LOCAL_STORE"), "{refused}");
        let shared = "idempotency: { store: { redis: { url: \"redis://r\" } } }";
        let settings = told(&format!("replicas: many\n{shared}")).unwrap();
        assert!(matches!(settings.store, StoreSettings::Redis(_)));
        assert!(told("replicas: many\nidempotency: { mode: off }").is_ok());
    }
}
