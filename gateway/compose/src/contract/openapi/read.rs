//! Paths and operations of a document, read into their types.
//!
//! What is wrong with one operation is kept with it: a mistake in a corner of a large document must
//! not stop a graph that does not go there.

use super::document::{Document, Node};
use super::operation::{
    Body, Content, Encoding, Location, Operation, Parameter, ParameterStyle, Response, Status,
};
use super::path::PathTemplate;
use super::schema::Schemas;
use crate::contract::error::ContractError;
use crate::contract::model::{Contract, TypeId};

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Headers that OpenAPI describes elsewhere; a parameter of such a name is to be ignored.
const RESERVED_HEADERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// Every operation, and the types they refer to.
pub(super) fn read(document: &Document<'_>) -> (Vec<Operation>, Contract) {
    let mut reader = Reader {
        document,
        schemas: Schemas::new(document),
        problems: Vec::new(),
    };
    let mut operations = Vec::new();
    for (path, item) in document.root().get("paths").iter().flat_map(Node::entries) {
        if path.starts_with('/') {
            reader.path_item(path, item, &mut operations);
        }
    }
    (operations, reader.schemas.finish())
}

struct Reader<'d, 's> {
    document: &'d Document<'s>,
    schemas: Schemas<'d, 's>,
    /// Those of the operation that is being read.
    problems: Vec<ContractError>,
}

impl<'d> Reader<'d, '_> {
    fn path_item(&mut self, path: &str, item: Node<'d>, operations: &mut Vec<Operation>) {
        let Some(item) = self.follow(item) else {
            operations.extend(self.unreadable(path));
            return;
        };
        for method in METHODS {
            if let Some(node) = item.get(method) {
                operations.push(self.operation(path, method, &item, &node));
            }
        }
    }

    /// A path whose reference leads nowhere: every method might have been there.
    fn unreadable(&mut self, path: &str) -> Vec<Operation> {
        let problems = std::mem::take(&mut self.problems);
        let place = self.document.root().at.child("paths").child(path);
        let operation = |method: &&str| Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            template: PathTemplate::parse(path),
            id: None,
            parameters: Vec::new(),
            body: None,
            responses: Vec::new(),
            place: self.document.place(&place),
            problems: problems.clone(),
        };
        METHODS.iter().map(operation).collect()
    }

    fn operation(
        &mut self,
        path: &str,
        method: &str,
        item: &Node<'d>,
        node: &Node<'d>,
    ) -> Operation {
        let template = PathTemplate::parse(path);
        let mut parameters = self.parameters(item, node);
        self.add_undeclared(&template, node, &mut parameters);
        let body = node.get("requestBody").and_then(|body| self.body(body));
        Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            template,
            id: node.text("operationId").map(str::to_owned),
            parameters,
            body,
            responses: self.responses(node),
            place: self.document.place(&node.at),
            problems: std::mem::take(&mut self.problems),
        }
    }

    /// Those of the path, overridden by those of the operation.
    fn parameters(&mut self, item: &Node<'d>, operation: &Node<'d>) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for level in [item, operation] {
            for node in level.get("parameters").iter().flat_map(Node::items) {
                let Some(parameter) = self.parameter(node) else {
                    continue;
                };
                let same = |known: &Parameter| {
                    known.name == parameter.name && known.location == parameter.location
                };
                parameters.retain(|known| !same(known));
                parameters.push(parameter);
            }
        }
        parameters
    }

    /// A path parameter that the template names and nobody declares is a text.
    fn add_undeclared(
        &mut self,
        template: &PathTemplate,
        operation: &Node<'d>,
        parameters: &mut Vec<Parameter>,
    ) {
        for name in template.holes() {
            let is_it = |p: &Parameter| p.location == Location::Path && p.name == name;
            if !parameters.iter().any(is_it) {
                parameters.push(Parameter {
                    name: name.to_owned(),
                    location: Location::Path,
                    required: true,
                    style: ParameterStyle::Comma,
                    ty: self.schemas.unknown(&operation.at),
                    place: self.document.place(&operation.at),
                });
            }
        }
    }

    fn parameter(&mut self, node: Node<'d>) -> Option<Parameter> {
        let node = self.follow(node)?;
        let (name, location) = self.name_and_location(&node)?;
        if location == Location::Header && RESERVED_HEADERS.contains(&&*name.to_lowercase()) {
            return None;
        }
        let (ty, style) = match node.get("schema") {
            Some(schema) => (self.schemas.of(schema), style(&node, location)),
            None => (self.encoded_type(&node), ParameterStyle::Json),
        };
        let (name, style) = without_brackets(name, style);
        Some(Parameter {
            name: name.to_owned(),
            location,
            required: location == Location::Path || node.flag("required") == Some(true),
            style,
            ty,
            place: self.document.place(&node.at),
        })
    }

    fn name_and_location(&mut self, node: &Node<'d>) -> Option<(&'d str, Location)> {
        let name = node.text("name");
        let location = match node.text("in") {
            Some("path") => Some(Location::Path),
            Some("query") => Some(Location::Query),
            Some("header") => Some(Location::Header),
            Some("cookie") => Some(Location::Cookie),
            _ => None,
        };
        if name.is_none() || location.is_none() {
            let message = "a parameter needs a name and `in`: path, query, header or cookie";
            self.problems.push(self.document.error(&node.at, message));
        }
        name.zip(location)
    }

    /// The type of a parameter that has `content` in the place of a schema.
    fn encoded_type(&mut self, node: &Node<'d>) -> TypeId {
        let content = node
            .get("content")
            .and_then(|content| content.entries().next());
        match content.and_then(|(_, media)| media.get("schema")) {
            Some(schema) => self.schemas.of(schema),
            None => self.schemas.unknown(&node.at),
        }
    }

    fn body(&mut self, node: Node<'d>) -> Option<Body> {
        let node = self.follow(node)?;
        Some(Body {
            required: node.flag("required") == Some(true),
            content: self.content(&node),
            place: self.document.place(&node.at),
        })
    }

    fn responses(&mut self, operation: &Node<'d>) -> Vec<Response> {
        let mut responses = Vec::new();
        for (status, node) in operation.get("responses").iter().flat_map(Node::entries) {
            if !status.starts_with("x-") {
                responses.extend(self.response(status, node));
            }
        }
        responses
    }

    fn response(&mut self, status: &str, node: Node<'d>) -> Option<Response> {
        let Some(status) = Status::parse(status) else {
            let message = format!("`{status}` is no status");
            let help = "write a status such as 200, a class such as 4XX, or default";
            self.problems
                .push(self.document.error(&node.at, message).help(help));
            return None;
        };
        let node = self.follow(node)?;
        Some(Response {
            status,
            content: self.content(&node),
            place: self.document.place(&node.at),
        })
    }

    fn content(&mut self, node: &Node<'d>) -> Vec<Content> {
        let mut content = Vec::new();
        for (media_type, media) in node.get("content").iter().flat_map(Node::entries) {
            let ty = match media.get("schema") {
                Some(schema) => self.schemas.of(schema),
                None => self.schemas.unknown(&media.at),
            };
            content.push(Content {
                media_type: media_type.to_owned(),
                encoding: Encoding::of(media_type),
                ty,
            });
        }
        content
    }

    fn follow(&mut self, node: Node<'d>) -> Option<Node<'d>> {
        match self.document.follow(node) {
            Ok(node) => Some(node),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }
}

/// <https://spec.openapis.org/oas/v3.1.0#style-values>
fn style(node: &Node<'_>, location: Location) -> ParameterStyle {
    let explode = node.flag("explode");
    match (location, node.text("style")) {
        (_, Some("deepObject")) => ParameterStyle::DeepObject,
        (Location::Query, Some("spaceDelimited")) if explode != Some(true) => ParameterStyle::Space,
        (Location::Query, Some("pipeDelimited")) if explode != Some(true) => ParameterStyle::Pipe,
        (Location::Query | Location::Cookie, _) if explode != Some(false) => {
            ParameterStyle::Repeated
        }
        (Location::Path, Some("label")) => ParameterStyle::Label,
        (Location::Path, Some("matrix")) => ParameterStyle::Matrix,
        _ => ParameterStyle::Comma,
    }
}

/// `ids[]` repeated is the list `ids` written with brackets.
fn without_brackets(name: &str, style: ParameterStyle) -> (&str, ParameterStyle) {
    match (name.strip_suffix("[]"), style) {
        (Some(name), ParameterStyle::Repeated) => (name, ParameterStyle::Brackets),
        _ => (name, style),
    }
}
