//! Durations and sizes as people write them: `250ms`, `1MiB`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;
use serde::de::Visitor;

/// `250ms`, `2s`, `5m`, `24h`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// Bytes: `500`, `32KiB`, `1MiB`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl Span {
    pub(super) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(super) const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl Size {
    pub(super) const fn kib(kib: usize) -> Self {
        Self(kib * 1024)
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let bytes: u64 = match unit {
            "" | "B" => 1,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        usize::try_from(number.checked_mul(bytes)?).ok().map(Self)
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

struct Text<T> {
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
    number: fn(u64) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.number)(number)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text {
            expected: "a duration with its unit, such as 250ms, 2s, 5m or 24h",
            parse: Self::parse,
            number: |_| None,
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text {
            expected: "a size in bytes, such as 500, 32KiB or 1MiB",
            parse: Self::parse,
            number: |bytes| usize::try_from(bytes).ok().map(Size),
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_millis() {
            0 => serializer.collect_str(&format_args!("{}s", self.0.as_secs())),
            _ => serializer.collect_str(&format_args!("{}ms", self.0.as_millis())),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => {
                serializer.collect_str(&format_args!("{}MiB", bytes >> 20))
            }
            bytes if bytes % (1 << 10) == 0 => {
                serializer.collect_str(&format_args!("{}KiB", bytes >> 10))
            }
            bytes => serializer.serialize_u64(bytes as u64),
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h)$",
            "description": "A number with its unit: 250ms, 2s, 5m, 24h.",
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9]+ ?(B|kB|MB|KiB|MiB|GiB)?$",
            "description": "Bytes: 500, 32KiB, 1MiB.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        let millis = |text| Span::parse(text).map(|span| span.0.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("2s"), Some(2_000));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("24h"), Some(86_400_000));
        assert_eq!(millis("10"), None);
        assert_eq!(millis("-1s"), None);
        assert_eq!(millis("99999999999999999999h"), None);
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let bytes = |text| Size::parse(text).map(|size| size.0);
        assert_eq!(bytes("500"), Some(500));
        assert_eq!(bytes("32KiB"), Some(32_768));
        assert_eq!(bytes("1 MiB"), Some(1_048_576));
        assert_eq!(bytes("2kB"), Some(2_000));
        assert_eq!(bytes("1TB"), None);
        assert_eq!(bytes("18446744073709551615KiB"), None);
    }
}
