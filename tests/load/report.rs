//! A row's figures: medians over its rounds, ratios to the floor within each round, and the table a
//! person reads. Knows nothing of how they were measured.

use std::fmt;

use serde::Serialize;

use crate::process::Memory;
use crate::rows::Row;
use crate::run::Round;

/// One program in one row.
#[derive(Serialize)]
pub(crate) struct Measured {
    program: &'static str,
    cpu_micros_per_request: f64,
    /// The floor's is 1.
    times_the_floor: f64,
    requests_per_second: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    upstream_calls_per_request: f64,
    peak_memory_kib: u64,
    end_memory_kib: u64,
    requests: u64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    example_error: Option<String>,
    same_answer_as_the_floor: bool,
}

impl Measured {
    pub(crate) fn new(
        program: &'static str,
        rounds: &[(&Round, &Round)],
        same_answer: bool,
        memory: Memory,
    ) -> Self {
        let median_of =
            |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(|(round, _)| figure(round)));
        let sum_of = |figure: &dyn Fn(&Round) -> u64| {
            rounds.iter().map(|(round, _)| figure(round)).sum::<u64>()
        };
        let requests = sum_of(&|round| round.outcome.requests);
        let calls = sum_of(&|round| round.upstream_calls);
        Self {
            program,
            cpu_micros_per_request: median_of(&Round::cpu_per_request),
            times_the_floor: median(
                rounds
                    .iter()
                    .map(|(round, floor)| round.cpu_per_request() / floor.cpu_per_request()),
            ),
            requests_per_second: median_of(&|round| round.outcome.per_second()),
            p50_ms: median_of(&|round| round.outcome.latency(0.50)),
            p90_ms: median_of(&|round| round.outcome.latency(0.90)),
            p99_ms: median_of(&|round| round.outcome.latency(0.99)),
            upstream_calls_per_request: calls as f64 / requests.max(1) as f64,
            peak_memory_kib: memory.peak,
            end_memory_kib: memory.now,
            requests,
            errors: sum_of(&|round| round.outcome.errors),
            example_error: rounds
                .iter()
                .find_map(|(round, _)| round.outcome.example.clone()),
            same_answer_as_the_floor: same_answer,
        }
    }

    fn remarks(&self) -> Vec<String> {
        let differs = "answers something other than the floor".to_string();
        let mut remarks: Vec<_> = (!self.same_answer_as_the_floor)
            .then_some(differs)
            .into_iter()
            .collect();
        if let Some(example) = &self.example_error {
            remarks.push(format!("{} errors, such as {example}", self.errors));
        }
        remarks
    }
}

/// One row: the floor first, then the gateway, then its peers.
#[derive(Serialize)]
pub(crate) struct RowReport {
    row: &'static str,
    title: &'static str,
    query: &'static str,
    target: f64,
    programs: Vec<Measured>,
}

impl RowReport {
    pub(crate) fn new(row: &Row, programs: Vec<Measured>) -> Self {
        Self {
            row: row.name,
            title: row.title,
            query: row.query,
            target: row.target,
            programs,
        }
    }

    /// Only the gateway has a target; its peers are there to compare.
    fn verdict(&self, index: usize) -> &'static str {
        match self.programs[index].times_the_floor <= self.target {
            _ if index != 1 => "",
            true => "ok",
            false => "missed",
        }
    }
}

impl fmt::Display for RowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}; target ≤ {} × the floor",
            self.row, self.title, self.target
        )?;
        writeln!(f, "  {}", self.query)?;
        writeln!(
            f,
            "  {:<12} {:>10} {:>8} {:<6} {:>9} {:>8} {:>8} {:>8} {:>10} {:>9} {:>8} {:>7}",
            "",
            "CPU µs/req",
            "× floor",
            "",
            "req/s",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "calls/req",
            "peak MiB",
            "end MiB",
            "errors"
        )?;
        for (index, program) in self.programs.iter().enumerate() {
            writeln!(
                f,
                "  {:<12} {:>10.1} {:>8.2} {:<6} {:>9.0} {:>8.2} {:>8.2} {:>8.2} {:>10.3} {:>9.1} {:>8.1} {:>7}",
                program.program,
                program.cpu_micros_per_request,
                program.times_the_floor,
                self.verdict(index),
                program.requests_per_second,
                program.p50_ms,
                program.p90_ms,
                program.p99_ms,
                program.upstream_calls_per_request,
                program.peak_memory_kib as f64 / 1024.0,
                program.end_memory_kib as f64 / 1024.0,
                program.errors,
            )?;
        }
        for program in &self.programs {
            for remark in program.remarks() {
                writeln!(f, "  ! {}: {remark}", program.program)?;
            }
        }
        Ok(())
    }
}

/// Of an even number the mean of the middle two; 0 of none.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    let upper = figures.len() / 2;
    let lower = figures.len().saturating_sub(1) / 2;
    match figures.get(lower) {
        Some(low) => f64::midpoint(*low, figures[upper]),
        None => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        let of = |figures: &[f64]| median(figures.iter().copied());
        assert_eq!(
            [of(&[9.0, 1.0, 2.0]), of(&[4.0, 1.0, 9.0, 2.0]), of(&[])],
            [2.0, 3.0, 0.0]
        );
    }
}
