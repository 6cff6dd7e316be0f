//! `switchboard queue salvage`: what can be read of a damaged file.

use anyhow::Context as _;
use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use queue::Embedded;
use queue::seal::Seal;
use serde_json::Value as Json;
use serde_json::json;

use crate::config::Config;
use crate::durable::StoreSettings;

/// Works on the files themselves: a gateway that could be asked does not start over them.
pub(super) fn salvage(config: &Config) -> anyhow::Result<Json> {
    let StoreSettings::Embedded { path, .. } = &config.queue.store else {
        return Err(anyhow!(
            "the queue of this configuration is on a broker: there is no file of ours to salvage"
        ));
    };
    let seal = match &config.queue.key {
        Some(key) => Seal::with_key(&BASE64.decode(key.reveal())?)?,
        None => Seal::none(),
    };
    let salvaged = Embedded::salvage(path, &seal);
    let salvaged = salvaged.with_context(|| format!("{} is as it was", path.display()))?;
    Ok(json!({ "messages": salvaged.messages, "damaged": salvaged.damaged }))
}
