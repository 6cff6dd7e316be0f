//! The page of metrics: what is told, in which order and in which words.
//!
//! Owns the names of metrics, except those of operations, fields, sources and
//! the process, which stand where these are counted. Each is explained in
//! docs/observability.md.

use plan::code::Code;
use queue::Standing;
use queue::clock::Clock;

use super::Metrics;
use super::Unsent;
use super::number::Tally;
use super::process;
use super::queues;
use super::sources;
use super::text::Family;
use super::text::Kept;
use super::text::Text;
use super::text::seconds;
use crate::admission::Readiness;
use crate::authenticate::Denied;
use crate::edge::problem::Kind;
use crate::graph::Graph;
use crate::limits::Measured;
use crate::pipeline::Gateway;
use crate::plans::Plans;

/// Everything that is known now.
pub(crate) async fn page(gateway: &Gateway) -> String {
    let queues = queues(gateway).await;
    let (metrics, graph) = (&gateway.metrics, &gateway.graph.load_full());
    let mut text = Text::default();
    door(gateway, &mut text);
    requests(metrics, &mut text);
    metrics.live.write(&mut text);
    metrics.operations.write(&mut text);
    plans(metrics, graph, &mut text);
    limits(metrics, graph, &mut text);
    sources::write(&graph.numbers(), &mut text);
    queues::write(&queues, Clock::default().now(), &mut text);
    if let Some(fields) = &metrics.fields {
        graph.all_plans().for_each(Plans::settle_fields);
        fields.write(&mut text);
    }
    graphs(metrics, graph, &mut text);
    traces(metrics, &mut text);
    process::write(&mut text);
    text.finish()
}

/// A store that does not answer is told by the numbers that are missing.
async fn queues(gateway: &Gateway) -> Vec<Standing> {
    match gateway.durable.get() {
        Some(durable) => durable.queue.standings().await.unwrap_or_default(),
        None => Vec::new(),
    }
}

fn door(gateway: &Gateway, text: &mut Text) {
    let standing = gateway.admission.standing();
    text.gauge(
        "switchboard_requests_in_flight",
        "Requests to /graphql that are being answered.",
    )
    .only(standing.in_flight);
    let limit = standing.limit.map(|limit| limit.to_string());
    text.gauge(
        "switchboard_requests_in_flight_limit",
        "Requests that may be answered at once, as it is now.",
    )
    .only(limit.as_deref().unwrap_or("+Inf"));
    text.gauge(
        "switchboard_requests_waiting",
        "Requests that wait to be let in.",
    )
    .only(standing.waiting);
    text.counter(
        "switchboard_requests_shed_total",
        "Requests for which there was no room, or none in time.",
    )
    .only(standing.refused);
    let ready = gateway.admission.readiness() == Readiness::Ready;
    text.gauge(
        "switchboard_ready",
        "1 while the gateway says that it is ready, 0 while it sheds or drains.",
    )
    .only(u8::from(ready));
}

fn requests(metrics: &Metrics, text: &mut Text) {
    text.counter(
        "switchboard_requests_abandoned_total",
        "Operations whose client went away before their answer.",
    )
    .only(metrics.abandoned.get());
    text.counter(
        "switchboard_coalesced_requests_total",
        "Operations that were answered by the work of an identical one in flight.",
    )
    .only(metrics.coalesced.get());
    let family = text.counter(
        "switchboard_http_refusals_total",
        "Requests that were answered with a problem, by its type.",
    );
    let types = Kind::ALL.iter().map(|kind| kind.slug());
    by("type", types, &metrics.refusals, family);
    let family = text.counter(
        "switchboard_operations_refused_total",
        "Operations that were not run, by code.",
    );
    let codes = Code::ALL.into_iter().map(Code::as_str);
    by("code", codes, &metrics.not_run, family);
    let family = text.counter(
        "switchboard_authentication_failures_total",
        "Requests whose credentials were missing or not good, by reason.",
    );
    let reasons = Denied::REASONS.into_iter();
    by("reason", reasons, &metrics.authentication, family);
}

fn plans(metrics: &Metrics, graph: &Graph, text: &mut Text) {
    text.counter(
        "switchboard_plan_cache_hits_total",
        "Operations whose plan was there already.",
    )
    .only(metrics.plan_hits.get());
    text.counter(
        "switchboard_plan_cache_misses_total",
        "Operations whose plan was not there.",
    )
    .only(metrics.plan_misses.get());
    text.gauge("switchboard_plan_cache_entries", "Plans that are kept.")
        .only(graph.all_plans().map(Plans::entries).sum::<u64>());
    text.histogram(
        "switchboard_operation_cost_points",
        "Static cost of operations that ran, in points.",
    )
    .counts(&[], &metrics.costs.counts(), Kept::Plain);
}

fn limits(metrics: &Metrics, graph: &Graph, text: &mut Text) {
    let family = text.counter(
        "switchboard_limit_measured_total",
        "Operations above a limit that is only measured, by limit.",
    );
    let limits = Measured::all().map(Measured::name);
    by("limit", limits, &metrics.measured, family);
    let mut denied = text.counter(
        "switchboard_rate_limit_denials_total",
        "Charges that a rate limit refused, by policy.",
    );
    for policy in graph.rate_limits.told() {
        denied.sample(&policy.labels(), policy.denied);
    }
    let mut measured = text.counter(
        "switchboard_rate_limit_measured_total",
        "Charges above a rate limit that is only measured, by policy.",
    );
    for policy in graph.rate_limits.told() {
        measured.sample(&policy.labels(), policy.measured);
    }
}

fn graphs(metrics: &Metrics, graph: &Graph, text: &mut Text) {
    let version = format!("{:016x}", graph.supergraph.version());
    text.gauge(
        "switchboard_graph_info",
        "Always 1, labelled with the version of the graph in service.",
    )
    .sample(&[("version", &version)], 1);
    text.gauge(
        "switchboard_build_info",
        "Always 1, labelled with the version of the program.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let mut reloads = text.counter(
        "switchboard_reloads_total",
        "Times that files were read anew, by what became of it.",
    );
    for (outcome, times) in ["ok", "failed"].into_iter().zip(&metrics.reloads) {
        reloads.sample(&[("outcome", outcome)], times.get());
    }
    let mut polls = text.counter(
        "switchboard_supergraph_polls_total",
        "Times that the supergraph's address was asked for another one, by what it said.",
    );
    let outcomes = ["changed", "unchanged", "failed"];
    for (outcome, times) in outcomes.into_iter().zip(&metrics.polls) {
        polls.sample(&[("outcome", outcome)], times.get());
    }
    text.gauge(
        "switchboard_graph_loaded_timestamp_seconds",
        "When files were last put in service, in seconds since 1970.",
    )
    .only(metrics.reloaded_at.get());
    let up = u64::try_from(metrics.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    text.gauge("switchboard_uptime_seconds", "Time since the start.")
        .only(seconds(up));
    text.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
    )
    .only(format_args!("{:.3}", metrics.started_at));
}

fn traces(metrics: &Metrics, text: &mut Text) {
    text.counter(
        "switchboard_trace_spans_exported_total",
        "Spans that the collector has taken.",
    )
    .only(metrics.spans_sent.get());
    let family = text.counter(
        "switchboard_trace_spans_dropped_total",
        "Spans of sampled requests that did not reach the collector, by reason.",
    );
    let reasons = Unsent::NAMES.into_iter();
    by("reason", reasons, &metrics.spans_dropped, family);
}

/// One sample for each kind, whether or not it was met: a rate needs where it began.
fn by(
    label: &'static str,
    names: impl Iterator<Item = &'static str>,
    tally: &Tally,
    mut family: Family<'_>,
) {
    for (name, times) in names.zip(tally.counts()) {
        family.sample(&[(label, name)], times);
    }
}
