//! What happens around a call: times, retries, limits and the mapping of errors.

use super::Lowering;
use super::input::Input;
use super::site::Site;
use crate::contract::proto::Idempotency;
use crate::diagnostic::Diagnostic;
use crate::mapping::MappingKind;
use crate::model::{Breaker, Errors, Limits, Policy, Read, Retry, SourceId};

use super::origin::Call;
use super::upstream::Upstream;

impl Lowering<'_> {
    pub(super) fn policy(
        &mut self,
        site: &Site<'_>,
        input: &Input<'_>,
        source: SourceId,
        call: &Call,
    ) -> Policy {
        let idempotent = self.is_idempotent(site, input, source, call);
        self.check_repeats(input, idempotent);
        Policy {
            timeout: self.duration(input, "timeout"),
            fanout: self.count(input, "fanout"),
            not_found_is_error: input.word("notFound") == Some("ERROR"),
            idempotent,
            hedge: input.flag("hedge").unwrap_or(false),
            stale_if_error: self.duration(input, "staleIfError"),
            retry: input.nested("retry").map(|retry| self.retry(&retry)),
            errors: self.errors(input, source),
        }
    }

    /// Reads may be repeated and writes may not, whatever the verb, unless someone says otherwise.
    fn is_idempotent(
        &self,
        site: &Site<'_>,
        input: &Input<'_>,
        source: SourceId,
        call: &Call,
    ) -> bool {
        if let Some(stated) = input.flag("idempotent") {
            return stated;
        }
        let level = match (call, &self.lowered.upstreams[source.index()]) {
            (Call::Method(name), Upstream::Proto(proto)) => {
                proto.method(name).map(|it| it.idempotency)
            }
            _ => None,
        };
        match level {
            Some(Idempotency::NoSideEffects | Idempotency::Idempotent) => true,
            _ => !site.on.is_mutation(),
        }
    }

    fn check_repeats(&mut self, input: &Input<'_>, idempotent: bool) {
        if idempotent {
            return;
        }
        let retried = input.nested("retry").is_some_and(|retry| {
            let attempts = retry.get("attempts").and_then(|it| it.to_i32());
            attempts.is_none_or(|attempts| attempts > 1)
        });
        let repeated = match retried {
            true => Some("retry"),
            false => (input.flag("hedge") == Some(true)).then_some("hedge"),
        };
        if let Some(name) = repeated {
            self.push(
                Diagnostic::error(
                    "RETRY_NOT_IDEMPOTENT",
                    "this call may happen twice, and nobody says that it may",
                )
                .at(input.at_name(name))
                .help("if a second call has no further effect, say idempotent: true"),
            );
        }
    }

    pub(super) fn retry(&mut self, retry: &Input<'_>) -> Retry {
        Retry {
            attempts: self.count(retry, "attempts"),
            backoff: self.duration(retry, "backoff"),
            max_backoff: self.duration(retry, "maxBackoff"),
            total: self.duration(retry, "total"),
            on: retry.texts("on").into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn limits(&mut self, limits: &Input<'_>) -> Limits {
        Limits {
            concurrency: self.count(limits, "concurrency"),
            requests_per_second: self.count(limits, "requestsPerSecond"),
            breaker: limits
                .nested("breaker")
                .map(|breaker| self.breaker(&breaker)),
        }
    }

    fn breaker(&mut self, breaker: &Input<'_>) -> Breaker {
        Breaker {
            failure_rate: self.rate(breaker, "failureRate"),
            slow_call_rate: self.rate(breaker, "slowCallRate"),
            slow_call: self.duration(breaker, "slowCall"),
            minimum_calls: self.count(breaker, "minimumCalls"),
            window: self.duration(breaker, "window"),
            open: self.duration(breaker, "open"),
            probes: self.count(breaker, "probes"),
        }
    }

    fn rate(&mut self, breaker: &Input<'_>, name: &str) -> Option<f64> {
        let rate = breaker.number(name)?;
        let is_rate = rate > 0.0 && rate <= 1.0;
        if !is_rate {
            self.refuse(breaker, name, "a rate is above 0 and at most 1");
        }
        is_rate.then_some(rate)
    }

    /// `errors:` of a directive.
    pub(super) fn errors(&mut self, input: &Input<'_>, source: SourceId) -> Errors {
        let Some(errors) = input.nested("errors") else {
            return Errors::default();
        };
        let message = self.mapping(&errors, "message");
        let codes = errors.nested_list("codes");
        Errors {
            message: message.and_then(|it| self.read_of_reply(input.document, source, &it)),
            extensions: self.error_extensions(&errors, source),
            codes: codes
                .iter()
                .filter_map(|code| {
                    Some((
                        code.text("status")?.to_owned(),
                        code.text("code")?.to_owned(),
                    ))
                })
                .collect(),
        }
    }

    fn error_extensions(&mut self, errors: &Input<'_>, source: SourceId) -> Vec<(String, Read)> {
        let Some(mapping) = self.mapping(errors, "extensions") else {
            return Vec::new();
        };
        let MappingKind::Object(entries) = &mapping.kind else {
            self.refuse(errors, "extensions", "extensions have names");
            return Vec::new();
        };
        let mut extensions = Vec::new();
        for entry in entries {
            if let Some(read) = self.read_of_reply(errors.document, source, &entry.value) {
                extensions.push((entry.key.name.clone(), read));
            }
        }
        extensions
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SHOP, file, lowered_files, said};

    #[test]
    fn only_what_may_happen_twice_is_repeated() {
        assert_eq!(
            said("type Mutation { a: Int @rest(PUT: \"/a\", retry: { attempts: 3 }) }"),
            "error[RETRY_NOT_IDEMPOTENT] shop.graphql:2:41\n  \
             2 | type Mutation { a: Int @rest(PUT: \"/a\", retry: { attempts: 3 }) }\n    \
             |                                         ^^^^^ this call may happen twice, and nobody says that it may\n  \
             help: if a second call has no further effect, say idempotent: true\n"
        );
        assert_eq!(
            said(
                "type Mutation { a: Int @rest(PUT: \"/a\", idempotent: true, retry: { attempts: 3 }) }"
            ),
            ""
        );
        assert_eq!(
            said("type Mutation { a: Int @rest(PUT: \"/a\", retry: { attempts: 1 }) }"),
            ""
        );
        assert_eq!(
            said("type Query { a: Int @rest(POST: \"/a\", retry: { attempts: 3 }) }"),
            ""
        );
        let hedged = said("type Mutation { a: Int @rest(PUT: \"/a\", hedge: true) }");
        assert!(
            hedged.starts_with("error[RETRY_NOT_IDEMPOTENT]"),
            "{hedged}"
        );
    }

    #[test]
    fn durations_counts_and_rates_are_checked() {
        let (lowered, diagnostics) = lowered_files(&file(&format!(
            "{SHOP}type Query {{ a: Int @rest(GET: \"/a\", timeout: \"250ms\", fanout: 7, notFound: ERROR, errors: {{ message: \"$response.error ?? error.detail\" }}) }}"
        )));
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let policy = &lowered.resolvers[0].policy;
        assert_eq!(policy.timeout.map(|it| it.as_millis()), Some(250));
        assert_eq!(policy.fanout, Some(7));
        assert!(policy.idempotent && policy.not_found_is_error && policy.errors.message.is_some());
        let duration = said("type Query { a: Int @rest(GET: \"/a\", timeout: \"soon\") }");
        assert!(
            duration.starts_with("error[MAPPING_SYNTAX] shop.graphql:2:48\n"),
            "{duration}"
        );
        let fanout = said("type Query { a: Int @rest(GET: \"/a\", fanout: 0) }");
        assert!(
            fanout.starts_with("error[INVALID_VALUE] shop.graphql:2:46\n"),
            "{fanout}"
        );
    }
}
