//! A service that does exactly what a test says: it holds requests until they
//! are released, and remembers the headers they came with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use super::binary::Folder;
use super::binary::Gateway;

/// A running scripted service.
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    script: Script,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

/// A request as it arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) target: String,
    pub(super) headers: HeaderMap,
}

#[derive(Clone)]
struct Script {
    gate: Arc<Semaphore>,
    reply: Arc<Mutex<(u16, String, String)>>,
    /// Beside the media type.
    headers: Arc<Mutex<Vec<(&'static str, String)>>>,
    arrived: mpsc::UnboundedSender<Arrival>,
    ends: Arc<Ends>,
}

/// How requests ended.
#[derive(Default)]
struct Ends {
    answered: AtomicUsize,
    given_up: AtomicUsize,
}

/// A request: given up where it is dropped before it is answered, as when the caller closes its connection.
struct Open {
    ends: Arc<Ends>,
    answered: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Ends { answered, given_up } = &*self.ends;
        let ended = if self.answered { answered } else { given_up };
        ended.fetch_add(1, SeqCst);
    }
}

impl Scripted {
    /// A service that holds every request until [`Scripted::release`].
    pub(super) async fn closed(json: &str) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let script = Script {
            gate: Arc::new(Semaphore::new(0)),
            reply: Arc::new(Mutex::new((200, "application/json".into(), json.into()))),
            headers: Arc::default(),
            arrived,
            ends: Arc::default(),
        };
        let routes = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            address,
            script,
            arrivals,
        }
    }

    /// A service that answers at once.
    pub(super) async fn open(json: &str) -> Self {
        let service = Self::closed(json).await;
        service.release(Semaphore::MAX_PERMITS);
        service
    }

    pub(super) fn release(&self, requests: usize) {
        self.script.gate.add_permits(requests);
    }

    pub(super) fn reply(&self, status: u16, media: &str, body: &str) {
        *self.script.reply.lock().expect("a reply") = (status, media.into(), body.into());
    }

    /// Headers of all replies from now on.
    pub(super) fn reply_headers(&self, headers: &[(&'static str, &str)]) {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        *self.script.headers.lock().expect("headers") = headers.collect();
    }

    /// The next request, once it has arrived.
    pub(super) async fn next(&mut self) -> Arrival {
        let arrival = tokio::time::timeout(super::PATIENCE, self.arrivals.recv());
        arrival
            .await
            .expect("a request in time")
            .expect("the service runs")
    }

    /// The targets of all requests that have arrived since this was asked last.
    pub(super) fn arrived(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.arrivals.try_recv().ok())
            .map(|arrival| arrival.target)
            .collect()
    }

    /// How many requests were answered.
    pub(super) fn answered(&self) -> usize {
        self.script.ends.answered.load(SeqCst)
    }

    /// How many callers closed the connection before they were answered.
    pub(super) fn given_up(&self) -> usize {
        self.script.ends.given_up.load(SeqCst)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A configuration whose only service this is.
    pub(super) fn folder(&self, config: &str) -> Folder {
        let config = format!(
            "{config}\nsubgraphs:\n  things: {{ schema: things.graphql, env: [THINGS_URL] }}\n"
        );
        Folder::new(&[("switchboard.yaml", &config), ("things.graphql", THINGS)])
    }

    /// A gateway over the configuration in a folder, with this as its service.
    pub(super) async fn gateway(&self, folder: &Folder) -> Gateway {
        let env = [("THINGS_URL", &*self.url())];
        Gateway::start(&folder.file("switchboard.yaml"), &env).await
    }
}

/// The graph over a scripted service.
pub(super) const THINGS: &str = r#"
extend schema @source(
  name: "things"
  http: { baseURL: "{$env.THINGS_URL}" }
  headers: [{ name: "authorization", from: "authorization" }]
)
type Query {
  thing(id: ID!): Thing @rest(GET: "/things/{id}")
  things: [Thing!] @rest(GET: "/things")
  count: Int @rest(GET: "/count", timeout: "300ms")
}
type Mutation {
  rename(id: ID!, name: String!): Thing @rest(PUT: "/things/{id}")
}
type Thing { id: ID! name: String }
"#;

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let arrival = Arrival {
        target: format!("{} {}", request.method(), request.uri()),
        headers: request.headers().clone(),
    };
    let mut open = Open {
        ends: script.ends.clone(),
        answered: false,
    };
    drop(script.arrived.send(arrival));
    let permit = script.gate.acquire().await.expect("the gate stays");
    permit.forget();
    open.answered = true;
    let (status, media, body) = script.reply.lock().expect("a reply").clone();
    let mut response = Response::builder()
        .status(status)
        .header("content-type", media);
    for (name, value) in script.headers.lock().expect("headers").iter() {
        response = response.header(*name, value);
    }
    response.body(Body::from(body)).expect("a response")
}
