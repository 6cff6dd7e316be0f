//! From what `documents` says to what the room needs.

use std::path::Path;

use super::super::file;
use super::beside;
use crate::documents::Mode;
use crate::documents::Settings;
use crate::documents::TrustedSettings;

pub(super) fn settings(path: &Path, documents: &file::Documents) -> Settings {
    let automatic = &documents.automatic;
    let trusted = |trusted: &file::Trusted| TrustedSettings {
        manifest: beside(path, &trusted.manifest).into(),
        mode: match trusted.mode {
            file::TrustedMode::Off => Mode::Off,
            file::TrustedMode::Log => Mode::Log,
            file::TrustedMode::Enforce => Mode::Enforce,
        },
        allow_text: trusted.allow_text,
    };
    Settings {
        automatic: automatic.enabled.then_some(automatic.memory.0 as u64),
        trusted: documents.trusted.as_ref().map(trusted),
    }
}
