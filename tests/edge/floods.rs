//! HTTP/2 clients that break the rules to keep the gateway busy, written by hand, frame by frame.
//!
//! After each, what the process holds has hardly grown, and an honest query is answered.

use super::binary::Folder;
use super::binary::Gateway;
use super::lifecycle::until;
use super::raw::Raw;
use super::scripted::Scripted;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:method: GET`, `:scheme: http`, `:path: /`, from the static table.
const GET: &[u8] = b"\x82\x86\x84";
/// `:method: POST`, `:scheme: http`, `:path: /graphql`, `content-type: application/json`.
const POST: &[u8] = b"\x83\x86\x04\x08/graphql\x0f\x10\x10application/json";
const ENHANCE_YOUR_CALM: u32 = 11;

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    let folder = service.folder(&format!("log: {{ level: debug }}\n{config}"));
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

async fn connect(gateway: &Gateway) -> Raw {
    let mut raw = Raw::connect_narrow(gateway).await;
    raw.send(PREFACE).await;
    raw.send(&frame(SETTINGS, 0, 0, &[])).await;
    raw
}

/// Kind, stream and error code of each frame in what was read.
fn frames(mut read: &[u8]) -> Vec<(u8, u32, u32)> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
    let mut frames = Vec::new();
    while let Some((head, rest)) = read.split_at_checked(9) {
        let length = number(&head[..3]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let code = match head[3] {
            GOAWAY => number(&payload[4..8]),
            RST_STREAM => number(payload),
            _ => 0,
        };
        frames.push((head[3], number(&head[5..9]), code));
        read = rest;
    }
    frames
}

fn goes_away(read: &[u8], code: u32) -> bool {
    frames(read)
        .iter()
        .any(|frame| (frame.0, frame.2) == (GOAWAY, code))
}

/// Most memory that the process has held, in KiB.
pub(super) fn most_memory(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id()));
    let status = status.expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .expect("a number");
    number.parse().expect("a number")
}

/// What the flood leaves behind.
async fn unharmed(gateway: &Gateway, before: u64) {
    assert_eq!(
        gateway.ask("{ __typename }").await["data"]["__typename"],
        "Query"
    );
    let grown = most_memory(gateway).saturating_sub(before);
    assert!(grown < 16 * 1024, "it grew by {grown} KiB");
}

/// Whether a connection was given up.
fn ended(gateway: &Gateway) -> bool {
    let log = gateway.log();
    log.contains("a connection was cut") || log.contains("a connection ended early")
}

/// A gateway that has answered once.
async fn warm(service: &Scripted, config: &str) -> (Folder, Gateway, u64) {
    let (folder, gateway) = gateway(service, config).await;
    gateway.ask("{ __typename }").await;
    let before = most_memory(&gateway);
    (folder, gateway, before)
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "").await;
    let mut raw = connect(&gateway).await;
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, GET));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    raw.send(&flood).await;
    assert!(goes_away(&raw.rest().await, ENHANCE_YOUR_CALM));
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn headers_that_go_on_for_ever_end_the_connection() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "").await;
    let mut raw = connect(&gateway).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    let more = frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b");
    while raw.send(&more.repeat(100)).await {}
    assert!(
        goes_away(&raw.rest().await, ENHANCE_YOUR_CALM) || gateway.log().contains("ended early")
    );
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn answers_to_pings_and_settings_do_not_pile_up() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "timeouts: { write: 300ms }").await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut raw = connect(&gateway).await;
        let flood = flood.repeat(1_000);
        // Nothing is read: sooner or later nothing is taken any more, and the connection is cut.
        while raw.send(&flood).await {}
        unharmed(&gateway, before).await;
    }
    until(|| ended(&gateway)).await;
}

#[tokio::test]
async fn a_list_of_headers_above_the_limit_is_refused() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "").await;
    let mut raw = connect(&gateway).await;
    let mut header = b"\x00\x01a\x7f\xa1\x76".to_vec();
    header.extend([b'x'; 15_264]);
    raw.send(&frame(HEADERS, END_STREAM, 1, &[GET, &header].concat()))
        .await;
    for _ in 0..3 {
        raw.send(&frame(CONTINUATION, 0, 1, &header)).await;
    }
    raw.send(&frame(CONTINUATION, END_HEADERS, 1, &header))
        .await;
    raw.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    let read = raw.rest().await;
    let told = frames(&read);
    // `:status: 431` is not in the static table: it is written as three digits or in Huffman's code.
    assert!(
        told.iter()
            .any(|frame| frame.0 == HEADERS || frame.0 == RST_STREAM),
        "{told:?}"
    );
    assert!(!String::from_utf8_lossy(&read).contains("\"data\""));
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn more_streams_than_one_connection_may_have_are_refused() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(
        &service,
        "timeouts: { body: 300ms, idle: 300ms, write: 300ms }",
    )
    .await;
    let mut raw = connect(&gateway).await;
    let mut flood = Vec::new();
    for stream in (1..=601).step_by(2) {
        // Requests whose bodies do not come.
        flood.extend(frame(HEADERS, END_HEADERS, stream, POST));
    }
    raw.send(&flood).await;
    raw.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    let read = raw.rest().await;
    let answered = frames(&read)
        .iter()
        .filter(|frame| frame.0 == HEADERS)
        .count();
    assert!(answered <= 250, "{answered} streams were answered");
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn a_client_that_opens_no_window_for_its_answer_is_cut_off() {
    let items = r#"{ "id": 1, "name": "a name that takes some room" },"#.repeat(20_000);
    let service = Scripted::open(&format!("[{}]", items.trim_end_matches(','))).await;
    let (_folder, gateway, _) = warm(&service, "timeouts: { write: 300ms }").await;
    let mut raw = Raw::connect(&gateway).await;
    raw.send(PREFACE).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    let query = br#"{"query":"{ things { name } }"}"#;
    raw.send(&frame(HEADERS, END_HEADERS, 1, POST)).await;
    raw.send(&frame(DATA, END_STREAM, 1, query)).await;
    let read = raw.rest().await;
    assert!(frames(&read).iter().all(|frame| frame.0 != DATA));
    until(|| ended(&gateway)).await;
}
