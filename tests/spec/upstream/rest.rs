//! A REST service: requests matched exactly, replies as good or as bad as the spec says.

use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http::Request;
use http::Response;
use http::header::CONTENT_LENGTH;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::body::Incoming;
use serde_json::Value as Json;

use super::Answers;
use super::Broken;
use super::Reply;
use super::script;
use super::script::Entry;

/// A request as a spec writes it.
pub(super) struct Call {
    pub(super) request: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Json>,
}

/// Answers one request; one that nobody expects with 599.
pub(super) async fn answer(answers: &Answers, request: Request<Incoming>) -> Result<Reply, Broken> {
    let call = read(request).await?;
    respond(answers, &call).await
}

/// Answers a call as its entry says.
pub(super) async fn respond(answers: &Answers, call: &Call) -> Result<Reply, Broken> {
    let told = call.told(&answers.source);
    answers.log.call(told.clone());
    match answers.script.find(|entry| call.fits(entry)) {
        Some(entry) => reply(answers, &entry.reply).await,
        None => {
            answers.log.problem(format!(
                "nobody expected: {told}\n  headers: {:?}",
                call.headers
            ));
            Ok(Response::builder()
                .status(599)
                .body(full("nobody expected this".into()))?)
        }
    }
}

async fn read(request: Request<Incoming>) -> Result<Call, Broken> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("", |it| it.as_str());
    let body = body.collect().await?.to_bytes();
    Ok(Call {
        request: format!("{} {target}", head.method),
        body: body_of(&head.headers, &body),
        headers: head.headers,
    })
}

/// JSON where it says so; other bodies are text, with the boundary of multipart bodies always the same.
fn body_of(headers: &HeaderMap, body: &Bytes) -> Option<Json> {
    if body.is_empty() {
        return None;
    }
    let ty = headers
        .get(CONTENT_TYPE)
        .and_then(|ty| ty.to_str().ok())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(body).into_owned();
    if ty.starts_with("application/json") {
        return Some(serde_json::from_str(&text).unwrap_or(Json::String(text)));
    }
    let boundary = ty
        .split_once("boundary=")
        .map_or("\u{0}", |(_, it)| it.trim_matches('"'));
    let text = text.replace(boundary, "BOUNDARY").replace("\r\n", "\n");
    Some(Json::String(text))
}

impl Call {
    fn told(&self, source: &str) -> String {
        match &self.body {
            Some(body) => format!("{source} {} {body}", self.request),
            None => format!("{source} {}", self.request),
        }
    }

    fn fits(&self, entry: &Entry) -> bool {
        let header = |(name, value): (&String, &Option<String>)| {
            let sent = self.headers.get(name).map(|it| it.as_bytes());
            sent == value.as_ref().map(|it| it.as_bytes())
        };
        let body = entry.body.as_ref().or(entry.variables.as_ref());
        entry.request.trim_end() == self.request
            && body == self.body.as_ref()
            && entry.headers.iter().all(header)
    }
}

async fn reply(answers: &Answers, wanted: &script::Reply) -> Result<Reply, Broken> {
    if let Some(name) = &wanted.together {
        answers.barriers.wait(name).await;
    }
    if wanted.hang {
        std::future::pending::<()>().await;
    }
    if wanted.reset {
        return Err("the spec breaks the connection".into());
    }
    let status = wanted
        .status
        .as_ref()
        .map_or(Some(200), Json::as_u64)
        .ok_or("a status is a number")?;
    let mut reply = Response::builder().status(u16::try_from(status)?);
    if wanted.json.is_some() && !wanted.headers.contains_key("content-type") {
        reply = reply.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in &wanted.headers {
        reply = reply.header(name, value);
    }
    let json = wanted.json.as_ref().map(Json::to_string);
    let body = json.or_else(|| wanted.text.clone()).unwrap_or_default();
    if wanted.truncated {
        return Ok(reply.header(CONTENT_LENGTH, body.len()).body(half(body))?);
    }
    Ok(reply.body(full(body))?)
}

fn full(body: String) -> http_body_util::combinators::UnsyncBoxBody<Bytes, Broken> {
    Full::from(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The first half of a body, and then nothing more.
fn half(mut body: String) -> http_body_util::combinators::UnsyncBoxBody<Bytes, Broken> {
    body.truncate(body.len() / 2);
    let frames = [
        Ok(Frame::data(Bytes::from(body))),
        Err(Broken::from("the spec breaks the connection")),
    ];
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}
