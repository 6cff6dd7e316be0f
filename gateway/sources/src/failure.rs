//! What a client may read of a failed call.
//!
//! Owns the fixed texts and whose message may pass. Knows nothing of protocols.

use plan::code::Code;

/// The longest message that is passed on, in bytes.
const MAX_MESSAGE: usize = 1_000;

/// The text of a failure about which upstream may not speak for itself.
pub(crate) fn fixed_text(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "The service asks for an identity.",
        Code::Forbidden => "The service refuses this to the caller.",
        Code::NotFound => "Not found.",
        Code::Conflict => "The request contradicts the present state.",
        Code::RateLimited => "The service takes no more requests for now.",
        Code::BadUserInput => "The service refuses the request's values.",
        Code::Cancelled => "The call was cancelled.",
        Code::DeadlineExceeded => "The request's time is over.",
        Code::UpstreamUnavailable => "The service cannot be reached.",
        Code::UpstreamTimeout => "The service did not answer in time.",
        Code::UpstreamInvalidResponse => "The service's answer is not as declared.",
        _ => "The service failed.",
    }
}

/// The code of this name, among those that a mapping may choose for an upstream failure.
pub(crate) fn code_named(name: &str) -> Option<Code> {
    const CHOICE: [Code; 11] = [
        Code::BadUserInput,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::RateLimited,
        Code::Cancelled,
        Code::UpstreamError,
        Code::UpstreamUnavailable,
        Code::UpstreamTimeout,
        Code::UpstreamInvalidResponse,
    ];
    CHOICE.into_iter().find(|code| code.as_str() == name)
}

/// Cut at a character's end.
pub(crate) fn shortened(message: &str) -> &str {
    let end = (0..=MAX_MESSAGE.min(message.len()))
        .rev()
        .find(|at| message.is_char_boundary(*at));
    &message[..end.unwrap_or_default()]
}
