//! The contract of a source: its OpenAPI document or its Protocol Buffers.
//!
//! Owns loading it from the files that the caller brought, and the way from a
//! GraphQL name to the contract's spelling of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use prost_reflect::DescriptorPool;

use super::Lowering;
use super::input::Input;
use super::naming::spelled;
use crate::contract::model::Object;
use crate::contract::proto;
use crate::contract::{Contract, ContractError, Kind, OpenApi, Property, Proto, TypeId};
use crate::diagnostic::Diagnostic;
use crate::files::{import_roots, resolve_path};
use crate::model::Naming;

/// What is known of a source's service.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    /// There is no contract.
    Unstated,
    /// The contract cannot be read, which is reported.
    Broken,
    /// An OpenAPI document.
    OpenApi(Arc<OpenApi>),
    /// Protocol Buffers.
    Proto(Arc<Proto>),
}

impl Upstream {
    /// The types that travel.
    pub(crate) fn contract(&self) -> Option<&Contract> {
        match self {
            Upstream::OpenApi(document) => Some(document.contract()),
            Upstream::Proto(proto) => Some(proto.contract()),
            Upstream::Unstated | Upstream::Broken => None,
        }
    }

    /// How this source spells a GraphQL name in an object of the contract.
    pub(super) fn spelled(&self, name: &str, naming: Naming, object: Option<TypeId>) -> String {
        let plain = spelled(name, naming);
        let (Upstream::Proto(proto), Some(object)) = (self, object) else {
            return plain;
        };
        // A proto knows a field by two names, and names in GraphQL are rarely in snake case.
        let snake = spelled(name, Naming::SnakeCase);
        let found = [plain.as_str(), &snake]
            .into_iter()
            .find_map(|name| proto.contract().property(object, name));
        found.map_or(plain, |(canonical, _)| canonical.to_owned())
    }

    /// A property of an object in the contract, by any of its names.
    pub(super) fn property(&self, object: TypeId, name: &str) -> Option<(&str, &Property)> {
        self.contract()?.property(object, name)
    }

    /// The object that the contract has here.
    pub(super) fn object(&self, ty: TypeId) -> Option<&Object> {
        self.contract()?[ty].kind.as_object()
    }

    /// The type of a list's items.
    pub(super) fn item(&self, ty: Option<TypeId>) -> Option<TypeId> {
        match self.contract()?[ty?].kind {
            Kind::List(item) => Some(item),
            _ => None,
        }
    }
}

/// Loading contracts.
impl<'a> Lowering<'a> {
    pub(super) fn openapi(&mut self, http: &Input<'_>) -> Upstream {
        let Some(text) = self.named_text(http, "openapi") else {
            return absent_or_broken(http, "openapi");
        };
        let (path, text) = text;
        let read = OpenApi::parse(&path, &text);
        self.accept(
            http,
            "openapi",
            read.map(|it| Upstream::OpenApi(Arc::new(it))),
        )
    }

    pub(super) fn proto(&mut self, name: &str, grpc: &Input<'_>) -> Upstream {
        let ways = ["protos", "descriptors", "reflection"];
        let is_given = |way: &&str| match *way {
            "reflection" => grpc.flag("reflection") == Some(true),
            other => grpc.has(other),
        };
        match ways
            .into_iter()
            .filter(|way| is_given(way))
            .collect::<Vec<_>>()[..]
        {
            ["protos"] => self.compiled(grpc),
            ["descriptors"] => self.descriptor_set(grpc),
            ["reflection"] => self.reflected(name, grpc),
            ref other => self.no_descriptors(grpc, other),
        }
    }

    fn no_descriptors(&mut self, grpc: &Input<'_>, given: &[&str]) -> Upstream {
        let message = match given {
            [] => "nothing describes this service".to_owned(),
            _ => format!("this service is described {} times", given.len()),
        };
        self.push(
            Diagnostic::error("NO_DESCRIPTORS", message)
                .at(grpc.place.clone())
                .help("give one of protos: [\"shop.proto\"], descriptors: \"shop.pb\" or reflection: true"),
        );
        Upstream::Broken
    }

    fn compiled(&mut self, grpc: &Input<'_>) -> Upstream {
        let document = grpc.document;
        let written = grpc.texts("protos");
        let roots: Vec<String> = written
            .iter()
            .map(|it| resolve_path(&document.file, it))
            .collect();
        let files = &self.files.files;
        if let Some(missing) = roots.iter().find(|path| !files.contains_key(*path)) {
            self.missing(grpc, "protos", missing);
            return Upstream::Broken;
        }
        let reached = reached(files, &import_roots(&document.file, &written), &roots);
        let sources = reached
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_ref()));
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        let read = Proto::compile(sources, &roots);
        self.accept(grpc, "protos", read.map(|it| Upstream::Proto(Arc::new(it))))
    }

    fn descriptor_set(&mut self, grpc: &Input<'_>) -> Upstream {
        let Some((path, bytes)) = self.named_bytes(grpc, "descriptors") else {
            return Upstream::Broken;
        };
        let read = Proto::from_descriptor_set(&path, bytes);
        self.accept(
            grpc,
            "descriptors",
            read.map(|it| Upstream::Proto(Arc::new(it))),
        )
    }

    fn reflected(&mut self, name: &str, grpc: &Input<'_>) -> Upstream {
        let Some(bytes) = self.files.reflected.get(name) else {
            let message = "this service did not answer to server reflection";
            self.push(
                Diagnostic::error("REFLECTION_FAILED", message)
                    .at(grpc.at_name("reflection"))
                    .help("start the service, or name its protos: [\"shop.proto\"]"),
            );
            return Upstream::Broken;
        };
        let pool = DescriptorPool::decode(&bytes[..]);
        match pool {
            Ok(pool) => Upstream::Proto(Arc::new(Proto::from_pool(pool))),
            Err(error) => {
                let message = format!("what server reflection answered cannot be read: {error}");
                let place = grpc.at_name("reflection");
                self.push(Diagnostic::error("REFLECTION_FAILED", message).at(place));
                Upstream::Broken
            }
        }
    }

    fn accept(
        &mut self,
        input: &Input<'_>,
        name: &str,
        read: Result<Upstream, ContractError>,
    ) -> Upstream {
        read.unwrap_or_else(|error| {
            self.contract_error(input.at_value(name), &error);
            Upstream::Broken
        })
    }

    /// Reports a mistake in a contract at the place that uses it.
    pub(super) fn contract_error(
        &mut self,
        place: crate::diagnostic::Place,
        error: &ContractError,
    ) {
        let position = [error.line, error.column].into_iter().flatten();
        let position: String = position.map(|number| format!(":{number}")).collect();
        let diagnostic = Diagnostic::error("INVALID_CONTRACT", error.message.clone())
            .at(place)
            .contract(format!("{}{position}", error.file));
        self.push(match &error.help {
            Some(help) => diagnostic.help(help.clone()),
            None => diagnostic,
        });
    }

    fn named_text(&mut self, input: &Input<'_>, name: &str) -> Option<(String, String)> {
        let (path, bytes) = self.named_bytes(input, name)?;
        match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Some((path, text)),
            Err(_) => {
                self.refuse(input, name, "this file is not text in UTF-8");
                None
            }
        }
    }

    /// The file that an argument names.
    fn named_bytes(&mut self, input: &Input<'_>, name: &str) -> Option<(String, &'a [u8])> {
        let path = resolve_path(&input.document.file, input.text(name)?);
        if !self.files.files.contains_key(&path) {
            self.missing(input, name, &path);
        }
        let bytes = self.files.files.get(&path)?;
        Some((path, bytes))
    }

    fn missing(&mut self, input: &Input<'_>, name: &str, path: &str) {
        self.push(
            Diagnostic::error("FILE_NOT_FOUND", format!("there is no file `{path}`"))
                .at(input.at_value(name))
                .help("paths are relative to the file that names them"),
        );
    }
}

/// Without the argument there is no contract; with it, what is wrong is reported.
fn absent_or_broken(input: &Input<'_>, name: &str) -> Upstream {
    match input.has(name) {
        true => Upstream::Broken,
        false => Upstream::Unstated,
    }
}

/// The protos that some lead to. Another team's, which may be broken, stay out.
fn reached<'f>(
    files: &'f BTreeMap<String, Vec<u8>>,
    directories: &[String],
    roots: &[String],
) -> BTreeMap<String, Cow<'f, str>> {
    let mut found = BTreeMap::new();
    let mut open = roots.to_vec();
    while let Some(path) = open.pop() {
        let Some(bytes) = files.get(&path).filter(|_| !found.contains_key(&path)) else {
            continue;
        };
        let text = String::from_utf8_lossy(bytes);
        for import in proto::imports(&path, &text).unwrap_or_default() {
            let candidates = directories
                .iter()
                .map(|it| resolve_path(&format!("{it}/x"), &import));
            open.extend(candidates.into_iter().find(|it| files.contains_key(it)));
        }
        found.insert(path, text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, said_of};

    fn said(source: &str, files: &[(&str, &str)]) -> String {
        let mut all = file(&format!("extend schema @source(name: \"shop\", {source})"));
        all.files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        said_of(&all)
    }

    #[test]
    fn a_contract_that_is_not_there_is_named_where_it_is_asked_for() {
        assert_eq!(
            said("http: { baseURL: \"http://a\", openapi: \"a.yaml\" }", &[]),
            "error[FILE_NOT_FOUND] shop.graphql:1:75\n  \
             1 | extend schema @source(name: \"shop\", http: { baseURL: \"http://a\", openapi: \"a.yaml\" })\n    \
             |                                                                           ^^^^^^^^ there is no file `a.yaml`\n  \
             help: paths are relative to the file that names them\n"
        );
        assert!(
            said("grpc: { url: \"http://a\", protos: [\"a.proto\"] }", &[])
                .starts_with("error[FILE_NOT_FOUND]")
        );
        assert!(
            said("grpc: { url: \"http://a\", reflection: true }", &[])
                .starts_with("error[REFLECTION_FAILED]")
        );
        assert!(said("grpc: { url: \"http://a\" }", &[]).starts_with("error[NO_DESCRIPTORS]"));
    }

    #[test]
    fn a_contract_that_cannot_be_read_says_where() {
        let said_yaml = said(
            "http: { baseURL: \"http://a\", openapi: \"a.yaml\" }",
            &[("a.yaml", "openapi: 2.0")],
        );
        assert!(
            said_yaml.starts_with("error[INVALID_CONTRACT]"),
            "{said_yaml}"
        );
        assert!(said_yaml.contains("contract: a.yaml:1:1"), "{said_yaml}");
        let said_proto = said(
            "grpc: { url: \"http://a\", protos: [\"a.proto\"] }",
            &[("a.proto", "syntax = \"proto3\"; messag")],
        );
        assert!(
            said_proto.starts_with("error[INVALID_CONTRACT]"),
            "{said_proto}"
        );
    }

    #[test]
    fn another_teams_broken_proto_does_no_harm() {
        let files = [
            (
                "a.proto",
                "syntax = \"proto3\"; import \"b.proto\"; message A { B b = 1; }",
            ),
            ("b.proto", "syntax = \"proto3\"; message B {}"),
            ("other/c.proto", "broken"),
        ];
        assert_eq!(
            said("grpc: { url: \"http://a\", protos: [\"a.proto\"] }", &files),
            ""
        );
    }
}
