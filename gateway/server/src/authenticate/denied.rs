//! Why a request has no principal.
//!
//! Owns what a caller is told: what is wrong with the credentials, and nothing
//! of what they are or of what would have been right.

use http::HeaderValue;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No credentials where some are needed.
    Missing,
    /// Several values where one is expected: which of them counts is not for the gateway to choose.
    Ambiguous,
    /// A credential that holds what none holds.
    Unreadable,
    /// A token that is not good.
    Token(TokenFault),
    /// An API key that is not good.
    ApiKey(ApiKeyFault),
    /// Nobody can say now whether the token is good: the issuer's keys were never there.
    KeysAway,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    TooLong,
    Malformed,
    Critical,
    Algorithm,
    Issuer,
    UnknownKey,
    Signature,
    NoExpiry,
    Expired,
    NotYet,
    Audience,
    MissingClaim,
}

/// What is wrong with an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiKeyFault {
    Unknown,
    Expired,
}

impl Denied {
    /// What each is called where they are counted.
    pub(crate) const REASONS: [&'static str; 18] = [
        "missing",
        "ambiguous",
        "unreadable",
        "keys_away",
        "api_key_unknown",
        "api_key_expired",
        "token_too_long",
        "token_malformed",
        "token_critical",
        "token_algorithm",
        "token_issuer",
        "token_unknown_key",
        "token_signature",
        "token_no_expiry",
        "token_expired",
        "token_not_yet",
        "token_audience",
        "token_missing_claim",
    ];

    /// Its place among the reasons.
    pub(crate) fn place(self) -> usize {
        match self {
            Denied::Missing => 0,
            Denied::Ambiguous => 1,
            Denied::Unreadable => 2,
            Denied::KeysAway => 3,
            Denied::ApiKey(fault) => 4 + fault as usize,
            Denied::Token(fault) => 6 + fault as usize,
        }
    }

    /// What the client can do about it.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Denied::Missing => "Send credentials: this service answers nobody without them.",
            Denied::Ambiguous => "Send each credential once.",
            Denied::Unreadable => "Credentials are written in ASCII.",
            Denied::Token(fault) => fault.detail(),
            Denied::ApiKey(ApiKeyFault::Unknown) => "There is no such API key.",
            Denied::ApiKey(ApiKeyFault::Expired) => "The API key has expired.",
            Denied::KeysAway => {
                "The token cannot be verified now: the keys of its issuer are not there yet."
            }
        }
    }

    /// `WWW-Authenticate`, where this is a 401: <https://www.rfc-editor.org/rfc/rfc6750#section-3>
    pub(crate) fn challenge(self, missing: &HeaderValue) -> HeaderValue {
        let told = match self {
            Denied::Token(fault) => format!(
                "Bearer error=\"invalid_token\", error_description=\"{}\"",
                fault.detail()
            ),
            _ => return missing.clone(),
        };
        HeaderValue::try_from(told).unwrap_or_else(|_| missing.clone())
    }
}

impl TokenFault {
    fn detail(self) -> &'static str {
        match self {
            TokenFault::TooLong => "The token is longer than is read.",
            TokenFault::Malformed => "The token is not a signed JWT.",
            TokenFault::Critical => "The token demands an extension that is not understood.",
            TokenFault::Algorithm => "The token's algorithm is not accepted.",
            TokenFault::Issuer => "The token's issuer is not known.",
            TokenFault::UnknownKey => "The token's key is not known.",
            TokenFault::Signature => "The token's signature is wrong.",
            TokenFault::NoExpiry => "The token does not say when it expires.",
            TokenFault::Expired => "The token has expired.",
            TokenFault::NotYet => "The token is not valid yet.",
            TokenFault::Audience => "The token is for another audience.",
            TokenFault::MissingClaim => "The token lacks a claim that is needed.",
        }
    }
}

impl From<TokenFault> for Denied {
    fn from(fault: TokenFault) -> Self {
        Denied::Token(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_in_its_place() {
        let reason = |denied: Denied| Denied::REASONS[denied.place()];
        assert_eq!(reason(Denied::KeysAway), "keys_away");
        assert_eq!(
            reason(Denied::ApiKey(ApiKeyFault::Expired)),
            "api_key_expired"
        );
        assert_eq!(reason(TokenFault::TooLong.into()), "token_too_long");
        assert_eq!(
            reason(TokenFault::MissingClaim.into()),
            "token_missing_claim"
        );
    }
}
