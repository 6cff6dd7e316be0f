//! Honest inputs, changed at random: whatever becomes of them, the real binary answers each, in time and in
//! bounded memory, and never by failing itself.
//!
//! The changes are the same in every run. `SWITCHBOARD_MUTATIONS=100000 cargo test -p switchboard-tests --test it
//! mutations` makes more of them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use futures_util::stream;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::timeout;

use super::binary::Gateway;
use super::floods::most_memory;
use super::identity::ISSUERS;
use super::scripted::Scripted;
use super::websocket::Came;
use super::websocket::WebSocket;

/// Inputs of each kind, unless the environment says otherwise.
const INPUTS: usize = 600;
/// At a time.
const AT_ONCE: usize = 4;
/// Generous: the binary under test is not optimised, and tests run beside each other.
const TIME: Duration = Duration::from_secs(10);
/// All inputs of one kind together, in KiB.
const MEMORY: u64 = 96 * 1024;
/// Longer inputs are cut.
const LONGEST: usize = 32 * 1024;

/// Makes inputs from honest ones.
struct Mutator {
    rng: StdRng,
    seeds: Vec<Vec<u8>>,
}

/// What parsers trip over.
const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\"\"\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    ":",
    ",",
    "$",
    "!",
    "@",
    "@skip(if: true)",
    "@include(if: $x)",
    "...",
    "... on Query",
    "fragment F on Query { ...F }",
    "query",
    "mutation",
    "subscription",
    "__typename",
    "__schema { types { name } }",
    "null",
    "true",
    "0",
    "-0",
    "-",
    "1e999",
    "1E-999",
    "9223372036854775808",
    "18446744073709551616",
    "NaN",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "#",
    "\n",
    "\u{10ffff}",
    "é",
];

impl Mutator {
    fn new(seeds: &[impl AsRef<[u8]>]) -> Self {
        Self {
            rng: StdRng::seed_from_u64(7),
            seeds: seeds.iter().map(|seed| seed.as_ref().to_vec()).collect(),
        }
    }

    /// The next input.
    fn input(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..self.rng.random_range(1..=4) {
            input = self.changed(input);
        }
        input.truncate(LONGEST);
        input
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.input()).into_owned()
    }

    fn inputs(&mut self) -> Vec<Vec<u8>> {
        (0..wanted()).map(|_| self.input()).collect()
    }

    fn seed(&mut self) -> Vec<u8> {
        let seed = self.seeds.choose(&mut self.rng);
        seed.expect("there are seeds").clone()
    }

    fn changed(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let (from, to) = self.part(&input);
        match self.rng.random_range(0..8) {
            0 => drop(input.drain(from..to)),
            1 => {
                let times = *[2, 3, 60, 300].choose(&mut self.rng).expect("a number");
                let repeated = input[from..to].repeat(times);
                input.splice(from..to, repeated);
            }
            2 => {
                let word = self.word();
                input.splice(from..from, word);
            }
            3 => {
                let word = self.word();
                input.splice(from..to, word);
            }
            4 => {
                let other = self.seed();
                let (start, end) = self.part(&other);
                input.splice(from..to, other[start..end].to_vec());
            }
            5 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1 << self.rng.random_range(0..8);
                }
            }
            6 => input.truncate(from),
            _ => {
                let deep = self.rng.random_range(1..300);
                let brackets = ["{}", "[]", "()"].choose(&mut self.rng).expect("a pair");
                input.splice(to..to, brackets[1..].repeat(deep).into_bytes());
                input.splice(from..from, brackets[..1].repeat(deep).into_bytes());
            }
        }
        input
    }

    fn word(&mut self) -> Vec<u8> {
        let word = WORDS.choose(&mut self.rng).expect("there are words");
        word.as_bytes().to_vec()
    }

    /// A stretch of it: mostly whole words.
    fn part(&mut self, input: &[u8]) -> (usize, usize) {
        let mut from = self.rng.random_range(0..=input.len());
        let length = *[0, 1, 4, 20].choose(&mut self.rng).expect("a length");
        let mut to = (from + length).min(input.len());
        let inside = |at: usize| {
            let letter = |at: usize| input.get(at).is_some_and(u8::is_ascii_alphanumeric);
            at > 0 && letter(at - 1) && letter(at)
        };
        if self.rng.random_bool(0.7) {
            while inside(from) {
                from -= 1;
            }
            while inside(to) {
                to += 1;
            }
        }
        (from, to)
    }
}

fn wanted() -> usize {
    crate::rounds("SWITCHBOARD_MUTATIONS", INPUTS)
}

/// Sends all, some at a time. What is answered is judged; then the gateway is as it was. How many were granted.
async fn survives(
    gateway: &Gateway,
    inputs: Vec<Vec<u8>>,
    send: impl AsyncFn(&[u8]) -> (u16, String),
) -> usize {
    gateway.ask("{ __typename }").await;
    let before = most_memory(gateway);
    let send = &send;
    let all = stream::iter(inputs).map(|input| async move {
        let told = String::from_utf8_lossy(&input).into_owned();
        let answer = timeout(TIME, send(&input)).await;
        let (status, body) = answer.unwrap_or_else(|_| panic!("no answer to {told}"));
        assert!((200..500).contains(&status), "{status} {body}\n to {told}");
        let json: Result<Json, _> = serde_json::from_str(&body);
        assert!(json.is_ok_and(|json| !json.is_null()), "{body}\n to {told}");
        usize::from(status == 200)
    });
    let granted = all.buffer_unordered(AT_ONCE);
    let granted = granted.fold(0, async |sum, granted| sum + granted).await;
    unharmed(gateway, before).await;
    granted
}

/// That inputs are neither all honest nor all nonsense.
fn is_mixed(granted: usize, of: usize) {
    assert!(
        (of / 50..of - of / 50).contains(&granted),
        "{granted} of {of}"
    );
}

async fn unharmed(gateway: &Gateway, before: u64) {
    let honest = gateway.ask("{ __typename }").await;
    assert_eq!(honest["data"]["__typename"], "Query");
    let grown = most_memory(gateway).saturating_sub(before);
    assert!(grown < MEMORY, "it grew by {grown} KiB");
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

const BODIES: [&str; 6] = [
    r#"{"query":"query Q($id: ID!) { thing(id: $id) { name } }","variables":{"id":"1"},"operationName":"Q"}"#,
    r#"{"query":"{ thing(id: 1) { id name } things { ...T } } fragment T on Thing { id }","extensions":{"cost":true}}"#,
    r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"}},"query":"{ __typename }"}"#,
    r#"{"documentId":"a","variables":{"a":[1,2.5,{"b":null}],"c":"\u00e9\n"}}"#,
    r#"[{"query":"{ a: __typename }"},{"query":"mutation { rename(id: 1, name: \"x\") { id } }"}]"#,
    r#"{"query":"{ thing(id: \"\"\"block\"\"\") { name @include(if: true) } }","doc_id":7,"id":null}"#,
];

const DOCUMENTS: [&str; 5] = [
    "query Q($id: ID! = 1, $on: Boolean = true) { thing(id: $id) { id name @include(if: $on) } }",
    "{ a: thing(id: 1) { ...F } b: things { ... on Thing { id ...F } } } fragment F on Thing { name __typename }",
    "mutation M { a: rename(id: 1, name: \"one\") { id } b: rename(id: \"2\", name: \"\"\"two\"\"\") { name } }",
    "{ __schema { queryType { name fields { name args { name defaultValue } } } } __type(name: \"Thing\") { kind } }",
    "query A { count } query B { count } subscription S { none }",
];

#[tokio::test]
async fn bodies_are_answered_or_refused() {
    let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let folder = service.folder("batching: { enabled: true }");
    let gateway = service.gateway(&folder).await;
    let mut inputs = Mutator::new(&BODIES).inputs();
    let mut documents = Mutator::new(&DOCUMENTS);
    inputs.extend((0..wanted()).map(|_| {
        let body = json!({ "query": documents.text(), "variables": { "id": "1" } });
        body.to_string().into_bytes()
    }));
    let honest = gateway.post(&json!({}));
    let of = inputs.len();
    let granted = survives(&gateway, inputs, async |input| {
        let request = honest.try_clone().expect("a request");
        answer(request.body(input.to_vec())).await
    });
    is_mixed(granted.await, of);
}

#[tokio::test]
async fn query_strings_are_answered_or_refused() {
    let service = Scripted::open("{}").await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    let seeds = [
        "query=%7B__typename%7D&operationName=A&variables=%7B%22a%22%3A1%7D",
        "query=query+A%28%24a%3A+Int%29%7Bcount%7D&extensions=%7B%22persistedQuery%22%3A%7B%22version%22%3A1%7D%7D",
        "documentId=a&id=b&doc_id=c&variables=",
    ];
    let inputs = Mutator::new(&seeds).inputs();
    let of = inputs.len();
    let granted = survives(&gateway, inputs, async |input| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%&=+-._~".contains(byte);
        let query: String = input
            .iter()
            .map(|byte| match plain(byte) {
                true => char::from(*byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect();
        let asked = gateway.request(&format!("{}?{query}", gateway.url));
        let asked = asked.header("accept", "application/graphql-response+json");
        answer(asked.header("graphql-require-preflight", "1")).await
    });
    is_mixed(granted.await, of);
}

#[tokio::test]
async fn no_token_that_was_changed_after_it_was_signed_lets_anybody_in() {
    let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let (_folder, gateway) = super::identity::two_issuers(&service, "").await;
    let tokens = ISSUERS.map(|issuer| issuer.token("alice"));
    let mut inputs = Mutator::new(&tokens).inputs();
    let part = |token: &str, at: usize| {
        let part = token.split('.').nth(at).expect("three parts");
        URL_SAFE_NO_PAD.decode(part).expect("base64")
    };
    // What stands inside, changed and put back.
    for at in [0, 1] {
        let mut inside = Mutator::new(&tokens.each_ref().map(|token| part(token, at)));
        inputs.extend((0..wanted() / 2).map(|_| {
            let mut parts: Vec<String> = tokens[0].split('.').map(str::to_owned).collect();
            parts[at] = URL_SAFE_NO_PAD.encode(inside.input());
            parts.join(".").into_bytes()
        }));
    }
    inputs.retain(|input| tokens.iter().all(|token| token.as_bytes() != input));
    let query = json!({ "query": "{ mine { name } }" });
    survives(&gateway, inputs, async |input| {
        let text: String = input.iter().map(|byte| char::from(byte & 0x7f)).collect();
        let text = text.replace(|letter: char| letter.is_ascii_control(), " ");
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let asked = gateway.post(&query).bearer_auth(words.join(" "));
        let (status, body) = answer(asked).await;
        let honest = tokens.iter().any(|token| words == [token.as_str()]);
        // More than the edge takes as a header is refused before anybody looks.
        assert!(
            honest || [401, 431].contains(&status),
            "{status} {body} {text}"
        );
        (status, body)
    })
    .await;
}

#[tokio::test]
async fn messages_of_sockets_are_answered_or_close_the_socket() {
    let service = Scripted::open(r#"{ "id": 1, "name": "one" }"#).await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    gateway.ask("{ __typename }").await;
    let before = most_memory(&gateway);
    let mut messages = Mutator::new(&[
        r#"{"id":"1","type":"subscribe","payload":{"query":"{ thing(id: 1) { name } }","variables":{"a":[1]}}}"#,
        r#"{"id":"1","type":"complete"}"#,
        r#"{"type":"connection_init","payload":{"authorization":"Bearer x","headers":{"x-api-key":"k"}}}"#,
        r#"{"type":"pong","payload":null}"#,
        r#"{"id":"2","type":"start","payload":{"query":"{ __typename }","operationName":null}}"#,
    ]);
    let mut socket = WebSocket::ready(&gateway).await;
    for _ in 0..wanted() {
        let message = messages.text();
        socket.say_text(&message).await;
        socket.say(&json!({ "type": "ping" })).await;
        if !is_open(&mut socket, &message).await {
            socket = WebSocket::ready(&gateway).await;
        }
    }
    unharmed(&gateway, before).await;
}

/// Whether the socket still answers a ping; if not, it was closed with a code.
async fn is_open(socket: &mut WebSocket, message: &str) -> bool {
    loop {
        let came = timeout(TIME, socket.next()).await;
        match came.unwrap_or_else(|_| panic!("no answer to {message}")) {
            Came::Message(told) if told["type"] == "pong" => return true,
            Came::Message(_) => {}
            Came::Closed(code, _) => {
                let known = (4400..4500).contains(&code) || [1000, 1009].contains(&code);
                assert!(known, "{code} after {message}");
                return false;
            }
            Came::Lost => panic!("lost after {message}"),
        }
    }
}

#[tokio::test]
async fn replies_of_services_become_data_or_errors() {
    let service = Scripted::open("{}").await;
    let folder = service.folder("");
    let gateway = service.gateway(&folder).await;
    let seeds = [
        r#"{ "id": 1, "name": "one", "more": { "a": [1, -2.5e3, true, null], "b": "\u00e9\n" } }"#,
        r#"[{ "id": "1", "name": null }, { "id": 9007199254740993, "name": "two" }, null]"#,
        r#"{ "type": "about:blank", "title": "No", "detail": "not \"here\"", "errors": [{ "message": "x" }] }"#,
    ];
    let inputs = Mutator::new(&seeds).inputs();
    let asked = [
        "{ thing(id: 1) { id name } }",
        "{ things { name id } }",
        "{ count }",
    ];
    gateway.ask("{ __typename }").await;
    let before = most_memory(&gateway);
    for (number, input) in inputs.iter().enumerate() {
        let reply = String::from_utf8_lossy(input);
        let (status, media) = match number % 5 {
            0 => (404, "application/problem+json"),
            _ => (200, "application/json"),
        };
        service.reply(status, media, &reply);
        let told = timeout(TIME, gateway.ask(asked[number % 3])).await;
        let told = told.unwrap_or_else(|_| panic!("no answer over {reply}"));
        assert!(told.get("data").is_some(), "{told} over {reply}");
    }
    unharmed(&gateway, before).await;
}
