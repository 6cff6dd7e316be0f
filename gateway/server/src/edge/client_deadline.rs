//! How long a client is prepared to wait.
//!
//! Owns reading `X-Request-Timeout-Ms` and `grpc-timeout`, and keeping what
//! they say within what the operator grants. What cannot be read is ignored,
//! as proxies do: the request then has the time that everybody has.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

const MILLISECONDS: HeaderName = HeaderName::from_static("x-request-timeout-ms");
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");

/// What the operator grants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granted {
    /// However little a client asks for.
    pub(super) least: Duration,
    /// However much a client asks for, and where it does not say.
    pub(super) most: Duration,
}

impl Granted {
    /// The time of a request with these headers; the shortest where several say one.
    pub(super) fn time(&self, headers: &HeaderMap) -> Duration {
        let milliseconds = headers.get_all(MILLISECONDS).iter().filter_map(number);
        let grpc = headers.get_all(GRPC).iter().filter_map(grpc_timeout);
        match milliseconds.map(Duration::from_millis).chain(grpc).min() {
            Some(asked) => asked.max(self.least).min(self.most),
            None => self.most,
        }
    }
}

/// Digits and nothing else.
fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `TimeoutValue TimeoutUnit`: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>
fn grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) {
        return None;
    }
    let number = number(&HeaderValue::from_bytes(digits).ok()?)?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: Granted = Granted {
        least: Duration::from_millis(10),
        most: Duration::from_secs(30),
    };

    fn millis(headers: &[(&'static str, &'static str)]) -> u128 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        GRANTED.time(&map).as_millis()
    }

    #[test]
    fn a_client_says_its_time_in_milliseconds_or_as_grpc_does() {
        for (name, value, expected) in [
            ("x-request-timeout-ms", "250", 250),
            ("X-Request-Timeout-Ms", "0250", 250),
            ("grpc-timeout", "250m", 250),
            ("grpc-timeout", "2S", 2_000),
            ("grpc-timeout", "25000u", 25),
            ("grpc-timeout", "25000000n", 25),
            ("grpc-timeout", "00000011S", 11_000),
        ] {
            let mut map = HeaderMap::new();
            map.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_static(value),
            );
            assert_eq!(GRANTED.time(&map).as_millis(), expected, "{name}: {value}");
        }
    }

    #[test]
    fn nobody_has_less_or_more_time_than_the_operator_grants() {
        for (value, expected) in [
            ("0", 10),
            ("9", 10),
            ("10", 10),
            ("30001", 30_000),
            ("18446744073709551615", 30_000),
        ] {
            assert_eq!(millis(&[("x-request-timeout-ms", value)]), expected);
        }
        assert_eq!(millis(&[("grpc-timeout", "1n")]), 10);
        assert_eq!(millis(&[("grpc-timeout", "99999999H")]), 30_000);
    }

    #[test]
    fn of_several_times_the_shortest_holds() {
        let both = [("x-request-timeout-ms", "300"), ("grpc-timeout", "200m")];
        assert_eq!(millis(&both), 200);
        let both = [("x-request-timeout-ms", "100"), ("grpc-timeout", "200m")];
        assert_eq!(millis(&both), 100);
        let twice = [
            ("x-request-timeout-ms", "300"),
            ("x-request-timeout-ms", "100"),
        ];
        assert_eq!(millis(&twice), 100);
    }

    #[test]
    fn what_is_no_time_is_ignored() {
        assert_eq!(millis(&[]), 30_000);
        for wrong in [
            "",
            "-1",
            "+1",
            "1.5",
            "250ms",
            "1e3",
            " ",
            "99999999999999999999",
        ] {
            assert_eq!(
                millis(&[("x-request-timeout-ms", wrong)]),
                30_000,
                "{wrong}"
            );
        }
        for wrong in [
            "",
            "m",
            "1",
            "+1m",
            "1.5S",
            "123456789m",
            "5s",
            "5 S",
            "5SS",
        ] {
            assert_eq!(millis(&[("grpc-timeout", wrong)]), 30_000, "{wrong}");
        }
        let one = [("x-request-timeout-ms", "soon"), ("grpc-timeout", "200m")];
        assert_eq!(millis(&one), 200);
    }
}
