//! What was fetched over the network for a graph, on disk for a start at which nobody answers.
//!
//! Owns reading and writing such copies. Only what is in service is kept.

use std::path::Path;
use std::path::PathBuf;

/// What is to be kept once its graph is in service.
#[derive(Debug)]
pub(crate) struct ToKeep {
    pub(super) path: PathBuf,
    pub(super) text: std::sync::Arc<str>,
}

/// Keeps it for the next start. A disk that is full or read-only is no reason not to serve.
pub(crate) fn keep(all: &[ToKeep]) {
    for ToKeep { path, text } in all {
        if std::fs::read_to_string(path).is_ok_and(|kept| *kept == **text) {
            continue;
        }
        if let Err(error) = write(path, text) {
            tracing::warn!(%error, path = %path.display(), "a schema cannot be kept for the next start");
        }
    }
}

/// The copy of an earlier run.
pub(super) fn kept(path: Option<&Path>) -> Option<String> {
    std::fs::read_to_string(path?).ok()
}

/// In one step: whoever reads it meanwhile reads the old one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, path)
}
