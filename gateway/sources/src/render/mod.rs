//! Values outward: from a mapping's expressions to what is sent.
//!
//! Owns evaluating [`Expr`] against one fetch: arguments, parents' rows, the
//! caller's claims and headers, and how each value is spelled upstream. Knows
//! nothing of transports, except that [`url`] and [`headers`] write the two
//! forms that both protocols share.

pub(crate) mod encode;
pub(crate) mod headers;
pub(crate) mod text;
pub(crate) mod url;
pub(crate) mod visit;

use compose::model::Expr;
use compose::model::Piece;
use http::HeaderMap;
use plan::code::Code;
use plan::source::KeyPart;
use plan::source::Row;
use plan::source::SourceError;
use serde_json::Map;
use serde_json::Value as Json;
use std::sync::Arc;

pub(crate) use encode::Encodings;

/// A request that cannot be built from what the client sent. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RenderError(pub(crate) String);

impl RenderError {
    /// As the failure of a fetch.
    pub(crate) fn of(self, service: &Arc<str>) -> SourceError {
        SourceError::new(Code::BadUserInput, service, self.0)
    }
}

/// Everything that expressions can name.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The field's arguments.
    pub(crate) args: &'a Map<String, Json>,
    /// The parents of this call.
    pub(crate) rows: &'a [Row],
    /// The client's headers.
    pub(crate) headers: &'a HeaderMap,
    /// The caller's claims.
    pub(crate) claims: &'a Json,
    /// How values are spelled.
    pub(crate) encodings: &'a Encodings,
}

impl<'a> Scope<'a> {
    /// The same with other rows.
    pub(crate) fn with_rows(self, rows: &'a [Row]) -> Self {
        Self { rows, ..self }
    }
}

/// The value of an expression. Nothing there is null.
pub(crate) fn value(expr: &Expr, scope: &Scope<'_>) -> Result<Json, RenderError> {
    match expr {
        Expr::Const(value) => Ok(value.clone()),
        Expr::Arg { path, encode } => match at(scope.args, path) {
            Some(value) => scope.encodings.json(value, *encode),
            None => Ok(Json::Null),
        },
        Expr::Parent { input, encode } => match scope.rows.first() {
            Some(row) => scope.encodings.key(&row[*input], *encode),
            None => Ok(Json::Null),
        },
        Expr::Batch { input, encode } => scope
            .rows
            .iter()
            .map(|row| scope.encodings.key(&row[*input], *encode))
            .collect(),
        Expr::Each(item) => scope
            .rows
            .iter()
            .map(|row| one_of_batch(item, &scope.with_rows(std::slice::from_ref(row))))
            .collect(),
        Expr::Representations(item) => scope
            .rows
            .iter()
            .map(|row| representation(item, row, scope))
            .collect(),
        Expr::Claim(path) => Ok(claim(scope.claims, path)),
        Expr::Header(name) => Ok(header(scope.headers, name)),
        Expr::FirstOf(options) => first_of(options, scope),
        Expr::Template(pieces) => template(pieces, scope),
        Expr::Object(fields) => object(fields, scope, value),
        Expr::List(items) => items.iter().map(|item| value(item, scope)).collect(),
    }
}

type Evaluate = fn(&Expr, &Scope<'_>) -> Result<Json, RenderError>;

/// Inside [`Expr::Each`]: the scope has one row, and `Batch` is its value.
fn one_of_batch(expr: &Expr, scope: &Scope<'_>) -> Result<Json, RenderError> {
    match expr {
        Expr::Batch { input, encode } => scope.encodings.key(&scope.rows[0][*input], *encode),
        Expr::Object(fields) => object(fields, scope, one_of_batch),
        Expr::List(items) => items.iter().map(|item| one_of_batch(item, scope)).collect(),
        other => value(other, scope),
    }
}

/// An entity's key, and what else is sent of it.
fn representation(expr: &Expr, row: &Row, scope: &Scope<'_>) -> Result<Json, RenderError> {
    let mut entity = one_of_batch(expr, &scope.with_rows(std::slice::from_ref(row)))?;
    if let (Json::Object(entity), Some(KeyPart::Representation(fields))) = (&mut entity, row.last())
    {
        merge(entity, fields);
    }
    Ok(entity)
}

/// Adds what is not there yet, at any depth. A plan bounds the depth.
fn merge(into: &mut Map<String, Json>, more: &Map<String, Json>) {
    for (name, value) in more {
        match (into.get_mut(name), value) {
            (Some(Json::Object(known)), Json::Object(more)) => merge(known, more),
            (Some(_), _) => {}
            (None, value) => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

fn object(
    fields: &[(String, Expr)],
    scope: &Scope<'_>,
    evaluate: Evaluate,
) -> Result<Json, RenderError> {
    let mut object = Map::with_capacity(fields.len());
    for (name, expr) in fields {
        let value = evaluate(expr, scope)?;
        if !value.is_null() {
            object.insert(name.clone(), value);
        }
    }
    Ok(Json::Object(object))
}

fn first_of(options: &[Expr], scope: &Scope<'_>) -> Result<Json, RenderError> {
    for option in options {
        let value = value(option, scope)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Json::Null)
}

fn template(pieces: &[Piece], scope: &Scope<'_>) -> Result<Json, RenderError> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Hole(expr) => match text::of(&value(expr, scope)?)? {
                Some(text) => out.push_str(&text),
                None => return Ok(Json::Null),
            },
        }
    }
    Ok(Json::String(out))
}

/// The argument at a path.
pub(crate) fn at<'a>(args: &'a Map<String, Json>, path: &[String]) -> Option<&'a Json> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(args.get(first)?, |value, name| value.get(name))
}

fn claim(claims: &Json, path: &[String]) -> Json {
    path.iter()
        .try_fold(claims, |value, name| value.get(name))
        .cloned()
        .unwrap_or_default()
}

/// Lines of one name are one list: <https://www.rfc-editor.org/rfc/rfc9110#section-5.3>.
fn header(headers: &HeaderMap, name: &str) -> Json {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        .collect();
    match lines.as_slice() {
        [] => Json::Null,
        lines => Json::String(lines.join(if name == "cookie" { "; " } else { ", " })),
    }
}

#[cfg(test)]
mod tests;
