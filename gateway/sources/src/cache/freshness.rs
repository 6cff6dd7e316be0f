//! How long a reply may be kept, by the schema and by the service.
//!
//! Owns reading `Cache-Control`, `Age` and `Vary` of a reply as a cache shared
//! by many: <https://www.rfc-editor.org/rfc/rfc9111>, and
//! `stale-while-revalidate`: <https://www.rfc-editor.org/rfc/rfc5861>.

use std::time::Duration;

use http::HeaderMap;
use http::header::AGE;
use http::header::CACHE_CONTROL;
use http::header::VARY;
use plan::cache::CachePolicy;

use super::CacheSettings;

/// What a service's own `Cache-Control` changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamRule {
    /// Nothing: the schema decides alone.
    Ignore,
    /// It shortens what the schema allows, or forbids it.
    #[default]
    Shorten,
    /// That, and it allows where the schema says nothing.
    Follow,
}

impl UpstreamRule {
    /// Whether there is anything to look for.
    pub(super) fn may_keep(self, policy: CachePolicy) -> bool {
        match self {
            UpstreamRule::Ignore | UpstreamRule::Shorten => policy.allowed().is_some(),
            UpstreamRule::Follow => policy.max_age != Some(0),
        }
    }
}

/// What all who are asked allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// From now on.
    pub(super) fresh: Duration,
    /// After that, while a new one is fetched.
    pub(super) stale: Duration,
    /// How old it came.
    pub(super) age: Duration,
    /// Only for the caller who asked.
    pub(super) private: bool,
}

/// How long a reply may be kept that comes now; not at all where nobody says how long, or somebody forbids it.
pub(super) fn allowed(
    settings: &CacheSettings,
    policy: CachePolicy,
    headers: Option<&HeaderMap>,
) -> Option<Allowed> {
    let rule = settings.upstream;
    let said = policy.max_age.map(u64::from).map(Duration::from_secs);
    let schema = said.filter(|_| policy.allowed().is_some());
    let headers = headers.filter(|_| rule != UpstreamRule::Ignore);
    let told = headers.map(Told::of).unwrap_or_default();
    if told.forbidden || !rule.may_keep(policy) {
        return None;
    }
    let age = told.age.unwrap_or_default();
    let upstream = told.shared.or(told.max_age);
    let upstream = upstream.map(|lifetime| lifetime.saturating_sub(age));
    // Where the schema is silent about a part, a time that it says of another still counts.
    let limit = said.unwrap_or(Duration::MAX);
    let fresh = match (schema, upstream) {
        (Some(schema), None) => schema,
        (_, Some(upstream)) => upstream.min(limit),
        (None, None) => return None,
    };
    let stale = told.stale.unwrap_or(settings.stale_while_revalidate);
    (!fresh.is_zero()).then_some(Allowed {
        fresh,
        stale: if told.revalidate {
            Duration::ZERO
        } else {
            stale
        },
        age,
        private: policy.private || told.private,
    })
}

/// What a reply's headers say.
#[derive(Debug, Default)]
struct Told {
    forbidden: bool,
    private: bool,
    revalidate: bool,
    max_age: Option<Duration>,
    shared: Option<Duration>,
    stale: Option<Duration>,
    age: Option<Duration>,
}

impl Told {
    fn of(headers: &HeaderMap) -> Self {
        let mut told = Self {
            age: headers.get(AGE).and_then(|it| seconds(it.to_str().ok()?)),
            ..Self::default()
        };
        let values = |name| headers.get_all(name).iter().map(|it| it.to_str());
        for value in values(CACHE_CONTROL) {
            match value {
                Ok(value) => value.split(',').for_each(|it| told.directive(it.trim())),
                // What cannot be read may forbid it.
                Err(_) => told.forbidden = true,
            }
        }
        told.forbidden |= values(VARY).any(|it| it.is_ok_and(|it| it.contains('*')));
        told
    }

    fn directive(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => self.forbidden = true,
            "private" => self.private = true,
            "must-revalidate" | "proxy-revalidate" => self.revalidate = true,
            // A time that cannot be read is over: RFC 9111, 4.2.1.
            "max-age" => self.max_age = Some(seconds(value).unwrap_or_default()),
            "s-maxage" => {
                self.shared = Some(seconds(value).unwrap_or_default());
                self.revalidate = true;
            }
            "stale-while-revalidate" => self.stale = seconds(value),
            _ => {}
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    /// About 68 years: what RFC 9111, 1.2.2 suggests for larger numbers.
    const LONGEST: u64 = 1 << 31;
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(LONGEST).min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const UNSAID: CachePolicy = CachePolicy {
        max_age: None,
        silent: true,
        private: false,
    };
    const MINUTE: CachePolicy = CachePolicy {
        max_age: Some(60),
        silent: false,
        private: false,
    };

    fn of(rule: UpstreamRule, policy: CachePolicy, control: &'static str) -> Option<Allowed> {
        with(rule, policy, &[("cache-control", control)])
    }

    fn with(
        upstream: UpstreamRule,
        policy: CachePolicy,
        pairs: &[(&'static str, &'static str)],
    ) -> Option<Allowed> {
        let settings = CacheSettings {
            upstream,
            ..CacheSettings::default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        allowed(&settings, policy, Some(&headers))
    }

    fn fresh(rule: UpstreamRule, policy: CachePolicy, control: &'static str) -> Option<u64> {
        of(rule, policy, control).map(|it| it.fresh.as_secs())
    }

    #[test]
    fn three_rules_about_what_a_service_says() {
        use UpstreamRule::*;
        for (control, ignore, shorten, follow) in [
            ("", Some(60), Some(60), Some(60)),
            ("max-age=5", Some(60), Some(5), Some(5)),
            ("max-age=500", Some(60), Some(60), Some(60)),
            ("max-age=500, s-maxage=7", Some(60), Some(7), Some(7)),
            ("no-store", Some(60), None, None),
            ("No-Cache", Some(60), None, None),
            ("max-age=0", Some(60), None, None),
            ("max-age=never", Some(60), None, None),
        ] {
            assert_eq!(fresh(Ignore, MINUTE, control), ignore, "{control}");
            assert_eq!(fresh(Shorten, MINUTE, control), shorten, "{control}");
            assert_eq!(fresh(Follow, MINUTE, control), follow, "{control}");
        }
    }

    #[test]
    fn where_the_schema_says_nothing_only_a_service_that_is_followed_allows() {
        use UpstreamRule::*;
        for (control, follow) in [("", None), ("max-age=5", Some(5)), ("no-store", None)] {
            assert_eq!(fresh(Ignore, UNSAID, control), None, "{control}");
            assert_eq!(fresh(Shorten, UNSAID, control), None, "{control}");
            assert_eq!(fresh(Follow, UNSAID, control), follow, "{control}");
        }
        let never = CachePolicy {
            max_age: Some(0),
            ..MINUTE
        };
        assert_eq!(fresh(Follow, never, "max-age=5"), None);
        // Silent about one part, ten seconds for another.
        let partly = CachePolicy {
            max_age: Some(10),
            ..UNSAID
        };
        assert_eq!(fresh(Shorten, partly, "max-age=50"), None);
        assert_eq!(fresh(Follow, partly, "max-age=50"), Some(10));
    }

    #[test]
    fn what_was_on_its_way_is_that_much_older() {
        let pairs = [("cache-control", "max-age=30"), ("age", "12")];
        let allowed = with(UpstreamRule::Shorten, MINUTE, &pairs).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!((allowed.fresh, allowed.age), (seconds(18), seconds(12)));
        let old = [("cache-control", "max-age=30"), ("age", "30")];
        assert_eq!(with(UpstreamRule::Shorten, MINUTE, &old), None);
    }

    #[test]
    fn a_reply_that_depends_on_anything_is_not_kept() {
        assert_eq!(
            with(UpstreamRule::Shorten, MINUTE, &[("vary", "accept, *")]),
            None
        );
        assert!(with(UpstreamRule::Shorten, MINUTE, &[("vary", "accept")]).is_some());
    }

    #[test]
    fn private_is_said_by_either() {
        let private = |policy, control| {
            of(UpstreamRule::Shorten, policy, control).is_some_and(|it| it.private)
        };
        assert!(private(MINUTE, "private, max-age=9"));
        assert!(!private(MINUTE, "public"));
        let own = CachePolicy {
            private: true,
            ..MINUTE
        };
        assert!(private(own, "public"));
    }

    #[test]
    fn a_service_says_how_long_it_may_be_stale() {
        let stale = |control| of(UpstreamRule::Shorten, MINUTE, control).unwrap().stale;
        let seconds = Duration::from_secs;
        assert_eq!(stale("stale-while-revalidate=30"), seconds(30));
        assert_eq!(
            stale("stale-while-revalidate=30, must-revalidate"),
            seconds(0)
        );
        assert_eq!(stale("s-maxage=9, stale-while-revalidate=30"), seconds(0));
        assert_eq!(stale(""), seconds(0));
    }
}
