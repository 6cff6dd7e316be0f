//! Conversions between an upstream spelling and a GraphQL leaf: `@map(format:)`.
//!
//! Owns both directions of each format. Knows nothing of where a value came
//! from or where it goes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use base64::prelude::BASE64_URL_SAFE;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::DateTime;
use chrono::SecondsFormat;
use chrono::Utc;
use compose::model::Format;
use serde_json::Number;
use serde_json::Value as Json;

/// A value that does not fit its format: what was expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub(crate) struct Misfit(pub(crate) &'static str);

/// A point in time as RFC 3339 text.
pub(crate) fn rfc3339(seconds: i64, nanos: u32) -> Result<String, Misfit> {
    let time = DateTime::<Utc>::from_timestamp(seconds, nanos);
    let time = time.ok_or(Misfit("a point in time"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// `UNIX_SECONDS`, inward.
pub(crate) fn rfc3339_from_seconds(seconds: f64) -> Result<String, Misfit> {
    rfc3339_from_millis(seconds * 1000.0)
}

/// `UNIX_MILLIS`, inward.
pub(crate) fn rfc3339_from_millis(millis: f64) -> Result<String, Misfit> {
    // Beyond this a millisecond is no longer exact, and no calendar reaches it.
    if !millis.is_finite() || millis.abs() > 9e15 {
        return Err(Misfit("a point in time"));
    }
    let millis = millis.round() as i64;
    let nanos = millis.rem_euclid(1000) as u32 * 1_000_000;
    rfc3339(millis.div_euclid(1000), nanos)
}

/// `BASE64`, inward: any of the four usual alphabets.
pub(crate) fn from_base64(text: &str) -> Result<String, Misfit> {
    let engines = [
        &BASE64_STANDARD,
        &BASE64_URL_SAFE,
        &BASE64_STANDARD_NO_PAD,
        &BASE64_URL_SAFE_NO_PAD,
    ];
    engines
        .iter()
        .find_map(|engine| engine.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(Misfit("text in base64"))
}

/// A number in text.
pub(crate) fn number(text: &str) -> Result<Number, Misfit> {
    if let Ok(int) = text.parse::<i64>() {
        return Ok(int.into());
    }
    if let Ok(int) = text.parse::<u64>() {
        return Ok(int.into());
    }
    let float = text.parse::<f64>().ok().and_then(Number::from_f64);
    float.ok_or(Misfit("a number"))
}

/// A GraphQL value as the format spells it upstream.
pub(crate) fn outward(format: Format, value: &Json) -> Result<Json, Misfit> {
    match (format, value) {
        (Format::UnixSeconds, Json::String(text)) => Ok(time(text)?.timestamp().into()),
        (Format::UnixMillis, Json::String(text)) => Ok(time(text)?.timestamp_millis().into()),
        (Format::UnixSeconds | Format::UnixMillis, Json::Number(_)) => Ok(value.clone()),
        (Format::UnixSeconds | Format::UnixMillis, _) => Err(Misfit("a date and time")),
        // Which of the two it is depends on which side is the number; each is the other's inverse.
        (Format::NumberAsString | Format::StringAsNumber, Json::String(text)) => {
            number(text).map(Json::Number)
        }
        (Format::NumberAsString | Format::StringAsNumber, Json::Number(number)) => {
            Ok(Json::String(number.to_string()))
        }
        (Format::NumberAsString | Format::StringAsNumber, _) => Err(Misfit("a number or text")),
        (Format::JsonString, value) => Ok(Json::String(value.to_string())),
        (Format::Base64, Json::String(text)) => Ok(Json::String(BASE64_STANDARD.encode(text))),
        (Format::Base64, _) => Err(Misfit("text")),
    }
}

fn time(text: &str) -> Result<DateTime<Utc>, Misfit> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| Misfit("a date and time such as 2024-05-01T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unix_times_become_rfc_3339_and_return() {
        assert_eq!(rfc3339_from_seconds(0.0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(
            rfc3339_from_millis(1_714_564_800_250.0).unwrap(),
            "2024-05-01T12:00:00.250Z"
        );
        assert_eq!(
            rfc3339_from_seconds(-1.5).unwrap(),
            "1969-12-31T23:59:58.500Z"
        );
        let back = outward(Format::UnixMillis, &json!("2024-05-01T12:00:00.250Z"));
        assert_eq!(back, Ok(json!(1_714_564_800_250_i64)));
        let offset = outward(Format::UnixSeconds, &json!("2024-05-01T14:00:00+02:00"));
        assert_eq!(offset, Ok(json!(1_714_564_800)));
    }

    #[test]
    fn times_beyond_the_calendar_are_refused() {
        assert!(rfc3339_from_seconds(f64::INFINITY).is_err());
        assert!(rfc3339_from_seconds(1e300).is_err());
        assert!(outward(Format::UnixSeconds, &json!("yesterday")).is_err());
    }

    #[test]
    fn base64_is_read_in_every_usual_alphabet() {
        assert_eq!(from_base64("aGk/").unwrap(), "hi?");
        assert_eq!(from_base64("aGk_").unwrap(), "hi?");
        assert_eq!(from_base64("aGk").unwrap(), "hi");
        assert!(from_base64("/w==").is_err(), "not UTF-8");
        assert!(from_base64("?").is_err());
    }

    #[test]
    fn numbers_and_text_are_each_others_inverse() {
        let text = outward(Format::NumberAsString, &json!(12));
        assert_eq!(text, Ok(json!("12")));
        let number = outward(Format::StringAsNumber, &json!("12.5"));
        assert_eq!(number, Ok(json!(12.5)));
        let large = outward(Format::StringAsNumber, &json!("18446744073709551615"));
        assert_eq!(large, Ok(json!(u64::MAX)));
        assert!(outward(Format::StringAsNumber, &json!("twelve")).is_err());
        assert!(outward(Format::StringAsNumber, &json!("NaN")).is_err());
    }

    #[test]
    fn json_travels_in_a_string() {
        let value = outward(Format::JsonString, &json!({ "a": [1] }));
        assert_eq!(value, Ok(json!("{\"a\":[1]}")));
    }
}
