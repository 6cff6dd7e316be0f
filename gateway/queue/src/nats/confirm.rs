//! What a server's monitoring says of its disk.
//!
//! Owns one question: whether `sync_interval: always` is set where the operator
//! says so. Monitoring speaks plain HTTP inside the operator's network.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How long the answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of an answer, at most.
const LARGEST: u64 = 1 << 20;

#[derive(Deserialize)]
struct Varz {
    jetstream: Option<JetStream>,
}

#[derive(Deserialize)]
struct JetStream {
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    sync_always: bool,
}

/// Whether the server behind a monitoring address writes to its disk before it acknowledges.
///
/// # Errors
/// Says what is wrong and what to change.
pub(super) async fn confirm(url: &str) -> Result<(), String> {
    let asked = tokio::time::timeout(ANSWER, ask(url)).await;
    let body = asked
        .map_err(|_| format!("{url} does not answer"))?
        .map_err(|error| format!("{url}: {error}"))?;
    let varz: Varz = serde_json::from_slice(&body)
        .map_err(|error| format!("{url}/varz is not a NATS server's answer: {error}"))?;
    let config = varz.jetstream.and_then(|jetstream| jetstream.config);
    match config {
        Some(Config { sync_always: true }) => Ok(()),
        Some(_) => Err(format!(
            "{url} says that sync_interval is not \"always\": set it in the server's jetstream block (2.10 or later), run three replicas, or declare durability: relaxed"
        )),
        None => Err(format!("{url} says that JetStream is off")),
    }
}

async fn ask(url: &str) -> Result<Vec<u8>, String> {
    let host = url
        .strip_prefix("http://")
        .ok_or("monitoring addresses begin with http://")?
        .trim_end_matches('/');
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(host).await.map_err(failed)?;
    let request = format!("GET /varz HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream
        .take(LARGEST)
        .read_to_end(&mut answer)
        .await
        .map_err(failed)?;
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .ok_or("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    match head.split(' ').nth(1) {
        Some("200") => Ok(answer.split_off(end + 4)),
        _ => Err(format!(
            "it answers {}",
            head.lines().next().unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server whose monitoring says this, once; its address.
    async fn monitoring(body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /varz HTTP/1.0\r\n"));
            let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn the_server_confirms_what_the_operator_says_or_does_not() {
        let always =
            r#"{"jetstream":{"config":{"sync_interval":120000000000,"sync_always":true}}}"#;
        assert_eq!(confirm(&monitoring(always).await).await, Ok(()));
        let later = r#"{"jetstream":{"config":{"sync_interval":120000000000}}}"#;
        let error = confirm(&monitoring(later).await).await.unwrap_err();
        assert!(error.contains("is not \"always\""), "{error}");
        let off = confirm(&monitoring("{}").await).await.unwrap_err();
        assert!(off.contains("JetStream is off"), "{off}");
        let other = confirm(&monitoring("<html>").await).await.unwrap_err();
        assert!(other.contains("is not a NATS server's answer"), "{other}");
        let https = confirm("https://127.0.0.1").await.unwrap_err();
        assert!(https.contains("begin with http://"), "{https}");
    }
}
