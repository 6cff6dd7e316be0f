//! Documents that are small to send and large to work on, each with its time
//! and its memory measured: `cargo test -p switchboard-tests --test bombs -- --nocapture`.
//!
//! A binary of its own, because every allocation in it is counted. The bounds
//! on memory are those that hold in production; those on time are forty times
//! looser in a build without optimisation.

#![allow(clippy::print_stdout, reason = "the figures are what it is read for")]

use std::time::Duration;
use std::time::Instant;

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use peak_alloc::PeakAlloc;
use plan::Document;
use plan::OperationLimits;
use plan::Refusal;
use plan::code::Code;

#[global_allocator]
static ALLOCATIONS: PeakAlloc = PeakAlloc;

const SDL: &str = "\
    type Query { user(id: ID): User }
    type User { id: ID! name(as: Int): String friend: User }";

/// What one document took.
struct Taken {
    time: Duration,
    bytes: usize,
}

impl Taken {
    #[track_caller]
    fn within(&self, name: &str, millis: u64, megabytes: usize) {
        let (time, bytes) = (self.time, self.bytes);
        println!(
            "{name}: {:.2} ms, {:.2} MB",
            time.as_secs_f64() * 1e3,
            bytes as f64 / 1e6
        );
        let slower = if cfg!(debug_assertions) { 40 } else { 1 };
        assert!(
            time <= Duration::from_millis(millis * slower),
            "{name}: {time:?}"
        );
        assert!(bytes <= megabytes * 1_000_000, "{name}: {bytes} bytes");
    }
}

/// The best of three: the machine may be busy, the work stays the same.
fn taken(
    schema: &Valid<Schema>,
    text: &str,
    limits: &OperationLimits,
) -> (Result<Document, Refusal>, Taken) {
    let mut best: Option<Taken> = None;
    let mut last = None;
    for _ in 0..3 {
        drop(last.take());
        let before = ALLOCATIONS.current_usage();
        ALLOCATIONS.reset_peak_usage();
        let began = now();
        last = Some(Document::parse(schema, text, limits));
        let time = began.elapsed();
        let bytes = ALLOCATIONS.peak_usage().saturating_sub(before);
        if best.as_ref().is_none_or(|best| time < best.time) {
            best = Some(Taken { time, bytes });
        }
    }
    (last.expect("a result"), best.expect("a measure"))
}

#[allow(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn bombs_are_answered_or_refused_in_bounded_time_and_memory() {
    let schema = Schema::parse_and_validate(SDL, "schema.graphql").expect("a schema");
    drop(taken(
        &schema,
        "{ user { id } }",
        &OperationLimits::default(),
    ));
    doubling_fragments(&schema);
    conflicting_fields(&schema);
    overlapping_fragments(&schema);
    fragments_in_a_chain(&schema);
    open_brackets(&schema);
}

fn doubling_fragments(schema: &Valid<Schema>) {
    for (shape, spread) in [
        ("spread twice", "...F# ...F#"),
        ("under two keys", "a: friend { ...F# } b: friend { ...F# }"),
    ] {
        let mut text = String::from("{ user { ...F0 } }");
        for level in 0..60 {
            let spread = spread.replace('#', &(level + 1).to_string());
            text.push_str(&format!(" fragment F{level} on User {{ {spread} }}"));
        }
        text.push_str(" fragment F60 on User { id }");
        for (limits, which) in both() {
            let (_, taken) = taken(schema, &text, &limits);
            taken.within(
                &format!("60 levels of doubling fragments, {shape}, {which}"),
                5,
                1,
            );
        }
    }
}

fn conflicting_fields(schema: &Valid<Schema>) {
    let fields: String = (0..10_000).map(|n| format!("name(as: {n}) ")).collect();
    let text = format!("{{ user {{ {fields} }} }}");
    for (limits, which) in both() {
        let (result, taken) = taken(schema, &text, &limits);
        let refusal = result.expect_err("they conflict");
        let errors = refusal.errors.len();
        match which {
            "default limits" => assert_eq!(refusal.code, Code::DocumentTooLarge),
            _ => assert_eq!((refusal.code, errors), (Code::GraphqlValidationFailed, 20)),
        }
        taken.within(&format!("10,000 conflicting fields, {which}"), 50, 16);
    }
}

/// Each level doubles the number of different merged sets.
fn overlapping_fragments(schema: &Valid<Schema>) {
    let levels = 30;
    let mut text = String::from("{ user { ...G0 } }");
    for level in 0..levels {
        let next = level + 1;
        text.push_str(&format!(
            " fragment G{level} on User {{ a: friend {{ ...G{next} ...H{next}_0 }} b: friend {{ ...G{next} }} }}"
        ));
        for state in 0..level {
            text.push_str(&format!(
                " fragment H{level}_{state} on User {{ a: friend {{ ...H{next}_{0} }} b: friend {{ ...H{next}_{0} }} }}",
                state + 1
            ));
        }
    }
    text.push_str(&format!(" fragment G{levels} on User {{ id }}"));
    for state in 0..levels {
        text.push_str(&format!(" fragment H{levels}_{state} on User {{ id }}"));
    }
    let (result, taken) = taken(schema, &text, &OperationLimits::off());
    let refusal = result.expect_err("it is too much");
    assert_eq!(refusal.code, Code::OperationTooLarge);
    taken.within(
        "fragments that overlap in a billion ways, no limits",
        50,
        16,
    );
}

fn fragments_in_a_chain(schema: &Valid<Schema>) {
    let mut text = String::from("{ user { ...F0 } }");
    for level in 0..10_000 {
        let next = level + 1;
        text.push_str(&format!(
            " fragment F{level} on User {{ friend {{ ...F{next} }} }}"
        ));
    }
    text.push_str(" fragment F10000 on User { id }");
    let (result, taken) = taken(schema, &text, &OperationLimits::off());
    let refusal = result.expect_err("it is too much");
    assert_eq!(refusal.code, Code::OperationTooLarge);
    taken.within("10,000 fragments in a chain, no limits", 100, 40);
}

fn open_brackets(schema: &Valid<Schema>) {
    let text = "{user".repeat(100_000);
    for (limits, which) in both() {
        let (result, taken) = taken(schema, &text, &limits);
        assert!(result.is_err());
        taken.within(&format!("100,000 open brackets, {which}"), 5, 1);
    }
}

/// As an operator has them who changes nothing, and without the two that a long document meets first.
fn both() -> [(OperationLimits, &'static str); 2] {
    use plan::limits::Kind;
    use plan::limits::Limit;
    let safe = OperationLimits::default();
    let long = safe
        .with(Kind::Characters, Limit::OFF)
        .with(Kind::Tokens, Limit::OFF);
    [
        (safe, "default limits"),
        (long, "characters and tokens off"),
    ]
}
