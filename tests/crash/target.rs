//! The service that messages are delivered to. It writes everything down, and sometimes it fails.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::put;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::net::TcpListener;

use crate::ledger::Arrival;
use crate::ledger::Ledger;

/// Of a hundred requests, so many are answered with 503 although the service is there.
const FAILING: u32 = 2;

pub(crate) struct Target {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Arc<Ledger>,
    chance: Mutex<StdRng>,
    behaves: AtomicBool,
}

impl Target {
    pub(crate) async fn start(ledger: Arc<Ledger>, seed: u64) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            ledger,
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            behaves: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new()
            .route("/notes/{key}/{number}", put(note))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, shared })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Fails no more.
    pub(crate) fn behave(&self) {
        self.shared.behaves.store(true, Ordering::Relaxed);
    }
}

async fn note(
    State(shared): State<Arc<Shared>>,
    Path((key, number)): Path<(u32, u64)>,
    headers: HeaderMap,
) -> StatusCode {
    let header = |name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let accepted = !shared.fails();
    shared.ledger.arrive(
        key,
        Arrival {
            number,
            idempotency_key: header("idempotency-key"),
            delivery: header("x-delivery-id"),
            accepted,
        },
    );
    match accepted {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Shared {
    fn fails(&self) -> bool {
        if self.behaves.load(Ordering::Relaxed) {
            return false;
        }
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance.random_range(0..100) < FAILING
    }
}
