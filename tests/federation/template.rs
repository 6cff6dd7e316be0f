//! Computed values: `{price} x {weight}`.
//!
//! Owns the notation. A hole is a path of fields, or an argument; of a number's template the sum or product is told.

use serde_json::Map;
use serde_json::Value as Json;

use super::world::text;

pub(crate) struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Hole(Hole),
}

pub(crate) enum Hole {
    /// `{$currency}`
    Argument(String),
    /// `{dimensions.size}`, `{price(currency: USD)}`
    Path(Vec<Step>),
}

/// One field of a path, with what is given for its arguments.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) arguments: Map<String, Json>,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (hole, behind) = after.split_once('}').expect("a hole is closed");
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Hole(Hole::parse(hole)));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self(pieces)
    }

    /// The value of a field of this type.
    pub(crate) fn fill(&self, ty: &str, hole: &dyn Fn(&Hole) -> Json) -> Json {
        if let [Piece::Hole(only)] = &*self.0 {
            return hole(only);
        }
        let written = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(it) => text(&hole(it)),
        });
        let written: String = written.collect();
        match ty {
            "Int" => number(&written).map_or(Json::Null, |it| Json::from(it as i64)),
            "Float" => number(&written).map_or(Json::Null, Json::from),
            _ => Json::from(written),
        }
    }
}

impl Hole {
    fn parse(text: &str) -> Self {
        if let Some(argument) = text.strip_prefix('$') {
            return Self::Argument(argument.to_owned());
        }
        Self::Path(text.split('.').map(Step::parse).collect())
    }
}

impl Step {
    /// A field without arguments.
    pub(crate) fn field(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: Map::new(),
        }
    }

    fn parse(text: &str) -> Self {
        let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
        let arguments = arguments.trim_end_matches(')').split(',');
        let argument = |it: &str| {
            let (name, value) = it.split_once(':')?;
            let value = value.trim();
            let value = serde_json::from_str(value).unwrap_or_else(|_| Json::from(value));
            Some((name.trim().to_owned(), value))
        };
        Self {
            name: name.to_owned(),
            arguments: arguments.filter_map(argument).collect(),
        }
    }
}

/// `2 * 3`, `1 + 2`, from left to right; nothing of what is no number.
fn number(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let mut value: f64 = words.next()?.parse().ok()?;
    while let Some(sign) = words.next() {
        let next: f64 = words.next()?.parse().ok()?;
        match sign {
            "*" => value *= next,
            "+" => value += next,
            other => panic!("{other} is no sign"),
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, ty: &str) -> Json {
        Template::parse(template).fill(ty, &|hole| match hole {
            Hole::Argument(name) => json!(format!("argument {name}")),
            Hole::Path(path) if path[0].name == "none" => Json::Null,
            Hole::Path(path) => json!(path.len() + path[0].arguments.len()),
        })
    }

    #[test]
    fn holes_are_filled_as_the_field_s_type_wants() {
        assert_eq!(
            filled("{a.b} x {$c}, {d(e: F)}", "String"),
            "2 x argument c, 2"
        );
        assert_eq!(filled("{a} + {b} * {c.d}", "Int"), 4);
        assert_eq!(filled("{a} + {none}", "Int"), Json::Null);
        assert_eq!(filled("{a.b}", "Boolean"), 2);
    }
}
