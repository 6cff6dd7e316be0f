//! Notifications: messages to customers, over REST. Sends nothing; it remembers what it would have sent.
//!
//! Takes the same message once, however often it is told: whoever delivers at least once names each
//! by an `Idempotency-Key`.

use std::{collections::HashMap, io};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    faults::Faults,
    rest::{Parameters, Refusal, Shared, body, lenient_id, shared},
    seed::now,
    serve::{Protocol, Running, start},
};

pub(crate) const NAME: &str = "notifications";

/// Starts the service on a listener, inside the caller's tokio runtime.
///
/// # Errors
/// When the listener has no address of its own.
pub fn serve(listener: TcpListener, faults: Faults) -> io::Result<Running> {
    start(NAME, Protocol::Rest, routes(), listener, faults)
}

fn routes() -> Router {
    Router::new()
        .route("/receipts", get(list).post(send))
        .with_state(shared(Receipts::default()))
}

#[derive(Debug, Clone, Serialize)]
struct Receipt {
    id: u64,
    order_id: u64,
    email: String,
    sent_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReceipt {
    #[serde(deserialize_with = "lenient_id")]
    order_id: u64,
    email: String,
}

/// Every receipt, in the order of arrival; the one with id `n` is the `n`th.
#[derive(Debug, Default)]
struct Receipts {
    sent: Vec<Receipt>,
    /// The receipt that each key has led to.
    by_key: HashMap<String, u64>,
}

impl Receipts {
    /// The receipt, and whether it is a new one.
    fn send(&mut self, new: NewReceipt, key: Option<&str>) -> (Receipt, bool) {
        let known = key.and_then(|key| self.by_key.get(key));
        if let Some(known) = known.and_then(|id| self.sent.get(*id as usize - 1)) {
            return (known.clone(), false);
        }
        let receipt = Receipt {
            id: self.sent.len() as u64 + 1,
            order_id: new.order_id,
            email: new.email,
            sent_at: now(),
        };
        if let Some(key) = key {
            self.by_key.insert(key.to_owned(), receipt.id);
        }
        self.sent.push(receipt.clone());
        (receipt, true)
    }
}

async fn list(
    State(receipts): State<Shared<Receipts>>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Vec<Receipt>>, Refusal> {
    let orders = parameters.ids("order_id")?;
    let receipts = receipts.read().expect("no holder of this lock can panic");
    let sent = receipts.sent.iter();
    let wanted = sent.filter(|it| orders.is_empty() || orders.contains(&it.order_id));
    Ok(Json(wanted.cloned().collect()))
}

async fn send(
    State(receipts): State<Shared<Receipts>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Receipt>), Refusal> {
    let new: NewReceipt = body(&bytes)?;
    if !new.email.contains('@') {
        return Err(Refusal::invalid("this is no email address"));
    }
    let key = headers.get("idempotency-key").map(|key| key.to_str());
    let key = key
        .transpose()
        .map_err(|_| Refusal::bad_request("a key is text"))?;
    let mut receipts = receipts.write().expect("no holder of this lock can panic");
    let (receipt, is_new) = receipts.send(new, key);
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(receipt)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::ask;

    #[tokio::test]
    async fn receipts_are_listed_in_the_order_of_arrival() {
        let routes = routes();
        for order in [7, 3, 7] {
            let new = json!({ "order_id": order.to_string(), "email": "ada@example.com" });
            let (status, sent) = ask(&routes, "POST", "/receipts", Some(new)).await;
            assert_eq!((status, &sent["order_id"]), (201, &json!(order)));
        }
        let (_, all) = ask(&routes, "GET", "/receipts", None).await;
        let orders: Vec<_> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["order_id"])
            .collect();
        assert_eq!(orders, [7, 3, 7]);
        let (_, some) = ask(&routes, "GET", "/receipts?order_id=3&order_id=9", None).await;
        assert_eq!(some.as_array().unwrap().len(), 1);
    }

    #[test]
    fn the_same_key_sends_one_receipt() {
        let mut receipts = Receipts::default();
        let new = || NewReceipt {
            order_id: 7,
            email: "ada@example.com".to_owned(),
        };
        assert!(receipts.send(new(), Some("a")).1);
        let (again, is_new) = receipts.send(new(), Some("a"));
        assert_eq!((again.id, is_new), (1, false));
        assert!(receipts.send(new(), Some("b")).1);
        assert!(receipts.send(new(), None).1);
        assert_eq!(receipts.sent.len(), 3);
    }

    #[tokio::test]
    async fn what_is_no_receipt_is_refused() {
        let bad = json!({ "order_id": 7, "email": "ada" });
        assert_eq!(ask(&routes(), "POST", "/receipts", Some(bad)).await.0, 422);
        let unknown = json!({ "order_id": 7, "email": "a@b", "x": 1 });
        assert_eq!(
            ask(&routes(), "POST", "/receipts", Some(unknown)).await.0,
            422
        );
    }
}
