//! A gRPC service of any contract: messages matched as messages, replies written as JSON.
//!
//! Speaks the protocol by hand, so that it can also speak it badly:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;
use futures_util::stream;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http_body_util::BodyExt as _;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::body::Incoming;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_reflect::DynamicMessage;
use prost_reflect::MessageDescriptor;
use prost_reflect::MethodDescriptor;
use protox::file::ChainFileResolver;
use protox::file::File;
use protox::file::FileResolver;
use protox::file::GoogleFileResolver;
use serde_json::Value as Json;

use super::Answers;
use super::Broken;
use super::Reply;
use super::script;
use super::script::Entry;

/// The codes, by number: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const DETAILS_FILE: &str = "details.proto";

/// What `details` may hold: <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>
const DETAILS: &str = r#"
    syntax = "proto3";
    package google.rpc;
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
    message BadRequest {
      message FieldViolation { string field = 1; string description = 2; string reason = 3; }
      repeated FieldViolation field_violations = 1;
    }
    message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
    message RetryInfo { google.protobuf.Duration retry_delay = 1; }
    message QuotaFailure {
      message Violation { string subject = 1; string description = 2; }
      repeated Violation violations = 1;
    }
    message PreconditionFailure {
      message Violation { string type = 1; string subject = 2; string description = 3; }
      repeated Violation violations = 1;
    }
    message LocalizedMessage { string locale = 1; string message = 2; }
    message DebugInfo { repeated string stack_entries = 1; string detail = 2; }
"#;

struct Call {
    request: String,
    headers: HeaderMap,
    method: MethodDescriptor,
    message: DynamicMessage,
}

/// Answers one call; one that nobody expects with UNIMPLEMENTED.
pub(super) async fn answer(
    answers: &Answers,
    pool: &DescriptorPool,
    request: Request<Incoming>,
) -> Result<Reply, Broken> {
    let call = read(pool, request).await?;
    let told = format!(
        "{} {} {}",
        answers.source,
        call.request,
        json_of(&call.message)
    );
    answers.log.call(told.clone());
    match answers.script.find(|entry| call.fits(entry)) {
        Some(entry) => reply(answers, &call.method, &entry.reply).await,
        None => {
            answers.log.problem(format!(
                "nobody expected: {told}\n  metadata: {:?}",
                call.headers
            ));
            response(Vec::new(), trailers(12, "nobody expected this", &[])?)
        }
    }
}

async fn read(pool: &DescriptorPool, request: Request<Incoming>) -> Result<Call, Broken> {
    let (head, body) = request.into_parts();
    let request = head.uri.path().trim_start_matches('/').to_owned();
    let method = method(pool, &request).ok_or(format!("the contract has no {request}"))?;
    let body = body.collect().await?.to_bytes();
    let message = body
        .get(5..)
        .ok_or("a message has a prefix of five bytes")?;
    Ok(Call {
        message: DynamicMessage::decode(method.input(), message)?,
        headers: head.headers,
        method,
        request,
    })
}

fn method(pool: &DescriptorPool, path: &str) -> Option<MethodDescriptor> {
    let (service, method) = path.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    service.methods().find(|it| it.name() == method)
}

/// A message as the specs write it: proto names, 64-bit integers as numbers.
fn json_of(message: &DynamicMessage) -> Json {
    let options = prost_reflect::SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false);
    let json = message.serialize_with_options(serde_json::value::Serializer, &options);
    json.unwrap_or_else(|bad| Json::String(bad.to_string()))
}

fn message_of(ty: MessageDescriptor, json: &Json) -> Result<DynamicMessage, Broken> {
    Ok(DynamicMessage::deserialize(ty, json)?)
}

impl Call {
    fn fits(&self, entry: &Entry) -> bool {
        let header = |(name, value): (&String, &Option<String>)| {
            let sent = self.headers.get(name).map(|it| it.as_bytes());
            sent == value.as_ref().map(|it| it.as_bytes())
        };
        entry.request == self.request && self.says(entry) && entry.headers.iter().all(header)
    }

    fn says(&self, entry: &Entry) -> bool {
        let empty = Json::Object(serde_json::Map::new());
        let wanted = entry.message.as_ref().unwrap_or(&empty);
        let wanted = message_of(self.method.input(), wanted)
            .unwrap_or_else(|bad| panic!("upstream {}: {bad}", entry.request));
        wanted == self.message
    }
}

async fn reply(
    answers: &Answers,
    method: &MethodDescriptor,
    wanted: &script::Reply,
) -> Result<Reply, Broken> {
    if let Some(name) = &wanted.together {
        answers.barriers.wait(name).await;
    }
    if wanted.hang {
        std::future::pending::<()>().await;
    }
    if wanted.reset {
        return Err("the spec breaks the connection".into());
    }
    if let Some(status) = wanted.status.as_ref().and_then(Json::as_u64) {
        return elsewhere(status, wanted);
    }
    let messages = wanted.messages.iter().flatten().chain(&wanted.message);
    let frames = messages
        .map(|json| Ok(frame(&message_of(method.output(), json)?)))
        .collect::<Result<Vec<_>, Broken>>()
        .unwrap_or_else(|bad| panic!("a reply of {}: {bad}", method.full_name()));
    if wanted.truncated {
        return truncated(frames);
    }
    let code = code(wanted.status.as_ref())?;
    response(
        frames,
        trailers(
            code,
            wanted.detail.as_deref().unwrap_or_default(),
            &wanted.details,
        )?,
    )
}

fn code(status: Option<&Json>) -> Result<usize, Broken> {
    let name = status
        .map_or(Some("OK"), Json::as_str)
        .ok_or("a gRPC status is a name")?;
    let code = CODES.iter().position(|it| *it == name);
    Ok(code.ok_or(format!("there is no gRPC status {name}"))?)
}

fn frame(message: &DynamicMessage) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).expect("a spec's messages are small"));
    message.encode(&mut frame).expect("a BytesMut grows");
    frame.freeze()
}

fn trailers(code: usize, detail: &str, details: &[Json]) -> Result<HeaderMap, Broken> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if !detail.is_empty() {
        trailers.insert(
            "grpc-message",
            HeaderValue::from_str(&percent_encoded(detail))?,
        );
    }
    if !details.is_empty() {
        let status = rpc_status(code, detail, details)?;
        let text = BASE64_STANDARD_NO_PAD.encode(status.encode_to_vec());
        trailers.insert("grpc-status-details-bin", HeaderValue::from_str(&text)?);
    }
    Ok(trailers)
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'%' => "%25".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A `google.rpc.Status`, its details from their JSON.
fn rpc_status(code: usize, detail: &str, details: &[Json]) -> Result<DynamicMessage, Broken> {
    let mut files = ChainFileResolver::new();
    files.add(Details);
    files.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(files);
    compiler.open_file(DETAILS_FILE)?;
    let pool = compiler.descriptor_pool();
    let ty = pool
        .get_message_by_name("google.rpc.Status")
        .ok_or("google.rpc.Status is above")?;
    message_of(
        ty,
        &serde_json::json!({ "code": code, "message": detail, "details": details }),
    )
}

/// [`DETAILS`] as a file.
struct Details;

impl FileResolver for Details {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            DETAILS_FILE => File::from_source(name, DETAILS),
            name => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn response(frames: Vec<Bytes>, trailers: HeaderMap) -> Result<Reply, Broken> {
    let data = frames.into_iter().map(|frame| Ok(Frame::data(frame)));
    let all = data
        .chain([Ok(Frame::trailers(trailers))])
        .collect::<Vec<_>>();
    framed(all)
}

/// A reply of something between that speaks HTTP and no gRPC.
fn elsewhere(status: u64, wanted: &script::Reply) -> Result<Reply, Broken> {
    let text = wanted.text.clone().unwrap_or_default();
    let body = http_body_util::Full::from(text).map_err(|never| match never {});
    let response = Response::builder()
        .status(u16::try_from(status)?)
        .header("content-type", "text/html");
    Ok(response.body(body.boxed_unsync())?)
}

/// The connection breaks inside the last message.
fn truncated(mut frames: Vec<Bytes>) -> Result<Reply, Broken> {
    if let Some(last) = frames.last_mut() {
        last.truncate(last.len() - 1);
    }
    let data = frames.into_iter().map(|frame| Ok(Frame::data(frame)));
    framed(
        data.chain([Err(Broken::from("the spec breaks the stream"))])
            .collect(),
    )
}

fn framed(frames: Vec<Result<Frame<Bytes>, Broken>>) -> Result<Reply, Broken> {
    let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    Ok(Response::builder()
        .header("content-type", "application/grpc")
        .body(body)?)
}
