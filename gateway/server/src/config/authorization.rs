//! What authorization needs to know, from what the file says.

use std::time::Duration;

use sources::Secret;

use super::file::authorization as file;

pub(crate) use file::Mode as AuthorizationMode;
pub(crate) use file::OnFailure as OnPolicyFailure;

/// What becomes of what a caller may not see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Authorization {
    pub(crate) mode: AuthorizationMode,
    /// Whether the whole operation is refused; otherwise each place is null with an error.
    pub(crate) refuse: bool,
    /// Who decides policies.
    pub(crate) policy: Option<PolicyService>,
}

/// Whom to ask about policies, and how.
#[derive(Debug, Clone)]
pub(crate) struct PolicyService {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Secret)>,
    /// Of one question; the client's own deadline may be nearer.
    pub(crate) timeout: Duration,
    pub(crate) on_failure: OnPolicyFailure,
    /// How long a decision about one caller stands; none: for one request.
    pub(crate) cache: Option<Duration>,
}

pub(super) fn authorization(written: file::Authorization) -> Authorization {
    Authorization {
        mode: written.mode,
        refuse: written.on_denied == Some(file::OnDenied::Refuse),
        policy: written.policy.map(|policy| PolicyService {
            url: policy.url,
            headers: policy
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
            timeout: policy.timeout.0,
            on_failure: policy.on_failure,
            cache: policy.cache.map(|span| span.0),
        }),
    }
}
