//! The sections by which the gateway is watched.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::Visitor;

use super::super::units::Span;
use super::credentials::Secret;
use super::credentials::Tls;

/// Numbers for Prometheus, at /metrics on the port of operators.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Metrics {
    /// Answer /metrics.
    pub(in crate::config) enabled: bool,
    /// Operation names that are counted apart, in the order in which they are first planned; the rest is `other`.
    pub(in crate::config) operations: usize,
    /// Count how often each field of the schema is part of an operation that ran.
    pub(in crate::config) fields: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            operations: 500,
            fields: true,
        }
    }
}

/// Traces over OTLP/HTTP (protobuf). Off without an endpoint.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tracing {
    /// Where a collector takes OTLP over HTTP: `http://jaeger:4318`. Without a path, /v1/traces is added.
    pub(in crate::config) endpoint: Option<String>,
    /// Headers for the collector.
    pub(in crate::config) headers: BTreeMap<String, Secret>,
    /// Whom to trust as the collector, and which certificate to show.
    pub(in crate::config) tls: Tls,
    /// The share of requests that become traces: 0.01 is one of a hundred.
    pub(in crate::config) sample: f64,
    /// Whether a caller's own decision, the sampled flag of its traceparent, goes before `sample`.
    pub(in crate::config) parent: Parent,
    /// The name of this gateway in traces.
    pub(in crate::config) service: String,
    /// What else is said of this gateway: `deployment.environment.name: production`.
    pub(in crate::config) attributes: BTreeMap<String, String>,
    /// Requests that wait to be sent; more are dropped and counted.
    pub(in crate::config) queue: usize,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            tls: Tls::default(),
            sample: 0.01,
            parent: Parent::Obey,
            service: "switchboard".into(),
            attributes: BTreeMap::new(),
            queue: 2_048,
        }
    }
}

/// Whether a caller's own decision goes before ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Parent {
    /// It does.
    Obey,
    /// It does not: callers are not trusted to choose what is traced.
    Ignore,
}

/// A warning for each request that takes longer, with its plan and each of its calls.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SlowLog {
    /// Longer than this. Off by default: while it is on, the calls of every request are written down.
    pub(in crate::config) above: Option<Span>,
}

/// One line for each request, or for a share of them: `true`, or `{ enabled: true, sample: 0.1 }`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::config) struct AccessLog {
    pub(in crate::config) enabled: bool,
    pub(in crate::config) sample: f64,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            enabled: false,
            sample: 1.0,
        }
    }
}

impl<'de> Deserialize<'de> for AccessLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AccessLogVisitor)
    }
}

struct AccessLogVisitor;

/// The long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    enabled: Option<bool>,
    sample: Option<f64>,
}

impl<'de> Visitor<'de> for AccessLogVisitor {
    type Value = AccessLog;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false`, or `{ enabled: true, sample: 0.1 }`")
    }

    fn visit_bool<E: Error>(self, enabled: bool) -> Result<AccessLog, E> {
        Ok(AccessLog {
            enabled,
            ..AccessLog::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AccessLog, A::Error> {
        let long = Long::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        // Who says how many wants them.
        Ok(AccessLog {
            enabled: long.enabled.unwrap_or(true),
            sample: long.sample.unwrap_or(1.0),
        })
    }
}

impl Serialize for AccessLog {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.enabled)
    }
}

impl JsonSchema for AccessLog {
    fn schema_name() -> Cow<'static, str> {
        "AccessLog".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "true, false, or { enabled: true, sample: 0.1 } for one of ten requests.",
            "anyOf": [
                { "type": "boolean" },
                {
                    "type": "object",
                    "properties": {
                        "enabled": { "type": "boolean" },
                        "sample": { "type": "number", "minimum": 0, "maximum": 1 },
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}
