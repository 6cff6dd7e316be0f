//! Reviews: what users say of products, over REST with cursor paging, newest first.
//!
//! Knows users and products by their ids only, and believes every id that it is given.

mod table;

use std::io;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde::Serialize;
use tokio::net::TcpListener;

use self::table::{Filter, NewReview, Review, Reviews};
use crate::{
    faults::Faults,
    rest::{Parameters, Refusal, Shared, body, identifier, shared},
    serve::{Protocol, Running, start},
};

pub(crate) const NAME: &str = "reviews";

const MOST_ON_A_PAGE: u64 = 500;

/// Starts the service on a listener, inside the caller's tokio runtime.
///
/// # Errors
/// When the listener has no address of its own.
pub fn serve(listener: TcpListener, faults: Faults) -> io::Result<Running> {
    start(NAME, Protocol::Rest, routes(), listener, faults)
}

fn routes() -> Router {
    Router::new()
        .route("/reviews", get(list).post(create))
        .route("/reviews/{id}", get(show))
        .with_state(shared(Reviews::seeded()))
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    items: Vec<&'a Review>,
    /// To be sent back as `cursor`; null on the last page.
    next_cursor: Option<String>,
}

async fn list(
    State(reviews): State<Shared<Reviews>>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Refusal> {
    let filter = Filter {
        products: parameters.ids("product_id")?,
        users: parameters.ids("user_id")?,
    };
    let limit = parameters.number("limit", 1..=MOST_ON_A_PAGE, 100)? as usize;
    let before = parameters.text("cursor").map(read_cursor).transpose()?;
    let reviews = reviews.read().expect("no holder of this lock can panic");
    // One more than asked for tells whether there is a next page.
    let mut items = reviews.newest(&filter, before, limit + 1);
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| format!("before-{}", last.id));
    Ok(Json(Page { items, next_cursor }).into_response())
}

fn read_cursor(cursor: &str) -> Result<u64, Refusal> {
    let id = cursor
        .strip_prefix("before-")
        .and_then(|id| id.parse().ok());
    id.ok_or_else(|| Refusal::bad_request("the cursor is not one of this service's"))
}

async fn show(
    State(reviews): State<Shared<Reviews>>,
    Path(id): Path<String>,
) -> Result<Json<Review>, Refusal> {
    let id = identifier(&id)?;
    let reviews = reviews.read().expect("no holder of this lock can panic");
    reviews
        .get(id)
        .cloned()
        .map(Json)
        .ok_or_else(|| Refusal::not_found("review", id))
}

async fn create(
    State(reviews): State<Shared<Reviews>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Review>), Refusal> {
    let new: NewReview = body(&bytes)?;
    let review = reviews
        .write()
        .expect("no holder of this lock can panic")
        .add(new)?;
    Ok((StatusCode::CREATED, Json(review)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rest::ask;

    #[tokio::test]
    async fn the_reviews_of_twenty_products_come_in_one_page() {
        let query: Vec<String> = (1..=20).map(|id| format!("product_id={id}")).collect();
        let (_, page) = ask(
            &routes(),
            "GET",
            &format!("/reviews?{}", query.join("&")),
            None,
        )
        .await;
        assert_eq!(page["next_cursor"], Value::Null);
        for product in 1..=20 {
            let count = items(&page)
                .iter()
                .filter(|review| review["product_id"] == product)
                .count();
            assert!(
                (2..=5).contains(&count),
                "product {product} has {count} reviews"
            );
        }
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_repeat() {
        let routes = routes();
        let uri = "/reviews?product_id=1&product_id=2&product_id=3";
        let whole = ids(&ask(&routes, "GET", uri, None).await.1);
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let (_, page) = ask(&routes, "GET", &format!("{uri}&limit=3{cursor}"), None).await;
            paged.extend(ids(&page));
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, whole);
        assert!(
            whole.is_sorted_by(|left, right| left > right),
            "newest first"
        );
    }

    #[tokio::test]
    async fn a_full_last_page_names_no_next() {
        let routes = routes();
        let all = ids(&ask(&routes, "GET", "/reviews?product_id=3", None).await.1);
        let (_, page) = ask(
            &routes,
            "GET",
            &format!("/reviews?product_id=3&limit={}", all.len()),
            None,
        )
        .await;
        assert_eq!((ids(&page), &page["next_cursor"]), (all, &Value::Null));
    }

    #[tokio::test]
    async fn both_filters_must_hold() {
        let routes = routes();
        let (_, review) = ask(&routes, "GET", "/reviews/100", None).await;
        let (user, product) = (&review["user_id"], &review["product_id"]);
        let (_, page) = ask(
            &routes,
            "GET",
            &format!("/reviews?user_id={user}&product_id={product}"),
            None,
        )
        .await;
        assert!(ids(&page).contains(&100));
        assert!(
            items(&page)
                .iter()
                .all(|item| &item["user_id"] == user && &item["product_id"] == product)
        );
    }

    #[tokio::test]
    async fn all_thirty_thousand_are_listed_without_a_filter() {
        let (_, page) = ask(&routes(), "GET", "/reviews?limit=2", None).await;
        assert_eq!(ids(&page), [30_000, 29_999]);
    }

    #[tokio::test]
    async fn a_new_review_is_its_products_newest() {
        let routes = routes();
        let new =
            json!({ "product_id": "7", "user_id": 8, "rating": 5, "comment": "Still works." });
        let (status, created) = ask(&routes, "POST", "/reviews", Some(new)).await;
        assert_eq!(
            (status, &created["id"], &created["product_id"]),
            (201, &json!(30_001), &json!(7))
        );
        for uri in [
            "/reviews?product_id=7&limit=1",
            "/reviews?user_id=8&limit=1",
            "/reviews?limit=1",
        ] {
            assert_eq!(
                ids(&ask(&routes, "GET", uri, None).await.1),
                [30_001],
                "{uri}"
            );
        }
    }

    #[tokio::test]
    async fn a_rating_outside_one_to_five_is_refused() {
        for rating in [0, 6] {
            let new = json!({ "product_id": 7, "user_id": 8, "rating": rating });
            assert_eq!(ask(&routes(), "POST", "/reviews", Some(new)).await.0, 422);
        }
    }

    #[tokio::test]
    async fn a_foreign_cursor_is_refused() {
        assert_eq!(
            ask(&routes(), "GET", "/reviews?cursor=abc", None).await.0,
            400
        );
    }

    #[tokio::test]
    async fn an_unknown_review_is_not_found() {
        assert_eq!(ask(&routes(), "GET", "/reviews/0", None).await.0, 404);
        assert_eq!(ask(&routes(), "GET", "/reviews/30001", None).await.0, 404);
    }

    fn items(page: &Value) -> &Vec<Value> {
        page["items"].as_array().unwrap()
    }

    fn ids(page: &Value) -> Vec<u64> {
        items(page)
            .iter()
            .map(|review| review["id"].as_u64().unwrap())
            .collect()
    }
}
