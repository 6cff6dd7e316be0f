//! From what `rate_limits` says to policies that can be charged.

use std::collections::BTreeSet;
use std::time::Duration;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;

use super::super::file;
use super::super::file::File;
use super::super::problem::only;
use crate::rate_limits::Headers;
use crate::rate_limits::Key;
use crate::rate_limits::Mode;
use crate::rate_limits::OnFailure;
use crate::rate_limits::Policy;
use crate::rate_limits::RedisSettings;
use crate::rate_limits::Settings;
use crate::rate_limits::Unit;

/// Finer than this the arithmetic of buckets would round noticeably.
const SHORTEST_INTERVAL: Duration = Duration::from_micros(1);
/// No bucket takes longer to fill.
const LONGEST_REFILL: Duration = Duration::from_secs(366 * 24 * 3600);
/// The time of one call of Redis, unless it is given: who waits for it waits with every request.
const CALL: Duration = Duration::from_millis(50);

pub(super) fn settings(file: &File) -> Result<Settings, Diagnostics> {
    let mut names = BTreeSet::new();
    let mut policies = Vec::new();
    for limit in &file.rate_limits {
        let refuse = |why: String| wrong(&limit.name, &why);
        if !is_name(&limit.name) {
            return Err(refuse(
                "a name has 1 to 64 letters, digits, dashes and underscores".into(),
            ));
        }
        if !names.insert(&limit.name) {
            return Err(refuse("there are two of this name".into()));
        }
        let policy = policy(limit).map_err(refuse)?;
        if policy.key.names_operations() && file.documents.trusted.is_none() {
            return Err(refuse(
                "$operation.name is whatever a client writes, unless the document is a trusted one: configure \
                 documents.trusted too"
                    .into(),
            ));
        }
        if limit.mode != file::RateLimitMode::Off {
            policies.push(policy);
        }
    }
    Ok(Settings {
        policies,
        redis: file.rate_limit_store.redis.as_ref().map(redis),
    })
}

fn wrong(name: &str, why: &str) -> Diagnostics {
    only(Diagnostic::error(
        "CONFIG_VALUE",
        format!("rate_limits, `{name}`: {why}"),
    ))
}

/// What a structured field may hold without escapes, and a log without quotes.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

fn policy(limit: &file::RateLimit) -> Result<Policy, String> {
    let (unit, amount) = match (limit.requests, limit.cost) {
        (Some(requests), None) => (Unit::Requests, requests),
        (None, Some(cost)) => (Unit::Cost, cost),
        _ => return Err("it counts either `requests` or `cost`".into()),
    };
    let policy = Policy {
        name: limit.name.as_str().into(),
        key: key(limit.key.as_ref())?,
        unit,
        amount,
        per: limit.per.0,
        burst: limit.burst.unwrap_or(amount),
        mode: match limit.mode {
            file::RateLimitMode::Enforce => Mode::Enforce,
            file::RateLimitMode::Measure | file::RateLimitMode::Off => Mode::Measure,
        },
        headers: match limit.headers {
            file::RateLimitHeaders::OnRefusal => Headers::OnRefusal,
            file::RateLimitHeaders::Always => Headers::Always,
        },
        keys: limit.keys,
    };
    check(&policy)?;
    Ok(policy)
}

fn check(policy: &Policy) -> Result<(), String> {
    if policy.amount == 0 || policy.burst == 0 || policy.keys == 0 {
        return Err(
            "nothing would ever pass: `requests` or `cost`, `burst` and `keys` are 1 or more"
                .into(),
        );
    }
    let interval = policy.interval();
    if interval < SHORTEST_INTERVAL {
        return Err("more than a million in a second are not counted".into());
    }
    let refill = interval.checked_mul(policy.burst);
    match refill.is_some_and(|refill| refill <= LONGEST_REFILL) {
        true => Ok(()),
        false => Err("an empty bucket would take more than a year to fill".into()),
    }
}

fn key(key: Option<&file::RateLimitKey>) -> Result<Key, String> {
    match key {
        None => Ok(Key::default()),
        Some(file::RateLimitKey::One(part)) => Key::parse([part.as_str()]),
        Some(file::RateLimitKey::Together(parts)) => Key::parse(parts.iter().map(String::as_str)),
    }
}

fn redis(said: &file::LimitsRedis) -> RedisSettings {
    let redis = &said.redis;
    RedisSettings {
        url: redis.url.clone(),
        prefix: redis.prefix.clone(),
        timeout: redis.timeout.as_ref().map_or(CALL, |timeout| timeout.0),
        on_failure: match said.on_failure {
            file::RedisFailure::Open => OnFailure::Open,
            file::RedisFailure::Closed => OnFailure::Closed,
            file::RedisFailure::Local => OnFailure::Local,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "subgraphs: { users: { schema: users.graphql } }\n";

    fn told(more: &str) -> Result<Settings, String> {
        let file = file::parse("switchboard.yaml", &format!("{USERS}{more}"));
        let file = file.map_err(|error| error.to_string())?;
        settings(&file).map_err(|error| error.to_string())
    }

    fn one(limit: &str) -> Result<Policy, String> {
        let settings = told(&format!("rate_limits: [{{ {limit} }}]"))?;
        Ok(settings.policies.into_iter().next().unwrap())
    }

    #[test]
    fn the_least_policy_counts_for_everybody_and_is_enforced() {
        let policy = one("name: all, requests: 100, per: 1s").unwrap();
        assert_eq!(
            (policy.unit, policy.amount, policy.burst),
            (Unit::Requests, 100, 100)
        );
        assert_eq!(
            (policy.mode, policy.headers),
            (Mode::Enforce, Headers::OnRefusal)
        );
        assert_eq!((policy.key, policy.keys), (Key::default(), 100_000));
    }

    #[test]
    fn a_key_is_one_expression_or_several() {
        let key =
            |text: &str| one(&format!("name: a, key: {text}, cost: 1, per: 1s")).map(|p| p.key);
        let best = "\"$apiKey.id ?? $claims.sub ?? $ip\"";
        assert_eq!(key(best).unwrap(), key(&format!("[{best}]")).unwrap());
        assert_ne!(key("[$ip, $claims.sub]").unwrap(), key("$ip").unwrap());
    }

    #[test]
    fn a_key_that_a_client_can_vary_is_refused_with_the_reason() {
        let told =
            one("name: a, key: \"$request.headers.x-user ?? $ip\", cost: 1, per: 1s").unwrap_err();
        assert!(told.contains("whatever a client writes"), "{told}");
        let told = one("name: a, key: [$ip, $operation.name], cost: 1, per: 1s").unwrap_err();
        assert!(told.contains("documents.trusted"), "{told}");
        let told = one("name: a, key: $claim.sub, cost: 1, per: 1s").unwrap_err();
        assert!(told.contains("$claims.NAME"), "{told}");
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (limit, why) in [
            ("name: a, per: 1s", "either"),
            ("name: a, per: 1s, requests: 1, cost: 1", "either"),
            ("name: \"a b\", per: 1s, requests: 1", "letters"),
            ("name: a, per: 1s, requests: 0", "nothing would ever pass"),
            ("name: a, per: 0s, requests: 1", "a million"),
            ("name: a, per: 1s, cost: 2000000", "a million"),
            ("name: a, per: 24h, cost: 1, burst: 400", "a year"),
        ] {
            let told = one(limit).unwrap_err();
            assert!(told.contains(why), "{limit}: {told}");
        }
        let twice = "{ name: a, per: 1s, cost: 1 }";
        let told = told(&format!("rate_limits: [{twice}, {twice}]")).unwrap_err();
        assert!(told.contains("two of this name"), "{told}");
    }

    #[test]
    fn a_policy_that_is_off_is_none() {
        let off = "rate_limits: [{ name: a, per: 1s, cost: 1, mode: off }]";
        assert!(told(off).unwrap().policies.is_empty());
    }
}
