//! Several operations in one request, where the operator accepts that.
//!
//! Owns the bound on their number and the list of their answers. Each operation
//! is one of its own for everything else: limits, charges, plan, log line.

use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderMap;
use http::StatusCode;
use http_body_util::BodyExt as _;

use super::Response;
use super::graphql::Run;
use super::keyed;
use super::params::Params;
use super::problem::Kind;
use super::problem::Problem;

/// The answers, in the order of the operations.
pub(super) async fn answer(
    run: &Run<'_>,
    body: &[u8],
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let settings = &run.graph.settings;
    let max = settings.batching.ok_or_else(off)?;
    let keyed = keyed::check_list(settings.idempotency.mode, headers);
    run.charging(headers, keyed).await?;
    let list = Params::of_list(body, settings.http.json_depth, max);
    let list = run.charging(headers, list).await?;
    let answers = list.into_iter().map(async |params| {
        match run.answer(params, headers.clone(), true).await {
            Ok(response) => whole(response).await,
            Err(problem) => problem.into_graphql(&run.arrival.ids.correlation),
        }
    });
    let answers = join_all(answers).await;
    Ok(run.respond(StatusCode::OK, list_of(&answers)))
}

fn off() -> Problem {
    let detail = "One request carries one operation. Send an object, not a list.";
    Problem::new(Kind::BatchingOff, detail)
}

async fn whole(response: Response) -> Bytes {
    match response.into_body().collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(never) => match never {},
    }
}

fn list_of(answers: &[Bytes]) -> Bytes {
    let mut list = Vec::with_capacity(answers.iter().map(|answer| answer.len() + 1).sum());
    for answer in answers {
        list.push(if list.is_empty() { b'[' } else { b',' });
        list.extend_from_slice(answer);
    }
    list.push(b']');
    list.into()
}
