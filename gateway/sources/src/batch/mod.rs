//! One call for many parents.
//!
//! Owns splitting parents into calls of bearable size, and the window in which
//! parents of several client requests gather for one call. Knows nothing of
//! protocols: what is too long for one call is the protocol's to say.

pub(crate) mod window;

use std::ops::Range;

use plan::source::Row;
use plan::source::SourceError;

/// Some of a fetch's rows, and their call.
pub(crate) struct Split<C> {
    /// Which rows.
    pub(crate) rows: Range<usize>,
    /// The call; an error where it cannot be rendered.
    pub(crate) call: Result<C, SourceError>,
}

/// Splits rows into calls: at most `max` rows each, and halves where a call is too long.
pub(crate) fn split<C>(
    rows: &[Row],
    max: usize,
    render: impl Fn(&[Row]) -> Result<C, SourceError>,
    is_too_long: impl Fn(&C) -> bool,
) -> Vec<Split<C>> {
    let max = max.max(1);
    let runs = (0..rows.len()).step_by(max).rev();
    let mut pending: Vec<Range<usize>> = runs.map(|at| at..(at + max).min(rows.len())).collect();
    let mut calls = Vec::with_capacity(pending.len());
    while let Some(run) = pending.pop() {
        let call = render(&rows[run.clone()]);
        match &call {
            Ok(long) if run.len() > 1 && is_too_long(long) => {
                let [first, second] = halves(&run);
                pending.extend([second, first]);
            }
            _ => calls.push(Split { rows: run, call }),
        }
    }
    calls
}

/// A run of rows in two.
pub(crate) fn halves(run: &Range<usize>) -> [Range<usize>; 2] {
    let middle = run.start + run.len() / 2;
    [run.start..middle, middle..run.end]
}

#[cfg(test)]
mod tests {
    use plan::source::KeyPart;
    use smallvec::smallvec;

    use super::*;

    fn split_lengths(rows: usize, max: usize, longest: usize) -> Vec<Range<usize>> {
        let rows: Vec<Row> = (0..rows)
            .map(|id| smallvec![KeyPart::Int(id as i64)])
            .collect();
        let calls = split(
            &rows,
            max,
            |rows| Ok(rows.len()),
            |length| *length > longest,
        );
        calls.into_iter().map(|call| call.rows).collect()
    }

    #[test]
    fn rows_are_split_by_count_in_order() {
        assert_eq!(split_lengths(5, 2, 99), [0..2, 2..4, 4..5]);
        assert_eq!(split_lengths(4, 2, 99), [0..2, 2..4]);
        assert!(split_lengths(0, 2, 99).is_empty());
    }

    #[test]
    fn a_call_that_is_too_long_is_halved_until_it_is_not() {
        assert_eq!(split_lengths(6, 4, 2), [0..2, 2..4, 4..6]);
        assert_eq!(split_lengths(5, 100, 2), [0..2, 2..3, 3..5]);
    }

    #[test]
    fn one_row_is_never_split() {
        assert_eq!(split_lengths(2, 100, 0), [0..1, 1..2]);
    }

    #[test]
    fn every_row_belongs_to_exactly_one_call() {
        for count in 1..40 {
            for max in 1..10 {
                let runs = split_lengths(count, max, 3);
                let rows: Vec<usize> = runs.into_iter().flatten().collect();
                assert_eq!(rows, (0..count).collect::<Vec<_>>());
            }
        }
    }
}
