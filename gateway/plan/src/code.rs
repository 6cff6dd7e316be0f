//! The one table of failures: every code a client can meet, and the HTTP
//! status of each.

/// A stable, documented code: `errors[].extensions.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The document does not parse.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// A variable does not fit its type, or an upstream refused what the client sent.
    BadUserInput,
    /// `operationName` names none, or is needed.
    OperationNotFound,
    /// A limit on the operation's size or shape.
    OperationTooLarge,
    /// A document is not known by this hash or id: send its text.
    PersistedQueryNotFound,
    /// Documents are not remembered here: send them whole.
    PersistedQueryNotSupported,
    /// A document and its hash do not belong together.
    PersistedQueryMismatch,
    /// No identity, or a wrong one.
    Unauthenticated,
    /// An identity without the right.
    Forbidden,
    /// Not found, where the schema allows no null.
    NotFound,
    /// The state upstream contradicts the request.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// The caller went away.
    Cancelled,
    /// The request's deadline has passed.
    DeadlineExceeded,
    /// Upstream failed of itself.
    UpstreamError,
    /// Upstream cannot be reached.
    UpstreamUnavailable,
    /// Upstream did not answer in time.
    UpstreamTimeout,
    /// The breaker towards the source is open.
    CircuitOpen,
    /// The reply is not as declared.
    UpstreamInvalidResponse,
    /// More parents than `fanout` accepts.
    FanoutExceeded,
    /// A later root field of a mutation that was not begun.
    NotStarted,
    /// A fault of the gateway itself.
    InternalError,
}

impl Code {
    /// As the client reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Code::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Code::BadUserInput => "BAD_USER_INPUT",
            Code::OperationNotFound => "OPERATION_NOT_FOUND",
            Code::OperationTooLarge => "OPERATION_TOO_LARGE",
            Code::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Code::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Code::PersistedQueryMismatch => "PERSISTED_QUERY_MISMATCH",
            Code::Unauthenticated => "UNAUTHENTICATED",
            Code::Forbidden => "FORBIDDEN",
            Code::NotFound => "NOT_FOUND",
            Code::Conflict => "CONFLICT",
            Code::RateLimited => "RATE_LIMITED",
            Code::Cancelled => "CANCELLED",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::UpstreamError => "UPSTREAM_ERROR",
            Code::UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
            Code::UpstreamTimeout => "UPSTREAM_TIMEOUT",
            Code::CircuitOpen => "CIRCUIT_OPEN",
            Code::UpstreamInvalidResponse => "UPSTREAM_INVALID_RESPONSE",
            Code::FanoutExceeded => "FANOUT_EXCEEDED",
            Code::NotStarted => "NOT_STARTED",
            Code::InternalError => "INTERNAL_ERROR",
        }
    }

    /// The HTTP status of a response that this failure alone decides: no data was formed.
    pub fn http_status(self) -> u16 {
        match self {
            Code::GraphqlParseFailed
            | Code::PersistedQueryNotSupported
            | Code::PersistedQueryMismatch
            | Code::GraphqlValidationFailed
            | Code::BadUserInput
            | Code::OperationNotFound
            | Code::OperationTooLarge => 400,
            Code::Unauthenticated => 401,
            Code::Forbidden => 403,
            Code::NotFound | Code::PersistedQueryNotFound => 404,
            Code::Conflict => 409,
            Code::RateLimited => 429,
            Code::Cancelled => 499,
            Code::UpstreamError | Code::InternalError | Code::NotStarted => 500,
            Code::UpstreamInvalidResponse | Code::FanoutExceeded => 502,
            Code::UpstreamUnavailable | Code::CircuitOpen => 503,
            Code::UpstreamTimeout | Code::DeadlineExceeded => 504,
        }
    }

    /// Whether the same request may succeed when it is sent again unchanged.
    pub fn retryable(self) -> bool {
        matches!(
            self,
            Code::RateLimited
                | Code::UpstreamUnavailable
                | Code::UpstreamTimeout
                | Code::CircuitOpen
                | Code::DeadlineExceeded
        )
    }
}
