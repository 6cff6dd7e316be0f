//! From a configuration to a composed graph: reading what it names.
//!
//! Owns opening subgraph files and the documents that they name, and asking
//! services for their descriptors where a file wants reflection. What they
//! mean is composition's to say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use compose::Diagnostics;
use compose::GivenQueue;
use compose::Reference;
use compose::ReferenceKind;
use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::diagnostic::Diagnostic;
use compose::join::SupergraphFile;
use compose::references;
use sources::SourcesConfig;

use crate::config::Config;
use crate::config::Subgraph;
use crate::config::Supergraph;
use crate::config::SupergraphOrigin;
use crate::durable::following;

use super::supergraph::LastSeen;

/// What became of a configuration.
pub(crate) struct Loaded {
    pub(crate) supergraph: Result<compose::Supergraph, Diagnostics>,
    /// Every file that was opened or looked for: a change of one may change the graph.
    pub(crate) files: BTreeSet<PathBuf>,
    /// What was composed.
    pub(crate) read: SchemaFiles,
    /// The supergraph of an address.
    pub(crate) polled: Option<Arc<str>>,
}

/// What a configuration names, read.
struct Gathered {
    files: SchemaFiles,
    opened: BTreeSet<PathBuf>,
    problems: Diagnostics,
    /// The supergraph of an address.
    polled: Option<Arc<str>>,
}

/// Reads everything that the configuration names, and composes it.
pub(crate) async fn load(config: &Config, last_seen: &LastSeen) -> Loaded {
    let gathered = gather(config, last_seen).await;
    Loaded {
        supergraph: compose_all(&gathered.files, gathered.problems),
        files: gathered.opened,
        read: gathered.files,
        polled: gathered.polled,
    }
}

/// Reads everything that the configuration names.
async fn gather(config: &Config, last_seen: &LastSeen) -> Gathered {
    let mut gathered = Gathered {
        files: SchemaFiles {
            config: config.values.clone(),
            request_timeout: Some(config.request_timeout),
            contracts: config.contracts.clone(),
            headers: config.headers.clone(),
            queue: GivenQueue {
                prefix: config.queue.prefix.clone(),
                captures_credentials: config.queue.captures_credentials,
            },
            ..SchemaFiles::default()
        },
        opened: BTreeSet::from([config.path.clone()]),
        problems: Diagnostics::default(),
        polled: None,
    };
    gathered.subgraphs(config);
    if let Some(supergraph) = &config.supergraph {
        gathered.supergraph(supergraph, last_seen).await;
    }
    let Gathered {
        files,
        opened,
        problems,
        ..
    } = &mut gathered;
    if compose::queues(files) {
        files
            .subgraphs
            .push(following::subgraph(&config.queue.prefix));
    }
    read_references(&config.sources, files, opened, problems).await;
    gathered
}

impl Gathered {
    fn subgraphs(&mut self, config: &Config) {
        for subgraph in &config.subgraphs {
            self.opened.insert(PathBuf::from(&subgraph.file));
            match read_subgraph(config, subgraph) {
                Ok(file) => self.files.subgraphs.push(file),
                Err(problem) => self.problems.push(*problem),
            }
        }
    }

    async fn supergraph(&mut self, supergraph: &Supergraph, last_seen: &LastSeen) {
        if let SupergraphOrigin::File(file) = &supergraph.origin {
            self.opened.insert(PathBuf::from(file));
        }
        let text = match last_seen.text(supergraph).await {
            Ok(text) => text,
            Err(problem) => return self.problems.push(*problem),
        };
        let read = compose::join::subgraphs(&SupergraphFile {
            file: text.file,
            sdl: text.sdl.to_string(),
            env: supergraph.env.clone(),
            sources: supergraph.sources.clone(),
        });
        match read {
            Ok(subgraphs) => self.files.subgraphs = subgraphs,
            Err(problems) => self.problems.0.extend(problems.0),
        }
        self.polled = supergraph.address().map(|_| text.sdl);
    }
}

/// Without one of its files a graph has faults that nobody made: only what each file says for itself counts.
fn compose_all(
    files: &SchemaFiles,
    mut problems: Diagnostics,
) -> Result<compose::Supergraph, Diagnostics> {
    let composed = compose::compose(files);
    if problems.is_empty() {
        return composed;
    }
    let others = composed.err().unwrap_or_default().0.into_iter();
    others
        .filter(|other| other.code == "SYNTAX")
        .for_each(|other| problems.push(other));
    Err(problems)
}

fn read_subgraph(config: &Config, subgraph: &Subgraph) -> Result<SubgraphFile, Box<Diagnostic>> {
    let key = format!("subgraphs.{}.schema", subgraph.name);
    let sdl = std::fs::read_to_string(&subgraph.file).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {}", subgraph.file),
            _ => format!("{} cannot be read: {error}", subgraph.file),
        };
        let help = format!("{} names it as {key}", config.path.display());
        Box::new(Diagnostic::error("FILE_NOT_FOUND", why).help(help))
    })?;
    Ok(SubgraphFile {
        name: subgraph.name.clone(),
        file: subgraph.file.clone(),
        sdl,
        url: subgraph.url.clone(),
        env: subgraph.env.clone(),
        sources: subgraph.sources.clone(),
        ..SubgraphFile::default()
    })
}

/// Documents name further documents: asks until nothing new comes.
async fn read_references(
    config: &SourcesConfig,
    files: &mut SchemaFiles,
    opened: &mut BTreeSet<PathBuf>,
    problems: &mut Diagnostics,
) {
    let mut tried = BTreeSet::new();
    loop {
        let wanted = references(files);
        let fresh: Vec<Reference> = wanted
            .into_iter()
            .filter(|reference| tried.insert(reference.clone()))
            .collect();
        if fresh.is_empty() {
            return;
        }
        for reference in fresh {
            read_reference(config, reference, files, opened, problems).await;
        }
    }
}

async fn read_reference(
    config: &SourcesConfig,
    reference: Reference,
    files: &mut SchemaFiles,
    opened: &mut BTreeSet<PathBuf>,
    problems: &mut Diagnostics,
) {
    match &reference.kind {
        ReferenceKind::Reflection { source, url } => {
            let url = address(files, &reference.subgraph, url);
            match sources::reflect(config, source, &url).await {
                Ok(descriptors) => {
                    files.reflected.insert(source.clone(), descriptors);
                }
                Err(error) => problems.push(no_reflection(source, &error.to_string())),
            }
        }
        ReferenceKind::OpenApi | ReferenceKind::Proto | ReferenceKind::Descriptors => {
            opened.insert(PathBuf::from(&reference.path));
            // Composition reports a missing document where the subgraph file names it.
            if let Ok(bytes) = std::fs::read(&reference.path) {
                files.files.insert(reference.path, bytes);
            }
        }
    }
}

fn no_reflection(source: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "REFLECTION_FAILED",
        format!("the source `{source}` did not describe itself: {why}"),
    )
    .help("start the service, or name its .proto files with `protos` to start without it")
}

/// An address as a subgraph file writes it, with its `$env` and `$config` holes filled.
fn address(files: &SchemaFiles, subgraph: &str, written: &str) -> String {
    let subgraph = files.subgraphs.iter().find(|s| s.name == subgraph);
    let mut address = written.to_owned();
    for (name, value) in subgraph.iter().flat_map(|s| &s.env) {
        let value = value.as_deref().unwrap_or_default();
        address = address.replace(&format!("{{$env.{name}}}"), value);
    }
    for (name, value) in &files.config {
        address = address.replace(&format!("{{$config.{name}}}"), value);
    }
    address
}
