//! The world's services as they misbehave: HTTP by hand, so that it can be
//! spoken badly. Which operation is meant stands in the correlation id.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use serde_json::Value as Json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::super::service::matching;
use super::super::service::values;
use super::super::views::Route;
use super::super::views::Said;
use super::super::views::Views;
use super::super::views::Way;
use super::super::views::written;
use super::super::world::World;
use super::super::world::text;

/// A running service. It ends with the runtime.
pub(super) struct Liar {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    world: World,
    views: Mutex<HashMap<String, Arc<Views>>>,
    /// Answers that were none, or not true.
    met: AtomicU64,
}

/// What goes over the wire.
enum Answer {
    Whole(Vec<u8>),
    /// These bytes, and then the end.
    Cut(Vec<u8>),
    Reset,
    Never,
}

impl Liar {
    pub(super) async fn listen(world: World) -> Self {
        let shared = Arc::new(Shared {
            world,
            views: Mutex::default(),
            met: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                // Whoever hangs up has got what it wanted.
                tokio::spawn(async move { drop(serve(&shared, stream).await) });
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn met(&self) -> u64 {
        self.shared.met.load(Ordering::Relaxed)
    }

    /// What one operation is told.
    pub(super) fn tell(&self, id: &str, views: Arc<Views>) {
        let mut told = self.shared.views.lock().expect("nobody panics");
        told.insert(id.to_owned(), views);
    }

    pub(super) fn forget(&self, id: &str) {
        self.shared.views.lock().expect("nobody panics").remove(id);
    }
}

async fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        read.drain(..end);
        match shared.answer(&head) {
            Answer::Whole(bytes) => stream.write_all(&bytes).await?,
            Answer::Cut(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Answer::Reset => return stream.set_zero_linger(),
            Answer::Never => std::future::pending().await,
        }
    }
}

impl Shared {
    fn answer(&self, head: &str) -> Answer {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let views = self
            .views
            .lock()
            .expect("nobody panics")
            .get(id(head))
            .cloned();
        let (Some(route), Some(views)) = (route(path, query), views) else {
            return whole("HTTP/1.1 404 Not Found", "text/plain", "");
        };
        if views.lies(&self.world, route) {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
        let key = path.rsplit('/').next().unwrap_or_default();
        match views.of(route) {
            Said::Rows(rows) => found(route, rows, key, query),
            Said::Nothing(way) | Said::Fails(way) => badly(*way),
        }
    }
}

fn id(head: &str) -> &str {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("x-correlation-id: "));
    line.unwrap_or_default()
}

fn route(path: &str, query: &str) -> Option<Route> {
    let first = path.split('/').nth(1)?;
    let alone = path.split('/').nth(2).is_some();
    let by = |name: &str| query.starts_with(name);
    Some(match first {
        "users" if alone => Route::User,
        "users" if by("id=") => Route::UsersById,
        "users" => Route::Users,
        "robots" => Route::Robots,
        "beings" if alone => Route::Being,
        "beings" => Route::Beings,
        "posts" if by("id=") => Route::PostsById,
        "posts" if by("author_id=") => Route::PostsByAuthor,
        "posts" => Route::Posts,
        "karma" => Route::Karma,
        "weather" => Route::Weather,
        _ => return None,
    })
}

/// The rows that were asked for.
fn found(route: Route, rows: &[Json], key: &str, query: &str) -> Answer {
    let query = Some(query.to_owned());
    let by = |name: &str| Json::from(asked(rows, name, &values(&query, name)));
    let limit = || {
        values(&query, "limit")
            .first()
            .and_then(|it| it.parse().ok())
    };
    let body = match route {
        Route::User | Route::Being => match rows.iter().find(|row| text(&row["id"]) == key) {
            Some(row) => row.clone(),
            None => return whole("HTTP/1.1 404 Not Found", "application/json", ""),
        },
        Route::Weather => rows[0].clone(),
        Route::Users => Json::from_iter(rows.iter().take(limit().unwrap_or(usize::MAX)).cloned()),
        Route::Beings | Route::Posts => Json::from(rows.to_vec()),
        Route::UsersById | Route::Robots | Route::PostsById => by("id"),
        Route::PostsByAuthor => by("author_id"),
        Route::Karma => by("user"),
    };
    whole("HTTP/1.1 200 OK", "application/json", &written(&body))
}

/// What was asked for, and what nobody asked for.
fn asked(rows: &[Json], name: &str, wanted: &[String]) -> Vec<Json> {
    let mut wanted = wanted.to_vec();
    wanted.push("4711".to_owned());
    matching(rows, name, &wanted)
}

fn badly(way: Way) -> Answer {
    let json = |body: &str| whole("HTTP/1.1 200 OK", "application/json", body);
    match way {
        Way::Status(204) => Answer::Whole(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        Way::Status(status) => whole(
            &format!("HTTP/1.1 {status} Bad"),
            "application/json",
            "{\"id\": 1}",
        ),
        Way::Body(body) => json(body),
        Way::Page => whole("HTTP/1.1 200 OK", "text/html", "<html>"),
        Way::Hang => Answer::Never,
        Way::Reset => Answer::Reset,
        Way::Cut(share) => {
            let Answer::Whole(mut bytes) = json("[{ \"id\": 1, \"kind\": \"user\" }]") else {
                return Answer::Reset;
            };
            bytes.truncate(bytes.len() * usize::from(share) / 100);
            Answer::Cut(bytes)
        }
        Way::Deep(levels) => json(&"[".repeat(levels)),
        Way::Keyless => json("[{ \"name\": \"nobody\" }]"),
        Way::Garbage => Answer::Cut(b"\x00\xff no such protocol \r\n\r\n".to_vec()),
    }
}

fn whole(status: &str, media: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("{status}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n");
    Answer::Whole([head.as_bytes(), body.as_bytes()].concat())
}
