//! Problem documents, <https://www.rfc-editor.org/rfc/rfc9457>.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::rest::Refusal;

/// A refusal as this service writes it.
#[derive(Debug)]
pub(super) struct Problem {
    refusal: Refusal,
    instance: Option<String>,
}

impl Problem {
    /// Names the resource that the problem is about.
    pub(super) fn about(self, instance: String) -> Self {
        Self {
            instance: Some(instance),
            ..self
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            instance: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.refusal.status;
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.refusal.reason,
        });
        if let Some(instance) = self.instance {
            problem["instance"] = instance.into();
        }
        (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            Json(problem),
        )
            .into_response()
    }
}
