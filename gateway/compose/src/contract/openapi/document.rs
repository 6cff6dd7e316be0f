//! A parsed document, walked by nodes that know where they are, and its references.
//!
//! Must not know what schemas or operations mean.

use std::cell::Cell;
use std::sync::Arc;

use serde_json::Value;

use super::{locate, text};
use crate::contract::error::{ContractError, Position};
use crate::contract::model::Place;
use crate::suggest;

/// References that may lead to references before a definition must come.
const MAX_REFERENCE_CHAIN: usize = 64;

/// Problems whose line is looked up. Each costs a pass over the text, and nobody reads more.
const MAX_LOCATED: u32 = 50;

/// An OpenAPI document of a supported version.
pub(super) struct Document<'s> {
    file: Arc<str>,
    source: &'s str,
    root: Value,
    unlocated: Cell<u32>,
}

/// A value of the document and its place.
#[derive(Clone)]
pub(super) struct Node<'d> {
    pub(super) value: &'d Value,
    pub(super) at: Pointer,
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Pointer(String);

impl<'s> Document<'s> {
    pub(super) fn parse(file: &str, source: &'s str) -> Result<Self, ContractError> {
        let document = Document {
            file: file.into(),
            source,
            root: text::parse(file, source)?,
            unlocated: Cell::new(MAX_LOCATED),
        };
        document.check_version()?;
        Ok(document)
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node {
            value: &self.root,
            at: Pointer::default(),
        }
    }

    pub(super) fn place(&self, at: &Pointer) -> Place {
        Place::pointer(self.file.clone(), at.0.clone())
    }

    /// An error at a place of the document.
    pub(super) fn error(&self, at: &Pointer, message: impl Into<String>) -> ContractError {
        ContractError::new(&*self.file, message).at(self.position(at))
    }

    /// Follows references until a node is no mere reference. A node that says more beside its
    /// reference is given back as it is.
    pub(super) fn follow<'d>(&'d self, node: Node<'d>) -> Result<Node<'d>, ContractError> {
        let start = node.at.clone();
        let mut node = node;
        for _ in 0..MAX_REFERENCE_CHAIN {
            if !node.is_mere_reference() {
                return Ok(node);
            }
            node = self.target(&node)?;
        }
        Err(self.error(
            &start,
            "this reference leads to itself and never to a definition",
        ))
    }

    /// The node that a node's `$ref` names.
    pub(super) fn target<'d>(&'d self, node: &Node<'d>) -> Result<Node<'d>, ContractError> {
        let at = node.at.child("$ref");
        let Some(reference) = node.text("$ref") else {
            return Err(self.error(&at, "a $ref must be a text"));
        };
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(self.remote_reference(&at, reference));
        };
        self.find(fragment)
            .ok_or_else(|| self.missing_target(&at, reference, fragment))
    }

    fn check_version(&self) -> Result<(), ContractError> {
        let root = self.root();
        if let Some(version) = root.get("swagger") {
            let message = format!("Swagger {} is not supported", version.scalar());
            return Err(self.error(&version.at, message).help(
                "convert the document to OpenAPI 3, for example with `npx swagger2openapi`",
            ));
        }
        let Some(version) = root.get("openapi") else {
            return Err(self
                .error(&root.at, "this is not an OpenAPI document")
                .help("it must begin with `openapi: 3.1.0` or `openapi: 3.0.3`"));
        };
        let text = version.scalar();
        match ["3.0", "3.1"].iter().any(|known| text.starts_with(known)) {
            true => Ok(()),
            false => Err(self
                .error(&version.at, format!("OpenAPI {text} is not supported"))
                .help("supported are the versions 3.0 and 3.1")),
        }
    }

    fn position(&self, at: &Pointer) -> Option<Position> {
        self.unlocated.set(self.unlocated.get().checked_sub(1)?);
        let mut path = at.segments();
        // A place that came by a merge key has no text of its own: its parent has.
        loop {
            let found = locate::locate(&self.file, self.source, &path);
            if found.is_some() || path.pop().is_none() {
                return found;
            }
        }
    }

    /// The node at the pointer in a URI fragment.
    pub(super) fn find(&self, fragment: &str) -> Option<Node<'_>> {
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return None;
        }
        let mut node = self.root();
        for segment in Pointer(percent_decoded(fragment)).segments() {
            node = match node.value {
                Value::Array(_) => node.item(segment.parse().ok()?)?,
                _ => node.get(&segment)?,
            };
        }
        Some(node)
    }

    fn remote_reference(&self, at: &Pointer, reference: &str) -> ContractError {
        let message = format!("the reference `{reference}` leads to another document");
        self.error(at, message)
            .help("bundle the documents into one file, for example with `npx @redocly/cli bundle`")
    }

    fn missing_target(&self, at: &Pointer, reference: &str, fragment: &str) -> ContractError {
        let message = format!("the reference `{reference}` leads nowhere");
        let error = self.error(at, message);
        match suggest::did_you_mean(&self.siblings_like(fragment)) {
            Some(question) => error.help(question),
            None => error,
        }
    }

    fn siblings_like(&self, fragment: &str) -> Vec<String> {
        let Some((parent, name)) = fragment.rsplit_once('/') else {
            return Vec::new();
        };
        let Some(Value::Object(siblings)) = self.find(parent).map(|node| node.value) else {
            return Vec::new();
        };
        suggest::closest(name, siblings.keys().map(String::as_str))
            .into_iter()
            .map(|key| format!("#{parent}/{key}"))
            .collect()
    }
}

impl<'d> Node<'d> {
    pub(super) fn get(&self, key: &str) -> Option<Node<'d>> {
        Some(Node {
            value: self.value.get(key)?,
            at: self.at.child(key),
        })
    }

    pub(super) fn item(&self, index: usize) -> Option<Node<'d>> {
        Some(Node {
            value: self.value.get(index)?,
            at: self.at.child(&index.to_string()),
        })
    }

    /// The entries of an object; none of anything else.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, Node<'d>)> + use<'d> {
        let at = self.at.clone();
        self.value
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(key, value)| {
                let at = at.child(key);
                (key.as_str(), Node { value, at })
            })
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let at = self.at.clone();
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(move |(index, value)| Node {
            value,
            at: at.child(&index.to_string()),
        })
    }

    pub(super) fn text(&self, key: &str) -> Option<&'d str> {
        self.value.get(key)?.as_str()
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value.get(key)?.as_bool()
    }

    pub(super) fn is_reference(&self) -> bool {
        self.value.get("$ref").is_some()
    }

    /// Whether nothing beside the reference bears on the values. 3.0 says that siblings of `$ref`
    /// are ignored and 3.1 that they count; who writes them means them.
    fn is_mere_reference(&self) -> bool {
        const SILENT: [&str; 9] = [
            "$ref",
            "summary",
            "description",
            "title",
            "deprecated",
            "example",
            "examples",
            "readOnly",
            "writeOnly",
        ];
        let silent = |key: &String| SILENT.contains(&key.as_str()) || key.starts_with("x-");
        self.is_reference() && self.value.as_object().is_some_and(|o| o.keys().all(silent))
    }

    /// A version may be written as a number.
    fn scalar(&self) -> String {
        match self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl Pointer {
    pub(super) fn child(&self, segment: &str) -> Pointer {
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        Pointer(format!("{}/{escaped}", self.0))
    }

    /// The name of the component that this is, such as `User` in `/components/schemas/User`.
    pub(super) fn schema_name(&self) -> Option<String> {
        match self.segments().as_slice() {
            [components, schemas, name] if components == "components" && schemas == "schemas" => {
                Some(name.clone())
            }
            _ => None,
        }
    }

    fn segments(&self) -> Vec<String> {
        let unescaped = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
        self.0.split('/').skip(1).map(unescaped).collect()
    }
}

/// The pointer in a URI fragment has its reserved characters percent-encoded.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match encoded_byte(rest) {
            Some(byte) => (byte, &rest[3..]),
            None => (first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that `%41` at the beginning of a text stands for.
fn encoded_byte(text: &[u8]) -> Option<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    match text {
        [b'%', high, low, ..] => u8::try_from(hex(*high)? * 16 + hex(*low)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(source: &str, key: &str) -> Result<String, ContractError> {
        let source = format!("openapi: 3.1.0\n{source}");
        let document = Document::parse("a.yaml", &source)?;
        let node = document.root().get(key).unwrap();
        document.follow(node).map(|node| node.at.0)
    }

    #[test]
    fn references_are_followed_through_escapes_and_lists() {
        let source = "x: {$ref: '#/paths/~1users~1%7Bid%7D/1'}\npaths: {'/users/{id}': [1, {$ref: '#/a~0b'}]}\na~b: 5\n";
        assert_eq!(follow(source, "x").unwrap(), "/a~0b");
    }

    #[test]
    fn a_reference_that_leads_nowhere_has_a_place_and_a_suggestion() {
        let source = "x:\n  $ref: '#/schemas/Usr'\nschemas: {User: 1, Order: 2}\n";
        let error = follow(source, "x").unwrap_err();
        assert_eq!((error.line, error.column), (Some(3), Some(3)));
        assert_eq!(error.message, "the reference `#/schemas/Usr` leads nowhere");
        assert_eq!(error.help.unwrap(), "did you mean `#/schemas/User`?");
    }

    #[test]
    fn references_in_a_circle_are_an_error() {
        let error = follow("x: {$ref: '#/y'}\ny: {$ref: '#/x'}\n", "x").unwrap_err();
        assert!(error.message.contains("leads to itself"), "{error}");
    }

    #[test]
    fn a_reference_to_another_document_is_an_error_with_a_way_out() {
        let error = follow("x: {$ref: 'other.yaml#/y'}\n", "x").unwrap_err();
        assert!(error.message.contains("another document"), "{error}");
        assert!(error.help.unwrap().contains("bundle"));
        let error = follow("x: {$ref: 5}\n", "x").unwrap_err();
        assert!(error.message.contains("must be a text"), "{error}");
    }

    #[test]
    fn other_documents_are_refused_by_name() {
        let refusal = |source: &str| Document::parse("a.yaml", source).err().unwrap();
        assert_eq!(
            refusal("info: {}\nswagger: '2.0'\n").to_string(),
            "a.yaml:2:1: Swagger 2.0 is not supported\n  help: convert the document to OpenAPI 3, for example with `npx swagger2openapi`"
        );
        assert!(refusal("openapi: 4.0.0\n").message.contains("4.0.0"));
        assert!(refusal("").message.contains("not an OpenAPI document"));
        assert!(refusal("- 1\n").message.contains("not an OpenAPI document"));
        assert!(Document::parse("a.yaml", "openapi: 3.1\n").is_ok());
    }
}
