//! The one table of problem types.
//!
//! Owns each type's name in its address, its title and its HTTP status, and
//! the page that explains it. A type without a page does not compile.

use http::StatusCode;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $status:ident $slug:literal $title:literal $retry:ident;)+) => {
        /// Why a request has no GraphQL response.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// All of them, in the order of their statuses.
            pub(crate) const ALL: &[Kind] = &[$(Kind::$kind,)+];

            const fn facts(self) -> Facts {
                match self {
                    $(Kind::$kind => Facts {
                        slug: $slug,
                        title: $title,
                        status: StatusCode::$status,
                        retry: Retry::$retry,
                        page: include_str!(concat!("../../../../../docs/problems/", $slug, ".md")),
                    },)+
                }
            }
        }
    };
}

/// What is the same for every problem of one kind.
struct Facts {
    slug: &'static str,
    title: &'static str,
    status: StatusCode,
    retry: Retry,
    page: &'static str,
}

/// What may come of sending the same request again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// The same refusal.
    Useless,
    /// Perhaps an answer.
    Later,
}

kinds! {
    /// Not a GraphQL request: not JSON, no `query`, a member of the wrong type, too deep.
    MalformedRequest = BAD_REQUEST "malformed-request" "Malformed request" Useless;
    /// A page of another site could have sent it unasked.
    CrossSiteRequest = BAD_REQUEST "cross-site-request" "Cross-site request refused" Useless;
    /// A list of operations, where lists are not accepted.
    BatchingOff = BAD_REQUEST "batching-off" "Request batching is off" Useless;
    /// Its `Idempotency-Key` is none, or stands where none belongs.
    MalformedIdempotencyKey = BAD_REQUEST "malformed-idempotency-key" "Malformed idempotency key" Useless;
    /// A mutation without an `Idempotency-Key`, where each has to have one.
    MissingIdempotencyKey = BAD_REQUEST "missing-idempotency-key" "Missing idempotency key" Useless;
    /// It costs more than the whole budget, however long the client waits.
    CostAboveBurst = BAD_REQUEST "cost-above-burst" "Cost above the budget" Useless;
    /// No identity, or one that could not be verified.
    Unauthenticated = UNAUTHORIZED "unauthenticated" "Unauthenticated" Useless;
    /// A known identity without the right.
    Forbidden = FORBIDDEN "forbidden" "Forbidden" Useless;
    /// A document that is not on the list of trusted ones.
    DocumentNotTrusted = FORBIDDEN "document-not-trusted" "Document not trusted" Useless;
    /// Nothing is served at this path.
    NotFound = NOT_FOUND "not-found" "Not found" Useless;
    /// The method is not served at this path, or may not carry this operation.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" "Method not allowed" Useless;
    /// None of the media types that the client accepts is one of ours.
    NotAcceptable = NOT_ACCEPTABLE "not-acceptable" "Not acceptable" Useless;
    /// A dead letter cannot be put back as it was asked for.
    NotRetried = CONFLICT "not-retried" "Dead letter not put back" Useless;
    /// The request did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT "request-timeout" "Request timeout" Later;
    /// The same mutation is being done at this moment.
    IdempotencyKeyInFlight = CONFLICT "idempotency-key-in-flight" "Idempotency key in flight" Later;
    /// More bytes than are read.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large" "Body too large" Useless;
    /// More operations in one request than are accepted.
    BatchTooLarge = PAYLOAD_TOO_LARGE "batch-too-large" "Batch too large" Useless;
    /// A longer address than is read.
    UriTooLong = URI_TOO_LONG "uri-too-long" "URI too long" Useless;
    /// A body that is not JSON in UTF-8.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "Unsupported media type" Useless;
    /// The key was used for something else.
    ReusedIdempotencyKey = UNPROCESSABLE_ENTITY "reused-idempotency-key" "Reused idempotency key" Useless;
    /// What the operator asked to put in service cannot be.
    ReloadRefused = UNPROCESSABLE_ENTITY "reload-refused" "Reload refused" Useless;
    /// A rate limit.
    QuotaExceeded = TOO_MANY_REQUESTS "quota-exceeded" "Quota exceeded" Later;
    /// More headers, or longer ones, than are read.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE "headers-too-large" "Headers too large" Useless;
    /// A token cannot be verified, since its issuer's keys were never there.
    KeysUnavailable = SERVICE_UNAVAILABLE "keys-unavailable" "Identity cannot be verified" Later;
    /// The store of the durable queue does not answer.
    QueueUnavailable = SERVICE_UNAVAILABLE "queue-unavailable" "Queue unavailable" Later;
    /// Whether a mutation was done before cannot be told.
    IdempotencyUnavailable = SERVICE_UNAVAILABLE "idempotency-unavailable" "Idempotency keys unavailable" Later;
    /// The gateway, or what it needs to decide, has no room for this request now.
    Overloaded = SERVICE_UNAVAILABLE "overloaded" "Overloaded" Later;
}

impl Kind {
    /// The kind of this name.
    pub(crate) fn of_slug(slug: &str) -> Option<Kind> {
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }

    /// Its name in the address of its page.
    pub(crate) const fn slug(self) -> &'static str {
        self.facts().slug
    }

    /// The same for each problem of this kind.
    pub(crate) const fn title(self) -> &'static str {
        self.facts().title
    }

    /// The HTTP status that goes with it.
    pub(crate) const fn status(self) -> StatusCode {
        self.facts().status
    }

    /// Whether the same request may succeed when it is sent again later.
    pub(crate) fn retryable(self) -> bool {
        self.facts().retry == Retry::Later
    }

    /// What its page says: Markdown.
    pub(crate) const fn page(self) -> &'static str {
        self.facts().page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/problems");

    #[test]
    fn each_page_belongs_to_a_kind_and_each_kind_has_a_page() {
        let pages: BTreeSet<String> = std::fs::read_dir(PAGES)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let kinds = Kind::ALL.iter().map(|kind| format!("{}.md", kind.slug()));
        assert_eq!(pages, kinds.collect());
    }

    #[test]
    fn each_page_is_headed_by_title_and_status_and_speaks_to_client_and_operator() {
        for kind in Kind::ALL {
            let page = kind.page();
            let heading = format!("# {}\n\nHTTP {}. ", kind.title(), kind.status().as_u16());
            assert!(page.starts_with(&heading), "{kind:?}: {page}");
            for part in [
                "\n## What the client can do\n",
                "\n## What the operator can change\n",
            ] {
                assert!(page.contains(part), "{kind:?} lacks {part}");
            }
        }
    }

    #[test]
    fn a_slug_names_one_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_slug(kind.slug()), Some(*kind));
        }
        assert_eq!(Kind::of_slug("no-such"), None);
    }
}
