//! What composition starts from: subgraph files and the documents they name.
//!
//! Owns the input's types and the answer to "which documents are still
//! missing?". Knows no file system and no network: the caller loads what
//! [`references`] names and asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Node;
use apollo_compiler::ast::Value;
use serde_json::Value as Json;

use crate::Diagnostics;
use crate::document::{self, Document};
use crate::join::Origin;
use crate::model::{Expr, HeaderRule, ResponseRule};

/// Everything that composition reads.
#[derive(Debug, Clone, Default)]
pub struct SchemaFiles {
    /// One entry for each subgraph, in the order of the configuration.
    pub subgraphs: Vec<SubgraphFile>,
    /// The documents that subgraph files name, by the path that [`Reference::path`] gives.
    /// A document that could not be read is left out.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What server reflection answered, by source name: an encoded `FileDescriptorSet`.
    pub reflected: BTreeMap<String, Vec<u8>>,
    /// `$config` values.
    pub config: BTreeMap<String, String>,
    /// The deadline of a client's request.
    pub request_timeout: Option<Duration>,
    /// Header rules of the configuration.
    pub headers: GivenHeaders,
    /// What the configuration says of queued calls.
    pub queue: GivenQueue,
    /// Parts of the graph that some clients see, by name.
    pub contracts: BTreeMap<String, GivenContract>,
}

/// What a contract holds, by the names of `@tag`s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenContract {
    /// Fields and unions need one of these; empty: all are there.
    pub include: Vec<String>,
    /// Whatever carries one of these is left out.
    pub exclude: Vec<String>,
}

/// What the configuration says of calls that are made durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenQueue {
    /// Stands before the names of the built-in types: `Accepted`, `Delivery`.
    pub prefix: String,
    /// Whether what identifies a client may be stored with a call.
    pub captures_credentials: bool,
}

/// Header rules of the configuration: a subgraph file's own rule for a name wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenHeaders {
    /// For every source.
    pub all: Vec<GivenHeader>,
    /// For single ones, by name: they win over those for all.
    pub sources: BTreeMap<String, Vec<GivenHeader>>,
    /// Of every source's answers, to clients.
    pub all_answers: Vec<ResponseRule>,
    /// Of single sources' answers, by name: they win over those for all.
    pub answers: BTreeMap<String, Vec<ResponseRule>>,
}

/// What the configuration says of one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenHeader {
    /// Its name, lower case.
    pub name: String,
    /// Its value.
    pub value: GivenValue,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenValue {
    /// This header of the client's, lower case.
    Client(String),
    /// This text.
    Text(String),
    /// It is not sent, whatever an outer level says.
    Nothing,
}

impl GivenHeaders {
    /// The rules for a source, the last of each name.
    pub fn of(&self, source: &str) -> Vec<HeaderRule> {
        let own = self.sources.get(source).into_iter().flatten();
        let mut rules: Vec<HeaderRule> = Vec::new();
        for given in self.all.iter().chain(own) {
            rules.retain(|rule| rule.name != given.name);
            rules.push(given.rule());
        }
        rules
    }
}

impl GivenHeaders {
    /// What of a source's answers clients are given, the last rule of each name.
    pub fn propagated(&self, source: &str) -> Vec<ResponseRule> {
        let own = self.answers.get(source).into_iter().flatten();
        let mut rules: Vec<ResponseRule> = Vec::new();
        for given in self.all_answers.iter().chain(own) {
            rules.retain(|rule| rule.name != given.name);
            rules.push(given.clone());
        }
        rules
    }
}

impl GivenHeader {
    fn rule(&self) -> HeaderRule {
        let value = match &self.value {
            GivenValue::Client(name) => Expr::Header(name.clone()),
            GivenValue::Text(text) => Expr::Const(Json::String(text.clone())),
            GivenValue::Nothing => Expr::Const(Json::Null),
        };
        HeaderRule {
            name: self.name.clone(),
            value,
        }
    }
}

/// One team's file.
#[derive(Debug, Clone, Default)]
pub struct SubgraphFile {
    /// The subgraph's name in the configuration.
    pub name: String,
    /// The file, as diagnostics name it. Documents it names are relative to its directory.
    pub file: String,
    /// Its text.
    pub sdl: String,
    /// The `$env` names that the file may read; `None` is a name that is allowed but not set.
    pub env: BTreeMap<String, Option<String>>,
    /// What the configuration says of the file's sources, by source name.
    pub sources: BTreeMap<String, SourceOverride>,
    /// The address of a GraphQL service that serves this subgraph itself.
    pub url: Option<String>,
    /// What people wrote, where they did not write this text.
    pub origin: Option<Arc<Origin>>,
}

/// What the configuration says of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceOverride {
    /// Its address; beats the one in the file, whose `$env` names need not be set then.
    pub url: Option<String>,
    /// One attempt's time.
    pub timeout: Option<Duration>,
    /// What a mutation needs to have left to begin.
    pub min_deadline: Option<Duration>,
}

/// A document that a subgraph file needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The subgraph that needs it.
    pub subgraph: String,
    /// The key in [`SchemaFiles::files`]: the path beside the subgraph's file.
    /// For reflection, the source's name.
    pub path: String,
    /// What it is.
    pub kind: ReferenceKind,
}

/// What a [`Reference`] leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// An OpenAPI document.
    OpenApi,
    /// A Protocol Buffers file.
    Proto,
    /// An encoded `FileDescriptorSet`.
    Descriptors,
    /// Server reflection at an address; the answer goes to [`SchemaFiles::reflected`].
    Reflection {
        /// The source's name.
        source: String,
        /// Where to ask, as written in the file or the configuration.
        url: String,
    },
}

/// The documents that `files` names and does not hold yet.
///
/// What a document names in turn (a proto's imports) is known once it is
/// there: load what is asked for, then ask again. A document that cannot be
/// read stays on the list; the caller stops when nothing new was loaded.
pub fn references(files: &SchemaFiles) -> Vec<Reference> {
    // What is wrong with the files is `compose`'s to say.
    let documents = document::parse(files, &mut Diagnostics::default());
    let mut found = BTreeSet::new();
    for document in &documents {
        let subgraph = &files.subgraphs[document.subgraph.index()];
        for source in document.schema_directives("source") {
            references_of_source(files, subgraph, document, source, &mut found);
        }
    }
    found.into_iter().collect()
}

/// Whether any field is queued.
pub fn queues(files: &SchemaFiles) -> bool {
    let suspect = |it: &SubgraphFile| it.sdl.contains("queue");
    if !files.subgraphs.iter().any(suspect) {
        return false;
    }
    let documents = document::parse(files, &mut Diagnostics::default());
    documents.iter().any(Document::queues)
}

fn references_of_source(
    files: &SchemaFiles,
    subgraph: &SubgraphFile,
    document: &Document,
    source: &Node<apollo_compiler::ast::Directive>,
    found: &mut BTreeSet<Reference>,
) {
    let mut want = |written: &str, kind: ReferenceKind| {
        let path = resolve_path(&document.file, written);
        if !files.files.contains_key(&path) {
            found.insert(Reference {
                subgraph: subgraph.name.clone(),
                path,
                kind,
            });
        }
    };
    if let Some(openapi) = nested(source, "http", "openapi").and_then(|v| v.as_str()) {
        want(openapi, ReferenceKind::OpenApi);
    }
    if let Some(descriptors) = nested(source, "grpc", "descriptors").and_then(|v| v.as_str()) {
        want(descriptors, ReferenceKind::Descriptors);
    }
    let protos: Vec<&str> = nested(source, "grpc", "protos").map_or(Vec::new(), texts);
    for proto in &protos {
        want(proto, ReferenceKind::Proto);
    }
    for import in missing_imports(files, &document.file, &protos) {
        found.insert(Reference {
            subgraph: subgraph.name.clone(),
            path: import,
            kind: ReferenceKind::Proto,
        });
    }
    found.extend(reflection(files, subgraph, source));
}

/// A reflected source whose descriptors are not there yet.
fn reflection(
    files: &SchemaFiles,
    subgraph: &SubgraphFile,
    source: &Node<apollo_compiler::ast::Directive>,
) -> Option<Reference> {
    let wanted = nested(source, "grpc", "reflection")?.to_bool()?;
    let name = source.specified_argument_by_name("name")?.as_str()?;
    if !wanted || files.reflected.contains_key(name) {
        return None;
    }
    let overridden = subgraph.sources.get(name).and_then(|s| s.url.clone());
    let written = || Some(nested(source, "grpc", "url")?.as_str()?.to_owned());
    Some(Reference {
        subgraph: subgraph.name.clone(),
        path: name.to_owned(),
        kind: ReferenceKind::Reflection {
            source: name.to_owned(),
            url: overridden.or_else(written)?,
        },
    })
}

/// The imports of loaded protos, and of their imports, that are not loaded.
///
/// protoc finds an import below one of its include directories. Here these are
/// the directory of the subgraph's file and the directories of the protos that
/// it names, so an import may be found at any of several paths; all are asked
/// for while none is there.
fn missing_imports(files: &SchemaFiles, sdl_file: &str, protos: &[&str]) -> BTreeSet<String> {
    let roots = import_roots(sdl_file, protos);
    let mut queue: Vec<String> = protos.iter().map(|p| resolve_path(sdl_file, p)).collect();
    let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
    let mut missing = BTreeSet::new();
    while let Some(path) = queue.pop() {
        let Some(text) = files.files.get(&path) else {
            continue;
        };
        for import in imports(&String::from_utf8_lossy(text)) {
            let candidates: Vec<String> = roots.iter().map(|r| join(r, &import)).collect();
            match candidates.iter().find(|c| files.files.contains_key(*c)) {
                Some(loaded) if seen.insert(loaded.clone()) => queue.push(loaded.clone()),
                Some(_) => {}
                None => missing.extend(candidates),
            }
        }
    }
    missing
}

/// The directories below which an import of a subgraph's protos is looked for,
/// the most likely first.
pub(crate) fn import_roots(sdl_file: &str, protos: &[&str]) -> Vec<String> {
    let mut roots = vec![directory(sdl_file).to_owned()];
    for proto in protos {
        let path = resolve_path(sdl_file, proto);
        let mut dir = directory(&path);
        // `protos/shop/v1/a.proto` imports `shop/v1/b.proto`: the root is one of the ancestors.
        while !dir.is_empty() && !roots.iter().any(|r| r == dir) {
            roots.push(dir.to_owned());
            dir = directory(dir);
        }
    }
    roots
}

/// The imports of one proto, those that come with the compiler left out.
fn imports(proto: &str) -> Vec<String> {
    let parsed = protox::file::File::from_source("file.proto", proto);
    let Ok(file) = parsed else {
        return Vec::new();
    };
    let imports = file.file_descriptor_proto().dependency.iter();
    imports
        .filter(|path| !path.starts_with("google/protobuf/"))
        .cloned()
        .collect()
}

/// The key of a document in [`SchemaFiles::files`], from how a subgraph's file names it.
pub(crate) fn resolve_path(sdl_file: &str, written: &str) -> String {
    join(directory(sdl_file), written)
}

fn join(directory: &str, written: &str) -> String {
    if directory.is_empty() || written.starts_with('/') {
        return normal(written);
    }
    normal(&format!("{directory}/{written}"))
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Without `.` and without `..` after a name.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// A field of an argument that is an input object.
fn nested<'a>(
    directive: &'a apollo_compiler::ast::Directive,
    argument: &str,
    field: &str,
) -> Option<&'a Node<Value>> {
    let value = directive.specified_argument_by_name(argument)?;
    let (_, value) = value.as_object()?.iter().find(|(name, _)| name == field)?;
    Some(value)
}

/// The texts of a list; GraphQL takes one value for a list of one.
fn texts(value: &Node<Value>) -> Vec<&str> {
    match value.as_list() {
        Some(items) => items.iter().filter_map(|item| item.as_str()).collect(),
        None => value.as_str().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(file: &str, sdl: &str) -> SchemaFiles {
        SchemaFiles {
            subgraphs: vec![SubgraphFile {
                name: "shop".into(),
                file: file.into(),
                sdl: sdl.into(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn paths(files: &SchemaFiles) -> Vec<String> {
        references(files).into_iter().map(|r| r.path).collect()
    }

    #[test]
    fn documents_are_named_beside_the_file_that_names_them() {
        let files = files(
            "schema/teams/shop.graphql",
            r#"extend schema
                 @source(name: "a", http: { baseURL: "http://a", openapi: "./a.yaml" })
                 @source(name: "b", grpc: { url: "http://b", protos: ["../protos/b.proto"] })
                 @source(name: "c", grpc: { url: "http://c", descriptors: "/abs/c.bin" })"#,
        );
        assert_eq!(
            references(&files),
            [
                ("/abs/c.bin", ReferenceKind::Descriptors),
                ("schema/protos/b.proto", ReferenceKind::Proto),
                ("schema/teams/a.yaml", ReferenceKind::OpenApi),
            ]
            .map(|(path, kind)| Reference {
                subgraph: "shop".into(),
                path: path.into(),
                kind
            })
        );
    }

    #[test]
    fn what_is_loaded_is_not_asked_for_again_and_its_imports_are() {
        let mut files = files(
            "shop.graphql",
            r#"extend schema @source(name: "b", grpc: { url: "http://b", protos: ["p/v1/b.proto"] })"#,
        );
        assert_eq!(paths(&files), ["p/v1/b.proto"]);
        let proto = br#"syntax = "proto3";
            // import "not/this.proto";
            import "google/protobuf/timestamp.proto";
            import "v1/c.proto";"#;
        files.files.insert("p/v1/b.proto".into(), proto.to_vec());
        assert_eq!(
            paths(&files),
            ["p/v1/c.proto", "p/v1/v1/c.proto", "v1/c.proto"]
        );
        files
            .files
            .insert("p/v1/c.proto".into(), b"syntax = \"proto3\";".to_vec());
        assert_eq!(references(&files), []);
    }

    #[test]
    fn protos_that_import_each_other_end() {
        let mut files = files(
            "shop.graphql",
            r#"extend schema @source(name: "b", grpc: { url: "http://b", protos: "a.proto" })"#,
        );
        for (path, import) in [("a.proto", "b.proto"), ("b.proto", "a.proto")] {
            let text = format!("syntax = \"proto3\"; import \"{import}\";");
            files.files.insert(path.into(), text.into_bytes());
        }
        assert_eq!(references(&files), []);
    }

    #[test]
    fn reflection_asks_the_address_of_the_configuration_first() {
        let mut files = files(
            "shop.graphql",
            r#"extend schema @source(name: "b", grpc: { url: "http://b", reflection: true })"#,
        );
        let url = |files: &SchemaFiles| match &references(files)[..] {
            [
                Reference {
                    kind: ReferenceKind::Reflection { url, .. },
                    ..
                },
            ] => url.clone(),
            other => panic!("expected one reflection, got {other:?}"),
        };
        assert_eq!(url(&files), "http://b");
        let overridden = SourceOverride {
            url: Some("http://override".into()),
            ..SourceOverride::default()
        };
        files.subgraphs[0].sources.insert("b".into(), overridden);
        assert_eq!(url(&files), "http://override");
        files.reflected.insert("b".into(), Vec::new());
        assert_eq!(references(&files), []);
    }
}
