//! Faults on purpose.

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use plan::rehearsal::Fault;
use sources::Secret;

use crate::config::file;
use crate::config::problem::only;

/// Shorter secrets can be guessed.
const SHORTEST: usize = 32;

/// What goes wrong with a source, where that makes sense.
pub(super) fn fault(source: &str, said: &file::faults::Faults) -> Result<Fault, Diagnostics> {
    let wrong = |key: &str, why: &str| {
        let message = format!("sources.{source}.faults.{key}: {why}");
        Err(only(Diagnostic::error("CONFIG_VALUE", message)))
    };
    if said.delay.is_none() && said.abort.is_none() {
        return wrong("delay", "a fault is a delay, an abort, or both");
    }
    if said
        .abort
        .is_some_and(|status| !(400..600).contains(&status))
    {
        return wrong("abort", "a status lies between 400 and 599");
    }
    if !(0.0..=100.0).contains(&said.percentage) {
        return wrong("percentage", "a percentage lies between 0 and 100");
    }
    Ok(Fault {
        delay: said.delay.map(|span| span.0).unwrap_or_default(),
        abort: said.abort,
        percentage: said.percentage,
    })
}

/// What requests sign with that ask for faults.
pub(super) fn secret(
    said: Option<file::credentials::Secret>,
) -> Result<Option<Secret>, Diagnostics> {
    match said {
        Some(secret) if secret.0.len() < SHORTEST => {
            let message = format!("dev.faults_secret has fewer than {SHORTEST} characters");
            Err(only(Diagnostic::error("CONFIG_VALUE", message)))
        }
        said => Ok(said.map(|secret| secret.0.into())),
    }
}
