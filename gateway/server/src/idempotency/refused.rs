//! Why a mutation with a key is not run, or one without.

use plan::code::Code;

/// Why a mutation with a key is not run, or one without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// What the header holds is no key.
    Malformed(&'static str),
    /// There has to be one.
    Missing,
    /// The same is being done at this moment.
    InFlight,
    /// It was used for something else.
    Mismatch,
    /// As many are kept as may be.
    Full,
    /// The store of keys cannot be asked, and nothing is done without it.
    Away,
    /// It was begun before, and nobody knows whether it was done.
    Unknown,
    /// What was answered then the caller may not see now.
    Denied(Code),
}
