//! The load generator: a fixed number of connections, each sending its next request when the answer
//! to the last one is complete. Knows nothing of what it loads: any GraphQL server will do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Where this stands in a query, its variables or a header, each request of a varied load gets the
/// next number.
const NUMBER: &str = "{n}";
/// After a failed connection, so that a server that is down is not also flooded.
const RECONNECT_AFTER: Duration = Duration::from_millis(10);

/// A header with [`NUMBER`] perhaps in its value.
pub(crate) type Header = (HeaderName, String);

/// What to send, and how hard.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) url: Uri,
    /// Sent in turn, one per request.
    pub(crate) operations: Vec<Operation>,
    pub(crate) headers: Vec<Header>,
    /// Fill [`NUMBER`] in, counting from 1 to this and again from 1.
    pub(crate) vary: Option<u64>,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) duration: Duration,
}

/// One GraphQL request, before [`NUMBER`] is filled in.
#[derive(Clone)]
pub(crate) struct Operation {
    query: String,
    variables: Option<String>,
}

impl Operation {
    pub(crate) fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            variables: None,
        }
    }

    /// `variables` is a JSON object.
    pub(crate) fn with_variables(self, variables: Option<String>) -> Self {
        Self { variables, ..self }
    }

    /// The same operation with [`NUMBER`] filled in.
    pub(crate) fn numbered(&self, number: u64) -> Self {
        let number = number.to_string();
        let variables = self
            .variables
            .as_ref()
            .map(|text| text.replace(NUMBER, &number));
        Self {
            query: self.query.replace(NUMBER, &number),
            variables,
        }
    }

    fn has_number(&self) -> bool {
        let variables = self.variables.as_deref().unwrap_or_default();
        self.query.contains(NUMBER) || variables.contains(NUMBER)
    }

    fn body(&self) -> String {
        let query = serde_json::Value::from(self.query.as_str());
        match &self.variables {
            Some(variables) => format!("{{\"query\":{query},\"variables\":{variables}}}"),
            None => format!("{{\"query\":{query}}}"),
        }
    }
}

/// What came back.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    /// Complete answers, good or bad.
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Of the answers' bodies.
    pub(crate) bytes: u64,
    /// The first error seen, in words.
    pub(crate) example: Option<String>,
    /// Microseconds, ascending.
    latencies: Vec<u32>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Milliseconds within which `share` of the requests were answered; 0 when none was.
    pub(crate) fn latency(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        self.latencies
            .get(index)
            .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }

    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.bytes += other.bytes;
        self.latencies.extend(other.latencies);
        self.example = self.example.take().or(other.example);
    }

    fn fail(&mut self, example: impl FnOnce() -> String) {
        self.errors += 1;
        self.example.get_or_insert_with(example);
    }
}

/// Runs the whole load and returns when the last answer is in.
pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    let target = Arc::new(Target::new(load)?);
    let started = Instant::now();
    let end = started + load.duration;
    let thread = |index| {
        let share = share_of(load.connections, load.threads, index);
        let target = target.clone();
        thread::spawn(move || drive(target, share, end))
    };
    let threads: Vec<_> = (0..load.threads).map(thread).collect();
    let mut outcome = Outcome::default();
    for thread in threads {
        outcome.merge(
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a load thread panicked"))??,
        );
    }
    outcome.elapsed = started.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

fn share_of(connections: usize, threads: usize, index: usize) -> usize {
    connections / threads + usize::from(index < connections % threads)
}

/// One thread with its own event loop, so that threads share nothing but counters.
fn drive(target: Arc<Target>, connections: usize, end: Instant) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = |_| tokio::spawn(client(target.clone(), end));
        let clients: Vec<_> = (0..connections).map(client).collect();
        let mut outcome = Outcome::default();
        for client in clients {
            outcome.merge(client.await?);
        }
        Ok(outcome)
    })
}

async fn client(target: Arc<Target>, end: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let mut good = Bytes::new();
    while Instant::now() < end {
        match target.connect().await {
            Ok(mut connection) => {
                target
                    .converse(&mut connection, end, &mut good, &mut outcome)
                    .await
            }
            Err(error) => outcome.fail(|| format!("{error:#}")),
        }
        if Instant::now() < end {
            sleep(RECONNECT_AFTER).await;
        }
    }
    outcome
}

/// The server, and everything about a request that is the same for all.
struct Target {
    address: SocketAddr,
    path: Uri,
    headers: HeaderMap,
    varied_headers: Vec<Header>,
    bodies: Vec<Body>,
    numbers: u64,
    sent: AtomicU64,
}

/// A request's body, with [`NUMBER`] still in it when requests differ.
enum Body {
    Same(Bytes),
    Varied(String),
}

impl Target {
    fn new(load: &Load) -> anyhow::Result<Self> {
        let (varied_headers, fixed) = headers_of(load);
        let body = |operation: &Operation| match load.vary.is_some() && operation.has_number() {
            true => Body::Varied(operation.body()),
            false => Body::Same(operation.body().into()),
        };
        Ok(Self {
            address: address(&load.url)?,
            path: load
                .url
                .path_and_query()
                .context("the URL has no path")?
                .as_str()
                .parse()?,
            headers: fixed_headers(&load.url, &fixed)?,
            varied_headers,
            bodies: load.operations.iter().map(body).collect(),
            numbers: load.vary.unwrap_or(1),
            sent: AtomicU64::new(0),
        })
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Requests on one connection until the end, or until the connection is lost.
    async fn converse(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        end: Instant,
        good: &mut Bytes,
        outcome: &mut Outcome,
    ) {
        while Instant::now() < end {
            let started = Instant::now();
            match self.ask(connection).await {
                Ok((status, answer)) => {
                    outcome.latencies.push(started.elapsed().as_micros() as u32);
                    judge(status, answer, good, outcome);
                }
                Err(error) => return outcome.fail(|| format!("{error:#}")),
            }
        }
    }

    async fn ask(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        connection.ready().await?;
        let reply = connection.send_request(self.request()?).await?;
        let status = reply.status();
        Ok((status, reply.into_body().collect().await?.to_bytes()))
    }

    fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let sent = self.sent.fetch_add(1, Relaxed);
        let operations = self.bodies.len() as u64;
        // Each operation counts for itself, so that each meets every number.
        let number = 1 + sent / operations % self.numbers;
        let body = match &self.bodies[(sent % operations) as usize] {
            Body::Same(body) => body.clone(),
            Body::Varied(body) => body.replace(NUMBER, &number.to_string()).into(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in &self.varied_headers {
            let value = value.replace(NUMBER, &number.to_string());
            request
                .headers_mut()
                .insert(name, HeaderValue::try_from(value)?);
        }
        Ok(request)
    }
}

/// The headers that differ between requests, then those that do not. A varied load without any
/// `{n}` gets a header of its own: an identity that no server may share between two callers.
fn headers_of(load: &Load) -> (Vec<Header>, Vec<Header>) {
    let varies = |(_, value): &Header| load.vary.is_some() && value.contains(NUMBER);
    let (mut varied, fixed): (Vec<_>, Vec<_>) = load.headers.iter().cloned().partition(varies);
    if load.vary.is_some()
        && varied.is_empty()
        && !load.operations.iter().any(Operation::has_number)
    {
        varied.push((
            http::header::AUTHORIZATION,
            format!("Bearer bench-{NUMBER}"),
        ));
    }
    (varied, fixed)
}

fn fixed_headers(url: &Uri, given: &[Header]) -> anyhow::Result<HeaderMap> {
    let authority = url.authority().context("the URL has no host")?;
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::new();
    headers.insert(HOST, authority.as_str().parse()?);
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, json);
    for (name, value) in given {
        headers.insert(name, value.parse()?);
    }
    Ok(headers)
}

fn address(url: &Uri) -> anyhow::Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    anyhow::ensure!(
        url.scheme_str() == Some("http"),
        "only http:// URLs can be loaded: {url}"
    );
    let host = url
        .host()
        .context("the URL has no host")?
        .trim_matches(['[', ']']);
    let mut addresses = (host, url.port_u16().unwrap_or(80)).to_socket_addrs()?;
    addresses
        .next()
        .with_context(|| format!("{host} has no address"))
}

/// An answer equal to the last good one is good; any other is searched for errors.
fn judge(status: StatusCode, answer: Bytes, good: &mut Bytes, outcome: &mut Outcome) {
    outcome.requests += 1;
    outcome.bytes += answer.len() as u64;
    if status != StatusCode::OK || (answer != *good && has_errors(&answer)) {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
        outcome.fail(|| format!("{status}: {start}"));
    } else {
        *good = answer;
    }
}

fn has_errors(answer: &[u8]) -> bool {
    const KEY: &[u8] = b"\"errors\"";
    answer.is_empty() || answer.windows(KEY.len()).any(|window| window == KEY)
}

/// One request outside any load: the body of its answer, whatever the status.
pub(crate) fn fetch(url: &Uri, operation: Option<&Operation>) -> anyhow::Result<Bytes> {
    let load = Load {
        url: url.clone(),
        operations: vec![operation.cloned().unwrap_or_else(|| Operation::new(""))],
        headers: Vec::new(),
        vary: None,
        connections: 1,
        threads: 1,
        duration: Duration::ZERO,
    };
    let target = Target::new(&load)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connection = target.connect().await?;
        let mut request = target.request()?;
        if operation.is_none() {
            *request.method_mut() = Method::GET;
            *request.body_mut() = Full::default();
        }
        Ok(connection
            .send_request(request)
            .await?
            .into_body()
            .collect()
            .await?
            .to_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(operation: Operation, vary: Option<u64>) -> Load {
        Load {
            url: Uri::from_static("http://127.0.0.1:1/graphql"),
            operations: vec![operation],
            headers: Vec::new(),
            vary,
            connections: 1,
            threads: 1,
            duration: Duration::ZERO,
        }
    }

    fn two_requests(load: &Load) -> [Request<Full<Bytes>>; 2] {
        let target = Target::new(load).expect("a loadable URL");
        [(); 2].map(|()| target.request().expect("a request"))
    }

    async fn text(request: Request<Full<Bytes>>) -> Bytes {
        request
            .into_body()
            .collect()
            .await
            .expect("a body in memory")
            .to_bytes()
    }

    #[test]
    fn a_varied_load_without_a_placeholder_gives_each_request_an_identity() {
        let [first, second] = two_requests(&load(Operation::new("{ a }"), Some(9)));
        assert_ne!(
            first.headers()["authorization"],
            second.headers()["authorization"]
        );
    }

    #[tokio::test]
    async fn a_placeholder_in_the_variables_differs_between_requests() {
        let operation = Operation::new("{ a }").with_variables(Some("{\"id\":{n}}".into()));
        let [first, second] = two_requests(&load(operation, Some(9)));
        assert!(!first.headers().contains_key("authorization"));
        assert_eq!(
            text(first).await,
            "{\"query\":\"{ a }\",\"variables\":{\"id\":1}}"
        );
        assert_eq!(
            text(second).await,
            "{\"query\":\"{ a }\",\"variables\":{\"id\":2}}"
        );
    }

    #[test]
    fn an_unvaried_load_sends_the_same_request_every_time() {
        let [first, second] = two_requests(&load(Operation::new("{ a }"), None));
        assert_eq!(first.headers(), second.headers());
    }

    #[tokio::test]
    async fn numbers_begin_again_at_their_end() {
        let [first, second] = two_requests(&load(Operation::new("{n}"), Some(1)));
        assert_eq!(text(first).await, text(second).await);
    }

    #[test]
    fn errors_are_found_anywhere_in_a_new_answer() {
        let mut outcome = Outcome::default();
        let mut good = Bytes::new();
        let judged = [
            r#"{"data":{}}"#,
            r#"{"data":{}}"#,
            r#"{"data":null,"errors":[]}"#,
            "",
        ];
        for answer in judged {
            judge(StatusCode::OK, answer.into(), &mut good, &mut outcome);
        }
        judge(
            StatusCode::BAD_GATEWAY,
            r#"{"data":{}}"#.into(),
            &mut good,
            &mut outcome,
        );
        assert_eq!((outcome.requests, outcome.errors), (5, 3));
    }

    #[test]
    fn percentiles_are_taken_from_the_sorted_latencies() {
        let outcome = Outcome {
            latencies: (1..=101).map(|n| n * 1000).collect(),
            ..Outcome::default()
        };
        let at = [0.0, 0.5, 0.99, 1.0].map(|share| outcome.latency(share));
        assert_eq!(at, [1.0, 51.0, 100.0, 101.0]);
    }

    #[test]
    fn connections_are_spread_over_all_threads() {
        assert_eq!([0, 1, 2].map(|index| share_of(8, 3, index)), [3, 3, 2]);
    }
}
