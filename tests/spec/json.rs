//! JSON as people write it: what fits on a line stands on one.

use serde_json::Map;
use serde_json::Value as Json;

const WIDTH: usize = 100;

/// The value as text, members in their order.
pub(crate) fn pretty(value: &Json) -> String {
    let mut out = String::new();
    write(value, 0, 0, &mut out);
    out
}

fn write(value: &Json, indent: usize, used: usize, out: &mut String) {
    let short = one_line(value);
    let empty =
        value.as_object().is_none_or(Map::is_empty) && value.as_array().is_none_or(Vec::is_empty);
    if empty || indent + used + short.chars().count() <= WIDTH {
        return out.push_str(&short);
    }
    let (open, close, members) = members(value);
    out.push(open);
    for (index, (key, member)) in members.iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        out.push_str(&" ".repeat(indent + 2));
        out.push_str(key);
        write(member, indent + 2, key.len(), out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}

fn members(value: &Json) -> (char, char, Vec<(String, &Json)>) {
    let key = |key: &String| format!("{}: ", Json::from(key.as_str()));
    match value {
        Json::Object(members) => ('{', '}', members.iter().map(|(k, v)| (key(k), v)).collect()),
        Json::Array(items) => ('[', ']', items.iter().map(|v| (String::new(), v)).collect()),
        leaf => unreachable!("{leaf} is no collection"),
    }
}

fn one_line(value: &Json) -> String {
    match value {
        Json::Object(_) | Json::Array(_) => {
            let (open, close, members) = members(value);
            let written = members
                .iter()
                .map(|(key, value)| format!("{key}{}", one_line(value)));
            let inside = written.collect::<Vec<_>>().join(", ");
            match (open, inside.is_empty()) {
                ('{', false) => format!("{{ {inside} }}"),
                _ => format!("{open}{inside}{close}"),
            }
        }
        leaf => leaf.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_on_a_line_stands_on_one() {
        let long = "x".repeat(90);
        let value = serde_json::json!({ "b": { "a": [1, {}] }, "long": long });
        assert_eq!(
            pretty(&value),
            format!("{{\n  \"b\": {{ \"a\": [1, {{}}] }},\n  \"long\": \"{long}\"\n}}")
        );
    }
}
