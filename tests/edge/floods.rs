//! HTTP/2 clients that break the rules to keep the gateway busy, written by hand, frame by frame.
//!
//! Each test says what of the flood is refused and how: a code of GOAWAY or RST_STREAM, a status, or the
//! end of the connection. An honest client on a connection of its own is answered meanwhile and afterwards,
//! and what the process holds has hardly grown.

use std::time::Duration;

use tokio::time::Instant;

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
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:method: GET`, `:scheme: http`, `:path: /`, from the static table.
const GET: &[u8] = b"\x82\x86\x84";
/// `:method: POST`, `:scheme: http`, `:path: /graphql`, `content-type: application/json`.
const POST: &[u8] = b"\x83\x86\x04\x08/graphql\x0f\x10\x10application/json";
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
/// 431 and 408 as they are written after the name of a header, in Huffman's code.
const STATUS_431: &[u8] = b"\x83\x69\x90\xff";
const STATUS_408: &[u8] = b"\x83\x68\x0f\x7f";
/// Generous: the binary under test is not optimised, and tests run beside each other.
const HONEST: Duration = Duration::from_secs(5);

async fn gateway(service: &Scripted, config: &str) -> (Folder, Gateway) {
    // A line for each frame would be more work than the flood.
    let log = "log: { level: \"warn,switchboard=debug\" }";
    let folder = service.folder(&format!("{log}\n{config}"));
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

/// A frame that was read.
#[derive(Debug)]
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// Of GOAWAY and RST_STREAM.
    fn code(&self) -> Option<u32> {
        match self.kind {
            GOAWAY => Some(number(&self.payload[4..8])),
            RST_STREAM => Some(number(&self.payload)),
            _ => None,
        }
    }

    fn holds(&self, text: &[u8]) -> bool {
        self.payload.windows(text.len()).any(|part| part == text)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte))
}

/// What was read, but for a frame that was cut off.
fn frames(mut read: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = read.split_at_checked(9) {
        let Some((payload, rest)) = rest.split_at_checked(number(&head[..3]) as usize) else {
            break;
        };
        frames.push(Frame {
            kind: head[3],
            stream: number(&head[5..9]),
            payload: payload.to_vec(),
        });
        read = rest;
    }
    frames
}

/// That the last thing said was GOAWAY with this code.
#[track_caller]
fn assert_goes_away(read: &[u8], code: u32) {
    let told = frames(read);
    let last = told.last().expect("something was said");
    assert_eq!((last.kind, last.code()), (GOAWAY, Some(code)), "{told:?}");
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
    is_answered(gateway).await;
    let grown = most_memory(gateway).saturating_sub(before);
    assert!(grown < 16 * 1024, "it grew by {grown} KiB");
}

/// An honest client, over a connection of its own.
async fn is_answered(gateway: &Gateway) {
    let begun = Instant::now();
    let answer = gateway.ask("{ __typename }").await;
    assert_eq!(answer["data"]["__typename"], "Query");
    assert!(begun.elapsed() < HONEST, "{:?}", begun.elapsed());
}

/// Runs a flood while an honest client asks again and again, and is answered each time.
async fn beside_honest<T>(gateway: &Gateway, flood: impl Future<Output = T>) -> T {
    let honest = async {
        for _ in 0..10 {
            is_answered(gateway).await;
        }
    };
    tokio::join!(flood, honest).0
}

/// Waits until so many connections were given up, with these words in the log.
async fn given_up(gateway: &Gateway, words: &str, times: usize) {
    until(|| gateway.log().matches(words).count() >= times).await;
}

/// Of a client that takes no answers.
const CUT: &str = "a connection was cut: the client kept us waiting";

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
    let read = beside_honest(&gateway, async {
        raw.send(&flood).await;
        raw.rest().await
    });
    assert_goes_away(&read.await, ENHANCE_YOUR_CALM);
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn headers_in_more_frames_than_they_need_end_the_connection() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "").await;
    let mut raw = connect(&gateway).await;
    let mut flood = frame(HEADERS, END_STREAM, 1, GET);
    flood.extend(frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b").repeat(20));
    let read = beside_honest(&gateway, async {
        raw.send(&flood).await;
        raw.rest().await
    });
    assert_goes_away(&read.await, ENHANCE_YOUR_CALM);
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn who_goes_on_with_headers_all_the_same_finds_the_connection_closed() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "").await;
    let mut raw = connect(&gateway).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    let more = frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b").repeat(100);
    let taken = beside_honest(&gateway, async {
        let mut taken = 0;
        while raw.send(&more).await {
            taken += more.len();
        }
        taken
    });
    // What the system takes in before anybody reads it, and no more.
    let taken = taken.await;
    assert!(taken < 16 << 20, "{taken} bytes were taken");
    given_up(&gateway, "a connection ended early", 1).await;
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn answers_to_pings_and_settings_do_not_pile_up() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "timeouts: { write: 300ms }").await;
    let floods = [
        (PING, frame(PING, 0, 0, &[0; 8])),
        (SETTINGS, frame(SETTINGS, 0, 0, &[])),
    ];
    for (number, (kind, one)) in floods.into_iter().enumerate() {
        let mut raw = connect(&gateway).await;
        let flood = one.repeat(1_000);
        // Nothing is read: sooner or later nothing is taken any more, and the connection is cut.
        beside_honest(&gateway, async { while raw.send(&flood).await {} }).await;
        given_up(&gateway, CUT, number + 1).await;
        let told = frames(&raw.rest().await);
        let fitting = |frame: &Frame| [SETTINGS, WINDOW_UPDATE, kind].contains(&frame.kind);
        assert!(told.iter().all(fitting), "only answers: {told:?}");
        unharmed(&gateway, before).await;
    }
}

#[tokio::test]
async fn a_list_of_headers_above_the_limit_is_refused() {
    let service = Scripted::open("{}").await;
    let (_folder, gateway, before) = warm(&service, "").await;
    let mut raw = connect(&gateway).await;
    let mut header = b"\x00\x01a\x7f\xa1\x76".to_vec();
    header.extend([b'x'; 15_264]);
    let mut flood = frame(HEADERS, END_STREAM, 1, &[GET, &header].concat());
    for _ in 0..3 {
        flood.extend(frame(CONTINUATION, 0, 1, &header));
    }
    flood.extend(frame(CONTINUATION, END_HEADERS, 1, &header));
    flood.extend(frame(GOAWAY, 0, 0, &[0; 8]));
    let read = beside_honest(&gateway, async {
        raw.send(&flood).await;
        raw.rest().await
    });
    let told = frames(&read.await);
    let answers: Vec<_> = told.iter().filter(|frame| frame.stream == 1).collect();
    let [answer] = answers[..] else {
        panic!("one frame of headers and nothing else: {told:?}")
    };
    assert!(
        answer.kind == HEADERS && answer.holds(STATUS_431),
        "{told:?}"
    );
    unharmed(&gateway, before).await;
}

#[tokio::test]
async fn more_streams_than_one_connection_may_have_are_refused() {
    let service = Scripted::open("{}").await;
    let config = "timeouts: { body: 2s, idle: 2s, write: 2s }";
    let (_folder, gateway, before) = warm(&service, config).await;
    let mut raw = connect(&gateway).await;
    let mut flood = Vec::new();
    for stream in (1..=601).step_by(2) {
        // Requests whose bodies do not come.
        flood.extend(frame(HEADERS, END_HEADERS, stream, POST));
    }
    flood.extend(frame(GOAWAY, 0, 0, &[0; 8]));
    let read = beside_honest(&gateway, async {
        raw.send(&flood).await;
        raw.rest().await
    });
    let told = frames(&read.await);
    let refused = told
        .iter()
        .filter(|frame| frame.code() == Some(REFUSED_STREAM));
    let refused: Vec<u32> = refused.map(|frame| frame.stream).collect();
    let late: Vec<u32> = (501..=601).step_by(2).collect();
    assert_eq!(refused, late, "250 have room, and the others none");
    let answered = told.iter().filter(|frame| frame.kind == HEADERS);
    let answered: Vec<_> = answered.collect();
    assert_eq!(answered.len(), 250);
    // The others refer to the first.
    assert!(answered[0].holds(STATUS_408), "{:?}", answered[0]);
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
    let told = frames(&beside_honest(&gateway, raw.rest()).await);
    let answered = |frame: &&Frame| frame.kind == HEADERS && frame.stream == 1;
    assert_eq!(told.iter().filter(answered).count(), 1, "{told:?}");
    assert!(told.iter().all(|frame| frame.kind != DATA), "{told:?}");
    given_up(&gateway, CUT, 1).await;
    is_answered(&gateway).await;
}
