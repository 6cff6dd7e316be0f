//! One running service: its listener, the door that every request passes, the control routes, the stop.
//!
//! Knows no service's data. Fault injection and counting live here so that no handler has to think of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use bytes::Bytes;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time};

use crate::{
    faults::{FaultSwitch, Faults, Outcome},
    misbehave,
    stats::{Snapshot, Stats},
};

/// How long open requests may finish after the stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A service that is listening. Dropping it begins the stop without waiting for it.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    address: SocketAddr,
    door: Arc<Door>,
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// The service's name: `users`, `products`, ...
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens; the port is the real one even if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as `http://127.0.0.1:4101`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The count of its requests.
    pub fn stats(&self) -> &Stats {
        &self.door.stats
    }

    /// The switch for its faults.
    pub fn faults(&self) -> &FaultSwitch {
        &self.door.faults
    }

    /// Stops listening, lets open requests finish for up to five seconds, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if time::timeout(DRAIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Which protocol a service speaks, and so how its failures look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rest,
    Grpc,
}

#[derive(Debug)]
struct Door {
    name: &'static str,
    protocol: Protocol,
    stats: Stats,
    faults: FaultSwitch,
    stopping: watch::Receiver<bool>,
}

/// Serves `routes` with the door in front and the control routes beside it, on one port for HTTP/1.1 and HTTP/2.
pub(crate) fn start(
    name: &'static str,
    protocol: Protocol,
    routes: Router,
    listener: TcpListener,
    faults: Faults,
) -> io::Result<Running> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let faults = FaultSwitch::new(faults);
    let door = Arc::new(Door {
        name,
        protocol,
        stats: Stats::default(),
        faults,
        stopping: stopping.clone(),
    });
    // Small replies must not wait for Nagle's algorithm.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let server =
        axum::serve(listener, behind_door(routes, &door)).with_graceful_shutdown(stopped(stopping));
    let task = tokio::spawn(server.into_future());
    Ok(Running {
        name,
        address,
        door,
        stop,
        task,
    })
}

/// Ends at the stop, or when nobody is left who could call it.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    stopping.wait_for(|stop| *stop).await.ok();
}

fn behind_door(routes: Router, door: &Arc<Door>) -> Router {
    let control = Router::new()
        .route(
            "/__faults",
            get(show_faults).put(set_faults).delete(reset_faults),
        )
        .route("/__stats", get(show_stats).delete(reset_stats))
        .with_state(Arc::clone(door));
    routes
        .layer(from_fn_with_state(Arc::clone(door), pass))
        .merge(control)
}

async fn pass(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    door.record(&request);
    let latency = door.faults.get().latency();
    if !latency.is_zero() {
        time::sleep(latency).await;
    }
    match door.faults.roll() {
        Outcome::Answer => next.run(request).await,
        Outcome::Fail => misbehave::fail(door.protocol),
        Outcome::Hang => door.hang().await,
        Outcome::Malform => misbehave::malform(door.protocol),
        Outcome::Truncate => misbehave::truncate(door.protocol, next.run(request).await).await,
    }
}

impl Door {
    fn record(&self, request: &Request) {
        let id = correlation_id(request.headers());
        self.stats.record(id);
        tracing::info!(service = self.name, method = %request.method(), uri = %request.uri(), correlation_id = id);
    }

    /// Answers only when the service stops, so that a stop does not wait for those who hang.
    async fn hang(&self) -> Response {
        stopped(self.stopping.clone()).await;
        misbehave::fail(self.protocol)
    }
}

fn correlation_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-correlation-id")?.to_str().ok()
}

async fn show_faults(State(door): State<Arc<Door>>) -> Json<Faults> {
    Json(door.faults.get())
}

async fn set_faults(State(door): State<Arc<Door>>, body: Bytes) -> Response {
    match serde_json::from_slice(&body)
        .map_err(|error| error.to_string())
        .and_then(Faults::validated)
    {
        Ok(faults) => {
            door.faults.set(faults);
            Json(faults).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, reason).into_response(),
    }
}

async fn reset_faults(State(door): State<Arc<Door>>) -> StatusCode {
    door.faults.set(Faults::NONE);
    StatusCode::NO_CONTENT
}

async fn show_stats(State(door): State<Arc<Door>>) -> Json<Snapshot> {
    Json(door.stats.snapshot())
}

async fn reset_stats(State(door): State<Arc<Door>>) -> StatusCode {
    door.stats.reset();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    async fn running(faults: Faults) -> Running {
        let routes = Router::new().route("/ping", get(|| async { Json([1, 2, 3, 4]) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        start("ping", Protocol::Rest, routes, listener, faults).unwrap()
    }

    /// Sends one request on a connection of its own and reads until the service closes it.
    async fn send(
        service: &Running,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> String {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    async fn ping(service: &Running) -> String {
        send(service, "GET", "/ping", "", "").await
    }

    #[tokio::test]
    async fn requests_and_their_correlation_ids_are_counted() {
        let service = running(Faults::NONE).await;
        send(&service, "GET", "/ping", "x-correlation-id: abc\r\n", "").await;
        let stats = send(&service, "GET", "/__stats", "", "").await;
        assert!(
            stats.ends_with(r#"{"requests":1,"last_correlation_id":"abc"}"#),
            "{stats}"
        );
        ping(&service).await;
        assert_eq!(
            service.stats().snapshot(),
            Snapshot {
                requests: 2,
                last_correlation_id: None
            }
        );
        send(&service, "DELETE", "/__stats", "", "").await;
        assert_eq!(service.stats().snapshot().requests, 0);
    }

    #[tokio::test]
    async fn faults_change_while_the_service_runs() {
        let service = running(Faults::NONE).await;
        assert!(ping(&service).await.starts_with("HTTP/1.1 200"));
        let set = send(&service, "PUT", "/__faults", "", r#"{"error_rate":1}"#).await;
        assert!(set.starts_with("HTTP/1.1 200"), "{set}");
        assert!(ping(&service).await.starts_with("HTTP/1.1 503"));
        let shown = send(&service, "GET", "/__faults", "", "").await;
        assert!(shown.contains(r#""error_rate":1.0"#), "{shown}");
        send(&service, "DELETE", "/__faults", "", "").await;
        assert!(ping(&service).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn faults_that_mean_nothing_are_refused() {
        let service = running(Faults::NONE).await;
        for body in [r#"{"error_rate":2}"#, r#"{"speed":1}"#, "{"] {
            let reply = send(&service, "PUT", "/__faults", "", body).await;
            assert!(reply.starts_with("HTTP/1.1 400"), "{body}: {reply}");
        }
        assert_eq!(service.faults().get(), Faults::NONE);
    }

    #[tokio::test]
    async fn a_truncated_reply_is_shorter_than_it_says() {
        let service = running(Faults {
            truncate_rate: 1.0,
            ..Faults::NONE
        })
        .await;
        let reply = ping(&service).await;
        assert!(reply.contains("content-length: 9\r\n"), "{reply}");
        assert!(reply.ends_with("\r\n\r\n[1,2"), "{reply}");
    }

    #[tokio::test]
    async fn a_malformed_reply_claims_success() {
        let service = running(Faults {
            malformed_rate: 1.0,
            ..Faults::NONE
        })
        .await;
        let replies = [ping(&service).await, ping(&service).await];
        assert!(
            replies
                .iter()
                .all(|reply| reply.starts_with("HTTP/1.1 200"))
        );
        assert!(replies.iter().all(|reply| !reply.ends_with("[1,2,3,4]")));
    }

    #[tokio::test]
    async fn a_stop_releases_those_who_hang() {
        let service = running(Faults {
            hang_rate: 1.0,
            ..Faults::NONE
        })
        .await;
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        stream
            .write_all(b"GET /ping HTTP/1.1\r\nhost: test\r\n\r\n")
            .await
            .unwrap();
        while service.stats().snapshot().requests == 0 {
            tokio::task::yield_now().await;
        }
        service.stop().await;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
    }

    #[tokio::test]
    async fn a_stopped_service_no_longer_listens() {
        let service = running(Faults::NONE).await;
        let address = service.address();
        service.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn latency_comes_before_the_answer() {
        let service = running(Faults {
            latency_ms: 90_000,
            ..Faults::NONE
        })
        .await;
        let before = time::Instant::now();
        assert!(ping(&service).await.starts_with("HTTP/1.1 200"));
        assert!(before.elapsed() >= Duration::from_secs(90));
    }
}
