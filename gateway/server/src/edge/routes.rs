//! Which path leads where, on the port of clients and on that of operators.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;

use super::Response;
use super::health;
use super::ids::Ids;
use super::playground;
use super::problem::Problem;
use super::serve::Server;
use crate::pipeline::Gateway;

/// What clients connect to.
pub(crate) fn public(gateway: Arc<Gateway>) -> Server {
    let routes = Router::new()
        .route("/health", get(async || health::live()))
        .route("/ready", get(ready))
        .route("/playground", get(page))
        .route("/playground/", get(page))
        .route("/playground/{*file}", get(file));
    Server {
        routes: finish(routes).with_state(gateway.clone()),
        graphql: Some(gateway),
    }
}

/// What operators connect to.
pub(crate) fn admin(gateway: Arc<Gateway>) -> Server {
    let routes = Router::new()
        .route("/health/live", get(async || health::live()))
        .route("/health/ready", get(ready));
    Server {
        routes: finish(routes).with_state(gateway.clone()),
        graphql: None,
    }
}

fn finish(routes: Router<Arc<Gateway>>) -> Router<Arc<Gateway>> {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(get_only)
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    health::ready(&gateway).await
}

async fn page(state: State<Arc<Gateway>>, ids: Extension<Ids>) -> Response {
    file(state, ids, Path(String::new())).await
}

async fn file(
    State(gateway): State<Arc<Gateway>>,
    Extension(ids): Extension<Ids>,
    Path(path): Path<String>,
) -> Response {
    let shown = gateway.graph.load().settings.features.playground;
    let file = shown.then(|| playground::file(&path)).flatten();
    file.unwrap_or_else(|| nothing_here().into_response(&ids))
}

async fn not_found(Extension(ids): Extension<Ids>) -> Response {
    nothing_here().into_response(&ids)
}

async fn get_only(Extension(ids): Extension<Ids>) -> Response {
    Problem::method_not_allowed("GET, HEAD", "Only GET is answered here.").into_response(&ids)
}

fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "There is nothing here. GraphQL is served at /graphql.",
    )
}
