//! The world's services: real HTTP on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::Json as Reply;
use axum::Router;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::routing::post;
use serde_json::Value as Json;

use super::world::World;
use super::world::by_id;
use super::world::text;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) world: Arc<World>,
    pub(super) calls: Arc<AtomicUsize>,
    asked: Asked,
}

/// What was asked for that only one field or type needs: `User.karma`, `Robot`.
type Asked = Arc<Mutex<Vec<&'static str>>>;

/// A running service and the number of requests that it has had.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) asked: Asked,
}

pub(crate) async fn serve(world: Arc<World>) -> Service {
    let calls = Arc::new(AtomicUsize::new(0));
    let asked = Asked::default();
    let shared = Shared {
        world,
        calls: calls.clone(),
        asked: asked.clone(),
    };
    let routes = Router::new()
        .route("/users/{id}", get(user))
        .route("/users", get(users))
        .route("/robots", get(robots))
        .route("/beings/{id}", get(being))
        .route("/beings", get(beings))
        .route("/posts", get(all_posts))
        .route("/karma", get(karma))
        .route("/weather", get(weather))
        .route("/graphql", post(super::graphql::answer))
        .with_state(shared);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Service {
        address,
        calls,
        asked,
    }
}

impl Shared {
    fn count(&self, need: &'static str) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().expect("nobody panics").push(need);
    }
}

async fn user(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Reply<Json>, StatusCode> {
    shared.count("Query.user");
    one(by_id(&shared.world.users, &id))
}

async fn being(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Reply<Json>, StatusCode> {
    shared.count("Query.being");
    let beings = shared.world.beings();
    one(beings.into_iter().find(|being| text(&being["id"]) == id))
}

fn one(row: Option<&Json>) -> Result<Reply<Json>, StatusCode> {
    row.cloned().map(Reply).ok_or(StatusCode::NOT_FOUND)
}

async fn users(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply<Json> {
    let by_id = !values(&query, "id").is_empty();
    shared.count(if by_id { "User" } else { "Query.users" });
    let limit = values(&query, "limit")
        .first()
        .and_then(|limit| limit.parse().ok());
    let found = matching(&shared.world.users, "id", &values(&query, "id"));
    Reply(
        found
            .into_iter()
            .take(limit.unwrap_or(usize::MAX))
            .collect(),
    )
}

async fn robots(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply<Json> {
    shared.count("Robot");
    let mut found = matching(&shared.world.robots, "id", &values(&query, "id"));
    found.reverse();
    Reply(found.into_iter().collect())
}

async fn beings(State(shared): State<Shared>) -> Reply<Json> {
    shared.count("Query.beings");
    Reply(shared.world.beings().into_iter().cloned().collect())
}

async fn all_posts(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply<Json> {
    let given = |name: &str| !values(&query, name).is_empty();
    shared.count(match (given("id"), given("author_id")) {
        (true, _) => "Post",
        (_, true) => "User.posts",
        _ => "Query.posts",
    });
    let by_id = matching(&shared.world.posts, "id", &values(&query, "id"));
    Reply(
        matching(&by_id, "author_id", &values(&query, "author_id"))
            .into_iter()
            .collect(),
    )
}

async fn karma(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply<Json> {
    shared.count("User.karma");
    Reply(
        matching(&shared.world.karma, "user", &values(&query, "user"))
            .into_iter()
            .collect(),
    )
}

async fn weather(State(shared): State<Shared>) -> Reply<Json> {
    shared.count("Query.weather");
    Reply(shared.world.weather.clone())
}

pub(crate) fn values(query: &Option<String>, name: &str) -> Vec<String> {
    let pairs = query.as_deref().unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// The rows whose `field` is one of `wanted`; all rows where nothing is wanted.
pub(crate) fn matching(rows: &[Json], field: &str, wanted: &[String]) -> Vec<Json> {
    rows.iter()
        .filter(|row| wanted.is_empty() || wanted.contains(&text(&row[field])))
        .cloned()
        .collect()
}
