//! Paths: `data.users`, `data.'user-list'`.

use super::cursor::Cursor;
use super::{Segment, SyntaxError, Text};

/// Reads a dotted path. `$response` may stand at its start: it is where paths begin.
pub(crate) fn path(text: Text<'_>) -> Result<Vec<Segment>, SyntaxError> {
    let mut cursor = Cursor::new(text, 0);
    cursor.skip_space();
    if cursor.eat("$response") && !cursor.eat(".") {
        cursor.finish()?;
        return Ok(Vec::new());
    }
    let path = cursor.segments(&[])?;
    cursor.finish()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::dotted;
    use crate::mapping::testing::{range, string};

    fn read(text: &str) -> Result<String, (Option<(usize, usize)>, String)> {
        path(Text::of(&string(text)).expect("a string"))
            .map(|path| dotted(&path))
            .map_err(|error| (range(&error.spot), error.message))
    }

    #[test]
    fn a_path_is_names_with_dots_and_may_begin_at_the_response() {
        assert_eq!(read("data.users"), Ok("data.users".into()));
        assert_eq!(read(" $response.data "), Ok("data".into()));
        assert_eq!(read("$response"), Ok(String::new()));
    }

    #[test]
    fn a_name_with_other_characters_is_quoted() {
        assert_eq!(read("data.'user-list'"), Ok("data.user-list".into()));
        assert_eq!(read("'it''s'"), Ok("it's".into()));
        let dash = read("data.user-list").unwrap_err();
        assert_eq!(dash.0, Some((9, 14)));
    }

    #[test]
    fn a_missing_name_is_underlined_where_it_should_be() {
        assert_eq!(read("data.").unwrap_err().0, Some((5, 5)));
        assert_eq!(read("a..b").unwrap_err().0, Some((2, 4)));
        assert_eq!(read("").unwrap_err().1, "expected a name");
        assert_eq!(read("a.'b").unwrap_err().1, "this quote is never closed");
    }
}
