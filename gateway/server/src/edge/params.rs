//! The parameters of a GraphQL request, from JSON or from a query string.
//!
//! Owns their form: <https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>.
//! Unknown members are ignored, null equals absent, and a wrong type is the
//! client's mistake. Nesting is bounded before anything is built. serde_json
//! reads bodies of this size faster than the parsers made for large documents.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Value as Json;

use super::problem::Problem;
use crate::pipeline::Wants;

/// What a client sends.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Params<'r> {
    pub(super) query: Cow<'r, str>,
    pub(super) operation_name: Option<Cow<'r, str>>,
    pub(super) variables: Map<String, Json>,
    pub(super) wants: Wants,
}

impl<'r> Params<'r> {
    /// From the body of a POST.
    pub(super) fn of_body(body: &'r [u8], depth: usize) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body)
            .map_err(|_| Problem::malformed("The body is not UTF-8 text."))?;
        let members: Members<'r> = json(text, depth, "The body")?;
        members.into_params()
    }

    /// From the query string of a GET.
    pub(super) fn of_query(query: &str, depth: usize) -> Result<Params<'static>, Problem> {
        let given: InUrl = serde_urlencoded::from_str(query)
            .map_err(|error| Problem::malformed(format!("The query string: {error}.")))?;
        let variables = given.variables.unwrap_or_default();
        let extensions = given.extensions.unwrap_or_default();
        let members = Members {
            query: given.query.map(Cow::Owned),
            operation_name: given.operation_name.map(Cow::Owned),
            variables: in_url(&variables, depth, "`variables`")?,
            wants: in_url::<Extensions>(&extensions, depth, "`extensions`")?.map(|e| e.0),
        };
        members.into_params()
    }
}

/// Parameters that are JSON text in a query string; empty is absent.
fn in_url<'t, T: Deserialize<'t>>(
    text: &'t str,
    depth: usize,
    what: &str,
) -> Result<Option<T>, Problem> {
    match text.is_empty() {
        true => Ok(None),
        false => json(text, depth, what),
    }
}

fn json<'t, T: Deserialize<'t>>(text: &'t str, depth: usize, what: &str) -> Result<T, Problem> {
    if is_deeper_than(text.as_bytes(), depth) {
        return Err(Problem::malformed(format!(
            "{what} is nested more than {depth} levels deep."
        )));
    }
    serde_json::from_str(text).map_err(|error| Problem::malformed(format!("{what}: {error}.")))
}

/// Counts brackets outside of strings, without recursion.
fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    let (mut open, mut at) = (0_usize, 0);
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            b'"' => at = end_of_string(json, at),
            _ => {}
        }
        if open > limit {
            return true;
        }
    }
    false
}

fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => return at,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at
}

#[derive(Deserialize)]
struct InUrl {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// The members of a request as they were sent.
#[derive(Default)]
struct Members<'r> {
    query: Option<Cow<'r, str>>,
    operation_name: Option<Cow<'r, str>>,
    variables: Option<Map<String, Json>>,
    wants: Option<Wants>,
}

impl<'r> Members<'r> {
    fn into_params(self) -> Result<Params<'r>, Problem> {
        let missing = || Problem::malformed("The parameter `query` is missing.");
        Ok(Params {
            query: self.query.ok_or_else(missing)?,
            operation_name: self.operation_name,
            variables: self.variables.unwrap_or_default(),
            wants: self.wants.unwrap_or_default(),
        })
    }
}

/// A derived implementation would take a list for an object.
impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member `query`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "query" => members.query = map.next_value::<Option<Text>>()?.map(|t| t.0),
                "operationName" => {
                    members.operation_name = map.next_value::<Option<Text>>()?.map(|t| t.0);
                }
                "variables" => members.variables = map.next_value()?,
                "extensions" => {
                    members.wants = map.next_value::<Option<Extensions>>()?.map(|e| e.0);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// Text that is borrowed where it holds no escapes.
struct Text<'r>(Cow<'r, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text)))
    }
}

/// Of `extensions` only `switchboard: { plan, trace }` is read; whatever else it holds is not ours.
struct Extensions(Wants);

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let extensions: Map<String, Json> = Map::deserialize(deserializer)?;
        let ours = extensions.get("switchboard");
        let flag = |name| ours.and_then(|ours| ours.get(name)) == Some(&Json::Bool(true));
        Ok(Self(Wants {
            plan: flag("plan"),
            trace: flag("trace"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Result<Params<'_>, String> {
        Params::of_body(text.as_bytes(), 64).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let params =
            body(r#"{"query":"{ a }","operationName":"A","variables":{"x":[1]}}"#).unwrap();
        assert!(matches!(params.query, Cow::Borrowed("{ a }")));
        assert!(matches!(params.operation_name, Some(Cow::Borrowed("A"))));
        assert_eq!(params.variables["x"], serde_json::json!([1]));
        let escaped = body(r#"{"query":"{\n a }"}"#).unwrap();
        assert_eq!(escaped.query, "{\n a }");
    }

    #[test]
    fn null_equals_absent_and_unknown_members_are_ignored() {
        let all =
            r#"{"query":"{a}","operationName":null,"variables":null,"extensions":null,"x":[{}]}"#;
        assert_eq!(body(all).unwrap(), body(r#"{"query":"{a}"}"#).unwrap());
    }

    #[test]
    fn anything_of_the_wrong_type_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            r#"["{a}"]"#,
            r#"[{"query":"{a}"}]"#,
            r#"{"query":1}"#,
            r#"{"query":null}"#,
            r#"{"query":{"a":1}}"#,
            r#"{"query":["a"]}"#,
            r#"{"query":"{a}","operationName":0}"#,
            r#"{"query":"{a}","operationName":["a"]}"#,
            r#"{"query":"{a}","variables":"a"}"#,
            r#"{"query":"{a}","variables":["a"]}"#,
            r#"{"query":"{a}","variables":false}"#,
            r#"{"query":"{a}","extensions":"a"}"#,
            r#"{"query":"{a}","extensions":["a"]}"#,
            r#"{"query":"{a}""#,
            r#"{"query":"{a}"} x"#,
            r#"{"qeury":"{a}"}"#,
        ] {
            assert!(body(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_report_is_asked_for_in_the_extensions() {
        let wants = |extensions: &str| {
            let text = format!(r#"{{"query":"{{a}}","extensions":{extensions}}}"#);
            body(&text).unwrap().wants
        };
        let (plan, trace) = (true, true);
        assert_eq!(
            wants(r#"{"switchboard":{"plan":true,"trace":true}}"#),
            Wants { plan, trace }
        );
        assert_eq!(wants(r#"{"switchboard":{"plan":1}}"#), Wants::default());
        assert_eq!(
            wants(r#"{"switchboard":true,"other":{}}"#),
            Wants::default()
        );
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| {
            format!(
                r#"{{"query":"{{a}}","x":{}{}}}"#,
                "[".repeat(n),
                "]".repeat(n)
            )
        };
        assert!(body(&nested(63)).is_ok());
        assert!(body(&nested(64)).unwrap_err().contains("64 levels"));
        assert!(body(&nested(1_000_000)).is_err());
        let text = format!(r#"{{"query":"{}\"{}"}}"#, "[".repeat(100), "{".repeat(100));
        assert!(body(&text).is_ok());
    }

    #[test]
    fn a_query_string_holds_the_same_parameters() {
        let query =
            "query=query+A%28%24x%3AInt%29%7Ba%7D&operationName=A&variables=%7B%22x%22%3A1%7D&x=y";
        let params = Params::of_query(query, 64).unwrap();
        assert_eq!(params.query, "query A($x:Int){a}");
        assert_eq!(params.operation_name.as_deref(), Some("A"));
        assert_eq!(params.variables["x"], 1);
        let nulls = Params::of_query("query=a&variables=null&extensions=", 64).unwrap();
        assert!(nulls.variables.is_empty());
        for wrong in [
            "",
            "variables=%7B%7D",
            "query=a&variables=1",
            "query=a&variables=%7B",
        ] {
            assert!(Params::of_query(wrong, 64).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_body_that_is_not_utf8_is_refused() {
        assert!(Params::of_body(b"{\"query\":\"\xff\"}", 64).is_err());
    }
}
