//! Inventory: what lies in the warehouses, over gRPC, read-only. Contract: `schema/inventory.proto`.
//!
//! Knows products by the text of their number only, and answers batches in an order of its own.

pub mod proto;
mod warehouse;

use std::io;

use axum::Router;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, service::Routes};

use self::{
    proto::{
        BatchGetStockRequest, BatchGetStockResponse, GetStockRequest, Stock,
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

#[cfg(test)]
mod tests {
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
