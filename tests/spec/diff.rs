//! What differs between two texts, line by line.

use std::fmt::Write as _;

use similar::ChangeTag;
use similar::TextDiff;

/// Lines that were expected (`-`) and lines that came instead (`+`).
pub(crate) fn diff(expected: &str, actual: &str) -> String {
    let mut out = String::new();
    for change in TextDiff::from_lines(expected, actual).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let line = change.value().trim_end_matches('\n');
        writeln!(out, "  {sign} {line}").expect("a String takes all");
    }
    out
}
