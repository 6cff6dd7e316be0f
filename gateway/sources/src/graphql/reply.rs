//! What a service answered.

use std::sync::Arc;

use memchr::memmem;
use serde_json::Value as Json;

use crate::json;
use crate::protocol::Travel;
use crate::transport::HttpReply;

/// An answer, and what it says went wrong. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct GraphqlReply {
    pub(super) http: Arc<HttpReply>,
    /// None where nothing did.
    pub(super) said: Option<Arc<Said>>,
    /// How it came.
    pub(super) travel: Travel,
}

/// What a response says went wrong.
#[derive(Debug)]
pub(super) struct Said {
    /// Whether there is data all the same.
    pub(super) data: bool,
    /// At least one, as sent.
    pub(super) errors: Vec<Json>,
}

impl GraphqlReply {
    /// Most answers do not hold the word at all.
    pub(super) fn new(http: HttpReply) -> Self {
        let said = memmem::find(&http.body, b"\"errors\"").and_then(|_| said(&http.body));
        Self {
            http: Arc::new(http),
            said: said.map(Arc::new),
            travel: Travel::Alone,
        }
    }

    /// One that says nothing went wrong.
    pub(super) fn fine(http: Arc<HttpReply>) -> Self {
        Self {
            http,
            said: None,
            travel: Travel::Alone,
        }
    }

    /// The errors of an answer without data.
    pub(super) fn refusal(&self) -> Option<&Said> {
        self.said.as_deref().filter(|said| !said.data)
    }
}

fn said(body: &[u8]) -> Option<Said> {
    let response = json::response(body).ok()?;
    let errors = match serde_json::from_str(response.errors?) {
        Ok(Json::Null) => return None,
        Ok(Json::Array(errors)) if errors.is_empty() => return None,
        Ok(Json::Array(errors)) => errors,
        // Something went wrong, and the answer cannot say what.
        _ => vec![Json::Null],
    };
    Some(Said {
        data: response.data,
        errors,
    })
}
