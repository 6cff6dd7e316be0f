//! From a configuration to a composed graph: reading what it names.
//!
//! Owns opening subgraph files and the documents that they name, and asking
//! services for their schemas, or for their descriptors where a file wants
//! reflection. What they mean is composition's to say.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use compose::Diagnostics;
use compose::GivenQueue;
use compose::Reference;
use compose::ReferenceKind;
use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::diagnostic::Diagnostic;
use compose::join::SupergraphFile;
use compose::references;
use futures_util::future::join_all;
use sources::SourcesConfig;

use crate::config::Config;
use crate::config::SchemaOrigin;
use crate::config::Subgraph;
use crate::config::Supergraph;
use crate::config::SupergraphOrigin;
use crate::durable::following;

use super::kept::ToKeep;
use super::kept::kept;
use super::supergraph::LastSeen;

/// What became of a configuration.
pub(crate) struct Loaded {
    pub(crate) supergraph: Result<compose::Supergraph, Diagnostics>,
    /// Every file that was opened or looked for: a change of one may change the graph.
    pub(crate) files: BTreeSet<PathBuf>,
    /// What was composed.
    pub(crate) read: SchemaFiles,
    /// What came over the network, for a start at which nobody answers.
    pub(crate) to_keep: Vec<ToKeep>,
}

/// What a configuration names, read.
struct Gathered {
    files: SchemaFiles,
    opened: BTreeSet<PathBuf>,
    problems: Diagnostics,
    to_keep: Vec<ToKeep>,
}

/// Reads everything that the configuration names, and composes it.
pub(crate) async fn load(config: &Config, last_seen: &LastSeen) -> Loaded {
    let gathered = gather(config, last_seen).await;
    Loaded {
        supergraph: compose_all(&gathered.files, gathered.problems),
        files: gathered.opened,
        read: gathered.files,
        to_keep: gathered.to_keep,
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
        to_keep: Vec::new(),
    };
    gathered.subgraphs(config).await;
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
    /// Services that tell their schemas themselves are asked at once.
    async fn subgraphs(&mut self, config: &Config) {
        let read = config.subgraphs.iter();
        let read = read.map(|subgraph| read_subgraph(config, subgraph));
        for (subgraph, read) in config.subgraphs.iter().zip(join_all(read).await) {
            if let SchemaOrigin::File(file) = &subgraph.origin {
                self.opened.insert(PathBuf::from(file));
            }
            match read {
                Ok((file, to_keep)) => {
                    self.files.subgraphs.push(file);
                    self.to_keep.extend(to_keep);
                }
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
        let address = supergraph.address();
        let path = address.and_then(|address| address.keep.clone());
        self.to_keep.extend(path.map(|path| ToKeep {
            path,
            text: text.sdl,
        }));
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

/// A subgraph's schema, and what is to be kept of it.
async fn read_subgraph(
    config: &Config,
    subgraph: &Subgraph,
) -> Result<(SubgraphFile, Option<ToKeep>), Box<Diagnostic>> {
    let (file, sdl, to_keep) = match &subgraph.origin {
        SchemaOrigin::File(file) => (file, read_file(config, subgraph, file)?, None),
        SchemaOrigin::Service { url, keep } => {
            let sdl = ask_service(config, subgraph, url, keep.as_deref()).await?;
            let to_keep = keep.clone().map(|path| ToKeep {
                path,
                text: sdl.as_str().into(),
            });
            (url, sdl, to_keep)
        }
    };
    let read = SubgraphFile {
        name: subgraph.name.clone(),
        file: file.clone(),
        sdl,
        url: subgraph.url.clone(),
        env: subgraph.env.clone(),
        sources: subgraph.sources.clone(),
        ..SubgraphFile::default()
    };
    Ok((read, to_keep))
}

fn read_file(config: &Config, subgraph: &Subgraph, file: &str) -> Result<String, Box<Diagnostic>> {
    std::fs::read_to_string(file).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {file}"),
            _ => format!("{file} cannot be read: {error}"),
        };
        let (path, name) = (config.path.display(), &subgraph.name);
        let help = format!("{path} names it as subgraphs.{name}.schema");
        Box::new(Diagnostic::error("FILE_NOT_FOUND", why).help(help))
    })
}

/// What a service tells of itself, or told when it was last asked.
async fn ask_service(
    config: &Config,
    subgraph: &Subgraph,
    url: &str,
    keep: Option<&Path>,
) -> Result<String, Box<Diagnostic>> {
    let why = match sources::described(&config.sources, &subgraph.name, url).await {
        Ok(sdl) => return Ok(sdl),
        Err(why) => why.to_string(),
    };
    let name = &subgraph.name;
    let Some(sdl) = kept(keep) else {
        let what = format!("the subgraph `{name}` did not tell its schema: {why}");
        let help = format!(
            "nothing is kept from an earlier start (subgraphs.{name}.keep): start the service, or write its schema to a file and name that as subgraphs.{name}.schema"
        );
        let found = Diagnostic::error("SUBGRAPH_UNREACHABLE", what);
        return Err(Box::new(found.help(help)));
    };
    tracing::warn!(
        subgraph = name,
        why,
        "the subgraph does not tell its schema: the last good copy serves"
    );
    Ok(sdl)
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
