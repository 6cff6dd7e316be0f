//! Inventory: what lies in the warehouses, over gRPC, read-only. Contract: `schema/inventory.proto`.
//!
//! Knows products by the text of their number only, and answers batches in an order of its own.

pub mod proto;
mod warehouse;

use std::{io, pin::Pin, time::Duration};

use axum::Router;
use futures_util::{Stream, stream};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, service::Routes};

use self::{
    proto::{
        BatchGetStockRequest, BatchGetStockResponse, GetStockRequest, Stock, WatchStockRequest,
        inventory_service_server::{InventoryService, InventoryServiceServer},
    },
    warehouse::Warehouses,
};
use crate::{
    faults::Faults,
    serve::{Protocol, Running, start},
};

pub(crate) const NAME: &str = "inventory";

const MOST_AT_ONCE: usize = 1000;
/// Between two sales, where nobody says otherwise, and at least.
const SALES: Duration = Duration::from_secs(1);
const FASTEST: Duration = Duration::from_millis(10);
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inventory.bin"));

/// Starts the service, with server reflection, on a listener inside the caller's tokio runtime.
///
/// # Errors
/// When the listener has no address of its own.
pub fn serve(listener: TcpListener, faults: Faults) -> io::Result<Running> {
    start(NAME, Protocol::Grpc, routes(), listener, faults)
}

fn routes() -> Router {
    let service = InventoryServiceServer::new(Warehouses::seeded());
    Routes::new(service)
        .add_service(crate::reflection::service(DESCRIPTORS))
        .into_axum_router()
}

#[tonic::async_trait]
impl InventoryService for Warehouses {
    type WatchStockStream = Pin<Box<dyn Stream<Item = Result<Stock, Status>> + Send>>;

    async fn watch_stock(
        &self,
        request: Request<WatchStockRequest>,
    ) -> Result<Response<Self::WatchStockStream>, Status> {
        let WatchStockRequest {
            product_id,
            interval_ms,
        } = request.into_inner();
        let interval = match u64::try_from(interval_ms) {
            Ok(0) => SALES,
            Ok(millis) => Duration::from_millis(millis).max(FASTEST),
            Err(_) => return Err(Status::invalid_argument("interval_ms is below 0")),
        };
        let get = GetStockRequest { product_id };
        let stock = self.get_stock(Request::new(get)).await?.into_inner();
        Ok(Response::new(Box::pin(sales(stock, interval))))
    }

    async fn get_stock(
        &self,
        request: Request<GetStockRequest>,
    ) -> Result<Response<Stock>, Status> {
        let id = request.into_inner().product_id;
        let stock = self
            .get(&id)
            .ok_or_else(|| Status::not_found(format!("no warehouse knows product {id}")))?;
        Ok(Response::new(stock.clone()))
    }

    async fn batch_get_stock(
        &self,
        request: Request<BatchGetStockRequest>,
    ) -> Result<Response<BatchGetStockResponse>, Status> {
        let mut ids = request.into_inner().product_ids;
        if ids.len() > MOST_AT_ONCE {
            return Err(Status::invalid_argument(format!(
                "at most {MOST_AT_ONCE} product_ids"
            )));
        }
        // The order of the shelves, which is the order of the texts and not of the question.
        ids.sort_unstable();
        let items = ids.iter().filter_map(|id| self.get(id)).cloned().collect();
        Ok(Response::new(BatchGetStockResponse { items }))
    }
}

/// A stock, and what is left of it after each sale, until nothing is.
fn sales(stock: Stock, interval: Duration) -> impl Stream<Item = Result<Stock, Status>> {
    stream::unfold((Some(stock), false), move |(stock, sold)| async move {
        let stock = stock?;
        if sold {
            tokio::time::sleep(interval).await;
        }
        let left = stock.available.then(|| after_a_sale(&stock));
        Some((Ok(stock), (left, true)))
    })
}

fn after_a_sale(stock: &Stock) -> Stock {
    let quantity = stock.quantity - 1;
    let available = quantity > 0;
    Stock {
        product_id: stock.product_id.clone(),
        available,
        quantity,
        warehouse: stock.warehouse.clone().filter(|_| available),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tonic::Code;

    use super::*;

    async fn batch(ids: &[&str]) -> Vec<Stock> {
        let product_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let request = Request::new(BatchGetStockRequest { product_ids });
        Warehouses::seeded()
            .batch_get_stock(request)
            .await
            .unwrap()
            .into_inner()
            .items
    }

    #[tokio::test]
    async fn a_batch_answers_in_its_own_order_and_leaves_out_the_unknown() {
        let items = batch(&["9", "10", "nothing", "1"]).await;
        assert_eq!(
            items
                .iter()
                .map(|item| item.product_id.as_str())
                .collect::<Vec<_>>(),
            ["1", "10", "9"]
        );
    }

    #[tokio::test]
    async fn what_is_available_has_a_quantity_and_a_warehouse() {
        let ids: Vec<String> = (1..=1000).map(|id| id.to_string()).collect();
        let items = batch(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(items.len(), 1000);
        assert!(
            items
                .iter()
                .all(|item| item.available == (item.quantity > 0))
        );
        assert!(
            items
                .iter()
                .all(|item| item.available == item.warehouse.is_some())
        );
        assert!(items.iter().any(|item| !item.available));
    }

    #[tokio::test]
    async fn every_product_of_the_catalogue_has_a_row() {
        assert_eq!(batch(&["1", "10000", "10001", "0"]).await.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stock_is_watched_until_it_is_sold_out() {
        let [stock] = &batch(&["1"]).await[..] else {
            panic!("one stock")
        };
        let request = Request::new(WatchStockRequest {
            product_id: "1".to_owned(),
            interval_ms: 0,
        });
        let watched = Warehouses::seeded().watch_stock(request).await.unwrap();
        let told: Vec<i32> = watched
            .into_inner()
            .map(|stock| stock.unwrap().quantity)
            .collect()
            .await;
        assert_eq!(told, (0..=stock.quantity).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_unknown_product_is_not_found() {
        let request = Request::new(GetStockRequest {
            product_id: "x".to_owned(),
        });
        let refusal = Warehouses::seeded().get_stock(request).await.unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.message()),
            (Code::NotFound, "no warehouse knows product x")
        );
    }
}
