//! Calls without a reply, and what a client may read of a failed call.
//!
//! Owns the ways in which a call can go without a reply, the fixed texts and
//! whose message may pass. Knows nothing of protocols.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use plan::code::Code;
use plan::source::SourceError;

use crate::resilience::Again;
use crate::resilience::Health;
use crate::resilience::Outcome;
use crate::resilience::Verdict;

/// A call without a reply.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) error: SourceError,
    pub(crate) how: Unanswered,
}

/// How a call came to have no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The caller's time was over before it began.
    NotBegun,
    /// The breaker is open.
    CircuitOpen,
    /// The source has as many calls in flight as it may.
    NoSeat,
    /// The source has had its calls for now.
    RateLimited,
    /// There is nothing to say who asks.
    NoCredentials,
    /// The call cannot be written.
    Unsendable,
    /// No connection.
    Unreachable,
    /// The service said that it did not look at it.
    Unprocessed,
    /// The connection broke before anything of a reply came.
    Broken,
    /// It broke within the reply.
    BrokenReply,
    /// The attempt's own time was over.
    TimedOut,
    /// The caller's time was over.
    OutOfTime,
    /// More than is read.
    TooLarge,
    /// No reply of this protocol.
    Unreadable,
}

impl Failed {
    /// With the fixed text of what it means.
    pub(crate) fn new(how: Unanswered, service: &Arc<str>, internal: impl Into<String>) -> Self {
        let error = SourceError::new(how.code(), service, how.text());
        Self {
            error: error.internal(internal),
            how,
        }
    }

    /// With an error that says more.
    pub(crate) fn told(how: Unanswered, error: SourceError) -> Self {
        Self { error, how }
    }

    /// Asks to come back no earlier.
    #[must_use]
    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.error.retry_after = Some(wait);
        self
    }

    /// What went wrong, for the log.
    pub(crate) fn reason(self) -> String {
        self.error.internal.unwrap_or(self.error.message)
    }
}

impl Unanswered {
    /// What stands for the status.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotBegun => "not begun",
            Self::CircuitOpen => "circuit open",
            Self::NoSeat => "no seat",
            Self::RateLimited => "rate limited",
            Self::NoCredentials => "no credentials",
            Self::Unsendable => "unsendable",
            Self::Unreachable => "unreachable",
            Self::Unprocessed => "unprocessed",
            Self::Broken | Self::BrokenReply => "broken",
            Self::TimedOut => "timeout",
            Self::OutOfTime => "deadline",
            Self::TooLarge => "too large",
            Self::Unreadable => "invalid",
        }
    }

    /// Whether something was sent.
    pub(crate) fn was_sent(self) -> bool {
        !matches!(
            self,
            Self::NotBegun
                | Self::CircuitOpen
                | Self::NoSeat
                | Self::RateLimited
                | Self::NoCredentials
                | Self::Unsendable
        )
    }

    /// Whether the service may have done its work.
    pub(crate) fn maybe_done(self) -> bool {
        self.was_sent() && !matches!(self, Self::Unreachable | Self::Unprocessed)
    }

    /// What it says about the source, and about another attempt.
    pub(crate) fn verdict(self) -> Verdict {
        let (health, again, outcome) = match self {
            Self::NotBegun | Self::OutOfTime => (Health::Silent, Again::Never, Outcome::Deadline),
            Self::CircuitOpen => (Health::Silent, Again::Never, Outcome::CircuitOpen),
            Self::NoSeat | Self::RateLimited | Self::NoCredentials | Self::Unsendable => {
                (Health::Silent, Again::Never, Outcome::HeldBack)
            }
            // Nobody failed: the service asks to try elsewhere.
            Self::Unprocessed => (Health::Silent, Again::Yes, Outcome::Unavailable),
            Self::Unreachable | Self::Broken | Self::BrokenReply => {
                (Health::Bad, Again::Yes, Outcome::Unavailable)
            }
            Self::TimedOut => (Health::Bad, Again::Never, Outcome::TimedOut),
            Self::TooLarge | Self::Unreadable => (Health::Good, Again::Never, Outcome::Invalid),
        };
        Verdict {
            health,
            again,
            outcome,
            wait: None,
            forbidden: false,
            replied: matches!(self, Self::BrokenReply | Self::TooLarge | Self::Unreadable),
        }
    }

    fn code(self) -> Code {
        match self {
            Self::NotBegun | Self::OutOfTime => Code::DeadlineExceeded,
            Self::CircuitOpen => Code::CircuitOpen,
            Self::RateLimited => Code::RateLimited,
            Self::Unsendable => Code::InternalError,
            Self::TimedOut => Code::UpstreamTimeout,
            Self::TooLarge | Self::Unreadable => Code::UpstreamInvalidResponse,
            Self::NoSeat
            | Self::NoCredentials
            | Self::Unreachable
            | Self::Unprocessed
            | Self::Broken
            | Self::BrokenReply => Code::UpstreamUnavailable,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Broken | Self::BrokenReply => "The connection to the service broke off.",
            Self::NoSeat => "The gateway waits for as many answers of the service as it may.",
            _ => fixed_text(self.code()),
        }
    }
}

/// However long a service asks to wait, this is believed: more could not be added to any time.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The longest message that is passed on, in bytes.
const MAX_MESSAGE: usize = 1_000;

/// Whether the service said that it did not look at a request: `REFUSED_STREAM`, or it is going away and the request came too late.
/// <https://www.rfc-editor.org/rfc/rfc9113#section-8.7>
pub(crate) fn is_refused_stream(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.any(|cause| {
        let cause = cause.downcast_ref::<h2::Error>();
        cause.is_some_and(|cause| {
            let refused = cause.reason() == Some(h2::Reason::REFUSED_STREAM);
            let leaving = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
            cause.is_remote() && (refused || leaving)
        })
    })
}

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
        Code::NotStarted => "It was not begun: the time of the request did not suffice.",
        Code::UpstreamUnavailable => "The service cannot be reached.",
        Code::UpstreamTimeout => "The service did not answer in time.",
        Code::CircuitOpen => {
            "The service has failed too often lately: it is left in peace for a while."
        }
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
