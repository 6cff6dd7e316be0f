//! A value as text, for URLs, headers, templates and forms.

use std::borrow::Cow;

use compose::model::Expr;
use serde_json::Value as Json;

use super::RenderError;
use super::Scope;

/// A leaf as text; null is nothing.
pub(crate) fn of(value: &Json) -> Result<Option<Cow<'_, str>>, RenderError> {
    match value {
        Json::Null => Ok(None),
        Json::String(text) => Ok(Some(Cow::Borrowed(text))),
        Json::Bool(true) => Ok(Some(Cow::Borrowed("true"))),
        Json::Bool(false) => Ok(Some(Cow::Borrowed("false"))),
        Json::Number(number) => Ok(Some(Cow::Owned(number.to_string()))),
        Json::Array(_) | Json::Object(_) => Err(RenderError(
            "A list or an object stands where the service takes a text.".to_owned(),
        )),
    }
}

/// As text, objects and lists as JSON.
pub(crate) fn or_json(value: &Json) -> Option<Cow<'_, str>> {
    match of(value) {
        Ok(text) => text,
        Err(_) => Some(Cow::Owned(value.to_string())),
    }
}

/// The text of an expression; null is nothing.
pub(crate) fn eval(expr: &Expr, scope: &Scope<'_>) -> Result<Option<String>, RenderError> {
    let value = super::value(expr, scope)?;
    Ok(of(&value)?.map(Cow::into_owned))
}
