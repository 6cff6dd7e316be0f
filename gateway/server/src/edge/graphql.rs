//! `/graphql`: GraphQL over HTTP.
//!
//! Owns the order in which a request is judged and the status of its answer:
//! <https://graphql.github.io/graphql-over-http/draft/>

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use plan::Refusal;
use tokio::time::Instant;

use super::Request;
use super::Response;
use super::body;
use super::csrf;
use super::ids::Ids;
use super::negotiate;
use super::negotiate::ContentType;
use super::negotiate::MediaType;
use super::params::Params;
use super::problem::Problem;
use super::trace_context;
use crate::observe::access;
use crate::pipeline::Caller;
use crate::pipeline::Gateway;
use crate::pipeline::GraphqlRequest;
use crate::pipeline::NotRun;
use crate::refusal;

/// Answers one request, whatever it is.
pub(super) async fn serve(gateway: &Arc<Gateway>, ids: &Ids, request: Request) -> Response {
    let received = Instant::now();
    let answered = match *request.method() {
        Method::POST => post(gateway, ids, request, received).await,
        Method::GET => get(gateway, ids, request, received).await,
        _ => Err(Problem::method_not_allowed(
            "GET, POST",
            "GraphQL is served to GET and POST.",
        )),
    };
    answered.unwrap_or_else(|problem| problem.into_response(ids))
}

async fn post(
    gateway: &Arc<Gateway>,
    ids: &Ids,
    request: Request,
    received: Instant,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let media = negotiate::accepted(&head.headers)?;
    let content = ContentType::of(&head.headers);
    if content != ContentType::Json {
        return Err(unsupported());
    }
    csrf::check(&head.headers, content)?;
    let (limits, timeout) = gateway.limits();
    let body = body::read(body, limits.body, received + timeout).await?;
    let params = Params::of_body(&body, limits.json_depth)?;
    let run = Run {
        gateway,
        ids,
        media,
        mutations: true,
    };
    run.answer(params, head.headers, received).await
}

async fn get(
    gateway: &Arc<Gateway>,
    ids: &Ids,
    request: Request,
    received: Instant,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let media = negotiate::accepted(&head.headers)?;
    let content = ContentType::of(&head.headers);
    if content == ContentType::Other {
        return Err(unsupported());
    }
    csrf::check(&head.headers, content)?;
    let (limits, _) = gateway.limits();
    let params = Params::of_query(head.uri.query().unwrap_or(""), limits.json_depth)?;
    let run = Run {
        gateway,
        ids,
        media,
        mutations: false,
    };
    run.answer(params, head.headers, received).await
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the Content-Type application/json, in UTF-8.",
    )
}

/// What is settled before the parameters are looked at.
struct Run<'r> {
    gateway: &'r Arc<Gateway>,
    ids: &'r Ids,
    media: MediaType,
    mutations: bool,
}

impl Run<'_> {
    async fn answer(
        &self,
        params: Params<'_>,
        headers: HeaderMap,
        received: Instant,
    ) -> Result<Response, Problem> {
        let request = GraphqlRequest {
            document: &params.query,
            operation_name: params.operation_name.as_deref(),
            variables: params.variables,
            mutations: self.mutations,
            wants: params.wants,
            caller: Caller {
                correlation_id: self.ids.correlation.clone(),
                trace: trace_context::of(&headers),
                headers,
                received,
            },
        };
        match self.gateway.run(request).await {
            Ok(answer) => {
                if self.logs() {
                    access::answered(&answer, StatusCode::OK, received);
                }
                Ok(self.respond(StatusCode::OK, answer.body))
            }
            Err(NotRun::Refused(refusal)) => {
                let status = self.status(&refusal);
                if self.logs() {
                    access::refused(refusal.code.as_str(), status, received);
                }
                let body = refusal::body(&refusal, &self.ids.correlation);
                Ok(self.respond(status, body))
            }
            Err(NotRun::MutationOverGet) => Err(Problem::method_not_allowed(
                "POST",
                "A mutation is sent with POST.",
            )),
        }
    }

    fn logs(&self) -> bool {
        self.gateway.graph.load().settings.access_log
    }

    /// `application/json` says 200 for whatever is a GraphQL response; only the other type tells them apart.
    fn status(&self, refusal: &Refusal) -> StatusCode {
        match self.media {
            MediaType::Json => StatusCode::OK,
            MediaType::GraphqlResponse => StatusCode::from_u16(refusal.code.http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn respond(&self, status: StatusCode, body: Bytes) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, self.media.header());
        response
    }
}
