//! What `Retry-After` asks for: <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
//!
//! Owns reading it, in seconds or as a date, and how long it is believed.

use std::time::Duration;
use std::time::SystemTime;

use chrono::DateTime;
use chrono::Utc;
use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::failure::LONGEST_WAIT;

/// How long the sender of these headers asks to wait, as far as it is believed.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    stated_wait(headers).map(|wait| wait.min(LONGEST_WAIT))
}

fn stated_wait(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?;
    let now = DateTime::<Utc>::from(SystemTime::now());
    (at.to_utc() - now).to_std().ok()
}
