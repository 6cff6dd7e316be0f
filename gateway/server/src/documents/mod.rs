//! Which document a request means: its own text, one that was sent before, or
//! one that the operator knows.
//!
//! Owns automatic persisted queries and trusted documents, and which documents
//! may run at all. Decides before anything is parsed, from hashes alone. Knows
//! nothing of plans, and nothing of HTTP.

mod automatic;
mod manifest;
mod trusted;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use compose::Diagnostics;
use plan::Refusal;
use plan::code::Code;

use automatic::Automatic;
use automatic::Hash;
use trusted::Trusted;

pub(crate) use trusted::TrustedDocument;

/// What the operator decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// Bytes for automatic persisted queries; off without.
    pub(crate) automatic: Option<u64>,
    pub(crate) trusted: Option<TrustedSettings>,
}

/// Documents that the operator knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustedSettings {
    /// A file, or a folder of files.
    pub(crate) manifest: PathBuf,
    pub(crate) mode: Mode,
    /// Whether they may be sent as text too.
    pub(crate) allow_text: bool,
}

/// What happens to documents that no manifest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They run.
    Off,
    /// They run, and are logged once each.
    Log,
    /// They are refused.
    Enforce,
}

/// How a request says which document it means.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'r> {
    /// `query`
    pub(crate) text: Option<&'r str>,
    /// `documentId`, or what Relay's clients call it.
    pub(crate) id: Option<&'r str>,
    /// `extensions.persistedQuery`
    pub(crate) persisted: Option<&'r PersistedQuery>,
    pub(crate) operation_name: Option<&'r str>,
}

/// `extensions.persistedQuery`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersistedQuery {
    pub(crate) version: u64,
    pub(crate) sha256_hash: String,
}

/// The document of a request.
#[derive(Debug)]
pub(crate) struct Meant<'d> {
    text: Text<'d>,
    trusted: Option<&'d TrustedDocument>,
    /// To be remembered once it has proved to be valid.
    unregistered: Option<Hash>,
}

#[derive(Debug)]
enum Text<'d> {
    Sent(&'d str),
    Known(Arc<str>),
}

/// Why a request has no document.
#[derive(Debug, PartialEq)]
pub(crate) enum NotMeant {
    /// Said in the words of the protocol.
    Refused(Refusal),
    /// The operator does not know it.
    NotTrusted,
}

/// The documents of a gateway.
pub(crate) struct Documents {
    automatic: Option<Arc<Automatic>>,
    trusted: Option<Trusted>,
}

impl Documents {
    /// Reads the manifest. What clients registered outlives a graph: `old` hands it over.
    pub(crate) fn new(settings: &Settings, old: Option<&Self>) -> Result<Self, Diagnostics> {
        let old = old.and_then(|old| old.automatic.as_ref());
        let automatic = |bytes| match old {
            Some(old) if old.bytes() == bytes => old.clone(),
            _ => Arc::new(Automatic::new(bytes)),
        };
        Ok(Self {
            automatic: settings.automatic.map(automatic),
            trusted: settings.trusted.as_ref().map(Trusted::read).transpose()?,
        })
    }

    /// The document that a request means. One that is only sent as text, where nothing is configured, costs nothing.
    pub(crate) fn resolve<'d>(&'d self, asked: &Asked<'d>) -> Result<Meant<'d>, NotMeant> {
        match (asked.text, name_of(asked)) {
            (Some(text), None) => self.sent(text, asked),
            (text, Some(name)) => self.named(name, text, asked),
            (None, None) => Err(refused(
                Code::BadUserInput,
                "The request names no document.",
            )),
        }
    }

    /// Remembers a document that is valid and was sent to be remembered.
    pub(crate) fn remember(&self, meant: &Meant<'_>) {
        if let (Some(automatic), Some(hash)) = (&self.automatic, meant.unregistered) {
            automatic.insert(hash, meant.text());
        }
    }

    /// Every trusted operation: the document's id, its text, and the operation's name.
    pub(crate) fn trusted_operations(
        &self,
    ) -> impl Iterator<Item = (&str, &str, Option<&str>)> + Send {
        self.trusted.iter().flat_map(Trusted::operations)
    }

    fn sent<'d>(&'d self, text: &'d str, asked: &Asked<'d>) -> Result<Meant<'d>, NotMeant> {
        let trusted = match &self.trusted {
            None => None,
            Some(trusted) => trusted.admit(text, asked.operation_name)?,
        };
        Ok(Meant {
            text: Text::Sent(text),
            trusted,
            unregistered: None,
        })
    }

    fn named<'d>(
        &'d self,
        name: &str,
        text: Option<&'d str>,
        asked: &Asked<'d>,
    ) -> Result<Meant<'d>, NotMeant> {
        let known = self.trusted.as_ref().and_then(|known| known.by_id(name));
        match (known, text) {
            (Some(known), text) if text.is_none_or(|text| text == &*known.text) => Ok(Meant {
                text: Text::Known(known.text.clone()),
                trusted: Some(known),
                unregistered: None,
            }),
            (Some(_), _) => Err(mismatch()),
            (None, Some(text)) => self.registered(name, text, asked),
            (None, None) => self.recalled(name, asked),
        }
    }

    /// A document with its hash, to be remembered.
    fn registered<'d>(
        &'d self,
        hash: &str,
        text: &'d str,
        asked: &Asked<'d>,
    ) -> Result<Meant<'d>, NotMeant> {
        let meant = self.sent(text, asked)?;
        let Some(automatic) = self
            .automatic
            .as_ref()
            .filter(|_| asked.persisted.is_some())
        else {
            return Ok(meant);
        };
        supported(asked)?;
        let unregistered = match Hash::parse(hash).map(|hash| automatic.check(hash, text)) {
            Some(automatic::Checked::Known) => None,
            Some(automatic::Checked::New(hash)) => Some(hash),
            Some(automatic::Checked::Wrong) | None => return Err(mismatch()),
        };
        Ok(Meant {
            unregistered,
            ..meant
        })
    }

    /// A document that was sent before.
    fn recalled<'d>(&'d self, name: &str, asked: &Asked<'d>) -> Result<Meant<'d>, NotMeant> {
        if self.trusted.as_ref().is_some_and(Trusted::refuses_others) {
            return Err(NotMeant::NotTrusted);
        }
        let Some(automatic) = &self.automatic else {
            return Err(match (&self.trusted, asked.persisted) {
                (Some(_), None) => not_found(),
                _ => not_supported(),
            });
        };
        supported(asked)?;
        let known = Hash::parse(name).and_then(|hash| automatic.get(&hash));
        let text = known.ok_or_else(not_found)?;
        let trusted = match &self.trusted {
            None => None,
            Some(trusted) => trusted.admit(&text, asked.operation_name)?,
        };
        Ok(Meant {
            text: Text::Known(text),
            trusted,
            unregistered: None,
        })
    }
}

impl<'d> Meant<'d> {
    pub(crate) fn text(&self) -> &str {
        match &self.text {
            Text::Sent(text) => text,
            Text::Known(text) => text,
        }
    }

    /// The name of the operation that runs, where the operator knows it: a client cannot make one up.
    pub(crate) fn operation(&self, asked: Option<&str>) -> Option<&'d str> {
        self.trusted?.operation(asked)
    }
}

impl Settings {
    /// Files and folders whose change changes what is known.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let manifest = self.trusted.iter().map(|trusted| trusted.manifest.clone());
        manifest.flat_map(|manifest| match manifest.is_dir() {
            // A file's folder is watched, and any of its files may be a manifest.
            true => vec![manifest.join("*.json")],
            false => vec![manifest],
        })
    }

    /// Whether a change of this file changes what is known. Volumes of orchestrators change by links that begin
    /// with two dots.
    pub(crate) fn concerns(&self, changed: &Path) -> bool {
        self.files().any(|file| {
            let name = changed.file_name().unwrap_or_default().to_string_lossy();
            let same_folder = same(file.parent(), changed.parent());
            let any = file.file_name().is_some_and(|name| name == "*.json");
            let named = file.file_name() == changed.file_name()
                || any && name.ends_with(".json")
                || name.starts_with("..");
            same_folder && named
        })
    }
}

fn same(one: Option<&Path>, other: Option<&Path>) -> bool {
    let real = |path: Option<&Path>| {
        let path = path.filter(|path| !path.as_os_str().is_empty());
        path.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    real(one) == real(other)
}

/// The id or hash. A client that gives both means the id.
fn name_of<'r>(asked: &Asked<'r>) -> Option<&'r str> {
    let hash = asked.persisted.map(|query| query.sha256_hash.as_str());
    asked.id.or(hash)
}

fn supported(asked: &Asked<'_>) -> Result<(), NotMeant> {
    match asked.persisted {
        Some(query) if query.version != 1 => Err(not_supported()),
        _ => Ok(()),
    }
}

fn refused(code: Code, message: &str) -> NotMeant {
    NotMeant::Refused(Refusal::new(code, message))
}

/// In the words that clients compare with.
fn not_found() -> NotMeant {
    refused(Code::PersistedQueryNotFound, "PersistedQueryNotFound")
}

fn not_supported() -> NotMeant {
    refused(
        Code::PersistedQueryNotSupported,
        "PersistedQueryNotSupported",
    )
}

fn mismatch() -> NotMeant {
    refused(
        Code::PersistedQueryMismatch,
        "The document is not the one that its hash or id names.",
    )
}

#[cfg(test)]
mod tests;
