//! The address of a REST call, written straight into one string.
//!
//! Owns percent-encoding and refusing values that would address something
//! else. A hole is one segment's part: nothing in it can begin another
//! segment, a query or a fragment. See RFC 3986, section 2.3.

use std::borrow::Cow;
use std::fmt::Write;

use compose::model::Encoding;
use compose::model::EncodingId;
use compose::model::Expr;
use compose::model::ListStyle;
use compose::model::Piece;
use compose::model::QueryParam;
use compose::model::RestRequest;
use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde_json::Value as Json;

use super::RenderError;
use super::Scope;
use super::text;

/// Everything but RFC 3986's unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What would end a parameter's name; brackets are left, as services expect them.
const NAME: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>');

/// What may not stand in an address as it is; a percent sign is the mapping's own.
const LITERAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Path and query below the base address. Extra parameters replace those of the request by name.
pub(crate) fn target(
    request: &RestRequest,
    scope: &Scope<'_>,
    extra: &[(&str, Json)],
) -> Result<String, RenderError> {
    let mut out = String::with_capacity(64 + scope.rows.len() * 12);
    path(&request.path, scope, &mut out)?;
    let mut query = Query::after(out);
    let replaced = |param: &&QueryParam| extra.iter().any(|(name, _)| *name == param.name);
    for param in request.query.iter().filter(|param| !replaced(param)) {
        query.expr(param, scope)?;
    }
    for (name, value) in extra {
        query.value(name, value, ListStyle::default());
    }
    Ok(query.out)
}

fn path(pieces: &[Piece], scope: &Scope<'_>, out: &mut String) -> Result<(), RenderError> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend(utf8_percent_encode(text, LITERAL)),
            Piece::Hole(expr) => hole(expr, scope, out)?,
        }
    }
    if !out.starts_with('/') {
        out.insert(0, '/');
    }
    let path = out.split('?').next().unwrap_or_default();
    if path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err(RenderError(
            "A value in the address must not be `.` or `..`: it would address another resource."
                .to_owned(),
        ));
    }
    Ok(())
}

fn hole(expr: &Expr, scope: &Scope<'_>, out: &mut String) -> Result<(), RenderError> {
    let start = out.len();
    match super::value(expr, scope)? {
        // OpenAPI's `simple` style.
        Json::Array(items) => comma_separated(&items, out),
        value => {
            if let Some(text) = text::of(&value)? {
                encode(&text, out);
            }
        }
    }
    let in_query = out[..start].contains('?');
    if out.len() == start && !in_query {
        return Err(empty(expr));
    }
    Ok(())
}

fn empty(expr: &Expr) -> RenderError {
    let what = match expr {
        Expr::Arg { path, .. } => format!("The argument `{}`", path.join(".")),
        _ => "A value in the address".to_owned(),
    };
    RenderError(format!(
        "{what} must not be empty: it would address another resource."
    ))
}

fn encode(text: &str, out: &mut String) {
    out.extend(utf8_percent_encode(text, VALUE));
}

fn comma_separated(items: &[Json], out: &mut String) {
    for (index, text) in items.iter().filter_map(text::or_json).enumerate() {
        if index > 0 {
            out.push(',');
        }
        encode(&text, out);
    }
}

/// A query string in the making.
pub(crate) struct Query {
    out: String,
    separator: Option<char>,
}

impl Query {
    /// Goes on after a path, or after a query that a path's literal text began.
    pub(crate) fn after(out: String) -> Self {
        let separator = if out.contains('?') { '&' } else { '?' };
        Self {
            out,
            separator: Some(separator),
        }
    }

    /// A form's body.
    pub(crate) fn form() -> Self {
        Self {
            out: String::new(),
            separator: None,
        }
    }

    /// What was written.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn expr(&mut self, param: &QueryParam, scope: &Scope<'_>) -> Result<(), RenderError> {
        match &param.value {
            Expr::Batch { input, encode } => self.keys(param, *input, *encode, scope),
            expr => {
                let value = super::value(expr, scope)?;
                self.value(&param.name, &value, param.lists);
                Ok(())
            }
        }
    }

    /// The hot path: every parent's key, with no value built in between.
    fn keys(
        &mut self,
        param: &QueryParam,
        input: usize,
        id: EncodingId,
        scope: &Scope<'_>,
    ) -> Result<(), RenderError> {
        if let Encoding::List(_) | Encoding::Object(_) = scope.encodings.get(id) {
            let value = super::value(&param.value, scope)?;
            self.value(&param.name, &value, param.lists);
            return Ok(());
        }
        let mut list = self.list(&param.name, param.lists);
        for row in scope.rows {
            if let Some(text) = scope.encodings.key_text(&row[input], id)? {
                list.item(&text);
            }
        }
        Ok(())
    }

    /// A parameter: null is omitted, an object's entries are parameters of their own.
    pub(crate) fn value(&mut self, name: &str, value: &Json, lists: ListStyle) {
        match value {
            Json::Array(items) => {
                let mut list = self.list(name, lists);
                items
                    .iter()
                    .filter_map(text::or_json)
                    .for_each(|text| list.item(&text));
            }
            Json::Object(entries) => entries
                .iter()
                .for_each(|(name, value)| self.entry(name, value, lists)),
            value => self.leaf(name, text::or_json(value)),
        }
    }

    /// An object within an object has no agreed spelling: it travels as JSON.
    fn entry(&mut self, name: &str, value: &Json, lists: ListStyle) {
        match value {
            Json::Object(_) => self.leaf(name, text::or_json(value)),
            value => self.value(name, value, lists),
        }
    }

    fn leaf(&mut self, name: &str, text: Option<Cow<'_, str>>) {
        if let Some(text) = text {
            self.name(name, "");
            encode(&text, &mut self.out);
        }
    }

    fn name(&mut self, name: &str, suffix: &str) {
        self.out.extend(self.separator.replace('&'));
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{}{suffix}=", utf8_percent_encode(name, NAME));
    }

    fn list<'a>(&'a mut self, name: &'a str, style: ListStyle) -> List<'a> {
        List {
            query: self,
            name,
            style,
            begun: false,
        }
    }
}

/// A list in the style of its parameter.
struct List<'a> {
    query: &'a mut Query,
    name: &'a str,
    style: ListStyle,
    begun: bool,
}

impl List<'_> {
    fn item(&mut self, text: &str) {
        match self.style {
            ListStyle::Repeated => self.query.name(self.name, ""),
            ListStyle::Brackets => self.query.name(self.name, "[]"),
            ListStyle::Comma if self.begun => self.query.out.push(','),
            ListStyle::Comma => self.query.name(self.name, ""),
        }
        self.begun = true;
        encode(text, &mut self.query.out);
    }
}
