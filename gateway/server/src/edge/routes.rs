//! Which path leads where, on the port of clients and on that of operators.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use tokio::sync::mpsc;

use super::Response;
use super::admin::Guard;
use super::admin::reload;
use super::graphql::nothing_here;
use super::health;
use super::playground;
use super::problem;
use super::problem::Pages;
use super::problem::Problem;
use super::purge::purge;
use super::queues;
use super::serve::Server;
use crate::config::Edge;
use crate::graph::reload::Wanted;
use crate::observe::metrics;
use crate::pipeline::Gateway;

/// What clients connect to.
pub(crate) fn public(gateway: Arc<Gateway>, pages: Pages, edge: &Edge) -> Server {
    let routes = Router::new()
        .route("/health", get(async || health::live()))
        .route("/ready", get(ready))
        .route("/playground", get(page))
        .route("/playground/", get(page))
        .route("/playground/{*file}", get(file))
        .route("/problems/", get(async || problem::page("")))
        .route("/problems/{slug}", get(problem_page));
    Server {
        routes: finish(routes).with_state(gateway.clone()),
        graphql: Some(gateway),
        pages,
        guard: None,
        cors: edge.cors.clone(),
        compression: edge.compression,
        hsts: hsts(edge, edge.tls.is_some()),
    }
}

/// What operators connect to.
pub(crate) fn admin(
    gateway: Arc<Gateway>,
    pages: Pages,
    edge: &Edge,
    reloads: mpsc::Sender<Wanted>,
) -> Server {
    let durable = gateway.clone();
    let queue = move || durable.durable.get().map(|durable| durable.queue.clone());
    let reload_now = move |operator| reload(reloads.clone(), operator);
    let routes = Router::new()
        .route("/health/live", get(async || health::live()))
        .route("/health/ready", get(ready))
        .route("/metrics", get(numbers))
        .route("/reload", post(reload_now).fallback(post_only))
        .route("/cache/purge", post(purge).fallback(post_only))
        .merge(queues::routes(Arc::new(queue)));
    Server {
        routes: finish(routes).with_state(gateway.clone()),
        graphql: None,
        pages,
        guard: Some(Guard {
            tokens: edge.admin_tokens.clone(),
        }),
        cors: None,
        compression: None,
        hsts: hsts(edge, edge.admin_tls.is_some()),
    }
}

/// Nobody believes it who was not told over TLS.
fn hsts(edge: &Edge, tls: bool) -> Option<HeaderValue> {
    let age = edge.hsts.filter(|_| tls)?.as_secs();
    HeaderValue::from_str(&format!("max-age={age}")).ok()
}

fn finish(routes: Router<Arc<Gateway>>) -> Router<Arc<Gateway>> {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(get_only)
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    health::ready(&gateway).await
}

async fn numbers(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    if !gateway.metrics.shown {
        return Err(nothing_here());
    }
    let page = metrics::page(&gateway).await;
    let mut response = Response::new(Full::from(page));
    let media = HeaderValue::from_static(metrics::MEDIA_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, media);
    Ok(response)
}

async fn page(state: State<Arc<Gateway>>) -> Result<Response, Problem> {
    file(state, Path(String::new())).await
}

async fn file(
    State(gateway): State<Arc<Gateway>>,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let shown = gateway.graph.load().settings.features.playground;
    let file = shown.then(|| playground::file(&path)).flatten();
    file.ok_or_else(nothing_here)
}

async fn problem_page(Path(slug): Path<String>) -> Result<Response, Problem> {
    problem::page(&slug)
}

async fn not_found() -> Problem {
    nothing_here()
}

pub(super) async fn post_only() -> Problem {
    Problem::method_not_allowed("POST", "Only POST is answered here.")
}

async fn get_only() -> Problem {
    Problem::method_not_allowed("GET, HEAD", "Only GET is answered here.")
}
