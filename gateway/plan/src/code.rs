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
    /// More than any gateway can parse or validate, whatever its limits.
    OperationTooLarge,
    /// A document is not known by this hash or id: send its text.
    PersistedQueryNotFound,
    /// Documents are not remembered here: send them whole.
    PersistedQueryNotSupported,
    /// A document and its hash do not belong together.
    PersistedQueryMismatch,
    /// More characters than the document may have.
    DocumentTooLarge,
    /// More lexical tokens than the document may have.
    TooManyTokens,
    /// More open brackets than the document may have.
    DocumentTooNested,
    /// More operations than the document may have.
    TooManyOperations,
    /// Fields nested too deeply.
    OperationTooDeep,
    /// Introspection nested too deeply.
    IntrospectionTooDeep,
    /// Too many root fields.
    TooManyRootFields,
    /// Too many aliases.
    TooManyAliases,
    /// Too many directives.
    TooManyDirectives,
    /// Too many variables.
    TooManyVariables,
    /// Lists and input objects nested too deeply.
    InputTooNested,
    /// The operation costs more than it may.
    CostLimitExceeded,
    /// A list is not sized by exactly one of its slicing arguments.
    SlicingArgument,
    /// The answer is longer than was charged for it.
    CostUnderestimated,
    /// The planner's budget does not suffice.
    PlanningTooLong,
    /// No identity, or a wrong one.
    Unauthenticated,
    /// An identity without the right.
    Forbidden,
    /// Nobody could be asked whether the caller has the right.
    AuthorizationUnavailable,
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
    /// Less time is left than a mutation of this source needs: it was not begun.
    DeadlineTooShort,
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
    /// More parents than `fanout` accepts, or more calls than one operation may cause.
    FanoutExceeded,
    /// A later root field of a mutation that was not begun.
    NotStarted,
    /// As many subscriptions are open as may be.
    TooManySubscriptions,
    /// Events came faster than a subscriber took them.
    SubscriberTooSlow,
    /// Its key was used before, and nobody knows whether that was done.
    OutcomeUnknown,
    /// As much waits to be delivered as may.
    QueueFull,
    /// A call could not be made durable.
    QueueUnavailable,
    /// A fault of the gateway itself.
    InternalError,
}

impl Code {
    /// How many there are. The last of the list above is named here.
    pub const COUNT: usize = Code::InternalError as usize + 1;

    /// All of them, in the order of the list above: `Code::ALL[code as usize] == code`.
    pub const ALL: [Code; Code::COUNT] = [
        Code::GraphqlParseFailed,
        Code::GraphqlValidationFailed,
        Code::BadUserInput,
        Code::OperationNotFound,
        Code::OperationTooLarge,
        Code::PersistedQueryNotFound,
        Code::PersistedQueryNotSupported,
        Code::PersistedQueryMismatch,
        Code::DocumentTooLarge,
        Code::TooManyTokens,
        Code::DocumentTooNested,
        Code::TooManyOperations,
        Code::OperationTooDeep,
        Code::IntrospectionTooDeep,
        Code::TooManyRootFields,
        Code::TooManyAliases,
        Code::TooManyDirectives,
        Code::TooManyVariables,
        Code::InputTooNested,
        Code::CostLimitExceeded,
        Code::SlicingArgument,
        Code::CostUnderestimated,
        Code::PlanningTooLong,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::AuthorizationUnavailable,
        Code::NotFound,
        Code::Conflict,
        Code::RateLimited,
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::DeadlineTooShort,
        Code::UpstreamError,
        Code::UpstreamUnavailable,
        Code::UpstreamTimeout,
        Code::CircuitOpen,
        Code::UpstreamInvalidResponse,
        Code::FanoutExceeded,
        Code::NotStarted,
        Code::TooManySubscriptions,
        Code::SubscriberTooSlow,
        Code::OutcomeUnknown,
        Code::QueueFull,
        Code::QueueUnavailable,
        Code::InternalError,
    ];

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
            Code::DocumentTooLarge => "DOCUMENT_TOO_LARGE",
            Code::TooManyTokens => "TOO_MANY_TOKENS",
            Code::DocumentTooNested => "DOCUMENT_TOO_NESTED",
            Code::TooManyOperations => "TOO_MANY_OPERATIONS",
            Code::OperationTooDeep => "OPERATION_TOO_DEEP",
            Code::IntrospectionTooDeep => "INTROSPECTION_TOO_DEEP",
            Code::TooManyRootFields => "TOO_MANY_ROOT_FIELDS",
            Code::TooManyAliases => "TOO_MANY_ALIASES",
            Code::TooManyDirectives => "TOO_MANY_DIRECTIVES",
            Code::TooManyVariables => "TOO_MANY_VARIABLES",
            Code::InputTooNested => "INPUT_TOO_NESTED",
            Code::CostLimitExceeded => "COST_LIMIT_EXCEEDED",
            Code::SlicingArgument => "SLICING_ARGUMENT",
            Code::CostUnderestimated => "COST_UNDERESTIMATED",
            Code::PlanningTooLong => "PLANNING_TOO_LONG",
            Code::Unauthenticated => "UNAUTHENTICATED",
            Code::Forbidden => "FORBIDDEN",
            Code::AuthorizationUnavailable => "AUTHORIZATION_UNAVAILABLE",
            Code::NotFound => "NOT_FOUND",
            Code::Conflict => "CONFLICT",
            Code::RateLimited => "RATE_LIMITED",
            Code::Cancelled => "CANCELLED",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::DeadlineTooShort => "DEADLINE_TOO_SHORT",
            Code::UpstreamError => "UPSTREAM_ERROR",
            Code::UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
            Code::UpstreamTimeout => "UPSTREAM_TIMEOUT",
            Code::CircuitOpen => "CIRCUIT_OPEN",
            Code::UpstreamInvalidResponse => "UPSTREAM_INVALID_RESPONSE",
            Code::FanoutExceeded => "FANOUT_EXCEEDED",
            Code::NotStarted => "NOT_STARTED",
            Code::TooManySubscriptions => "TOO_MANY_SUBSCRIPTIONS",
            Code::SubscriberTooSlow => "SUBSCRIBER_TOO_SLOW",
            Code::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Code::QueueFull => "QUEUE_FULL",
            Code::QueueUnavailable => "QUEUE_UNAVAILABLE",
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
            | Code::OperationTooLarge
            | Code::DocumentTooLarge
            | Code::TooManyTokens
            | Code::DocumentTooNested
            | Code::TooManyOperations
            | Code::OperationTooDeep
            | Code::IntrospectionTooDeep
            | Code::TooManyRootFields
            | Code::TooManyAliases
            | Code::TooManyDirectives
            | Code::TooManyVariables
            | Code::InputTooNested
            | Code::CostLimitExceeded
            | Code::SlicingArgument
            | Code::PlanningTooLong
            | Code::DeadlineTooShort => 400,
            Code::Unauthenticated => 401,
            Code::Forbidden => 403,
            Code::NotFound | Code::PersistedQueryNotFound => 404,
            Code::Conflict | Code::OutcomeUnknown => 409,
            Code::RateLimited | Code::TooManySubscriptions | Code::SubscriberTooSlow => 429,
            Code::Cancelled => 499,
            Code::UpstreamError | Code::InternalError => 500,
            Code::UpstreamInvalidResponse | Code::FanoutExceeded | Code::CostUnderestimated => 502,
            Code::UpstreamUnavailable
            | Code::CircuitOpen
            | Code::AuthorizationUnavailable
            | Code::QueueFull
            | Code::QueueUnavailable => 503,
            Code::UpstreamTimeout | Code::DeadlineExceeded | Code::NotStarted => 504,
        }
    }

    /// Whether the same request may succeed when it is sent again unchanged.
    pub fn retryable(self) -> bool {
        matches!(
            self,
            Code::RateLimited
                | Code::TooManySubscriptions
                | Code::SubscriberTooSlow
                | Code::AuthorizationUnavailable
                | Code::UpstreamUnavailable
                | Code::UpstreamTimeout
                | Code::CircuitOpen
                | Code::DeadlineExceeded
                | Code::QueueFull
                | Code::QueueUnavailable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_in_its_place() {
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{}", code.as_str());
        }
    }
}
