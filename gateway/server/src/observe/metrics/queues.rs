//! Numbers of the durable queue: what its store and its deliveries know, told when somebody looks.

use queue::Standing;
use queue::deliver::BOUNDS;
use queue::deliver::LaneState;
use queue::deliver::Numbers;
use queue::deliver::OUTCOMES;
use queue::deliver::REASONS;

use super::text::Family;
use super::text::Text;
use super::text::seconds;

/// A metric with one sample for each queue that is worked on here.
struct PerQueue {
    name: &'static str,
    help: &'static str,
    value: fn(&Numbers) -> u64,
}

const COUNTERS: &[PerQueue] = &[
    PerQueue {
        name: "switchboard_queue_retries_total",
        help: "Attempts that were not their message's first.",
        value: |it| it.retries.get(),
    },
    PerQueue {
        name: "switchboard_queue_denials_total",
        help: "Times that a target did not accept the gateway's credentials.",
        value: |it| it.denials.get(),
    },
    PerQueue {
        name: "switchboard_queue_openings_total",
        help: "Times that a target was found to be down and left in peace.",
        value: |it| it.openings.get(),
    },
    PerQueue {
        name: "switchboard_queue_claims_lost_total",
        help: "Claims that were lost while a delivery ran: it may be made twice.",
        value: |it| it.lost.get(),
    },
    PerQueue {
        name: "switchboard_queue_returned_total",
        help: "Messages that were put back untried.",
        value: |it| it.returned.get(),
    },
];

/// `now` in milliseconds since the Unix epoch.
pub(super) fn write(queues: &[Standing], now: u64, text: &mut Text) {
    depths(queues, now, text);
    attempts(queues, text);
    for metric in COUNTERS {
        let mut family = text.counter(metric.name, metric.help);
        for (queue, numbers) in worked_on(queues) {
            family.sample(&[("queue", queue)], (metric.value)(numbers));
        }
    }
    let mut flying = text.gauge("switchboard_queue_in_flight", "Deliveries under way.");
    for (queue, numbers) in worked_on(queues) {
        flying.sample(&[("queue", queue)], numbers.in_flight.get());
    }
    lanes(queues, text);
}

fn depths(queues: &[Standing], now: u64, text: &mut Text) {
    let mut messages = text.gauge(
        "switchboard_queue_messages",
        "Messages that wait, and those that were given up and are kept.",
    );
    for Standing { depth, .. } in queues {
        messages.sample(
            &[("queue", &depth.queue), ("state", "waiting")],
            depth.waiting,
        );
        messages.sample(&[("queue", &depth.queue), ("state", "dead")], depth.dead);
    }
    let mut bytes = text.gauge("switchboard_queue_bytes", "Bytes of what waits.");
    for Standing { depth, .. } in queues {
        bytes.sample(&[("queue", &depth.queue)], depth.bytes);
    }
    let mut oldest = text.gauge(
        "switchboard_queue_oldest_seconds",
        "Since the oldest message that waits was accepted; 0 where none waits.",
    );
    for Standing { depth, .. } in queues {
        let age = depth.oldest.map_or(0, |at| now.saturating_sub(at));
        oldest.sample(&[("queue", &depth.queue)], seconds(age * 1_000));
    }
    let mut paused = text.gauge(
        "switchboard_queue_paused",
        "1 while an operator has paused it.",
    );
    for Standing { depth, .. } in queues {
        let is_paused = u8::from(depth.paused.is_some());
        paused.sample(&[("queue", &depth.queue)], is_paused);
    }
}

fn attempts(queues: &[Standing], text: &mut Text) {
    let mut family = text.counter(
        "switchboard_queue_attempts_total",
        "Attempts at deliveries, by how they ended.",
    );
    for (queue, numbers) in worked_on(queues) {
        for (outcome, times) in OUTCOMES.iter().zip(numbers.outcomes()) {
            family.sample(&[("queue", queue), ("outcome", outcome)], times);
        }
    }
    let mut family = text.counter(
        "switchboard_queue_dead_total",
        "Messages that were given up, by why.",
    );
    for (queue, numbers) in worked_on(queues) {
        for (reason, times) in REASONS.iter().zip(numbers.dead()) {
            family.sample(&[("queue", queue), ("reason", reason.as_str())], times);
        }
    }
    let mut family = text.histogram(
        "switchboard_queue_attempt_duration_seconds",
        "Time of attempts at deliveries.",
    );
    for (queue, numbers) in worked_on(queues) {
        durations(queue, numbers, &mut family);
    }
}

fn durations(queue: &str, numbers: &Numbers, family: &mut Family<'_>) {
    let bounds = BOUNDS.iter().map(|bound| seconds(bound * 1_000));
    let counts = numbers.durations();
    family.buckets(
        &[("queue", queue)],
        bounds.chain(["+Inf".to_owned()]).zip(counts),
        seconds(numbers.millis() * 1_000),
    );
}

fn lanes(queues: &[Standing], text: &mut Text) {
    let mut family = text.gauge(
        "switchboard_queue_lane_state",
        "1 for the state of the deliveries from a queue to a source, else 0.",
    );
    let states = [LaneState::Flows, LaneState::Down, LaneState::Denied];
    for standing in queues {
        let told = standing.told.iter().flat_map(|told| &told.lanes);
        for lane in told {
            for state in states {
                let labels = [
                    ("queue", standing.depth.queue.as_str()),
                    ("source", lane.source.as_str()),
                    ("state", state.as_str()),
                ];
                family.sample(&labels, u8::from(lane.state == state));
            }
        }
    }
}

fn worked_on(queues: &[Standing]) -> impl Iterator<Item = (&str, &Numbers)> {
    queues.iter().filter_map(|standing| {
        let told = standing.told.as_ref()?;
        Some((standing.depth.queue.as_str(), &*told.numbers))
    })
}
