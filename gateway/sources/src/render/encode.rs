//! How a GraphQL value is spelled upstream.
//!
//! Owns names of input fields and enum values, and the JSON type that a
//! contract wants of a leaf. Knows nothing of expressions.

use std::borrow::Cow;

use compose::Supergraph;
use compose::model::Encoding;
use compose::model::EncodingId;
use compose::model::Expr;
use compose::model::Outward;
use plan::source::KeyPart;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;

use super::RenderError;
use super::text;
use super::visit;
use crate::format;

/// The encodings of a graph, by [`EncodingId`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Encodings(Vec<Encoding>);

impl Encodings {
    /// The encodings that a graph's requests name.
    pub(crate) fn of(graph: &Supergraph) -> Self {
        let mut table = Self::default();
        let mut visit = |expr: &Expr| match expr {
            Expr::Arg { encode, .. } | Expr::Parent { encode, .. } | Expr::Batch { encode, .. } => {
                table.add(graph, *encode);
            }
            _ => {}
        };
        for resolver in graph.resolvers() {
            visit::request(&resolver.request, &mut visit);
            let page = resolver.page.iter();
            let steering = page.flat_map(|page| page.first.iter().chain(&page.after));
            steering.for_each(&mut visit);
        }
        for source in graph.sources() {
            visit::rules(&source.headers, &mut visit);
        }
        let fields = graph.views().iter().flat_map(|view| view.fields.values());
        for arg in fields.flat_map(|field| &field.args) {
            table.add(graph, arg.encode);
        }
        table
    }

    #[cfg(test)]
    pub(crate) fn from_table(table: Vec<Encoding>) -> Self {
        Self(table)
    }

    fn add(&mut self, graph: &Supergraph, id: EncodingId) {
        if self.0.len() <= id.index() {
            self.0.resize(id.index() + 1, Encoding::AsIs);
        }
        // An input type may contain itself: what is already known is not entered again.
        if self.0[id.index()] != Encoding::AsIs {
            return;
        }
        let encoding = graph.encoding(id);
        self.0[id.index()] = encoding.clone();
        match encoding {
            Encoding::List(item) => self.add(graph, *item),
            Encoding::Object(fields) => {
                fields
                    .values()
                    .for_each(|(_, field)| self.add(graph, *field));
            }
            Encoding::AsIs | Encoding::Leaf(_) | Encoding::Enum(_) => {}
        }
    }

    /// One encoding; what no request names is sent as it is.
    pub(crate) fn get(&self, id: EncodingId) -> &Encoding {
        self.0.get(id.index()).unwrap_or(&Encoding::AsIs)
    }

    /// A value, encoded. Its depth is that of a coerced argument, which the edge bounds.
    pub(crate) fn json(&self, value: &Json, id: EncodingId) -> Result<Json, RenderError> {
        match (self.get(id), value) {
            (_, Json::Null) => Ok(Json::Null),
            (Encoding::AsIs, value) => Ok(value.clone()),
            (Encoding::List(item), Json::Array(items)) => {
                items.iter().map(|value| self.json(value, *item)).collect()
            }
            (Encoding::List(item), value) => Ok(Json::Array(vec![self.json(value, *item)?])),
            (Encoding::Leaf(_) | Encoding::Enum(_), Json::Array(items)) => {
                items.iter().map(|value| self.json(value, id)).collect()
            }
            (Encoding::Leaf(outward), value) => leaf(value, *outward),
            (Encoding::Enum(values), Json::String(name)) => {
                let upstream = values.get(name.as_str()).unwrap_or(name);
                Ok(Json::String(upstream.clone()))
            }
            (Encoding::Object(fields), Json::Object(object)) => {
                let field = |name: &str| fields.get(name).map(|(to, id)| (to.as_str(), *id));
                self.object(object, field)
            }
            (Encoding::Enum(_) | Encoding::Object(_), value) => Ok(value.clone()),
        }
    }

    fn object<'a>(
        &self,
        object: &Map<String, Json>,
        field: impl Fn(&str) -> Option<(&'a str, EncodingId)>,
    ) -> Result<Json, RenderError> {
        let mut out = Map::with_capacity(object.len());
        for (name, value) in object {
            match field(name) {
                Some((upstream, id)) => out.insert(upstream.to_owned(), self.json(value, id)?),
                None => out.insert(name.clone(), value.clone()),
            };
        }
        Ok(Json::Object(out))
    }

    /// A parent's value, encoded.
    pub(crate) fn key(&self, part: &KeyPart, id: EncodingId) -> Result<Json, RenderError> {
        self.json(&json_of_key(part), id)
    }

    /// A parent's value as text for a URL, without a copy where it is text already.
    pub(crate) fn key_text<'a>(
        &'a self,
        part: &'a KeyPart,
        id: EncodingId,
    ) -> Result<Option<Cow<'a, str>>, RenderError> {
        match (part, self.get(id)) {
            (KeyPart::Text(text), Encoding::AsIs | Encoding::Leaf(Outward::String)) => {
                Ok(Some(Cow::Borrowed(text)))
            }
            (KeyPart::Text(name), Encoding::Enum(values)) => Ok(Some(Cow::Borrowed(
                values.get(&**name).map_or(name, String::as_str),
            ))),
            (
                KeyPart::Int(int),
                Encoding::AsIs
                | Encoding::Leaf(Outward::String | Outward::Integer | Outward::Number),
            ) => Ok(Some(Cow::Owned(
                itoa::Buffer::new().format(*int).to_owned(),
            ))),
            (part, _) => {
                let value = self.key(part, id)?;
                Ok(text::of(&value)?.map(|text| Cow::Owned(text.into_owned())))
            }
        }
    }
}

/// A parent's value as JSON of the type it arrived with.
fn json_of_key(part: &KeyPart) -> Json {
    match part {
        KeyPart::Null => Json::Null,
        KeyPart::Bool(value) => Json::Bool(*value),
        KeyPart::Int(value) => Json::from(*value),
        KeyPart::UInt(value) => Json::from(*value),
        KeyPart::Float(value) => Json::from(*value),
        KeyPart::Text(value) => Json::String(value.to_string()),
        KeyPart::Json(value) => (**value).clone(),
        KeyPart::Representation(fields) => Json::Object((**fields).clone()),
    }
}

fn leaf(value: &Json, outward: Outward) -> Result<Json, RenderError> {
    match (outward, value) {
        (Outward::String, Json::Number(_) | Json::Bool(_)) => Ok(Json::String(value.to_string())),
        (Outward::String, value) => Ok(value.clone()),
        (Outward::Integer, value) => integer(value),
        (Outward::Number, Json::String(text)) => match format::number(text) {
            Ok(number) => Ok(Json::Number(number)),
            Err(misfit) => Err(refused(misfit)),
        },
        (Outward::Number, value) => Ok(value.clone()),
        (Outward::Boolean, Json::String(text)) => match text.as_str() {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => Err(refused(format::Misfit("true or false"))),
        },
        (Outward::Boolean, value) => Ok(value.clone()),
        (Outward::Format(format), value) => format::outward(format, value).map_err(refused),
    }
}

fn integer(value: &Json) -> Result<Json, RenderError> {
    let exact = match value {
        Json::String(text) => text
            .parse::<i64>()
            .map(Number::from)
            .ok()
            .or_else(|| text.parse::<u64>().map(Number::from).ok()),
        Json::Number(number) if number.is_f64() => integral(number),
        Json::Number(number) => Some(number.clone()),
        _ => None,
    };
    exact
        .map(Json::Number)
        .ok_or_else(|| refused(format::Misfit("an integer")))
}

fn integral(number: &Number) -> Option<Number> {
    // Every integer of this size is exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64()?;
    (float.fract() == 0.0 && float.abs() <= EXACT).then(|| Number::from(float as i64))
}

fn refused(misfit: format::Misfit) -> RenderError {
    RenderError(format!("A value cannot be sent to the service: {misfit}."))
}
