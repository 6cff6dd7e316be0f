//! Who asks.
//!
//! Owns what the rest of the gateway may know of a caller. Only this room makes
//! one that is authenticated, from credentials that it has verified.

use std::fmt;
use std::sync::Arc;

use plan::source::Claims;
use serde_json::Value as Json;

/// Who asks: nobody in particular, or somebody whose credentials were verified. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Principal(Option<Arc<Verified>>);

struct Verified {
    claims: Claims,
    /// Sorted, each once.
    scopes: Arc<[String]>,
    api_key: Option<String>,
}

impl Principal {
    /// A caller without credentials.
    pub(crate) fn anonymous() -> Self {
        Self(None)
    }

    /// A caller with verified claims. An object, or null where an API key has none.
    pub(super) fn verified(claims: Json, scopes: Vec<String>, api_key: Option<String>) -> Self {
        let mut scopes = scopes;
        scopes.sort_unstable();
        scopes.dedup();
        Self(Some(Arc::new(Verified {
            claims: claims.into(),
            scopes: scopes.into(),
            api_key,
        })))
    }

    /// Somebody, in tests of other rooms.
    #[cfg(test)]
    pub(crate) fn for_tests(claims: Json, api_key: Option<&str>) -> Self {
        Self::verified(claims, Vec::new(), api_key.map(str::to_owned))
    }

    /// The same caller, who gave a good API key too.
    pub(super) fn with_api_key(self, key: &Principal) -> Self {
        let (Some(who), Some(key)) = (&self.0, &key.0) else {
            return self;
        };
        Self(Some(Arc::new(Verified {
            claims: who.claims.clone(),
            scopes: who.scopes.clone(),
            api_key: key.api_key.clone(),
        })))
    }

    /// Whether credentials were given, which then were verified.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.0.is_some()
    }

    /// What is known of the caller; null when anonymous.
    pub(crate) fn claims(&self) -> &Json {
        self.0.as_ref().map_or(&Json::Null, |who| &who.claims)
    }

    /// The same, to be kept beside the request's work.
    pub(crate) fn shared_claims(&self) -> Claims {
        self.0
            .as_ref()
            .map(|who| who.claims.clone())
            .unwrap_or_default()
    }

    /// What the caller was granted: the `scope` or `scp` claim, or the API key's scopes. Sorted.
    pub(crate) fn scopes(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |who| &who.scopes)
    }

    /// The name of the API key that was given.
    pub(crate) fn api_key_id(&self) -> Option<&str> {
        self.0.as_ref()?.api_key.as_deref()
    }

    /// Who issued the token: the `iss` claim.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims().get("iss")?.as_str()
    }

    /// Whom the issuer speaks of: the `sub` claim.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.claims().get("sub")?.as_str()
    }
}

/// Claims may be personal: they are not for logs.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("anonymous"),
            Some(who) => f
                .debug_struct("Principal")
                .field("issuer", &self.issuer())
                .field("api_key", &who.api_key)
                .finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nobody_has_no_claims_and_no_scopes() {
        let nobody = Principal::anonymous();
        assert!(!nobody.is_authenticated());
        assert_eq!(*nobody.claims(), Json::Null);
        assert_eq!(*nobody.shared_claims(), Json::Null);
        assert!(nobody.scopes().is_empty());
        assert_eq!((nobody.subject(), nobody.api_key_id()), (None, None));
    }

    #[test]
    fn what_was_verified_can_be_read() {
        let claims = json!({ "iss": "https://id", "sub": "ada", "org": 7 });
        let scopes = vec!["write".into(), "read".into(), "read".into()];
        let ada = Principal::verified(claims.clone(), scopes, Some("mobile".into()));
        assert!(ada.is_authenticated());
        assert_eq!(*ada.claims(), claims);
        assert_eq!(*ada.shared_claims(), claims);
        assert_eq!(ada.scopes(), ["read", "write"]);
        assert_eq!(ada.issuer(), Some("https://id"));
        assert_eq!(ada.subject(), Some("ada"));
        assert_eq!(ada.api_key_id(), Some("mobile"));
    }

    #[test]
    fn claims_stay_out_of_logs() {
        let claims = json!({ "sub": "ada", "email": "ada@example.org" });
        let shown = format!("{:?}", Principal::verified(claims, Vec::new(), None));
        assert!(!shown.contains("ada"), "{shown}");
    }
}
