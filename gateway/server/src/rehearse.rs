//! Faults on purpose that a request asks for: `Switchboard-Faults`.
//!
//! Owns the header's form and whose word is taken: only that of somebody who
//! knows the secret, for a time that was named, and only while a graph is
//! developed. What a fault does is the sources' business.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use plan::rehearsal::Fault;
use plan::rehearsal::Rehearsal;
use ring::hmac;

/// One source of each header: `source=users; delay=200ms; abort=503; percentage=50; expires=1767225600; signature=…`.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("switchboard-faults");

/// Signatures are good for no longer, in seconds.
const LONGEST: u64 = 24 * 60 * 60;
/// A fault delays for no longer.
const LATEST: Duration = Duration::from_secs(60);
const SIGNATURE: &str = "; signature=";

/// Whether requests may ask for faults.
pub(crate) struct Rehearsals(Option<hmac::Key>);

/// Why a request's word is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "Faults on purpose are for development: the gateway runs without --dev, or has no dev.faults_secret."
    )]
    Off,
    #[error("The signature of Switchboard-Faults is not that of its text under the secret.")]
    Signature,
    #[error("Switchboard-Faults has expired, or would last longer than a day.")]
    Expired,
    #[error(
        "Switchboard-Faults is `source=NAME; delay=200ms; abort=503; percentage=50; expires=SECONDS; signature=HEX`: {0}."
    )]
    Form(&'static str),
    #[error("Switchboard-Faults names a source that there is not.")]
    Source,
}

impl Rehearsals {
    /// Without a secret nobody's word is taken.
    pub(crate) fn new(secret: Option<&str>) -> Self {
        Self(secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    /// What a request wants to go wrong; `now` in seconds since 1970.
    pub(crate) fn of(
        &self,
        headers: &HeaderMap,
        now: u64,
        is_source: impl Fn(&str) -> bool,
    ) -> Result<Option<Arc<Rehearsal>>, Refused> {
        if !headers.contains_key(HEADER) {
            return Ok(None);
        }
        let key = self.0.as_ref().ok_or(Refused::Off)?;
        let lines = headers.get_all(HEADER).iter();
        let faults = lines.map(|line| {
            let line = line
                .to_str()
                .map_err(|_| Refused::Form("it is not ASCII"))?;
            read(verified(key, line)?, now)
        });
        let rehearsal: Rehearsal = faults.collect::<Result<_, _>>()?;
        if !rehearsal.sources().all(is_source) {
            return Err(Refused::Source);
        }
        Ok(Some(Arc::new(rehearsal)))
    }
}

/// The text before the signature, where that is right.
fn verified<'l>(key: &hmac::Key, line: &'l str) -> Result<&'l str, Refused> {
    let parts = line.rsplit_once(SIGNATURE);
    let (text, signature) = parts.ok_or(Refused::Form("the signature comes last"))?;
    let signature = bytes(signature).ok_or(Refused::Signature)?;
    match hmac::verify(key, text.as_bytes(), &signature) {
        Ok(()) => Ok(text),
        Err(_) => Err(Refused::Signature),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

fn read(text: &str, now: u64) -> Result<(String, Fault), Refused> {
    let (mut source, mut expires) = (None, None);
    let mut fault = Fault {
        delay: Duration::ZERO,
        abort: None,
        percentage: 100.0,
    };
    for part in text.split(';').map(str::trim) {
        let (name, value) = part
            .split_once('=')
            .ok_or(Refused::Form("a part has no `=`"))?;
        match name {
            "source" => source = Some(value.to_owned()),
            "delay" => {
                fault.delay = delay(value).ok_or(Refused::Form("a delay is up to 60000ms"))?
            }
            "abort" => {
                fault.abort = Some(
                    abort(value).ok_or(Refused::Form("an abort is a status from 400 to 599"))?,
                )
            }
            "percentage" => {
                fault.percentage =
                    percentage(value).ok_or(Refused::Form("a percentage lies between 0 and 100"))?
            }
            "expires" => expires = value.parse::<u64>().ok(),
            _ => return Err(Refused::Form("there is a part that nobody knows")),
        }
    }
    let expires = expires.ok_or(Refused::Form("it has to expire, in seconds since 1970"))?;
    if !(now..=now.saturating_add(LONGEST)).contains(&expires) {
        return Err(Refused::Expired);
    }
    Ok((source.ok_or(Refused::Form("it names a source"))?, fault))
}

fn delay(written: &str) -> Option<Duration> {
    let millis = written.strip_suffix("ms")?.parse().ok()?;
    Some(Duration::from_millis(millis)).filter(|delay| *delay <= LATEST)
}

fn abort(written: &str) -> Option<u16> {
    written
        .parse()
        .ok()
        .filter(|status| (400..600).contains(status))
}

fn percentage(written: &str) -> Option<f64> {
    written
        .parse()
        .ok()
        .filter(|share| (0.0..=100.0).contains(share))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const SECRET: &str = "a secret of thirty-two characters";
    const NOW: u64 = 1_000;

    fn signed(text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = hmac::sign(&key, text.as_bytes());
        let hex: String = signature
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{text}{SIGNATURE}{hex}")
    }

    fn asked(lines: &[&str]) -> Result<Option<Arc<Rehearsal>>, Refused> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, HeaderValue::from_str(line).unwrap());
        }
        let is_source = |name: &str| ["users", "orders"].contains(&name);
        Rehearsals::new(Some(SECRET)).of(&headers, NOW, is_source)
    }

    #[test]
    fn a_signed_header_says_what_goes_wrong_with_which_source() {
        let users = signed("source=users; delay=200ms; abort=503; percentage=12.5; expires=1060");
        let orders = signed("source=orders; abort=429; expires=1060");
        let rehearsal = asked(&[&users, &orders]).unwrap().unwrap();
        let fault = Fault {
            delay: Duration::from_millis(200),
            abort: Some(503),
            percentage: 12.5,
        };
        assert_eq!(rehearsal.of("users"), Some(&fault));
        assert_eq!(rehearsal.of("orders").map(|it| it.percentage), Some(100.0));
        assert_eq!(rehearsal.of("reviews"), None);
    }

    #[test]
    fn a_request_without_the_header_asks_for_nothing() {
        assert_eq!(asked(&[]), Ok(None));
    }

    #[test]
    fn nobodys_word_is_taken_without_a_secret() {
        let mut headers = HeaderMap::new();
        let line = signed("source=users; expires=1060");
        headers.insert(HEADER, HeaderValue::from_str(&line).unwrap());
        let refused = Rehearsals::new(None).of(&headers, NOW, |_| true);
        assert_eq!(refused, Err(Refused::Off));
    }

    #[test]
    fn another_text_or_another_secret_is_refused() {
        let line = signed("source=users; abort=503; expires=1060");
        let changed = line.replace("503", "500");
        assert_eq!(asked(&[&changed]), Err(Refused::Signature));
        assert_eq!(
            asked(&["source=users; expires=1060; signature=00"]),
            Err(Refused::Signature)
        );
        assert!(matches!(
            asked(&["source=users; expires=1060"]),
            Err(Refused::Form(_))
        ));
    }

    #[test]
    fn a_signature_is_good_until_it_expires_and_no_longer_than_a_day() {
        assert_eq!(
            asked(&[&signed("source=users; expires=999")]),
            Err(Refused::Expired)
        );
        assert_eq!(
            asked(&[&signed("source=users; expires=90000")]),
            Err(Refused::Expired)
        );
        assert!(matches!(
            asked(&[&signed("source=users")]),
            Err(Refused::Form(_))
        ));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "source=users; abort=200; expires=1060",
            "source=users; percentage=101; expires=1060",
            "source=users; delay=2h; expires=1060",
            "source=users; speed=1; expires=1060",
            "abort=503; expires=1060",
        ] {
            assert!(
                matches!(asked(&[&signed(text)]), Err(Refused::Form(_))),
                "{text}"
            );
        }
        assert_eq!(
            asked(&[&signed("source=nobody; expires=1060")]),
            Err(Refused::Source)
        );
    }
}
