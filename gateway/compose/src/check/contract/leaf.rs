//! Which leaves fit which values of a contract, outward and inward.
//!
//! One table for each direction: the coercion rules of the schema language on
//! the types that a contract promises instead of the values that arrive.

use crate::contract::model::{Bits, EnumBase, StringFormat};
use crate::contract::{Contract, Kind, TypeId};
use crate::model::Format;

/// How well a value of a contract becomes a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    /// Some of its values would be errors.
    Partly(&'static str),
    No,
}

/// Whether a leaf of a GraphQL type can be what the contract wants. Enum types are not leaves here.
pub(super) fn goes_out(ty: &str, format: Option<Format>, kind: &Kind) -> bool {
    match format {
        Some(format) => formatted_out(ty, format, kind),
        None => plain_out(ty, kind),
    }
}

fn plain_out(ty: &str, kind: &Kind) -> bool {
    match ty {
        "ID" => matches!(
            kind,
            Kind::String { .. } | Kind::Integer { .. } | Kind::Number | Kind::Enum(_)
        ),
        "String" => match kind {
            Kind::Enum(values) => matches!(values.base, EnumBase::Text | EnumBase::Symbol),
            kind => matches!(kind, Kind::String { .. }),
        },
        "Int" => match kind {
            Kind::Enum(values) => values.base != EnumBase::Text,
            Kind::String { format } => may_hold_number(format.as_ref()),
            kind => is_number(kind),
        },
        "Float" => match kind {
            Kind::Enum(values) => values.base == EnumBase::Number,
            Kind::String { format } => may_hold_number(format.as_ref()),
            kind => *kind == Kind::Number,
        },
        "Boolean" => matches!(kind, Kind::Boolean | Kind::String { format: None }),
        // What a custom scalar holds is its own affair.
        _ => true,
    }
}

fn formatted_out(ty: &str, format: Format, kind: &Kind) -> bool {
    let is_text = matches!(kind, Kind::String { .. });
    match (format, ty) {
        (Format::UnixSeconds | Format::UnixMillis, _) => is_number(kind),
        (Format::NumberAsString | Format::StringAsNumber, "String" | "ID") => is_number(kind),
        (Format::NumberAsString | Format::StringAsNumber, "Int" | "Float") => is_text,
        (Format::NumberAsString | Format::StringAsNumber, _) => is_text || is_number(kind),
        (Format::JsonString | Format::Base64, _) => is_text,
    }
}

/// How a value of the contract becomes a leaf of a GraphQL type. Enum types are not leaves here.
pub(super) fn comes_in(ty: &str, format: Option<Format>, kind: &Kind) -> Fit {
    if *kind == Kind::Null {
        return Fit::Yes;
    }
    match format {
        Some(format) => yes_or_no(formatted_in(ty, format, kind)),
        None => plain_in(ty, kind),
    }
}

fn plain_in(ty: &str, kind: &Kind) -> Fit {
    match (ty, kind) {
        (
            "Int",
            Kind::Integer {
                bits: Bits::B64, ..
            },
        ) => Fit::Partly("numbers beyond 32 bits would be errors"),
        (
            "Int",
            Kind::Integer {
                bits: Bits::B32,
                unsigned: true,
            },
        ) => Fit::Partly("numbers from 2147483648 on would be errors"),
        ("Int", Kind::Integer { .. }) => Fit::Yes,
        ("Int", Kind::Enum(values)) => yes_or_no(values.base == EnumBase::Integer),
        ("Int", _) => Fit::No,
        ("ID" | "Int64", Kind::Enum(values)) => yes_or_no(values.base != EnumBase::Number),
        ("ID" | "Int64", kind) => {
            yes_or_no(matches!(kind, Kind::String { .. } | Kind::Integer { .. }))
        }
        ("Float", Kind::Enum(values)) => {
            yes_or_no(matches!(values.base, EnumBase::Integer | EnumBase::Number))
        }
        ("Float", kind) => yes_or_no(is_number(kind)),
        ("String", Kind::Enum(values)) => {
            yes_or_no(matches!(values.base, EnumBase::Text | EnumBase::Symbol))
        }
        ("String", kind) => yes_or_no(matches!(kind, Kind::String { .. })),
        ("Boolean", kind) => yes_or_no(*kind == Kind::Boolean),
        _ => Fit::Yes,
    }
}

fn formatted_in(ty: &str, format: Format, kind: &Kind) -> bool {
    match format {
        Format::UnixSeconds | Format::UnixMillis => {
            !is_plain(ty) && (is_number(kind) || is_text_of_number(kind))
        }
        Format::NumberAsString | Format::StringAsNumber => {
            ty != "Boolean" && (is_number(kind) || is_text_of_number(kind))
        }
        Format::Base64 => !is_plain(ty) && matches!(kind, Kind::String { .. }),
        Format::JsonString => matches!(kind, Kind::String { .. }),
    }
}

/// The GraphQL type that holds a contract's values, for messages. `object` is what an object is called.
pub(super) fn graphql_type(contract: &Contract, ty: TypeId, object: &str) -> String {
    match &contract[ty].kind {
        Kind::Boolean => "`Boolean`".to_owned(),
        Kind::Integer {
            bits: Bits::B64, ..
        } => "`ID`".to_owned(),
        Kind::Integer { .. } => "`Int`".to_owned(),
        Kind::Number => "`Float`".to_owned(),
        Kind::String { .. } => "`String`".to_owned(),
        Kind::Enum(_) => "an enum of its values".to_owned(),
        Kind::List(item) => match graphql_type(contract, *item, object).strip_prefix('`') {
            Some(item) => format!("`[{}]`", item.trim_end_matches('`')),
            None => "a list".to_owned(),
        },
        Kind::Object(_) | Kind::Union(_) => object.to_owned(),
        Kind::Map(_) | Kind::Any | Kind::Null => "a scalar such as JSON".to_owned(),
    }
}

fn yes_or_no(fits: bool) -> Fit {
    if fits { Fit::Yes } else { Fit::No }
}

/// A leaf that is no text.
fn is_plain(ty: &str) -> bool {
    matches!(ty, "Int" | "Float" | "Boolean")
}

fn is_number(kind: &Kind) -> bool {
    match kind {
        Kind::Integer { .. } | Kind::Number => true,
        Kind::Enum(values) => matches!(values.base, EnumBase::Integer | EnumBase::Number),
        _ => false,
    }
}

fn is_text_of_number(kind: &Kind) -> bool {
    matches!(kind, Kind::String { format } if may_hold_number(format.as_ref()))
}

/// Whether a number is text of this format.
fn may_hold_number(format: Option<&StringFormat>) -> bool {
    matches!(
        format,
        None | Some(StringFormat::Int64 | StringFormat::Uint64 | StringFormat::Other(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT64: Kind = Kind::Integer {
        bits: Bits::B64,
        unsigned: false,
    };
    const INTEGER: Kind = Kind::Integer {
        bits: Bits::Unbounded,
        unsigned: false,
    };
    const TEXT: Kind = Kind::String { format: None };

    #[test]
    fn an_id_is_a_text_or_an_integer_both_ways() {
        for kind in [TEXT, INT64] {
            assert!(goes_out("ID", None, &kind));
            assert_eq!(comes_in("ID", None, &kind), Fit::Yes);
        }
        assert!(!goes_out("ID", None, &Kind::Boolean));
        assert_eq!(comes_in("ID", None, &Kind::Number), Fit::No);
    }

    #[test]
    fn coercion_is_that_of_the_schema_language() {
        let rows = [
            ("Int", INTEGER, Fit::Yes),
            ("Int", Kind::Number, Fit::No),
            ("Int", TEXT, Fit::No),
            ("Float", INT64, Fit::Yes),
            ("Float", Kind::Number, Fit::Yes),
            ("Float", TEXT, Fit::No),
            ("String", TEXT, Fit::Yes),
            ("String", INTEGER, Fit::No),
            ("Boolean", Kind::Boolean, Fit::Yes),
            ("Boolean", INTEGER, Fit::No),
            ("Int64", TEXT, Fit::Yes),
            ("Int64", INT64, Fit::Yes),
            ("Int64", Kind::Number, Fit::No),
            ("DateTime", Kind::Number, Fit::Yes),
        ];
        for (ty, kind, fit) in rows {
            assert_eq!(comes_in(ty, None, &kind), fit, "{ty} over {kind}");
        }
        assert!(matches!(comes_in("Int", None, &INT64), Fit::Partly(_)));
    }

    #[test]
    fn an_argument_must_be_able_to_be_what_is_wanted() {
        assert!(goes_out("Int", None, &INT64));
        assert!(goes_out("Int", None, &Kind::Number));
        assert!(goes_out("Int", None, &TEXT));
        assert!(!goes_out("Float", None, &INTEGER));
        assert!(!goes_out("String", None, &INTEGER));
        assert!(!goes_out("String", None, &Kind::Boolean));
        let moment = Kind::String {
            format: Some(StringFormat::DateTime),
        };
        assert!(goes_out("String", None, &moment));
        assert!(!goes_out("Int", None, &moment));
    }

    #[test]
    fn a_format_says_what_travels() {
        let seconds = Some(Format::UnixSeconds);
        assert_eq!(comes_in("DateTime", seconds, &INTEGER), Fit::Yes);
        assert_eq!(comes_in("Int", seconds, &INTEGER), Fit::No);
        assert!(goes_out("DateTime", seconds, &INTEGER));
        assert!(!goes_out("DateTime", seconds, &TEXT));
        let number = Some(Format::NumberAsString);
        assert_eq!(comes_in("Float", number, &TEXT), Fit::Yes);
        assert!(goes_out("Float", number, &TEXT));
        assert!(!goes_out("Float", number, &Kind::Number));
        let json = Some(Format::JsonString);
        assert_eq!(comes_in("Settings", json, &TEXT), Fit::Yes);
        assert_eq!(comes_in("Settings", json, &Kind::Number), Fit::No);
    }
}
