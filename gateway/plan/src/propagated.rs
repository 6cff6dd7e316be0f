//! Headers of services' answers that a client is given.
//!
//! Owns collecting them while calls are answered and making one set of them,
//! in the order of the plan, whichever call was quickest. Which headers these
//! are is the operator's to say.

use std::sync::Mutex;
use std::sync::PoisonError;

use compose::model::HeaderMerge;
use compose::model::ResponseRule;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

/// What a client is given at most, in bytes of names and values: clients and proxies refuse answers whose headers are much longer.
const MOST: usize = 32 * 1024;

/// What calls have brought so far.
#[derive(Debug, Default)]
pub struct Propagated(Mutex<Vec<Brought>>);

/// One value of one header.
#[derive(Debug)]
struct Brought {
    step: usize,
    merge: HeaderMerge,
    name: HeaderName,
    value: HeaderValue,
}

impl Propagated {
    /// A call of this step was answered with these headers.
    pub fn brought(&self, step: usize, rules: &[ResponseRule], headers: &HeaderMap) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules {
            let Ok(name) = HeaderName::try_from(rule.name.as_str()) else {
                continue;
            };
            if rule.merge == HeaderMerge::MostRestrictive && !headers.contains_key(&name) {
                // Who says nothing allows nothing.
                all.push(Brought {
                    step,
                    merge: rule.merge,
                    name,
                    value: HeaderValue::from_static("no-store"),
                });
                continue;
            }
            all.extend(headers.get_all(&name).iter().map(|value| Brought {
                step,
                merge: rule.merge,
                name: name.clone(),
                value: value.clone(),
            }));
        }
    }

    /// What the client is given; a name stands here more than once only where its values are appended. What does not fit any more is left out.
    pub fn take(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = std::mem::take(&mut *all);
        // Stable: several calls of one step stay as they were answered.
        all.sort_by_key(|brought| brought.step);
        let mut merged: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for Brought {
            merge, name, value, ..
        } in all
        {
            let known = merged.iter_mut().find(|(known, _)| *known == name);
            match (known, merge) {
                (None, _) | (_, HeaderMerge::Append) => merged.push((name, value)),
                (Some(_), HeaderMerge::First) => {}
                (Some((_, known)), HeaderMerge::Last) => *known = value,
                (Some((_, known)), HeaderMerge::MostRestrictive) => {
                    *known = strictest(known, &value);
                }
            }
        }
        let mut left = MOST;
        merged.retain(|(name, value)| {
            let fits = left.checked_sub(name.as_str().len() + value.len());
            left = fits.unwrap_or(left);
            fits.is_some()
        });
        merged
    }
}

/// What a service's Cache-Control allows to the one client that it was answered for: no service knows who else an answer of several is for.
pub fn for_one_client(value: &HeaderValue) -> HeaderValue {
    let control = Control {
        private: true,
        ..Control::of(value)
    };
    control.write()
}

/// What both values of a Cache-Control allow: <https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2>
fn strictest(one: &HeaderValue, other: &HeaderValue) -> HeaderValue {
    let (one, other) = (Control::of(one), Control::of(other));
    let control = Control {
        no_store: one.no_store || other.no_store,
        no_cache: one.no_cache || other.no_cache,
        private: one.private || other.private,
        revalidate: one.revalidate || other.revalidate,
        // Who does not say a time does not allow to keep it for any.
        max_age: one.max_age.zip(other.max_age).map(|(a, b)| a.min(b)),
    };
    control.write()
}

/// What a Cache-Control says, as far as it restricts.
struct Control {
    no_store: bool,
    no_cache: bool,
    private: bool,
    revalidate: bool,
    max_age: Option<u64>,
}

impl Control {
    fn of(value: &HeaderValue) -> Self {
        let text = value.to_str().unwrap_or("no-store").to_ascii_lowercase();
        let directives: Vec<&str> = text.split(',').map(str::trim).collect();
        let says = |name: &str| {
            let mut names = directives.iter().map(|it| it.split('=').next());
            names.any(|it| it == Some(name))
        };
        let mut ages = directives
            .iter()
            .filter_map(|it| it.strip_prefix("max-age="));
        Self {
            no_store: says("no-store"),
            no_cache: says("no-cache"),
            private: says("private"),
            revalidate: says("must-revalidate"),
            max_age: ages
                .next()
                .and_then(|age| age.trim_matches('"').parse().ok()),
        }
    }

    fn write(&self) -> HeaderValue {
        if self.no_store {
            return HeaderValue::from_static("no-store");
        }
        let age = self.max_age.unwrap_or(0);
        let mut text = format!("max-age={age}");
        for (said, directive) in [
            (self.private, ", private"),
            (self.no_cache, ", no-cache"),
            (self.revalidate, ", must-revalidate"),
        ] {
            if said {
                text.push_str(directive);
            }
        }
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is given to the client where steps have brought these values of one header.
    fn merged(merge: HeaderMerge, brought: &[(usize, &'static str)]) -> Vec<String> {
        let rules = [ResponseRule {
            name: "x-a".into(),
            merge,
        }];
        let all = Propagated::default();
        for (step, value) in brought {
            let mut headers = HeaderMap::new();
            headers.insert("x-a", HeaderValue::from_static(value));
            headers.insert("x-unlisted", HeaderValue::from_static("u"));
            all.brought(*step, &rules, &headers);
        }
        let merged = all.take().into_iter();
        merged
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn values_are_merged_in_the_order_of_the_plan() {
        let brought = [(2, "last"), (0, "first"), (1, "middle")];
        for (merge, expected) in [
            (HeaderMerge::First, vec!["x-a: first"]),
            (HeaderMerge::Last, vec!["x-a: last"]),
            (
                HeaderMerge::Append,
                vec!["x-a: first", "x-a: middle", "x-a: last"],
            ),
        ] {
            assert_eq!(merged(merge, &brought), expected, "{merge:?}");
        }
    }

    #[test]
    fn a_client_is_given_no_more_than_it_can_take() {
        let rules = ["x-a", "x-b"].map(|name| ResponseRule {
            name: name.into(),
            merge: HeaderMerge::Append,
        });
        let all = Propagated::default();
        let long = HeaderValue::try_from("v".repeat(10_000)).unwrap();
        for step in 0..1_000 {
            let mut headers = HeaderMap::new();
            headers.insert("x-a", long.clone());
            headers.insert("x-b", HeaderValue::from(step));
            all.brought(step, &rules, &headers);
        }
        let given = all.take();
        let bytes = |(name, value): &(HeaderName, HeaderValue)| name.as_str().len() + value.len();
        let sum: usize = given.iter().map(bytes).sum();
        assert!(sum <= MOST && sum > MOST - 10, "{sum}");
        let (long, short): (Vec<_>, Vec<_>) = given.iter().partition(|(name, _)| name == "x-a");
        assert_eq!(long.len(), 3);
        assert_eq!(short[0].1, "0", "the first come first");
    }

    #[test]
    fn of_cache_controls_what_all_allow_is_allowed() {
        for (one, other, expected) in [
            ("max-age=60", "max-age=5", "max-age=5"),
            (
                "public, max-age=60",
                "private, max-age=90",
                "max-age=60, private",
            ),
            ("max-age=60", "no-store", "no-store"),
            ("max-age=60", "public", "max-age=0"),
            ("Max-Age=60, No-Cache", "max-age=60", "max-age=60, no-cache"),
            (
                "max-age=60, must-revalidate",
                "private=\"x\", max-age=7",
                "max-age=7, private, must-revalidate",
            ),
        ] {
            let merged = merged(HeaderMerge::MostRestrictive, &[(0, one), (1, other)]);
            assert_eq!(merged, [format!("x-a: {expected}")]);
        }
    }

    #[test]
    fn who_says_nothing_allows_nothing() {
        let rules = [ResponseRule {
            name: "cache-control".into(),
            merge: HeaderMerge::MostRestrictive,
        }];
        let all = Propagated::default();
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("max-age=60"));
        all.brought(0, &rules, &headers);
        all.brought(1, &rules, &HeaderMap::new());
        assert_eq!(all.take()[0].1, "no-store");
    }

    #[test]
    fn no_answer_is_for_others_whatever_one_service_says() {
        let given = |value| for_one_client(&HeaderValue::from_static(value));
        assert_eq!(given("public, max-age=60"), "max-age=60, private");
        assert_eq!(given("s-maxage=600"), "max-age=0, private");
        assert_eq!(given("no-store, max-age=60"), "no-store");
    }

    #[test]
    fn one_value_alone_is_passed_on_as_it_is() {
        let merged = merged(
            HeaderMerge::MostRestrictive,
            &[(0, "s-maxage=9, max-age=1")],
        );
        assert_eq!(merged, ["x-a: s-maxage=9, max-age=1"]);
    }
}
