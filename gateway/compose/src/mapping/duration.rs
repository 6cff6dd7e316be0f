//! Durations: `250ms`, `2s`, `5m`, `24h`.

use std::time::Duration;

use super::cursor::Cursor;
use super::{SyntaxError, Text};

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const HELP: &str = "write a whole number with its unit: 250ms, 2s, 5m or 24h";
const MAX_MILLIS: u64 = 366 * 24 * 3_600_000;

/// Reads a duration.
pub(crate) fn duration(text: Text<'_>) -> Result<Duration, SyntaxError> {
    let mut cursor = Cursor::new(text, 0);
    cursor.skip_space();
    let start = cursor.at();
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let unit = cursor.take_while(|c| !c.is_whitespace());
    let fail = |message| cursor.error(start..cursor.at(), message).help(HELP);
    let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(fail("this is no duration"));
    };
    let Ok(count) = digits.parse::<u64>() else {
        return Err(fail("this is no duration"));
    };
    cursor.finish()?;
    match count.checked_mul(*millis) {
        Some(total) if total <= MAX_MILLIS => Ok(Duration::from_millis(total)),
        _ => Err(fail("this is longer than a year")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::testing::string;

    fn read(text: &str) -> Result<u128, String> {
        duration(Text::of(&string(text)).expect("a string"))
            .map(|it| it.as_millis())
            .map_err(|error| error.message)
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("2s"), Ok(2_000));
        assert_eq!(read("5m"), Ok(300_000));
        assert_eq!(read(" 24h "), Ok(86_400_000));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", "1.5s", "5 s", "2d", "-1s"] {
            assert_eq!(read(text), Err("this is no duration".into()), "{text}");
        }
        assert!(read("2s 3s").is_err());
        assert!(read("99999999999999999999s").is_err());
        assert_eq!(read("9000h"), Err("this is longer than a year".into()));
    }
}
