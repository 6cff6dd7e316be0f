//! The log of slow requests: one line with the plan and each call's time.
//!
//! Owns what is said of them. Calls are named by their step and its request
//! with the holes in it: what a client put into them is not repeated.

use std::fmt::Write as _;
use std::time::Duration;

use plan::source::CallRecord;

use super::recording::Recording;
use super::seen::Ending;

/// Says so, where the request took longer than that.
pub(super) fn tell(ending: &Ending<'_>, recording: &Recording, above: Duration) {
    if ending.took < above {
        return;
    }
    let plan = ending.planned.map(|planned| &planned.plan);
    let name = plan.and_then(plan::Plan::operation_name);
    let plan = plan.map(ToString::to_string).unwrap_or_default();
    tracing::warn!(
        target: "slow",
        operation = name.unwrap_or(""),
        micros = ending.micros(),
        trace_id = %ending.trace_id(),
        stages = stages(recording),
        plan = plan.trim_end(),
        calls = calls(&recording.calls.records()),
        "a request was slow"
    );
}

/// `authenticate 12us, read 30us`
fn stages(recording: &Recording) -> String {
    let mut text = String::new();
    let mut begin = Duration::ZERO;
    for (stage, end) in recording.stages.ended_so_far() {
        let comma = if text.is_empty() { "" } else { ", " };
        let took = end.saturating_sub(begin).as_micros();
        // Text takes everything.
        let _ = write!(text, "{comma}{} {took}us", stage.name());
        begin = end;
    }
    text
}

/// `[0] users 200 attempt 0: 120us..4200us (12 keys, 900 bytes), …`
fn calls(records: &[CallRecord]) -> String {
    let mut text = String::new();
    for call in records {
        let comma = if text.is_empty() { "" } else { ", " };
        let hedge = if call.hedge { " hedge" } else { "" };
        let merged = if call.coalesced { " merged" } else { "" };
        // Text takes everything.
        let _ = write!(
            text,
            "{comma}[{}] {} {} attempt {}{hedge}{merged}: {}us..{}us ({} keys, {} bytes)",
            call.step,
            call.source,
            call.status,
            call.attempt,
            call.start.as_micros(),
            call.end.as_micros(),
            call.keys,
            call.bytes,
        );
    }
    text
}
