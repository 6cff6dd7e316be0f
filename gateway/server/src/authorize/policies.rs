//! Policies are decided by the operator's own service.
//!
//! Owns the question, the reading of the decision, and its cache. Whatever goes
//! wrong decides nothing: the log says what it was, the client that it was not
//! decided. The contract is docs/authorization.md.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use moka::sync::Cache;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value as Json;
use sources::Secret;
use sources::outbound::Outbound;
use sources::outbound::OutboundError;
use sources::outbound::OutboundSettings;
use tokio::time::Instant;

use super::Asking;
use crate::config::OnPolicyFailure;
use crate::config::PolicyService;

/// More decisions are not kept, whoever asks.
const CACHED_DECISIONS: u64 = 100_000;

/// A decision is a list of names: what is longer is none.
const LONGEST_DECISION: usize = 256 * 1024;

/// What came of asking.
pub(super) enum Decision {
    /// These policies hold, no other.
    Granted(HashSet<String>),
    /// Nobody answered, and the operator wants every policy to hold then.
    Everything,
    /// Nobody answered.
    Nothing,
}

/// The service that decides.
pub(super) struct Policies {
    endpoint: Outbound,
    headers: HeaderMap,
    timeout: Duration,
    on_failure: OnPolicyFailure,
    cache: Option<Cache<Decided, bool>>,
}

/// About whom and what a decision is: everything that the service was told, and one policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Decided {
    caller: Arc<str>,
    policy: Box<str>,
}

/// What the service is asked.
#[derive(Serialize)]
struct Question<'a> {
    policies: &'a [&'a str],
    #[serde(flatten)]
    caller: &'a Told<'a>,
}

/// What the service is told of the caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    claims: &'a Json,
    api_key: Option<&'a str>,
    operation_name: Option<&'a str>,
}

/// What the service answers; further members are its own affair.
#[derive(Deserialize)]
struct Answer {
    granted: HashSet<String>,
}

/// Why there is no decision. The texts are for the log.
#[derive(Debug, thiserror::Error)]
enum NoDecision {
    #[error("{0}")]
    Unreachable(#[from] OutboundError),
    #[error("it answered with the status {0}")]
    Status(u16),
    #[error("its answer is no decision: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Policies {
    /// # Errors
    /// Where the address or a header cannot be sent.
    pub(super) fn new(service: &PolicyService) -> Result<Self, String> {
        let settings = OutboundSettings {
            max_reply_bytes: LONGEST_DECISION,
            ..OutboundSettings::default()
        };
        let endpoint = Outbound::new(&service.url, &settings);
        Ok(Self {
            endpoint: endpoint.map_err(|error| error.to_string())?,
            headers: headers(&service.headers)?,
            timeout: service.timeout,
            on_failure: service.on_failure,
            cache: service.cache.map(|keep| {
                let cache = Cache::builder().max_capacity(CACHED_DECISIONS);
                cache.time_to_live(keep).build()
            }),
        })
    }

    /// Which of these policies hold for the caller: known ones from the cache, the others in one question.
    pub(super) async fn ask(
        &self,
        wanted: &[&str],
        operation: Option<&str>,
        asking: &Asking<'_>,
    ) -> Decision {
        let told = Told {
            claims: asking.principal.claims(),
            api_key: asking.principal.api_key_id(),
            operation_name: operation,
        };
        let decided = match &self.cache {
            Some(cache) => self.cached(cache, wanted, &told, asking).await,
            None => self.question(wanted, &told, asking).await,
        };
        decided.map_or_else(|error| self.failed(&error), Decision::Granted)
    }

    async fn cached(
        &self,
        cache: &Cache<Decided, bool>,
        wanted: &[&str],
        told: &Told<'_>,
        asking: &Asking<'_>,
    ) -> Result<HashSet<String>, NoDecision> {
        let caller: Arc<str> = serde_json::to_string(told)?.into();
        let key = |policy: &str| Decided {
            caller: caller.clone(),
            policy: policy.into(),
        };
        let mut granted = HashSet::new();
        let mut open = Vec::new();
        for policy in wanted {
            match cache.get(&key(policy)) {
                Some(true) => drop(granted.insert((*policy).to_owned())),
                Some(false) => {}
                None => open.push(*policy),
            }
        }
        if !open.is_empty() {
            let answered = self.question(&open, told, asking).await?;
            for policy in open {
                cache.insert(key(policy), answered.contains(policy));
            }
            granted.extend(answered);
        }
        Ok(granted)
    }

    async fn question(
        &self,
        policies: &[&str],
        caller: &Told<'_>,
        asking: &Asking<'_>,
    ) -> Result<HashSet<String>, NoDecision> {
        let question = serde_json::to_value(Question { policies, caller })?;
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(asking.correlation_id) {
            headers.insert("x-correlation-id", id);
        }
        let deadline = asking.deadline.min(Instant::now() + self.timeout);
        let (status, body) = self
            .endpoint
            .post_json(&question, headers, deadline)
            .await?;
        match status {
            200 => Ok(serde_json::from_slice::<Answer>(&body)?.granted),
            status => Err(NoDecision::Status(status)),
        }
    }

    fn failed(&self, error: &NoDecision) -> Decision {
        tracing::warn!(
            target: "authorization",
            %error,
            allowed = self.on_failure == OnPolicyFailure::Allow,
            "the policy service gave no decision"
        );
        match self.on_failure {
            OnPolicyFailure::Deny => Decision::Nothing,
            OnPolicyFailure::Allow => Decision::Everything,
        }
    }
}

fn headers(configured: &[(String, Secret)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let wrong = || format!("`{name}` is no header that can be sent");
        let header = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}
