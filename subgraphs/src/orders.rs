//! Orders: what users buy, over REST with numbered pages. Contract: `schema/orders.openapi.json`.
//!
//! Refusals are problem documents. Knows users and products by their ids, and the catalogue's prices.

mod problem;
mod table;

use std::io;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde::Serialize;
use tokio::net::TcpListener;

use self::{
    problem::Problem,
    table::{Filter, NewOrder, Order, Orders, Status},
};
use crate::{
    faults::Faults,
    rest::{Parameters, Refusal, Shared, body, identifier, shared},
    serve::{Protocol, Running, start},
};

pub(crate) const NAME: &str = "orders";

const MOST_ON_A_PAGE: u64 = 200;

/// Starts the service on a listener, inside the caller's tokio runtime.
///
/// # Errors
/// When the listener has no address of its own.
pub fn serve(listener: TcpListener, faults: Faults) -> io::Result<Running> {
    start(NAME, Protocol::Rest, routes(), listener, faults)
}

fn routes() -> Router {
    Router::new()
        .route("/orders", get(list).post(create))
        .route("/orders/{id}", get(show))
        .route("/orders/{id}/cancel", post(cancel))
        .with_state(shared(Orders::seeded()))
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    orders: Vec<&'a Order>,
    page: u64,
    per_page: u64,
    /// Orders on all pages together.
    total: usize,
}

async fn list(
    State(orders): State<Shared<Orders>>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Problem> {
    let filter = Filter {
        users: parameters.ids("user_id")?,
        status: status(&parameters)?,
    };
    let page = parameters.number("page", 1..=u64::from(u32::MAX), 1)?;
    let per_page = parameters.number("per_page", 1..=MOST_ON_A_PAGE, 20)?;
    let orders = orders.read().expect("no holder of this lock can panic");
    let (total, orders) = orders.newest(&filter, (page - 1) * per_page, per_page);
    Ok(Json(Page {
        orders,
        page,
        per_page,
        total,
    })
    .into_response())
}

fn status(parameters: &Parameters) -> Result<Option<Status>, Refusal> {
    let Some(text) = parameters.text("status") else {
        return Ok(None);
    };
    Status::named(text)
        .map(Some)
        .ok_or_else(|| Refusal::bad_request(format!("`{text}` is no status of an order")))
}

async fn show(
    State(orders): State<Shared<Orders>>,
    Path(id): Path<String>,
) -> Result<Json<Order>, Problem> {
    let id = identifier(&id)?;
    let orders = orders.read().expect("no holder of this lock can panic");
    Ok(Json(
        orders
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::not_found("order", id))?,
    ))
}

async fn create(
    State(orders): State<Shared<Orders>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let new: NewOrder = body(&bytes)?;
    let order = orders
        .write()
        .expect("no holder of this lock can panic")
        .add(new)?;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn cancel(
    State(orders): State<Shared<Orders>>,
    Path(id): Path<String>,
) -> Result<Json<Order>, Problem> {
    let id = identifier(&id)?;
    let order = orders
        .write()
        .expect("no holder of this lock can panic")
        .cancel(id);
    Ok(Json(order.map_err(|refusal| {
        Problem::from(refusal).about(format!("/orders/{id}"))
    })?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rest::{ask, keys, properties};

    #[tokio::test]
    async fn one_order_answers_by_id_and_adds_up() {
        let (status, order) = ask(&routes(), "GET", "/orders/1", None).await;
        assert_eq!(status, 200);
        let items = order["items"].as_array().unwrap();
        let sum: f64 = items
            .iter()
            .map(|i| i["quantity"].as_f64().unwrap() * i["unit_price"].as_f64().unwrap())
            .sum();
        assert!(
            (sum - order["total"].as_f64().unwrap()).abs() < 0.005,
            "{order}"
        );
        assert_eq!(order["payment"]["amount"], order["total"]);
    }

    #[tokio::test]
    async fn an_unknown_order_is_a_problem_document() {
        use tower::ServiceExt;
        let request = axum::http::Request::get("/orders/10001")
            .body(axum::body::Body::empty())
            .unwrap();
        let reply = routes().oneshot(request).await.unwrap();
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        let problem = ask(&routes(), "GET", "/orders/10001", None).await;
        let expected = json!({ "type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no order 10001" });
        assert_eq!(problem, (404, expected));
    }

    #[tokio::test]
    async fn several_users_orders_come_newest_first() {
        let routes = routes();
        let users: Vec<String> = (1..=50).map(|id| format!("user_id={id}")).collect();
        let (_, page) = ask(
            &routes,
            "GET",
            &format!("/orders?per_page=200&{}", users.join("&")),
            None,
        )
        .await;
        assert!(!ids(&page).is_empty());
        assert_eq!(page["total"], ids(&page).len());
        assert!(ids(&page).is_sorted_by(|left, right| left > right));
        assert!(
            orders(&page)
                .iter()
                .all(|order| order["user_id"].as_u64().unwrap() <= 50)
        );
    }

    #[tokio::test]
    async fn numbered_pages_cover_everything_once() {
        let routes = routes();
        let (_, first) = ask(&routes, "GET", "/orders?status=paid&per_page=7", None).await;
        let (_, second) = ask(
            &routes,
            "GET",
            "/orders?status=paid&per_page=7&page=2",
            None,
        )
        .await;
        let (_, both) = ask(&routes, "GET", "/orders?status=paid&per_page=14", None).await;
        assert_eq!([ids(&first), ids(&second)].concat(), ids(&both));
        assert!(orders(&both).iter().all(|order| order["status"] == "paid"));
        let (_, beyond) = ask(&routes, "GET", "/orders?page=4000000000", None).await;
        assert_eq!((ids(&beyond), &beyond["total"]), (vec![], &json!(10_000)));
    }

    #[tokio::test]
    async fn statuses_partition_the_orders() {
        let routes = routes();
        let mut total = 0;
        for status in ["pending", "paid", "shipped", "delivered", "cancelled"] {
            let (_, page) = ask(&routes, "GET", &format!("/orders?status={status}"), None).await;
            assert!(page["total"].as_u64().unwrap() > 0, "no order is {status}");
            total += page["total"].as_u64().unwrap();
        }
        assert_eq!(total, 10_000);
    }

    #[tokio::test]
    async fn payments_are_of_two_kinds() {
        let (_, page) = ask(&routes(), "GET", "/orders?per_page=200", None).await;
        for (kind, detail) in [("card", "last_four"), ("bank_transfer", "reference")] {
            let payment = orders(&page)
                .iter()
                .map(|order| &order["payment"])
                .find(|p| p["kind"] == kind)
                .unwrap();
            assert!(payment[detail].is_string(), "{payment}");
        }
    }

    #[tokio::test]
    async fn a_new_order_takes_the_catalogues_prices() {
        let routes = routes();
        let new = json!({ "user_id": 3, "items": [{ "product_id": 5, "quantity": 2 }] });
        let (status, created) = ask(&routes, "POST", "/orders", Some(new)).await;
        assert_eq!(
            (status, &created["id"], &created["status"]),
            (201, &json!(10_001), &json!("pending"))
        );
        assert_eq!(created["items"][0]["unit_price"], crate::seed::price(5));
        assert_eq!(ask(&routes, "GET", "/orders/10001", None).await.1, created);
        assert_eq!(
            ids(
                &ask(&routes, "GET", "/orders?user_id=3&status=pending", None)
                    .await
                    .1
            )[0],
            10_001
        );
    }

    #[tokio::test]
    async fn an_order_that_cannot_be_filled_is_refused() {
        let bodies = [
            json!({ "user_id": 1, "items": [] }),
            json!({ "user_id": 1, "items": [{ "product_id": 1, "quantity": 0 }] }),
            json!({ "user_id": 1, "items": [{ "product_id": 1, "quantity": 101 }] }),
            json!({ "user_id": 1, "items": [{ "product_id": 20_000, "quantity": 1 }] }),
            json!({ "items": [] }),
        ];
        for new in bodies {
            let (status, problem) = ask(&routes(), "POST", "/orders", Some(new.clone())).await;
            assert_eq!((status, &problem["status"]), (422, &json!(422)), "{new}");
        }
    }

    #[tokio::test]
    async fn a_cancelled_order_moves_to_its_new_status() {
        let routes = routes();
        let id = ids(&ask(&routes, "GET", "/orders?status=pending", None).await.1)[0];
        let (status, order) = ask(&routes, "POST", &format!("/orders/{id}/cancel"), None).await;
        assert_eq!((status, &order["status"]), (200, &json!("cancelled")));
        assert!(!ids(&ask(&routes, "GET", "/orders?status=pending", None).await.1).contains(&id));
        let mut cancelled = ids(&ask(
            &routes,
            "GET",
            "/orders?status=cancelled&per_page=200",
            None,
        )
        .await
        .1);
        cancelled.retain(|other| *other == id);
        assert_eq!(cancelled, [id]);
    }

    #[tokio::test]
    async fn an_order_on_its_way_cannot_be_cancelled() {
        let routes = routes();
        let id = ids(&ask(&routes, "GET", "/orders?status=shipped", None).await.1)[0];
        let (status, problem) = ask(&routes, "POST", &format!("/orders/{id}/cancel"), None).await;
        assert_eq!(
            (status, &problem["instance"]),
            (409, &json!(format!("/orders/{id}")))
        );
        assert_eq!(
            problem["detail"],
            format!("order {id} is shipped and can no longer be cancelled")
        );
    }

    #[tokio::test]
    async fn a_status_that_does_not_exist_is_refused() {
        assert_eq!(
            ask(&routes(), "GET", "/orders?status=lost", None).await.0,
            400
        );
    }

    #[tokio::test]
    async fn replies_have_the_properties_that_the_contract_names() {
        let contract =
            serde_json::from_str(include_str!("../../schema/orders.openapi.json")).unwrap();
        let (_, page) = ask(&routes(), "GET", "/orders?per_page=200", None).await;
        assert_eq!(properties(&contract, "OrderPage"), keys(&page));
        for order in orders(&page) {
            assert_eq!(properties(&contract, "Order"), keys(order));
            assert_eq!(properties(&contract, "OrderItem"), keys(&order["items"][0]));
            let payment = if order["payment"]["kind"] == "card" {
                "CardPayment"
            } else {
                "BankTransfer"
            };
            assert_eq!(properties(&contract, payment), keys(&order["payment"]));
        }
    }

    fn orders(page: &Value) -> &Vec<Value> {
        page["orders"].as_array().unwrap()
    }

    fn ids(page: &Value) -> Vec<u64> {
        orders(page)
            .iter()
            .map(|order| order["id"].as_u64().unwrap())
            .collect()
    }
}
