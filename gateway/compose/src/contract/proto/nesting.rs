//! Refuses sources whose brackets are nested too deeply for the compiler's recursion.
//!
//! The compiler bounds nested messages itself, but reads the values of options recursively.

use crate::contract::error::{ContractError, Position};

/// Brackets that may be open at once.
const MAX_OPEN: usize = 200;

/// Fails where a source opens too many brackets, outside of texts and comments.
pub(super) fn check(file: &str, source: &str) -> Result<(), ContractError> {
    let mut open = 0usize;
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        match next {
            '{' | '[' | '<' => open += 1,
            '}' | ']' | '>' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_OPEN {
            let position = position_of(source, source.len() - rest.len());
            return Err(ContractError::new(file, "nested too deeply").at(Some(position)));
        }
        rest = &rest[token_length(rest, next)..];
    }
    Ok(())
}

/// The length of the text, comment or single character at the start.
fn token_length(source: &str, first: char) -> usize {
    let through = |end: &str, from: usize| {
        let found = source[from..].find(end);
        found.map_or(source.len(), |at| from + at + end.len())
    };
    match first {
        '"' | '\'' => quoted_length(source, first),
        '/' if source.starts_with("//") => through("\n", 2),
        '/' if source.starts_with("/*") => through("*/", 2),
        other => other.len_utf8(),
    }
}

fn quoted_length(source: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in source.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + char.len_utf8(),
            _ => {}
        }
    }
    source.len()
}

fn position_of(source: &str, offset: usize) -> Position {
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    Position::new(line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_and_comments_do_not_count() {
        let harmless = format!(
            "// {open}\n/* {open} */ 'it\\'s {open}' \"{open}\" message M {{}}",
            open = "{".repeat(500)
        );
        assert_eq!(check("a.proto", &harmless), Ok(()));
        assert_eq!(check("a.proto", &"map<a, b> {} ".repeat(500)), Ok(()));
    }

    #[test]
    fn too_many_open_brackets_have_a_place() {
        let error = check("a.proto", &format!("x\n{}", "<[{".repeat(100))).unwrap_err();
        assert_eq!((error.line, error.column), (Some(2), Some(201)));
    }
}
