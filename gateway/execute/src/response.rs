//! The finished response.
//!
//! Owns the errors beside the data and how both become one body:
//! <https://spec.graphql.org/September2025/#sec-Response-Format>

use std::sync::Arc;
use std::time::Duration;

use plan::code::Code;
use plan::source::Mapped;
use plan::source::SourceError;
use serde_json::Map;
use serde_json::Value as Json;

/// Members of extensions that no schema takes the place of.
const OURS: [&str; 8] = [
    "code",
    "service",
    "problem",
    "retryAfterMs",
    "outcome",
    "further",
    "retryable",
    "correlationId",
];

/// A response: data written already, errors beside it.
#[derive(Debug)]
pub struct Response {
    /// `{"data":…`, open for what follows.
    pub(crate) body: Vec<u8>,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) correlation_id: Arc<str>,
    pub(crate) has_data: bool,
}

/// One segment of a response path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// A response key.
    Key(Arc<str>),
    /// A place in a list.
    Index(u32),
}

/// A field that could not be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// What the client reads.
    pub message: String,
    /// Line and column of the field in the document.
    pub location: Option<(u32, u32)>,
    /// The way to the null that it caused, or would have.
    pub path: Vec<PathSegment>,
    /// The code.
    pub code: Code,
    /// The source at fault.
    pub service: Option<Arc<str>>,
    /// RFC 9457 members that the client may read.
    pub problem: Option<Box<Map<String, Json>>>,
    /// Milliseconds that upstream asked to wait.
    pub retry_after_ms: Option<u64>,
    /// A mutation that may or may not have happened.
    pub outcome_unknown: bool,
    /// What the schema's `errors:` make of it.
    pub mapped: Option<Box<Mapped>>,
    /// How many more places are null for the same reason, of which no error tells.
    pub further: usize,
}

impl Response {
    /// Errors, in response order.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Whether `data` is not null.
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    /// The body. `extensions` is JSON text of an object.
    pub fn finish(self, extensions: Option<&[u8]>) -> Vec<u8> {
        let mut body = self.body;
        if !self.errors.is_empty() {
            body.extend_from_slice(b",\"errors\":[");
            for (index, error) in self.errors.iter().enumerate() {
                if index > 0 {
                    body.push(b',');
                }
                let json = error.to_json(&self.correlation_id);
                body.extend_from_slice(json.to_string().as_bytes());
            }
            body.push(b']');
        }
        if let Some(extensions) = extensions {
            body.extend_from_slice(b",\"extensions\":");
            body.extend_from_slice(extensions);
        }
        body.push(b'}');
        body
    }
}

impl FieldError {
    pub(crate) fn of_source(error: &SourceError) -> Self {
        Self {
            message: error.message.clone(),
            location: None,
            path: Vec::new(),
            code: error.code,
            service: Some(error.service.clone()),
            problem: error.problem.clone(),
            retry_after_ms: error.retry_after.map(|wait| wait.as_millis() as u64),
            outcome_unknown: error.outcome_unknown,
            mapped: error.mapped.clone(),
            further: 0,
        }
    }

    /// As the failure of what could not be asked for because of it.
    pub(crate) fn into_source(self, service: &Arc<str>) -> SourceError {
        SourceError {
            code: self.code,
            message: self.message,
            internal: None,
            service: self.service.unwrap_or_else(|| service.clone()),
            problem: self.problem,
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            outcome_unknown: self.outcome_unknown,
            mapped: self.mapped,
        }
    }

    pub(crate) fn new(code: Code, message: String) -> Self {
        Self {
            message,
            location: None,
            path: Vec::new(),
            code,
            service: None,
            problem: None,
            retry_after_ms: None,
            outcome_unknown: false,
            mapped: None,
            further: 0,
        }
    }

    fn to_json(&self, correlation_id: &str) -> Json {
        let mut error = Map::new();
        error.insert("message".into(), self.message.clone().into());
        if let Some((line, column)) = self.location {
            let place = serde_json::json!({ "line": line, "column": column });
            error.insert("locations".into(), Json::Array(vec![place]));
        }
        error.insert(
            "path".into(),
            self.path.iter().map(PathSegment::to_json).collect(),
        );
        error.insert("extensions".into(), self.extensions(correlation_id));
        Json::Object(error)
    }

    fn extensions(&self, correlation_id: &str) -> Json {
        let mut extensions = Map::new();
        extensions.insert("code".into(), self.code_told().into());
        if let Some(service) = &self.service {
            extensions.insert("service".into(), service.to_string().into());
        }
        if let Some(problem) = &self.problem {
            extensions.insert("problem".into(), Json::Object((**problem).clone()));
        }
        let mapped = self.mapped.iter().flat_map(|mapped| &mapped.extensions);
        let mapped = mapped.filter(|(name, _)| !OURS.contains(&name.as_str()));
        extensions.extend(mapped.map(|(name, value)| (name.clone(), value.clone())));
        if let Some(wait) = self.retry_after_ms {
            extensions.insert("retryAfterMs".into(), wait.into());
        }
        if self.outcome_unknown {
            extensions.insert("outcome".into(), "UNKNOWN".into());
        }
        if self.further > 0 {
            extensions.insert("further".into(), self.further.into());
        }
        let retryable = self.code.retryable() && !self.outcome_unknown;
        extensions.insert("retryable".into(), retryable.into());
        extensions.insert("correlationId".into(), correlation_id.into());
        Json::Object(extensions)
    }

    /// The schema's own name for it, where it has one.
    fn code_told(&self) -> &str {
        let own = self
            .mapped
            .as_ref()
            .and_then(|mapped| mapped.code.as_deref());
        own.unwrap_or(self.code.as_str())
    }
}

impl PathSegment {
    fn to_json(&self) -> Json {
        match self {
            PathSegment::Key(key) => key.to_string().into(),
            PathSegment::Index(index) => (*index).into(),
        }
    }
}
