//! Opening the store that the configuration names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use queue::Rabbit;
use queue::Store;
use queue::embedded::Embedded;
use queue::nats::Nats;
use queue::seal::Seal;

use super::settings::DurableSettings;
use super::settings::StoreSettings;

/// Opens the store.
pub(super) async fn open(settings: &DurableSettings) -> Result<Arc<dyn Store>, Diagnostics> {
    let seal = seal(settings)?;
    match &settings.store {
        StoreSettings::Embedded { .. } if settings.several => Err(only_here()),
        StoreSettings::Embedded { path, handover } => {
            embedded(settings, seal, path, *handover).await
        }
        StoreSettings::Nats(options) => match Nats::connect((**options).clone(), seal).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(cannot_open(&error.to_string())),
        },
        StoreSettings::Rabbit(options) => match Rabbit::connect((**options).clone(), seal).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(cannot_open(&error.to_string())),
        },
    }
}

async fn embedded(
    settings: &DurableSettings,
    seal: Seal,
    path: &Path,
    handover: Duration,
) -> Result<Arc<dyn Store>, Diagnostics> {
    let opened = Embedded::open_within(path, settings.limits.clone(), seal, handover).await;
    match opened {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(cannot_open(&error.to_string())),
    }
}

/// Composition has checked the key with the rest of the configuration.
fn seal(settings: &DurableSettings) -> Result<Seal, Diagnostics> {
    let Some(key) = &settings.key else {
        return Ok(Seal::none());
    };
    let bytes = BASE64.decode(key.reveal()).unwrap_or_default();
    Seal::with_key(&bytes).map_err(|error| cannot_open(&error.to_string()))
}

fn cannot_open(why: &str) -> Diagnostics {
    let message = format!("the graph queues calls, and the queue cannot be opened: {why}");
    Diagnostics(vec![Diagnostic::error("QUEUE_NOT_OPEN", message)])
}

fn only_here() -> Diagnostics {
    let message = "replicas: many, and what one gateway keeps in its own files no other could deliver or tell of";
    let help = "choose a broker under `queue`";
    Diagnostics(vec![Diagnostic::error("LOCAL_STORE", message).help(help)])
}
