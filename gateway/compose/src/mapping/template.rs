//! Templates: a text with `{expression}` holes.

use super::cursor::Cursor;
use super::expression::expression;
use super::{Mapping, SyntaxError, TemplatePiece, Text};

/// Reads a template.
pub(crate) fn template(text: Text<'_>) -> Result<Vec<TemplatePiece>, SyntaxError> {
    pieces(&mut Cursor::new(text, 0))
}

pub(super) fn pieces(cursor: &mut Cursor<'_>) -> Result<Vec<TemplatePiece>, SyntaxError> {
    let mut pieces = Vec::new();
    loop {
        let text = cursor.take_while(|c| c != '{' && c != '}');
        if !text.is_empty() {
            pieces.push(TemplatePiece::Text(text.to_owned()));
        }
        match cursor.peek() {
            None => return Ok(pieces),
            Some('{') => pieces.push(TemplatePiece::Hole(hole(cursor)?)),
            Some(_) => {
                return Err(cursor
                    .unexpected("this brace closes no hole")
                    .help("write it as {'}'}"));
            }
        }
    }
}

fn hole(cursor: &mut Cursor<'_>) -> Result<Mapping, SyntaxError> {
    let start = cursor.at();
    cursor.eat("{");
    cursor.skip_space();
    if cursor.eat("}") {
        return Err(cursor
            .error(start..cursor.at(), "this hole is empty")
            .help("name an argument: {id}, or an expression: {$this.id}"));
    }
    let inner = expression(cursor)?;
    cursor.skip_space();
    cursor.expect("}", "at the end of the hole")?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::MappingKind;
    use crate::mapping::testing::{range, string};

    type Refused = (Option<(usize, usize)>, String);

    fn read(text: &str) -> Result<Vec<TemplatePiece>, Refused> {
        template(Text::of(&string(text)).expect("a string"))
            .map_err(|e| (range(&e.spot), e.message))
    }

    fn holes(text: &str) -> Vec<Mapping> {
        let holes = read(text).unwrap().into_iter();
        holes
            .filter_map(|piece| match piece {
                TemplatePiece::Hole(hole) => Some(hole),
                TemplatePiece::Text(_) => None,
            })
            .collect()
    }

    #[test]
    fn text_and_holes_alternate_and_know_their_places() {
        let pieces = read("/users/{id}/x{$this.a ?? 'n'}").unwrap();
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[0], TemplatePiece::Text("/users/".into()));
        let holes = holes("/users/{id}/x{$this.a ?? 'n'}");
        assert_eq!(range(&holes[0].spot), Some((8, 10)));
        assert!(matches!(holes[0].kind, MappingKind::Bare(_)));
        assert!(matches!(holes[1].kind, MappingKind::FirstOf(_)));
    }

    #[test]
    fn braces_that_do_not_match_are_underlined() {
        assert_eq!(read("/a/{id").unwrap_err().0, Some((6, 6)));
        assert_eq!(read("/a/{}").unwrap_err().0, Some((3, 5)));
        assert_eq!(read("/a}/b").unwrap_err().0, Some((2, 3)));
        assert_eq!(read("/{a b}").unwrap_err().0, Some((4, 5)));
    }

    #[test]
    fn a_brace_can_be_written_as_text() {
        let hole = &holes("a{'}'}")[0];
        assert_eq!(hole.kind, MappingKind::Const("}".into()));
    }
}
