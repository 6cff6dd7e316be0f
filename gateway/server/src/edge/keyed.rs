//! What a mutation with an `Idempotency-Key` is answered where it is not run, and
//! how an answer says that it was given before.
//!
//! Owns problems and headers: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::RETRY_AFTER;

use super::problem::Kind;
use super::problem::Problem;
use crate::idempotency::HEADER;
use crate::idempotency::Mode;
use crate::idempotency::Refused;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Seconds, before it is worth asking again for what is being done.
const SOON: u16 = 1;
/// Seconds, before it is worth asking a store again that is away or full.
const LATER: u16 = 5;

pub(super) fn problem(refused: Refused) -> Problem {
    match refused {
        Refused::Malformed(why) => Problem::new(Kind::MalformedIdempotencyKey, why),
        Refused::Missing => {
            let detail = "A mutation needs an Idempotency-Key here: a name that no other mutation of yours has, such as a UUID.";
            Problem::new(Kind::MissingIdempotencyKey, detail)
        }
        Refused::InFlight => {
            let detail =
                "The same mutation is being done at this moment. Send it again for its answer.";
            Problem::new(Kind::IdempotencyKeyInFlight, detail).header(RETRY_AFTER, SOON.into())
        }
        Refused::Mismatch => {
            let detail = "This Idempotency-Key was used for something else. Give each mutation a key of its own.";
            Problem::new(Kind::ReusedIdempotencyKey, detail)
        }
        Refused::Full | Refused::Away | Refused::Unknown | Refused::Denied(_) => {
            let detail =
                "Whether this was done before cannot be told for now, so nothing was done.";
            Problem::new(Kind::IdempotencyUnavailable, detail).header(RETRY_AFTER, LATER.into())
        }
    }
}

/// Of a list of operations nobody could say whose key it is.
pub(super) fn check_list(mode: Mode, headers: &HeaderMap) -> Result<(), Problem> {
    if mode == Mode::Off || !headers.contains_key(HEADER) {
        return Ok(());
    }
    let detail =
        "An Idempotency-Key names one mutation. Send it in a request of its own, not in a list.";
    Err(Problem::new(Kind::MalformedIdempotencyKey, detail))
}

pub(super) fn say_replayed(headers: &mut HeaderMap) {
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
}
