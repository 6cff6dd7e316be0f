//! What one policy says of one charge, and how it is told in headers.
//!
//! Owns the `RateLimit` and `RateLimit-Policy` fields:
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use super::policy::Headers;
use super::policy::Policy;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How a bucket stands after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Units that are left.
    pub(super) remaining: u32,
    /// When all of them are there again.
    pub(super) full_in: Duration,
    /// Refused: when the amount that was asked for is there.
    pub(super) wait: Option<Duration>,
}

impl Verdict {
    pub(super) fn is_granted(&self) -> bool {
        self.wait.is_none()
    }
}

/// What a request has been told by the policies that it was charged to.
#[derive(Debug, Default)]
pub(crate) struct Standings(Vec<Standing>);

#[derive(Debug)]
struct Standing {
    policy: Arc<Policy>,
    verdict: Verdict,
}

impl Standings {
    /// A later charge to the same policy replaces the earlier one.
    pub(super) fn note(&mut self, policy: &Arc<Policy>, verdict: Verdict) {
        self.0.retain(|known| known.policy.name != policy.name);
        self.0.push(Standing {
            policy: policy.clone(),
            verdict,
        });
    }

    /// The fields of policies that tell everybody.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        self.write_those(headers, |standing| {
            standing.policy.headers == Headers::Always
        });
    }

    /// The fields of a refusal: of the policies that refused too.
    pub(crate) fn write_refusal(&self, headers: &mut HeaderMap) {
        self.write_those(headers, |standing| {
            standing.policy.headers == Headers::Always || !standing.verdict.is_granted()
        });
    }

    fn write_those(&self, headers: &mut HeaderMap, shown: impl Fn(&Standing) -> bool) {
        let (mut limits, mut policies) = (String::new(), String::new());
        for standing in self.0.iter().filter(|standing| shown(standing)) {
            standing.write(&mut limits, &mut policies);
        }
        if limits.is_empty() {
            return;
        }
        let fields = [(RATE_LIMIT, limits), (RATE_LIMIT_POLICY, policies)];
        for (name, text) in fields {
            // Names of policies are letters, digits and dashes.
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

impl Standing {
    fn write(&self, limits: &mut String, policies: &mut String) {
        let separator = if limits.is_empty() { "" } else { ", " };
        let (policy, verdict) = (&self.policy, &self.verdict);
        let reset = seconds(verdict.wait.unwrap_or(verdict.full_in));
        // Writing to memory cannot fail.
        let _ = write!(
            limits,
            "{separator}\"{}\";r={};t={reset}",
            policy.name, verdict.remaining
        );
        let _ = write!(
            policies,
            "{separator}\"{}\";q={};w={}",
            policy.name,
            policy.amount,
            seconds(policy.per)
        );
    }
}

/// Whole seconds, never too few.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::policy;
    use super::*;

    fn standings(told: &[(&str, Headers, Option<u64>)]) -> Standings {
        let mut standings = Standings::default();
        for (name, headers, wait) in told {
            let policy = Arc::new(Policy {
                name: (*name).into(),
                amount: 100,
                per: Duration::from_millis(59_500),
                headers: *headers,
                ..policy()
            });
            let verdict = Verdict {
                remaining: 7,
                full_in: Duration::from_millis(30_001),
                wait: wait.map(Duration::from_millis),
            };
            standings.note(&policy, verdict);
        }
        standings
    }

    fn fields(write: impl Fn(&mut HeaderMap)) -> [String; 2] {
        let mut headers = HeaderMap::new();
        write(&mut headers);
        ["ratelimit", "ratelimit-policy"].map(|name| {
            let value = headers.get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn fields_are_structured_and_round_up() {
        let told = standings(&[
            ("a", Headers::Always, None),
            ("b", Headers::OnRefusal, None),
            ("c", Headers::Always, None),
        ]);
        assert_eq!(
            fields(|headers| told.write(headers)),
            [
                r#""a";r=7;t=31, "c";r=7;t=31"#,
                r#""a";q=100;w=60, "c";q=100;w=60"#
            ]
        );
    }

    #[test]
    fn a_refusal_tells_who_refused_and_when_to_come_back() {
        let told = standings(&[
            ("a", Headers::OnRefusal, None),
            ("b", Headers::OnRefusal, Some(1_200)),
        ]);
        assert_eq!(fields(|headers| told.write(headers)), ["", ""]);
        assert_eq!(
            fields(|headers| told.write_refusal(headers)),
            [r#""b";r=7;t=2"#, r#""b";q=100;w=60"#]
        );
    }

    #[test]
    fn a_later_charge_to_a_policy_replaces_the_earlier_one() {
        let told = standings(&[
            ("a", Headers::Always, None),
            ("a", Headers::Always, Some(1)),
        ]);
        assert_eq!(fields(|headers| told.write(headers))[0], r#""a";r=7;t=1"#);
    }
}
