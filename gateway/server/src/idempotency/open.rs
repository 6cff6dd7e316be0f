//! Opening the store that the configuration names, and keeping it small.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use queue::embedded::EmbeddedKeys;
use queue::keys::Keys;
use queue::keys::RedisKeys;
use queue::seal::Seal;

use super::IdempotencySettings;
use super::StoreSettings;

/// Between two looks for what was kept long enough.
const SWEEP: Duration = Duration::from_secs(60);

/// Opens the store.
pub(super) async fn open(settings: &IdempotencySettings) -> Result<Arc<dyn Keys>, String> {
    let seal = seal(settings)?;
    let keys: Arc<dyn Keys> = match settings.store.clone() {
        StoreSettings::Redis(settings) => Arc::new(RedisKeys::new(settings, seal)?),
        StoreSettings::Embedded { path, limits } => {
            // It reads and locks files.
            let opened =
                tokio::task::spawn_blocking(move || EmbeddedKeys::open(&path, limits, seal));
            let opened = opened.await.map_err(|error| error.to_string())?;
            Arc::new(opened.map_err(|error| error.to_string())?)
        }
    };
    tokio::spawn(sweep(Arc::downgrade(&keys)));
    Ok(keys)
}

/// The configuration was refused where the key is none.
fn seal(settings: &IdempotencySettings) -> Result<Seal, String> {
    let Some(key) = &settings.key else {
        return Ok(Seal::none());
    };
    let bytes = BASE64.decode(key.reveal()).unwrap_or_default();
    Seal::with_key(&bytes).map_err(|error| error.to_string())
}

/// As long as there is a store.
async fn sweep(keys: Weak<dyn Keys>) {
    let mut times = tokio::time::interval(SWEEP);
    loop {
        times.tick().await;
        let Some(keys) = keys.upgrade() else { return };
        if let Err(error) = keys.sweep().await {
            tracing::warn!(%error, "old idempotency keys could not be deleted");
        }
    }
}
