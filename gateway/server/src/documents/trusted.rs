//! Documents that the operator knows, and what happens to others.

use std::collections::HashMap;
use std::sync::Arc;

use compose::Diagnostics;
use moka::sync::Cache;

use super::Mode;
use super::NotMeant;
use super::TrustedSettings;
use super::automatic::Hash;
use super::manifest;

/// Unknown documents that are remembered as logged.
const LOGGED: u64 = 10_000;

/// One document of a manifest.
#[derive(Debug)]
pub(crate) struct TrustedDocument {
    pub(super) text: Arc<str>,
    /// Of its operations.
    names: Vec<Box<str>>,
}

/// The documents of the manifests.
pub(super) struct Trusted {
    by_id: HashMap<Box<str>, Arc<TrustedDocument>, ahash::RandomState>,
    by_text: HashMap<Arc<str>, Arc<TrustedDocument>, ahash::RandomState>,
    mode: Mode,
    allow_text: bool,
    logged: Cache<u64, ()>,
    hasher: ahash::RandomState,
}

impl TrustedDocument {
    fn new(text: String) -> Self {
        Self {
            names: names(&text),
            text: text.into(),
        }
    }

    /// The operation of this name, or the only one where none is asked for.
    pub(super) fn operation(&self, asked: Option<&str>) -> Option<&str> {
        let asked = asked.filter(|name| !name.is_empty());
        let mut names = self.names.iter().map(AsRef::as_ref);
        match asked {
            Some(asked) => names.find(|name| *name == asked),
            None => names.next().filter(|_| self.names.len() == 1),
        }
    }
}

/// Names of operations. A document that does not parse has none; the planner says what is wrong with it.
fn names(text: &str) -> Vec<Box<str>> {
    use apollo_compiler::ast::Definition;
    use apollo_compiler::ast::Document;
    let document = match Document::parse(text, "document.graphql") {
        Ok(document) => document,
        Err(wrong) => wrong.partial,
    };
    let operations = document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::OperationDefinition(operation) => operation.name.as_ref(),
            _ => None,
        });
    operations.map(|name| name.as_str().into()).collect()
}

impl Trusted {
    pub(super) fn read(settings: &TrustedSettings) -> Result<Self, Diagnostics> {
        let documents = manifest::read(&settings.manifest)?.into_iter();
        let by_id: HashMap<Box<str>, Arc<TrustedDocument>, _> = documents
            .map(|(id, text)| (id.into(), Arc::new(TrustedDocument::new(text))))
            .collect();
        let by_text = by_id.values();
        Ok(Self {
            by_text: by_text
                .map(|document| (document.text.clone(), document.clone()))
                .collect(),
            by_id,
            mode: settings.mode,
            allow_text: settings.allow_text,
            logged: Cache::new(LOGGED),
            hasher: ahash::RandomState::new(),
        })
    }

    /// By the manifest's id, which GraphQL over HTTP may prefix with the hash's kind.
    pub(super) fn by_id(&self, id: &str) -> Option<&TrustedDocument> {
        let found = self.by_id.get(id);
        let plain = || self.by_id.get(id.strip_prefix("sha256:")?);
        found.or_else(plain).map(|document| &**document)
    }

    pub(super) fn refuses_others(&self) -> bool {
        self.mode == Mode::Enforce && !self.allow_text
    }

    /// Whether a document may run that came as text.
    pub(super) fn admit(
        &self,
        text: &str,
        operation_name: Option<&str>,
    ) -> Result<Option<&TrustedDocument>, NotMeant> {
        if self.refuses_others() {
            return Err(NotMeant::NotTrusted);
        }
        let known = self.by_text.get(text).map(|document| &**document);
        match (known, self.mode) {
            (None, Mode::Enforce) => Err(NotMeant::NotTrusted),
            (None, Mode::Log) => {
                self.log(text, operation_name);
                Ok(None)
            }
            (known, _) => Ok(known),
        }
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = (&str, &str, Option<&str>)> + Send {
        self.by_id.iter().flat_map(|(id, document)| {
            let named = document.names.iter().map(|name| Some(&**name));
            let unnamed = document.names.is_empty().then_some(None);
            let names = named.chain(unnamed);
            names.map(move |name| (&**id, &*document.text, name))
        })
    }

    /// Once for each document. Its text stays out of the log: values may stand in it.
    fn log(&self, text: &str, operation_name: Option<&str>) {
        let known = self.hasher.hash_one(text);
        if self.logged.contains_key(&known) {
            return;
        }
        self.logged.insert(known, ());
        let hash = Hash::of(text);
        tracing::warn!(%hash, operation_name, bytes = text.len(), "a document that is not trusted");
    }
}
