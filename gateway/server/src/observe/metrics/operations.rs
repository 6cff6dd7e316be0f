//! Numbers of each operation, by its name.
//!
//! Owns which names are counted apart. A name is a client's to choose, so only
//! names of operations that were planned count, at most as many as the
//! operator says, and none that is longer than anyone reads; all others are
//! `other` together. Names are looked up when an operation is planned: a
//! request brings its operation's numbers along with its plan.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use plan::code::Code;

use super::number::Counts;
use super::number::Histogram;
use super::number::Tally;
use super::text::Kept;
use super::text::Text;
use crate::faults::Faults;

/// Microseconds. One of them is the example's objective for latency.
pub(super) const DURATIONS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];
/// Bytes of a name.
const LONGEST: usize = 100;
/// The name of all those that are not counted apart.
const OTHER: &str = "other";

/// By name, queries and mutations apart.
type Names = HashMap<(Box<str>, bool), Arc<Operation>>;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Without an error.
    Ok,
    /// Only with errors that its sender or the caller's rights account for.
    ClientError,
    /// With an error of a service or of the gateway.
    ServerError,
}

impl Outcome {
    const ALL: [Outcome; 3] = [Outcome::Ok, Outcome::ClientError, Outcome::ServerError];

    /// As the HTTP status of each code has it.
    pub(crate) fn of(faults: &Faults) -> Self {
        match (
            faults.is_empty(),
            faults.any(|code| code.http_status() >= 500),
        ) {
            (true, _) => Outcome::Ok,
            (false, false) => Outcome::ClientError,
            (false, true) => Outcome::ServerError,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ClientError => "client_error",
            Outcome::ServerError => "server_error",
        }
    }
}

/// The numbers of one operation.
#[derive(Debug)]
pub(crate) struct Operation {
    name: Box<str>,
    mutation: bool,
    /// In the order of [`Outcome::ALL`].
    durations: [Histogram; 3],
    errors: Tally,
}

impl Operation {
    fn new(name: &str, mutation: bool) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            mutation,
            durations: std::array::from_fn(|_| Histogram::new(DURATIONS)),
            errors: Tally::of(Code::COUNT),
        })
    }

    /// A request was answered.
    pub(crate) fn answered(&self, micros: u64, faults: &Faults) {
        self.durations[Outcome::of(faults) as usize].observe(micros);
        for (code, times) in faults.by_code() {
            self.errors.add(code as usize, times.into());
        }
    }

    fn kind(&self) -> &'static str {
        match self.mutation {
            true => "mutation",
            false => "query",
        }
    }
}

/// The numbers of all operations.
pub(super) struct Operations {
    most: usize,
    names: Mutex<Names>,
    /// Queries, mutations.
    others: [Arc<Operation>; 2],
    nameless: [Arc<Operation>; 2],
}

impl Operations {
    /// At most so many names are counted apart.
    pub(super) fn new(most: usize) -> Self {
        let both = |name| [Operation::new(name, false), Operation::new(name, true)];
        Self {
            most,
            names: Mutex::default(),
            others: both(OTHER),
            nameless: both(""),
        }
    }

    /// Where an operation of this name is counted.
    pub(super) fn named(&self, name: Option<&str>, mutation: bool) -> Arc<Operation> {
        let place = usize::from(mutation);
        match name {
            None => self.nameless[place].clone(),
            Some(name) if name.len() > LONGEST => self.others[place].clone(),
            Some(name) => {
                let mut names = self.names();
                let key = (Box::from(name), mutation);
                if let Some(known) = names.get(&key) {
                    return known.clone();
                }
                if names.len() >= self.most {
                    return self.others[place].clone();
                }
                let operation = Operation::new(name, mutation);
                names.insert(key, operation.clone());
                operation
            }
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that were ever asked for, by name.
    fn all(&self) -> Vec<Arc<Operation>> {
        let mut all: Vec<_> = self.names().values().cloned().collect();
        all.extend(self.others.iter().chain(&self.nameless).cloned());
        all.sort_by(|a, b| (&a.name, a.mutation).cmp(&(&b.name, b.mutation)));
        all
    }

    pub(super) fn write(&self, text: &mut Text) {
        let all = self.all();
        let told = |operation: &Operation| {
            let counts = |outcome: Outcome| operation.durations[outcome as usize].counts();
            Outcome::ALL.map(|outcome| (outcome, counts(outcome)))
        };
        let asked = |counts: &[(Outcome, Counts); 3]| counts.iter().any(|(_, c)| c.count() > 0);
        let counted: Vec<(&Operation, [(Outcome, Counts); 3])> = all
            .iter()
            .map(|operation| (&**operation, told(operation)))
            // What has no name is told from the beginning, so that there is something to compare.
            .filter(|(operation, counts)| operation.name.is_empty() || asked(counts))
            .collect();
        let mut requests = text.counter(
            "switchboard_operation_requests_total",
            "Operations that were answered, by name, kind and outcome.",
        );
        for (operation, outcomes) in &counted {
            for (outcome, counts) in outcomes {
                requests.sample(&operation.labels(*outcome), counts.count());
            }
        }
        let mut durations = text.histogram(
            "switchboard_operation_duration_seconds",
            "Time from the arrival of a request to its answer, by operation.",
        );
        for (operation, outcomes) in &counted {
            for (outcome, counts) in outcomes.iter().filter(|(_, c)| c.count() > 0) {
                durations.counts(&operation.labels(*outcome), counts, Kept::Micros);
            }
        }
        let mut errors = text.counter(
            "switchboard_operation_errors_total",
            "Errors in answers, by operation and code.",
        );
        for operation in &all {
            for (code, times) in Code::ALL.into_iter().zip(operation.errors.counts()) {
                if times > 0 {
                    let name = ("operation", &*operation.name);
                    let labels = [name, ("kind", operation.kind()), ("code", code.as_str())];
                    errors.sample(&labels, times);
                }
            }
        }
        text.gauge(
            "switchboard_operation_names",
            "Operation names that are counted apart; the rest is counted as `other`.",
        )
        .only(self.names().len());
    }
}

impl Operation {
    fn labels(&self, outcome: Outcome) -> [super::text::Label<'_>; 3] {
        [
            ("operation", &*self.name),
            ("kind", self.kind()),
            ("outcome", outcome.name()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(operations: &Operations) -> String {
        let mut text = Text::default();
        operations.write(&mut text);
        text.finish()
    }

    #[test]
    fn a_client_that_invents_names_makes_nothing_grow() {
        let operations = Operations::new(50);
        let known = operations.named(Some("Shop"), false);
        let mut longest = 0;
        for n in 0..100_000 {
            let invented = operations.named(Some(&format!("Invented{n}")), n % 2 == 0);
            invented.answered(1_000, &Faults::default());
            if n == 1_000 {
                longest = written(&operations).len();
            }
        }
        known.answered(1_000, &Faults::default());
        assert_eq!(operations.names().len(), 50);
        let text = written(&operations);
        // Only digits have become more.
        assert!(text.len() < longest + 5_000, "{} {longest}", text.len());
        let others = "switchboard_operation_requests_total{operation=\"other\",kind=\"query\",outcome=\"ok\"} 49976\n";
        assert!(text.contains(others), "{text}");
        assert!(text.contains("{operation=\"Shop\",kind=\"query\",outcome=\"ok\"} 1\n"));
    }

    #[test]
    fn a_name_that_nobody_would_read_is_not_counted_apart() {
        let operations = Operations::new(50);
        let long = operations.named(Some(&"x".repeat(101)), false);
        assert!(Arc::ptr_eq(&long, &operations.others[0]));
        let nameless = operations.named(None, true);
        assert!(Arc::ptr_eq(&nameless, &operations.nameless[1]));
        assert_eq!(operations.names().len(), 0);
    }

    #[test]
    fn requests_are_told_by_outcome_and_errors_by_code() {
        let operations = Operations::new(50);
        let shop = operations.named(Some("Shop"), false);
        let faults = |codes: &[Code]| codes.iter().copied().collect::<Faults>();
        shop.answered(1_000, &faults(&[]));
        shop.answered(1_000, &faults(&[Code::Forbidden]));
        let mixed = [
            Code::Forbidden,
            Code::UpstreamTimeout,
            Code::UpstreamTimeout,
        ];
        shop.answered(2_000, &faults(&mixed));
        let text = written(&operations);
        for line in [
            "switchboard_operation_requests_total{operation=\"Shop\",kind=\"query\",outcome=\"ok\"} 1",
            "switchboard_operation_requests_total{operation=\"Shop\",kind=\"query\",outcome=\"client_error\"} 1",
            "switchboard_operation_requests_total{operation=\"Shop\",kind=\"query\",outcome=\"server_error\"} 1",
            "switchboard_operation_duration_seconds_sum{operation=\"Shop\",kind=\"query\",outcome=\"server_error\"} 0.002",
            "switchboard_operation_errors_total{operation=\"Shop\",kind=\"query\",code=\"FORBIDDEN\"} 2",
            "switchboard_operation_errors_total{operation=\"Shop\",kind=\"query\",code=\"UPSTREAM_TIMEOUT\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
