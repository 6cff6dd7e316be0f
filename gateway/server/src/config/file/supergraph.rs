//! What the file says about a ready-made supergraph.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::Visitor;

use super::Source;
use super::credentials::Secret;
use super::credentials::Tls;
use crate::config::units::Size;
use crate::config::units::Span;

/// A ready-made supergraph, join v0.1 to v0.5: the name of its file, or where it is and what is different here.
#[derive(Debug)]
pub(in crate::config) struct Supergraph(pub(in crate::config) Long);

/// Where a ready-made supergraph is, and what is different here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SupergraphOrigin")]
pub(in crate::config) struct Long {
    /// A file, relative to this one; read again when it changes, as files of subgraphs are.
    pub(in crate::config) file: Option<String>,
    /// The address of one, instead of a file.
    pub(in crate::config) url: Option<String>,
    /// How often the address is asked whether it has another one (ETag, If-None-Match).
    #[serde(default = "poll")]
    pub(in crate::config) poll: Span,
    /// How long one answer may take.
    #[serde(default = "timeout")]
    pub(in crate::config) timeout: Span,
    /// The largest answer that is read.
    #[serde(default = "reply")]
    pub(in crate::config) reply: Size,
    /// Headers for the address, such as `authorization`.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, Secret>,
    /// TLS towards the address.
    #[serde(default)]
    pub(in crate::config) tls: Tls,
    /// Where the last one that composed is kept, relative to this file, for a start at which the address does not answer. An empty text keeps none.
    #[serde(default = "keep")]
    pub(in crate::config) keep: String,
    /// The variables that it may read as {$env.NAME}.
    #[serde(default)]
    pub(in crate::config) env: Vec<String>,
    /// What is different here, by the name of a subgraph (or of a source that the supergraph declares).
    #[serde(default)]
    pub(in crate::config) sources: BTreeMap<String, Source>,
}

fn poll() -> Span {
    Span::seconds(30)
}

fn timeout() -> Span {
    Span::seconds(10)
}

fn reply() -> Size {
    Size::kib(16 * 1024)
}

fn keep() -> String {
    "./data/supergraph.graphql".into()
}

impl<'de> Deserialize<'de> for Supergraph {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SupergraphVisitor)
    }
}

struct SupergraphVisitor;

impl<'de> Visitor<'de> for SupergraphVisitor {
    type Value = Supergraph;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a file, or { url: https://... }")
    }

    fn visit_str<E: Error>(self, file: &str) -> Result<Supergraph, E> {
        Ok(Supergraph(Long {
            file: Some(file.to_owned()),
            url: None,
            poll: poll(),
            timeout: timeout(),
            reply: reply(),
            headers: BTreeMap::new(),
            tls: Tls::default(),
            keep: keep(),
            env: Vec::new(),
            sources: BTreeMap::new(),
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Supergraph, A::Error> {
        Long::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Supergraph)
    }
}

impl JsonSchema for Supergraph {
    fn schema_name() -> Cow<'static, str> {
        "Supergraph".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A ready-made supergraph, join v0.1 to v0.5: the name of its file, or where it is and what is different here.",
            "anyOf": [{ "type": "string" }, generator.subschema_for::<Long>()],
        })
    }
}
