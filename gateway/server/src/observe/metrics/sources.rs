//! Numbers of sources: what `sources` has counted, told when somebody looks.

use sources::BreakerState;
use sources::Distribution;
use sources::SourceNumbers;

use super::text::Family;
use super::text::Text;

/// A metric with one sample for each source.
struct PerSource {
    name: &'static str,
    help: &'static str,
    value: fn(&SourceNumbers) -> u64,
}

const COUNTERS: &[PerSource] = &[
    PerSource {
        name: "switchboard_source_retries_total",
        help: "Attempts at calls after the first.",
        value: |it| it.retries,
    },
    PerSource {
        name: "switchboard_source_retries_denied_total",
        help: "Attempts that the retry budget refused.",
        value: |it| it.retries_denied,
    },
    PerSource {
        name: "switchboard_source_hedges_total",
        help: "Second attempts beside slow ones.",
        value: |it| it.hedges,
    },
    PerSource {
        name: "switchboard_source_hedges_won_total",
        help: "Second attempts that were faster than the first.",
        value: |it| it.hedges_won,
    },
    PerSource {
        name: "switchboard_source_cache_hits_total",
        help: "Reads that were answered by a kept reply.",
        value: |it| it.kept,
    },
    PerSource {
        name: "switchboard_source_merged_reads_total",
        help: "Reads that were answered by an identical one in flight.",
        value: |it| it.merged,
    },
    PerSource {
        name: "switchboard_source_stale_answers_total",
        help: "Reads that were answered by the last good reply, since the source failed.",
        value: |it| it.stale,
    },
    PerSource {
        name: "switchboard_source_bulkhead_refusals_total",
        help: "Calls for which there was no room in time.",
        value: |it| it.bulkhead_refused,
    },
    PerSource {
        name: "switchboard_source_breaker_openings_total",
        help: "How often the breaker opened.",
        value: |it| it.breaker_openings,
    },
    PerSource {
        name: "switchboard_source_faults_total",
        help: "Attempts that met a fault on purpose.",
        value: |it| it.faults,
    },
];

const GAUGES: &[PerSource] = &[
    PerSource {
        name: "switchboard_source_calls_in_flight",
        help: "Calls that have a seat.",
        value: |it| it.in_flight as u64,
    },
    PerSource {
        name: "switchboard_source_calls_queued",
        help: "Calls that wait for a seat.",
        value: |it| it.queued as u64,
    },
    PerSource {
        name: "switchboard_source_addresses",
        help: "Addresses that are known.",
        value: |it| it.addresses as u64,
    },
    PerSource {
        name: "switchboard_source_addresses_ejected",
        help: "Addresses that are passed over for now.",
        value: |it| it.ejected as u64,
    },
];

pub(super) fn write(sources: &[SourceNumbers], text: &mut Text) {
    let mut attempts = text.counter(
        "switchboard_source_attempts_total",
        "Attempts at calls, by how they ended.",
    );
    for source in sources {
        for (outcome, times) in &source.attempts {
            let labels = [("source", &*source.source), ("outcome", outcome.as_str())];
            attempts.sample(&labels, times);
        }
    }
    let durations = text.histogram(
        "switchboard_source_attempt_duration_seconds",
        "Time of attempts that were sent.",
    );
    distributions(sources, |it| &it.durations, durations);
    let batches = text.histogram("switchboard_source_batch_keys", "Keys of batched calls.");
    distributions(sources, |it| &it.batches, batches);
    for metric in COUNTERS {
        metric.write(sources, text.counter(metric.name, metric.help));
    }
    for metric in GAUGES {
        metric.write(sources, text.gauge(metric.name, metric.help));
    }
    let mut budget = text.gauge(
        "switchboard_source_retry_budget",
        "Repetitions that the retry budget would grant now.",
    );
    for source in sources {
        budget.sample(&[("source", &*source.source)], source.budget_left);
    }
    breakers(sources, text);
}

impl PerSource {
    fn write(&self, sources: &[SourceNumbers], mut family: Family<'_>) {
        for source in sources {
            family.sample(&[("source", &*source.source)], (self.value)(source));
        }
    }
}

fn distributions(
    sources: &[SourceNumbers],
    of: fn(&SourceNumbers) -> &Distribution,
    mut family: Family<'_>,
) {
    for source in sources {
        family.distribution(&[("source", &*source.source)], of(source));
    }
}

fn breakers(sources: &[SourceNumbers], text: &mut Text) {
    let mut family = text.gauge(
        "switchboard_source_breaker_state",
        "1 for the state that the breaker is in, else 0.",
    );
    let states = [
        BreakerState::Closed,
        BreakerState::HalfOpen,
        BreakerState::Open,
    ];
    for source in sources {
        for state in states {
            let labels = [("source", &*source.source), ("state", state.as_str())];
            family.sample(&labels, u8::from(source.breaker == state));
        }
    }
}
