//! The HTTP status of a GraphQL response.
//!
//! `application/json` says 200 for whatever is a GraphQL response: only the
//! other media type tells them apart.

use http::StatusCode;
use plan::code::Code;

use super::negotiate::MediaType;
use crate::config::StatusProfile;

/// Of an operation that was run, with this many errors.
pub(super) fn executed(profile: StatusProfile, media: MediaType, errors: usize) -> StatusCode {
    let partial = errors > 0 && media == MediaType::GraphqlResponse;
    match profile {
        // No registry lists it; the draft names it "Partial Success".
        StatusProfile::Draft if partial => StatusCode::from_u16(294).unwrap_or(StatusCode::OK),
        _ => StatusCode::OK,
    }
}

/// Of one that was not.
pub(super) fn refused(profile: StatusProfile, media: MediaType, code: Code) -> StatusCode {
    let status = StatusCode::from_u16(code.http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match (media, profile) {
        (MediaType::Json, _) => StatusCode::OK,
        // What cannot be parsed is a bad request; what can, and is refused for what it says, is not.
        (_, StatusProfile::Draft)
            if status == StatusCode::BAD_REQUEST && code != Code::GraphqlParseFailed =>
        {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draft_tells_partial_answers_and_invalid_documents_apart() {
        let table = [
            (
                StatusProfile::Audit,
                MediaType::GraphqlResponse,
                [200, 200, 400, 400, 400, 504],
            ),
            (
                StatusProfile::Draft,
                MediaType::GraphqlResponse,
                [200, 294, 400, 422, 422, 504],
            ),
            (StatusProfile::Audit, MediaType::Json, [200; 6]),
            (StatusProfile::Draft, MediaType::Json, [200; 6]),
        ];
        for (profile, media, expected) in table {
            let refused = |code| refused(profile, media, code).as_u16();
            let given = [
                executed(profile, media, 0).as_u16(),
                executed(profile, media, 1).as_u16(),
                refused(Code::GraphqlParseFailed),
                refused(Code::GraphqlValidationFailed),
                refused(Code::BadUserInput),
                refused(Code::DeadlineExceeded),
            ];
            assert_eq!(given, expected, "{profile:?} {media:?}");
        }
    }
}
