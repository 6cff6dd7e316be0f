//! Products: the catalogue over gRPC, read-only. Contract: `schema/products.proto`.

mod catalogue;
pub mod proto;

use std::{io, sync::Arc};

use axum::Router;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, service::Routes};

use self::{
    catalogue::Catalogue,
    proto::{
        BatchGetProductsRequest, BatchGetProductsResponse, Category, GetProductRequest,
        ListProductsRequest, Product,
        product_service_server::{ProductService, ProductServiceServer},
    },
};
use crate::{
    faults::Faults,
    serve::{Protocol, Running, start},
};

pub(crate) const NAME: &str = "products";

const MOST_AT_ONCE: usize = 1000;
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/products.bin"));

/// Starts the service, with server reflection, on a listener inside the caller's tokio runtime.
///
/// # Errors
/// When the listener has no address of its own.
pub fn serve(listener: TcpListener, faults: Faults) -> io::Result<Running> {
    start(NAME, Protocol::Grpc, routes(), listener, faults)
}

fn routes() -> Router {
    let service = ProductServiceServer::new(Products {
        catalogue: Arc::new(Catalogue::seeded()),
    });
    Routes::new(service)
        .add_service(crate::reflection::service(DESCRIPTORS))
        .into_axum_router()
}

struct Products {
    catalogue: Arc<Catalogue>,
}

#[tonic::async_trait]
impl ProductService for Products {
    type ListProductsStream = BoxStream<'static, Result<Product, Status>>;

    async fn get_product(
        &self,
        request: Request<GetProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let id = request.into_inner().product_id;
        let product = self
            .catalogue
            .get(id)
            .ok_or_else(|| Status::not_found(format!("there is no product {id}")))?;
        Ok(Response::new(product.clone()))
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Result<Response<BatchGetProductsResponse>, Status> {
        let ids = request.into_inner().product_ids;
        if ids.len() > MOST_AT_ONCE {
            return Err(Status::invalid_argument(format!(
                "at most {MOST_AT_ONCE} product_ids"
            )));
        }
        let products = ids
            .into_iter()
            .filter_map(|id| self.catalogue.get(id))
            .cloned()
            .collect();
        Ok(Response::new(BatchGetProductsResponse { products }))
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<Self::ListProductsStream>, Status> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let wanted = request.category.map(known_category).transpose()?;
        let catalogue = Arc::clone(&self.catalogue);
        let products = (0..catalogue.count()).filter_map(move |row| catalogue.row_in(row, wanted));
        Ok(Response::new(
            stream::iter(products.take(size).map(Ok)).boxed(),
        ))
    }
}

fn page_size(size: i32) -> Result<usize, Status> {
    match usize::try_from(size) {
        Ok(0) => Ok(20),
        Ok(size) => Ok(size.min(MOST_AT_ONCE)),
        Err(_) => Err(Status::invalid_argument("page_size must not be negative")),
    }
}

fn known_category(number: i32) -> Result<Category, Status> {
    Category::try_from(number)
        .map_err(|_| Status::invalid_argument(format!("there is no category {number}")))
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Streaming};

    use super::{proto::product_service_client::ProductServiceClient, *};

    fn products() -> Products {
        Products {
            catalogue: Arc::new(Catalogue::seeded()),
        }
    }

    async fn list(page_size: i32, category: Option<Category>) -> Vec<Product> {
        let request = ListProductsRequest {
            page_size,
            category: category.map(i32::from),
        };
        let stream = products()
            .list_products(Request::new(request))
            .await
            .unwrap()
            .into_inner();
        stream.map(Result::unwrap).collect().await
    }

    #[tokio::test]
    async fn the_list_starts_with_product_1() {
        let ids: Vec<i64> = list(3, None)
            .await
            .iter()
            .map(|product| product.id)
            .collect();
        assert_eq!(ids, [1, 2, 3]);
    }

    #[tokio::test]
    async fn the_list_is_bounded() {
        assert_eq!(list(0, None).await.len(), 20);
        assert_eq!(list(100_000, None).await.len(), 1000);
        let negative = ListProductsRequest {
            page_size: -1,
            category: None,
        };
        let Err(refusal) = products().list_products(Request::new(negative)).await else {
            panic!("was answered")
        };
        assert_eq!(refusal.code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn a_category_restricts_the_list() {
        let toys = list(50, Some(Category::Toys)).await;
        assert_eq!(toys.len(), 50);
        assert!(
            toys.iter()
                .all(|product| product.category() == Category::Toys)
        );
    }

    #[tokio::test]
    async fn a_batch_leaves_out_what_it_does_not_know() {
        let request = BatchGetProductsRequest {
            product_ids: vec![7, 0, 3, -1, i64::MAX, 10_000],
        };
        let products = products()
            .batch_get_products(Request::new(request))
            .await
            .unwrap()
            .into_inner()
            .products;
        assert_eq!(
            products
                .iter()
                .map(|product| product.id)
                .collect::<Vec<_>>(),
            [7, 3, 10_000]
        );
    }

    #[tokio::test]
    async fn a_batch_is_bounded() {
        let request = BatchGetProductsRequest {
            product_ids: vec![1; 1001],
        };
        let refusal = products()
            .batch_get_products(Request::new(request))
            .await
            .unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn an_unknown_product_is_not_found() {
        let refusal = products()
            .get_product(Request::new(GetProductRequest { product_id: 10_001 }))
            .await
            .unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.message()),
            (Code::NotFound, "there is no product 10001")
        );
    }

    #[tokio::test]
    async fn the_catalogue_answers_over_the_network() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = serve(listener, Faults::NONE).unwrap();
        let mut client = ProductServiceClient::connect(running.url()).await.unwrap();
        let product = client
            .get_product(GetProductRequest { product_id: 1 })
            .await
            .unwrap()
            .into_inner();
        let mut stream: Streaming<Product> = client
            .list_products(ListProductsRequest {
                page_size: 2,
                category: None,
            })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap(), product);
        assert_eq!(running.stats().snapshot().requests, 2);
        drop((client, stream));
        running.stop().await;
    }

    #[tokio::test]
    async fn faults_of_a_grpc_service_are_grpc_failures() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = serve(listener, Faults::NONE).unwrap();
        let mut client = ProductServiceClient::connect(running.url()).await.unwrap();
        let mut codes = async |faults: Faults| {
            running.faults().set(faults);
            let mut codes = Vec::new();
            for _ in 0..2 {
                codes.push(
                    client
                        .get_product(GetProductRequest { product_id: 1 })
                        .await
                        .unwrap_err()
                        .code(),
                );
            }
            codes
        };
        assert_eq!(
            codes(Faults {
                error_rate: 1.0,
                ..Faults::NONE
            })
            .await,
            [Code::Unavailable; 2]
        );
        // Garbage bytes and an INTERNAL take turns; tonic calls what it cannot decode INTERNAL too.
        assert_eq!(
            codes(Faults {
                malformed_rate: 1.0,
                ..Faults::NONE
            })
            .await,
            [Code::Internal; 2]
        );
        let cut = codes(Faults {
            truncate_rate: 1.0,
            ..Faults::NONE
        })
        .await;
        assert!(!cut.contains(&Code::Ok), "{cut:?}");
    }

    #[tokio::test]
    async fn a_running_service_describes_itself() {
        use tonic_reflection::pb::v1::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let running = serve(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            Faults::NONE,
        )
        .unwrap();
        let mut client = ServerReflectionClient::new(
            tonic::transport::Endpoint::new(running.url())
                .unwrap()
                .connect()
                .await
                .unwrap(),
        );
        let message_request = Some(MessageRequest::FileContainingSymbol(
            "ecommerce.v1.ProductService".into(),
        ));
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request,
        };
        let mut replies = client
            .server_reflection_info(stream::iter([request]))
            .await
            .unwrap()
            .into_inner();
        let reply = replies
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap();
        let MessageResponse::FileDescriptorResponse(files) = reply else {
            panic!("{reply:?}")
        };
        assert!(!files.file_descriptor_proto.is_empty());
    }
}
