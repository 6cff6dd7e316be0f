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
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Value as Json;

use super::problem::Kind;
use super::problem::Problem;
use crate::documents::Asked;
use crate::documents::PersistedQuery;
use crate::pipeline::Wants;

/// What a client sends.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Params<'r> {
    /// One of these three is there.
    pub(super) query: Option<Cow<'r, str>>,
    pub(super) document_id: Option<Cow<'r, str>>,
    pub(super) persisted: Option<PersistedQuery>,
    pub(super) operation_name: Option<Cow<'r, str>>,
    pub(super) variables: Map<String, Json>,
    pub(super) wants: Wants,
}

impl<'r> Params<'r> {
    /// From the body of a POST.
    pub(super) fn of_body(body: &'r [u8], depth: usize) -> Result<Self, Problem> {
        let text = text(body)?;
        let members: Members<'r> = json(text, depth, "The body")?;
        members.into_params()
    }

    /// From the body of a POST that is a list, of at most `max` operations.
    pub(super) fn of_list(body: &'r [u8], depth: usize, max: usize) -> Result<Vec<Self>, Problem> {
        let text = text(body)?;
        bounded(text, depth + 1, "The body")?;
        let mut parser = serde_json::Deserializer::from_str(text);
        let list = List { max }.deserialize(&mut parser);
        let list = list.and_then(|list| parser.end().map(|()| list));
        let (list, count) = list.map_err(|error| not_json("The body", &error))?;
        match count {
            0 => Err(Problem::malformed("The list holds no operation.")),
            count if count > max => Err(too_many(count, max)),
            _ => list.into_iter().map(Members::into_params).collect(),
        }
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
            document_id: given
                .document_id
                .or(given.doc_id)
                .or(given.id)
                .map(Cow::Owned),
            extensions: in_url(&extensions, depth, "`extensions`")?,
        };
        members.into_params()
    }

    /// How the request says which document it means.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            text: self.query.as_deref(),
            id: self.document_id.as_deref(),
            persisted: self.persisted.as_ref(),
            operation_name: self.operation_name.as_deref(),
        }
    }
}

/// Whether a body can only be a list.
pub(super) fn is_list(body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'[')
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|_| Problem::malformed("The body is not UTF-8 text."))
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
    bounded(text, depth, what)?;
    serde_json::from_str(text).map_err(|error| not_json(what, &error))
}

fn bounded(text: &str, depth: usize, what: &str) -> Result<(), Problem> {
    match is_deeper_than(text.as_bytes(), depth) {
        false => Ok(()),
        true => Err(Problem::malformed(format!(
            "{what} is nested more than {depth} levels deep."
        ))),
    }
}

fn not_json(what: &str, error: &serde_json::Error) -> Problem {
    Problem::malformed(format!("{what}: {error}."))
}

fn too_many(count: usize, max: usize) -> Problem {
    let detail = format!("The list holds {count} operations; at most {max} are accepted.");
    Problem::new(Kind::BatchTooLarge, detail).member("limit", max)
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
    #[serde(rename = "documentId")]
    document_id: Option<String>,
    doc_id: Option<String>,
    id: Option<String>,
}

/// The members of a request as they were sent.
#[derive(Default)]
struct Members<'r> {
    query: Option<Cow<'r, str>>,
    operation_name: Option<Cow<'r, str>>,
    variables: Option<Map<String, Json>>,
    /// `documentId`; Relay's clients call it `doc_id` or `id`.
    document_id: Option<Cow<'r, str>>,
    extensions: Option<Extensions>,
}

impl<'r> Members<'r> {
    fn into_params(self) -> Result<Params<'r>, Problem> {
        let extensions = self.extensions.unwrap_or_default();
        let named = self.document_id.is_some() || extensions.persisted.is_some();
        if self.query.is_none() && !named {
            return Err(Problem::malformed("The parameter `query` is missing."));
        }
        Ok(Params {
            query: self.query,
            document_id: self.document_id,
            persisted: extensions.persisted,
            operation_name: self.operation_name,
            variables: self.variables.unwrap_or_default(),
            wants: extensions.wants,
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
                "extensions" => members.extensions = map.next_value()?,
                "documentId" => {
                    let id = map.next_value::<Option<Text>>()?;
                    members.document_id = id.map(|t| t.0).or(members.document_id);
                }
                // Other clients mean something else by such a member: only text is an id.
                "doc_id" | "id" if members.document_id.is_none() => {
                    members.document_id = map.next_value::<MaybeText>()?.0;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// A list of operations: those beyond `max` are counted and not kept.
struct List {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for List {
    type Value = (Vec<Members<'de>>, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = (Vec<Members<'de>>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while list.len() < self.max
            && let Some(members) = seq.next_element()?
        {
            list.push(members);
        }
        let mut count = list.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((list, count))
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

/// Text, or nothing where something else stands.
struct MaybeText<'r>(Option<Cow<'r, str>>);

impl<'de> Deserialize<'de> for MaybeText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Json::deserialize(deserializer)?;
        Ok(Self(match value {
            Json::String(text) => Some(Cow::Owned(text)),
            _ => None,
        }))
    }
}

/// Of `extensions`, `switchboard: { plan, trace }`, `cost` and `persistedQuery` are read; whatever else it holds is not ours.
#[derive(Debug, Default)]
struct Extensions {
    wants: Wants,
    persisted: Option<PersistedQuery>,
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let extensions: Map<String, Json> = Map::deserialize(deserializer)?;
        let ours = extensions.get("switchboard");
        let flag = |name| ours.and_then(|ours| ours.get(name)) == Some(&Json::Bool(true));
        let persisted = extensions.get("persistedQuery");
        Ok(Self {
            wants: Wants {
                plan: flag("plan"),
                trace: flag("trace"),
                cost: extensions.get("cost") == Some(&Json::Bool(true)),
            },
            persisted: persisted.and_then(persisted_query).transpose()?,
        })
    }
}

/// The public protocol of automatic persisted queries; null is absent.
fn persisted_query<E: Error>(given: &Json) -> Option<Result<PersistedQuery, E>> {
    if given.is_null() {
        return None;
    }
    let version = given.get("version").and_then(Json::as_u64);
    let hash = given.get("sha256Hash").and_then(Json::as_str);
    let wrong = || E::custom("`persistedQuery` is { version, sha256Hash }");
    let query = version.zip(hash).map(|(version, hash)| PersistedQuery {
        version,
        sha256_hash: hash.to_owned(),
    });
    Some(query.ok_or_else(wrong))
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
        assert!(matches!(params.query, Some(Cow::Borrowed("{ a }"))));
        assert!(matches!(params.operation_name, Some(Cow::Borrowed("A"))));
        assert_eq!(params.variables["x"], serde_json::json!([1]));
        let escaped = body(r#"{"query":"{\n a }"}"#).unwrap();
        assert_eq!(escaped.query.as_deref(), Some("{\n a }"));
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
        let (plan, trace, cost) = (true, true, false);
        assert_eq!(
            wants(r#"{"switchboard":{"plan":true,"trace":true}}"#),
            Wants { plan, trace, cost }
        );
        assert!(wants(r#"{"cost":true}"#).cost);
        assert!(!wants(r#"{"cost":1,"switchboard":{"cost":true}}"#).cost);
        assert_eq!(wants(r#"{"switchboard":{"plan":1}}"#), Wants::default());
        assert_eq!(
            wants(r#"{"switchboard":true,"other":{}}"#),
            Wants::default()
        );
    }

    #[test]
    fn a_document_may_be_named_instead_of_sent() {
        let id = |text: &str| body(text).unwrap().document_id.map(Cow::into_owned);
        for member in ["documentId", "doc_id", "id"] {
            let text = format!(r#"{{"{member}":"ada"}}"#);
            assert_eq!(id(&text).as_deref(), Some("ada"), "{member}");
        }
        let both = r#"{"id":"1","documentId":"2","doc_id":"3"}"#;
        assert_eq!(id(both).as_deref(), Some("2"));
        assert_eq!(id(r#"{"query":"{a}","id":7}"#), None);
        assert!(body(r#"{"documentId":7}"#).is_err());
        let query = Params::of_query("documentId=ada&variables=%7B%7D", 64).unwrap();
        assert_eq!(query.asked().id, Some("ada"));
    }

    #[test]
    fn a_hash_stands_in_the_extensions() {
        let persisted = |extensions: &str| {
            let text = format!(r#"{{"extensions":{{"persistedQuery":{extensions}}}}}"#);
            body(&text).map(|params| params.persisted)
        };
        let query = PersistedQuery {
            version: 1,
            sha256_hash: "abc".into(),
        };
        let given = persisted(r#"{"version":1,"sha256Hash":"abc"}"#);
        assert_eq!(given.unwrap(), Some(query));
        for wrong in [
            "null",
            "1",
            "{}",
            r#"{"version":1}"#,
            r#"{"sha256Hash":"abc"}"#,
        ] {
            assert!(persisted(wrong).is_err(), "{wrong}");
        }
        let text = r#"{"query":"{a}","extensions":{"persistedQuery":null}}"#;
        assert_eq!(body(text).unwrap().persisted, None);
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
    fn a_list_holds_as_many_operations_as_are_accepted_in_its_order() {
        fn list(text: &str) -> Result<Vec<Params<'_>>, u16> {
            Params::of_list(text.as_bytes(), 64, 2).map_err(|problem| problem.status())
        }
        let two = r#" [{"query":"{a}"}, {"query":"{b}"}]"#;
        assert!(is_list(two.as_bytes()) && !is_list(b"{}") && !is_list(b""));
        let documents = |list: Vec<Params<'_>>| -> Vec<String> {
            let text = |params: Params<'_>| params.query.unwrap().into_owned();
            list.into_iter().map(text).collect()
        };
        assert_eq!(
            list(two).map(documents),
            Ok(vec!["{a}".into(), "{b}".into()])
        );
        let many = format!("[{}{{}}]", "{},".repeat(100_000));
        assert_eq!(list(&many).unwrap_err(), 413);
        for wrong in [
            "[]",
            "[{}]",
            "[1]",
            "[[]]",
            r#"[{"query":"{a}"}"#,
            r#"[{"query":"{a}"}] x"#,
        ] {
            assert_eq!(list(wrong).unwrap_err(), 400, "{wrong}");
        }
    }

    #[test]
    fn a_query_string_holds_the_same_parameters() {
        let query =
            "query=query+A%28%24x%3AInt%29%7Ba%7D&operationName=A&variables=%7B%22x%22%3A1%7D&x=y";
        let params = Params::of_query(query, 64).unwrap();
        assert_eq!(params.query.as_deref(), Some("query A($x:Int){a}"));
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
