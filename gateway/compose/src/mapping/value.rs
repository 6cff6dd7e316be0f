//! Mappings as they stand in a directive: strings, or GraphQL literals whose
//! strings are mappings again.

use apollo_compiler::Node;
use apollo_compiler::ast;
use serde_json::Value as Json;

use super::cursor::Cursor;
use super::expression::whole;
use super::{Entry, MAX_DEPTH, Mapping, MappingKind, Segment, Spot, SyntaxError, Text};

/// Reads the value of an argument of type `Mapping`.
pub(crate) fn mapping(value: &Node<ast::Value>) -> Result<Mapping, SyntaxError> {
    at_depth(value, 0)
}

fn at_depth(value: &Node<ast::Value>, depth: usize) -> Result<Mapping, SyntaxError> {
    let spot = Spot::of(value);
    if depth > MAX_DEPTH {
        return Err(SyntaxError::new(spot, "nested too deeply"));
    }
    if let Some(text) = Text::of(value) {
        return whole(&mut Cursor::new(text, depth));
    }
    let kind = match &**value {
        ast::Value::List(items) => MappingKind::List(
            items
                .iter()
                .map(|item| at_depth(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        ast::Value::Object(entries) => MappingKind::Object(object(entries, depth + 1)?),
        ast::Value::Enum(name) => MappingKind::Bare(vec![Segment {
            name: name.to_string(),
            spot: spot.clone(),
        }]),
        ast::Value::Variable(_) => {
            return Err(SyntaxError::new(spot, "an expression stands in quotes")
                .help(format!("write \"{value}\"")));
        }
        other => MappingKind::Const(constant(other)),
    };
    Ok(Mapping::new(kind, spot))
}

fn object(
    fields: &[(apollo_compiler::Name, Node<ast::Value>)],
    depth: usize,
) -> Result<Vec<Entry>, SyntaxError> {
    let mut entries: Vec<Entry> = Vec::new();
    for (name, value) in fields {
        let key = Segment {
            name: name.to_string(),
            spot: Spot::Whole(name.location()),
        };
        if entries.iter().any(|entry| entry.key.name == key.name) {
            return Err(SyntaxError::new(key.spot, "this key stands here twice"));
        }
        let value = at_depth(value, depth)?;
        entries.push(Entry { key, value });
    }
    Ok(entries)
}

/// A literal as JSON. Strings stand for themselves.
pub(crate) fn constant(value: &ast::Value) -> Json {
    match value {
        ast::Value::String(text) => Json::String(text.clone()),
        ast::Value::Boolean(it) => Json::Bool(*it),
        ast::Value::Int(number) => number_from(number.as_str()),
        ast::Value::Float(number) => number_from(number.as_str()),
        ast::Value::Enum(name) => Json::String(name.to_string()),
        ast::Value::List(items) => items.iter().map(|item| constant(item)).collect(),
        ast::Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.to_string(), constant(value)))
            .collect(),
        ast::Value::Null | ast::Value::Variable(_) => Json::Null,
    }
}

fn number_from(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::testing::{range, string};
    use crate::mapping::{TemplatePiece, dotted};

    /// The mapping as one line, so that a test reads as its input.
    fn show(mapping: &Mapping) -> String {
        let all = |items: &[Mapping], by: &str| {
            let shown: Vec<String> = items.iter().map(show).collect();
            shown.join(by)
        };
        match &mapping.kind {
            MappingKind::Const(json) => json.to_string(),
            MappingKind::Reference(reference) => reference.written(),
            MappingKind::Bare(path) => dotted(path),
            MappingKind::FirstOf(items) => format!("({})", all(items, " ?? ")),
            MappingKind::List(items) => format!("[{}]", all(items, ", ")),
            MappingKind::Object(entries) => {
                let shown: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{}: {}", entry.key.name, show(&entry.value)))
                    .collect();
                format!("{{{}}}", shown.join(", "))
            }
            MappingKind::Template(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    TemplatePiece::Text(text) => text.clone(),
                    TemplatePiece::Hole(hole) => format!("<{}>", show(hole)),
                })
                .collect(),
        }
    }

    fn read(text: &str) -> String {
        match mapping(&string(text)) {
            Ok(mapping) => show(&mapping),
            Err(error) => format!("{:?} {}", range(&error.spot), error.message),
        }
    }

    #[test]
    fn a_string_is_an_expression_a_text_or_a_template() {
        assert_eq!(read("$args.input.id"), "$args.input.id");
        assert_eq!(
            read(" $args.a ??  $claims.sub ?? 'x' "),
            r#"($args.a ?? $claims.sub ?? "x")"#
        );
        assert_eq!(read("'gift'"), r#""gift""#);
        assert_eq!(read("'it''s'"), r#""it's""#);
        assert_eq!(read("{$args.year}-{month}"), "<$args.year>-<month>");
        assert_eq!(read("id-{id}"), "id-<id>");
        assert_eq!(read("data.'user-list'"), "data.user-list");
        assert_eq!(
            read("$request.headers.x-tenant ?? 'n'"),
            r#"($request.headers.x-tenant ?? "n")"#
        );
        assert_eq!(read("$status"), "$status");
    }

    #[test]
    fn numbers_booleans_and_null_stand_for_themselves() {
        assert_eq!(read("20"), "20");
        assert_eq!(read("-1.5e3"), "-1500.0");
        assert_eq!(read("true"), "true");
        assert_eq!(read("null"), "null");
        assert_eq!(read("20x"), "Some((0, 3)) this is no number");
    }

    #[test]
    fn objects_and_lists_may_be_written_in_a_string() {
        assert_eq!(
            read(r#"{id: "user_id", 'x-y': $args.a}"#),
            "{id: user_id, x-y: $args.a}"
        );
        assert_eq!(read(r#"[{ id: "$batch.id" }, 1]"#), "[{id: $batch.id}, 1]");
        assert_eq!(read("{}"), "{}");
        assert_eq!(
            read("{a: 1, a: 2}"),
            "Some((7, 8)) this key stands here twice"
        );
        assert_eq!(read("{a: 1"), "Some((5, 5)) expected `}`");
    }

    #[test]
    fn graphql_values_are_mappings_as_well() {
        let id = (apollo_compiler::name!("id"), string("$batch.id"));
        let max = (
            apollo_compiler::name!("max"),
            Node::new(ast::Value::Int(5.into())),
        );
        let object = Node::new(ast::Value::Object(vec![id, max]));
        let list = Node::new(ast::Value::List(vec![object]));
        assert_eq!(show(&mapping(&list).unwrap()), "[{id: $batch.id, max: 5}]");
    }

    #[test]
    fn a_wrong_token_is_underlined_alone() {
        assert_eq!(
            read("$arg.id"),
            "Some((0, 4)) there is no expression of this name"
        );
        assert_eq!(read("$args"), "Some((0, 5)) name the argument: $args.id");
        assert_eq!(read("$args.a ?? "), "Some((11, 11)) expected a name");
        assert_eq!(
            read("$args.year-x"),
            "Some((10, 12)) the expression ends before this"
        );
        let error = mapping(&string("$arg.id")).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `$args`?"));
    }

    #[test]
    fn a_text_without_quotes_is_known_as_such() {
        let error = mapping(&string("hello world")).unwrap_err();
        assert!(error.bare_text);
        assert_eq!(range(&error.spot), Some((0, 11)));
        assert!(!mapping(&string("$args.a b")).unwrap_err().bare_text);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(read(&deep).ends_with("nested too deeply"));
        let mut value = string("a");
        for _ in 0..200 {
            value = Node::new(ast::Value::List(vec![value]));
        }
        assert_eq!(mapping(&value).unwrap_err().message, "nested too deeply");
    }
}
