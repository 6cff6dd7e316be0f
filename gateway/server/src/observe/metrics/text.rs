//! The text that Prometheus reads:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
//!
//! Owns its form. What the numbers mean is said by whoever writes them.

use std::fmt::Display;
use std::fmt::Write as _;

use sources::Distribution;

use super::number::Counts;

/// As an answer names the form.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Default)]
pub(super) struct Text(String);

/// The samples of one metric.
pub(super) struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
}

/// A label and its value.
pub(super) type Label<'l> = (&'static str, &'l str);

/// In what a histogram's numbers are kept, where that is not what it is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// As they are.
    Plain,
    /// Microseconds, told in seconds.
    Micros,
}

impl Text {
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let text = &mut self.0;
        put(
            text,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        Family { text, name }
    }
}

impl Family<'_> {
    /// The only sample.
    pub(super) fn only(mut self, value: impl Display) {
        self.sample(&[], value);
    }

    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A histogram: every bucket holds those below it as well.
    pub(super) fn counts(&mut self, labels: &[Label<'_>], counts: &Counts, kept: Kept) {
        let mut below = 0;
        for (place, count) in counts.buckets.iter().enumerate() {
            below += count;
            let bound = match counts.bounds.get(place) {
                Some(bound) => kept.told(*bound),
                None => "+Inf".to_owned(),
            };
            self.line("_bucket", labels, Some(("le", &bound)), below);
        }
        self.line("_sum", labels, None, kept.told(counts.sum));
        self.line("_count", labels, None, below);
    }

    /// The same, of what was counted elsewhere.
    pub(super) fn distribution(&mut self, labels: &[Label<'_>], counted: &Distribution) {
        let bounds = counted.bounds.iter().map(ToString::to_string);
        let bounds = bounds.chain(["+Inf".to_owned()]);
        self.buckets(
            labels,
            bounds.zip(counted.counts.iter().copied()),
            counted.sum,
        );
    }

    /// The same, of bounds and how many stand below each and not below the one before.
    pub(super) fn buckets(
        &mut self,
        labels: &[Label<'_>],
        buckets: impl Iterator<Item = (String, u64)>,
        sum: impl Display,
    ) {
        let mut below = 0;
        for (bound, count) in buckets {
            below += count;
            self.line("_bucket", labels, Some(("le", &bound)), below);
        }
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, below);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[Label<'_>],
        last: Option<Label<'_>>,
        value: impl Display,
    ) {
        put(self.text, format_args!("{}{suffix}", self.name));
        for (place, (name, value)) in labels.iter().chain(&last).enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, self.text);
            self.text.push('"');
        }
        if !labels.is_empty() || last.is_some() {
            self.text.push('}');
        }
        put(self.text, format_args!(" {value}\n"));
    }
}

impl Kept {
    fn told(self, value: u64) -> String {
        match self {
            Kept::Plain => value.to_string(),
            Kept::Micros => seconds(value),
        }
    }
}

/// Microseconds as seconds, to the last digit and no further.
pub(super) fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Text takes everything.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::number::Histogram;
    use super::*;

    #[test]
    fn a_family_is_headed_by_its_help_and_its_type() {
        let mut text = Text::default();
        let mut family = text.counter("errors_total", "Errors, by code.");
        family.sample(&[("code", "A"), ("of", "a \"b\" \\ \n c")], 3);
        text.gauge("up", "One.").only(1);
        assert_eq!(
            text.finish(),
            "# HELP errors_total Errors, by code.\n# TYPE errors_total counter\n\
             errors_total{code=\"A\",of=\"a \\\"b\\\" \\\\ \\n c\"} 3\n\
             # HELP up One.\n# TYPE up gauge\nup 1\n"
        );
    }

    #[test]
    fn a_bucket_holds_what_is_below_it_and_times_are_told_in_seconds() {
        let histogram = Histogram::new(&[1_000, 2_500_000]);
        for micros in [500, 1_500, 3_000_001] {
            histogram.observe(micros);
        }
        let mut text = Text::default();
        let mut family = text.histogram("d_seconds", "Durations.");
        family.counts(&[("of", "x")], &histogram.counts(), Kept::Micros);
        let text = text.finish();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "d_seconds_bucket{of=\"x\",le=\"0.001\"} 1",
                "d_seconds_bucket{of=\"x\",le=\"2.5\"} 2",
                "d_seconds_bucket{of=\"x\",le=\"+Inf\"} 3",
                "d_seconds_sum{of=\"x\"} 3.002001",
                "d_seconds_count{of=\"x\"} 3",
            ]
        );
    }

    #[test]
    fn seconds_have_no_digits_that_say_nothing() {
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(30_000_000), "30");
        assert_eq!(seconds(250_000), "0.25");
        assert_eq!(seconds(1), "0.000001");
    }
}
