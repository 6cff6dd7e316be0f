//! Operations: what a request carries and what a reply may hold.

use std::fmt;

use super::path::PathTemplate;
use crate::contract::error::ContractError;
use crate::contract::model::{Place, TypeId};

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The HTTP method in capitals.
    pub method: String,
    /// The path as the document writes it.
    pub path: String,
    /// The path's parts.
    pub template: PathTemplate,
    /// The document's name for the operation.
    pub id: Option<String>,
    /// What the request carries beside its body, in the document's order.
    pub parameters: Vec<Parameter>,
    /// The request's body.
    pub body: Option<Body>,
    /// The replies.
    pub responses: Vec<Response>,
    /// Where the document declares the operation.
    pub place: Place,
    pub(super) problems: Vec<ContractError>,
}

/// A value in the path, the query string or a header.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, without the brackets of [`ParameterStyle::Brackets`].
    pub name: String,
    /// Where it travels.
    pub location: Location,
    /// Whether a request must have it.
    pub required: bool,
    /// How it is written.
    pub style: ParameterStyle,
    /// Its type.
    pub ty: TypeId,
    /// Where the document declares it.
    pub place: Place,
}

/// Where a parameter travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// In the path.
    Path,
    /// In the query string.
    Query,
    /// In a header; names ignore case.
    Header,
    /// In a cookie.
    Cookie,
}

/// How lists and objects are written in a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterStyle {
    /// `id=1&id=2`
    Repeated,
    /// `id=1,2`; in a path or a header `1,2`
    Comma,
    /// `id[]=1&id[]=2`
    Brackets,
    /// `id=1%202`
    Space,
    /// `id=1|2`
    Pipe,
    /// `filter[status]=open`
    DeepObject,
    /// `.1.2`, in a path
    Label,
    /// `;id=1;id=2`, in a path
    Matrix,
    /// The value as JSON
    Json,
}

/// A request's body.
#[derive(Debug, Clone)]
pub struct Body {
    /// Whether a request must have it.
    pub required: bool,
    /// Its encodings, in the document's order.
    pub content: Vec<Content>,
    /// Where the document declares it.
    pub place: Place,
}

/// A body in one encoding.
#[derive(Debug, Clone)]
pub struct Content {
    /// The media type as the document writes it.
    pub media_type: String,
    /// The family of the media type.
    pub encoding: Encoding,
    /// What is encoded.
    pub ty: TypeId,
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`, `application/problem+json` and their kin.
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data` and its kin.
    Multipart,
    /// `text/plain` and its kin.
    Text,
    /// Anything else.
    Other,
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Response {
    /// For which statuses it holds.
    pub status: Status,
    /// Its encodings; none where the reply has no body.
    pub content: Vec<Content>,
    /// Where the document declares it.
    pub place: Place,
}

/// The statuses of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// One status.
    Code(u16),
    /// A hundred of them: `Class(4)` is `4XX`.
    Class(u16),
    /// All others.
    Default,
}

impl Operation {
    /// The parameter of a name; header names ignore case.
    pub fn parameter(&self, location: Location, name: &str) -> Option<&Parameter> {
        let is_named = |parameter: &&Parameter| match location {
            Location::Header => parameter.name.eq_ignore_ascii_case(name),
            _ => parameter.name == name,
        };
        self.parameters_in(location).find(is_named)
    }

    /// The parameters that travel in one place.
    pub fn parameters_in(&self, location: Location) -> impl Iterator<Item = &Parameter> {
        let parameters = self.parameters.iter();
        parameters.filter(move |parameter| parameter.location == location)
    }

    /// What a reply of a status holds: the status itself, else its class, else `default`.
    pub fn response(&self, status: u16) -> Option<&Response> {
        let patterns = [
            Status::Code(status),
            Status::Class(status / 100),
            Status::Default,
        ];
        patterns
            .iter()
            .find_map(|pattern| self.response_of(*pattern))
    }

    /// What a successful reply holds: the lowest 2xx with a JSON body, else the lowest 2xx, else
    /// `default` where the document has no 2xx at all.
    pub fn success(&self) -> Option<&Response> {
        let mut successes: Vec<&Response> = self.successes().collect();
        successes.sort_by_key(|response| (response.json().is_none(), response.status));
        let success = successes.first().copied();
        success.or_else(|| self.response_of(Status::Default))
    }

    /// Every 2xx.
    pub fn successes(&self) -> impl Iterator<Item = &Response> {
        let responses = self.responses.iter();
        responses.filter(|response| response.status.is_success())
    }

    /// Every type that the operation refers to.
    pub fn types(&self) -> impl Iterator<Item = TypeId> {
        let parameters = self.parameters.iter().map(|parameter| parameter.ty);
        let bodies = self.body.iter().flat_map(|body| &body.content);
        let replies = self.responses.iter().flat_map(|reply| &reply.content);
        parameters.chain(bodies.chain(replies).map(|content| content.ty))
    }

    fn response_of(&self, status: Status) -> Option<&Response> {
        let mut responses = self.responses.iter();
        responses.find(|response| response.status == status)
    }
}

impl Parameter {
    /// The name as it is written in a query string.
    pub fn written_name(&self) -> String {
        match self.style {
            ParameterStyle::Brackets => format!("{}[]", self.name),
            _ => self.name.clone(),
        }
    }
}

impl Body {
    /// The body in one encoding.
    pub fn encoded(&self, encoding: Encoding) -> Option<&Content> {
        find(&self.content, encoding)
    }
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> Option<&Content> {
        find(&self.content, Encoding::Json)
    }
}

fn find(content: &[Content], encoding: Encoding) -> Option<&Content> {
    content.iter().find(|content| content.encoding == encoding)
}

impl Encoding {
    pub(super) fn of(media_type: &str) -> Self {
        let essence = media_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "application/*" | "*/*" | "text/json" => Encoding::Json,
            "application/x-www-form-urlencoded" => Encoding::Form,
            other if other.ends_with("+json") => Encoding::Json,
            other if other.starts_with("multipart/") => Encoding::Multipart,
            other if other.starts_with("text/") => Encoding::Text,
            _ => Encoding::Other,
        }
    }
}

impl Status {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "default" {
            return Some(Status::Default);
        }
        let class = text.strip_suffix("XX").or_else(|| text.strip_suffix("xx"));
        if let Some(class) = class {
            let class = class.parse().ok()?;
            return (1..=5).contains(&class).then_some(Status::Class(class));
        }
        let code = text.parse().ok()?;
        (100..=599).contains(&code).then_some(Status::Code(code))
    }

    /// Whether it is a 2xx.
    pub fn is_success(self) -> bool {
        matches!(self, Status::Code(200..=299) | Status::Class(2))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Code(code) => write!(f, "{code}"),
            Status::Class(class) => write!(f, "{class}XX"),
            Status::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Location::Path => "path",
            Location::Query => "query",
            Location::Header => "header",
            Location::Cookie => "cookie",
        })
    }
}
