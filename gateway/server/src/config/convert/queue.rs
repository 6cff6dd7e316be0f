//! Durable calls.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use queue::seal::Seal;
use queue::store;

use super::beside;
use super::file::Replicas;
use super::file::queue::Pace;
use super::file::queue::Queue;
use super::file::queue::Store;
use super::only;
use crate::durable;
use crate::durable::DurableSettings;
use crate::durable::StoreSettings;

pub(super) fn settings(
    path: &Path,
    file: Queue,
    replicas: Replicas,
) -> Result<DurableSettings, Diagnostics> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let prefix = &file.types_prefix;
    if !prefix.chars().all(is_name) || prefix.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(only(
            Diagnostic::error(
                "CONFIG_VALUE",
                format!("queue.types_prefix: `{prefix}` begins no name of a type"),
            )
            .help("letters, digits and underscores, the first of which is no digit"),
        ));
    }
    let key = file.encryption_key.as_ref().map(|key| key.0.as_str());
    Ok(DurableSettings {
        store: match file.store {
            Store::Embedded => StoreSettings::Embedded {
                path: beside(path, &file.path).into(),
                handover: file.handover.0,
            },
        },
        several: replicas == Replicas::Many,
        limits: store::Limits {
            messages: file.limits.messages,
            bytes: file.limits.bytes.0 as u64,
            message: file.limits.message.0,
            delivered: file.retention.delivered.0,
            dead: file.retention.dead.0,
        },
        key: key.map(secret).transpose()?.map(Into::into),
        prefix: file.types_prefix,
        captures_credentials: file.capture_credentials,
        queues: file
            .queues
            .iter()
            .map(|(name, said)| (name.clone(), pace(said)))
            .collect(),
    })
}

fn pace(said: &Pace) -> durable::Pace {
    let count = |count: std::num::NonZeroU32| count.get() as usize;
    durable::Pace {
        concurrency: count(said.concurrency),
        rate: said.rate,
        prefetch: said.prefetch.map(count),
    }
}

/// Refused here, so that a wrong key is told with the rest of the file, and not when the store is opened.
fn secret(text: &str) -> Result<String, Diagnostics> {
    let bad = |why: String| {
        only(
            Diagnostic::error("CONFIG_VALUE", format!("queue.encryption_key: {why}"))
                .help("make one: openssl rand -base64 32"),
        )
    };
    let bytes = BASE64.decode(text.trim());
    let bytes = bytes.map_err(|_| bad("this is not base64".to_owned()))?;
    match Seal::with_key(&bytes) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(bad(error.to_string())),
    }
}
