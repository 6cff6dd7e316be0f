//! The section `limits`: what clients may send, and which clients may send more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use plan::limits::Kind;
use plan::limits::Limit;
use plan::limits::Mode;
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
use serde_json::Value as Json;

use crate::config::units::Size;

/// How large what a client or a service sends may be, and what an operation may hold.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// A request's body.
    pub(in crate::config) body: Size,
    /// A request's headers together, at most 100 of them.
    pub(in crate::config) headers: Size,
    /// A request's address.
    pub(in crate::config) uri: Size,
    /// Connections of clients that are open at once.
    pub(in crate::config) connections: usize,
    /// Those of one address (of one /64 for IPv6). Trusted proxies are not counted.
    pub(in crate::config) connections_per_address: usize,
    /// Brackets of a JSON body that stand open at once.
    pub(in crate::config) json_depth: usize,
    /// Calls of services for one operation, whatever they are for; those beyond fail.
    pub(in crate::config) upstream_calls: u32,
    /// A service's reply, after decompression.
    pub(in crate::config) reply: Size,
    /// What happens above a limit that does not say it itself.
    pub(in crate::config) mode: LimitMode,
    /// Characters of a document. 15,000.
    pub(in crate::config) characters: LimitSetting,
    /// Lexical tokens of a document. 2,000.
    pub(in crate::config) tokens: LimitSetting,
    /// Brackets of a document that stand open at once. 64, and never more than 200.
    pub(in crate::config) nesting: LimitSetting,
    /// Operations of one document. 20, and never more than 100.
    pub(in crate::config) operations: LimitSetting,
    /// Fields inside of each other, through fragments too. 15.
    pub(in crate::config) depth: LimitSetting,
    /// Fields inside of each other under __schema and __type. 20.
    pub(in crate::config) introspection_depth: LimitSetting,
    /// Response keys at the root. 20.
    pub(in crate::config) root_fields: LimitSetting,
    /// Aliases, each where it is written. 30.
    pub(in crate::config) aliases: LimitSetting,
    /// Directives, each where it is written. 50.
    pub(in crate::config) directives: LimitSetting,
    /// Declared variables. 100.
    pub(in crate::config) variables: LimitSetting,
    /// Lists and input objects inside of each other, in literals and variables. 16.
    pub(in crate::config) input_nesting: LimitSetting,
    /// Validation errors that are answered. 20, and never more than 1,000.
    pub(in crate::config) errors: LimitSetting,
    /// Steps of the planner's search, after which it takes the best plan so far. 100,000.
    pub(in crate::config) planning: LimitSetting,
    /// Points that an operation may cost. 5,000.
    pub(in crate::config) cost: LimitSetting,
    /// Clients with limits of their own. The first that matches counts.
    pub(in crate::config) clients: Vec<Client>,
}

impl Default for Limits {
    fn default() -> Self {
        let unsaid = LimitSetting::default();
        Self {
            body: Size::kib(1024),
            headers: Size::kib(32),
            uri: Size::kib(16),
            connections: 10_000,
            connections_per_address: 1_000,
            json_depth: 64,
            upstream_calls: 1_000,
            reply: Size::kib(16 * 1024),
            mode: LimitMode::Enforce,
            characters: unsaid,
            tokens: unsaid,
            nesting: unsaid,
            operations: unsaid,
            depth: unsaid,
            introspection_depth: unsaid,
            root_fields: unsaid,
            aliases: unsaid,
            directives: unsaid,
            variables: unsaid,
            input_nesting: unsaid,
            errors: unsaid,
            planning: unsaid,
            cost: unsaid,
            clients: Vec::new(),
        }
    }
}

impl Limits {
    /// What is said of each limit, by name.
    pub(in crate::config) fn named(&self) -> [(LimitName, LimitSetting); 14] {
        use LimitName as Name;
        [
            (Name::Characters, self.characters),
            (Name::Tokens, self.tokens),
            (Name::Nesting, self.nesting),
            (Name::Operations, self.operations),
            (Name::Depth, self.depth),
            (Name::IntrospectionDepth, self.introspection_depth),
            (Name::RootFields, self.root_fields),
            (Name::Aliases, self.aliases),
            (Name::Directives, self.directives),
            (Name::Variables, self.variables),
            (Name::InputNesting, self.input_nesting),
            (Name::Errors, self.errors),
            (Name::Planning, self.planning),
            (Name::Cost, self.cost),
        ]
    }
}

/// The limits that a client can have of its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub(in crate::config) enum LimitName {
    Characters,
    Tokens,
    Nesting,
    Operations,
    Depth,
    IntrospectionDepth,
    RootFields,
    Aliases,
    Directives,
    Variables,
    InputNesting,
    Errors,
    Planning,
    Cost,
}

impl LimitName {
    /// What is measured, where it is measured of the document.
    pub(in crate::config) fn kind(self) -> Option<Kind> {
        Some(match self {
            LimitName::Characters => Kind::Characters,
            LimitName::Tokens => Kind::Tokens,
            LimitName::Nesting => Kind::Nesting,
            LimitName::Operations => Kind::Operations,
            LimitName::Depth => Kind::Depth,
            LimitName::IntrospectionDepth => Kind::IntrospectionDepth,
            LimitName::RootFields => Kind::RootFields,
            LimitName::Aliases => Kind::Aliases,
            LimitName::Directives => Kind::Directives,
            LimitName::Variables => Kind::Variables,
            LimitName::InputNesting => Kind::InputNesting,
            LimitName::Errors | LimitName::Planning | LimitName::Cost => return None,
        })
    }
}

/// Clients with limits of their own.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Client {
    /// Which clients these are. What is said must all hold.
    #[serde(rename = "match")]
    pub(in crate::config) matches: ClientMatch,
    /// What is different for them.
    pub(in crate::config) limits: BTreeMap<LimitName, LimitSetting>,
}

/// By what a verified caller is known: an API key, or a claim.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct ClientMatch {
    /// The API key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) api_key: Option<String>,
    /// A claim by its name, or a path into one: `org.plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) claim: Option<String>,
    /// The claim's value, or one of the values of a claim that is a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) equals: Option<Json>,
}

/// What happens above a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LimitMode {
    /// Nothing.
    Off,
    /// The log says so.
    Measure,
    /// The operation is refused.
    Enforce,
}

impl From<LimitMode> for Mode {
    fn from(mode: LimitMode) -> Self {
        match mode {
            LimitMode::Off => Mode::Off,
            LimitMode::Measure => Mode::Measure,
            LimitMode::Enforce => Mode::Enforce,
        }
    }
}

/// One limit: `20`, `off`, `measure`, `enforce`, or `{ max: 20, mode: measure }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::config) struct LimitSetting {
    pub(in crate::config) max: Option<u64>,
    pub(in crate::config) mode: Option<LimitMode>,
}

impl LimitSetting {
    /// The limit, where `before` holds unless something else is said. A new maximum is kept to as `mode` says.
    pub(in crate::config) fn over(self, before: Limit, mode: LimitMode) -> Limit {
        let usual = match self.max {
            Some(_) => mode.into(),
            None => before.mode,
        };
        Limit {
            max: self.max.unwrap_or(before.max),
            mode: self.mode.map_or(usual, Into::into),
        }
    }
}

impl<'de> Deserialize<'de> for LimitSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

/// The long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    max: Option<u64>,
    mode: Option<LimitMode>,
}

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = LimitSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, `off`, `measure`, `enforce`, or `{ max: 20, mode: measure }`")
    }

    fn visit_u64<E: Error>(self, max: u64) -> Result<LimitSetting, E> {
        Ok(LimitSetting {
            max: Some(max),
            mode: None,
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LimitSetting, E> {
        let mode = match text {
            "off" => LimitMode::Off,
            "measure" => LimitMode::Measure,
            "enforce" => LimitMode::Enforce,
            _ => return Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        };
        Ok(LimitSetting {
            max: None,
            mode: Some(mode),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LimitSetting, A::Error> {
        let long = Long::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(LimitSetting {
            max: long.max,
            mode: long.mode,
        })
    }
}

impl Serialize for LimitSetting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.max, self.mode) {
            (Some(max), None) => serializer.serialize_u64(max),
            (None, Some(mode)) => mode.serialize(serializer),
            (max, mode) => {
                let max = max.map(|max| ("max", Json::from(max)));
                let mode =
                    mode.map(|mode| ("mode", serde_json::to_value(mode).unwrap_or_default()));
                serializer.collect_map(max.into_iter().chain(mode))
            }
        }
    }
}

impl JsonSchema for LimitSetting {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mode = ["off", "measure", "enforce"];
        json_schema!({
            "description": "A number, a mode, or both: 20, off, { max: 20, mode: measure }.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "enum": mode },
                {
                    "type": "object",
                    "properties": {
                        "max": { "type": "integer", "minimum": 0 },
                        "mode": { "enum": mode },
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(text: &str) -> Result<LimitSetting, String> {
        serde_yaml_ng::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_is_a_number_a_mode_or_both() {
        let limit = |text| {
            setting(text)
                .unwrap()
                .over(Limit::enforce(15), LimitMode::Enforce)
        };
        let is = |max, mode| Limit { max, mode };
        assert_eq!(limit("20"), is(20, Mode::Enforce));
        assert_eq!(limit("off"), is(15, Mode::Off));
        assert_eq!(limit("measure"), is(15, Mode::Measure));
        assert_eq!(limit("{ max: 20, mode: measure }"), is(20, Mode::Measure));
        assert_eq!(limit("{ mode: off }"), is(15, Mode::Off));
        for wrong in ["-1", "1.5", "sometimes", "[1]", "{ maximum: 3 }", "true"] {
            assert!(setting(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_new_maximum_takes_the_mode_of_the_file_and_leaves_a_limit_that_was_off() {
        let twenty = setting("20").unwrap();
        assert_eq!(
            twenty.over(Limit::enforce(15), LimitMode::Measure).mode,
            Mode::Measure
        );
        assert_eq!(
            twenty.over(Limit::OFF, LimitMode::Enforce),
            Limit::enforce(20)
        );
    }
}
