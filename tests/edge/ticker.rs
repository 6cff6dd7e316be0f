//! A gRPC service whose events a test sends: the example's contract of stocks.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use futures_util::Stream;
use futures_util::stream;
use switchboard_subgraphs::inventory::proto::BatchGetStockRequest;
use switchboard_subgraphs::inventory::proto::BatchGetStockResponse;
use switchboard_subgraphs::inventory::proto::GetStockRequest;
use switchboard_subgraphs::inventory::proto::Stock;
use switchboard_subgraphs::inventory::proto::WatchStockRequest;
use switchboard_subgraphs::inventory::proto::inventory_service_server::InventoryService;
use switchboard_subgraphs::inventory::proto::inventory_service_server::InventoryServiceServer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::service::Routes;

use super::PATIENCE;
use super::binary::Folder;
use super::binary::Gateway;

/// The graph over it: what is asked again for each event is `now`.
const SDL: &str = r#"
extend schema @source(name: "stock", grpc: { url: "{$env.STOCK_URL}", protos: ["stock.proto"] }, headers: [{ name: "authorization", from: "authorization" }])
type Query {
  stock(id: ID!): Stock @grpc(method: "inventory.v1.InventoryService/GetStock", request: { product_id: "$args.id" })
}
type Mutation {
  count(id: ID!): Stock @grpc(method: "inventory.v1.InventoryService/GetStock", request: { product_id: "$args.id" })
}
type Subscription {
  changed(id: ID!): Stock @grpc(method: "inventory.v1.InventoryService/WatchStock", request: { product_id: "$args.id" })
}
type Stock {
  id: ID! @map(from: "product_id")
  quantity: Int!
  warehouse: String
  now: Stock @grpc(method: "inventory.v1.InventoryService/GetStock", request: { product_id: "$this.id" }, fanout: 1)
}
"#;

/// A running service.
pub(super) struct Ticker {
    address: SocketAddr,
    watched: mpsc::UnboundedReceiver<Watch>,
    asked: Arc<AtomicUsize>,
}

/// A stream that somebody listens to.
pub(super) struct Watch {
    pub(super) product: String,
    pub(super) authorization: Option<String>,
    events: mpsc::Sender<Result<Stock, Status>>,
}

impl Watch {
    /// Sends an event, once there is room for it.
    pub(super) async fn tick(&self, quantity: i32) {
        self.tick_of(quantity, "Lyon").await;
    }

    pub(super) async fn tick_of(&self, quantity: i32, warehouse: &str) {
        let stock = stock(&self.product, quantity, warehouse);
        let sent = tokio::time::timeout(PATIENCE, self.events.send(Ok(stock)));
        sent.await.expect("in time").expect("somebody listens");
    }

    /// Sends an event, once there is room for it; false where nobody listens any more.
    pub(super) async fn try_tick(&self, quantity: i32, warehouse: &str) -> bool {
        let stock = stock(&self.product, quantity, warehouse);
        let sent = tokio::time::timeout(PATIENCE, self.events.send(Ok(stock)));
        sent.await.expect("in time").is_ok()
    }

    pub(super) async fn fail(&self, status: Status) {
        let sent = self.events.send(Err(status)).await;
        sent.expect("somebody listens");
    }

    /// Returns once nobody listens any more.
    pub(super) async fn abandoned(&self) {
        let closed = tokio::time::timeout(PATIENCE, self.events.closed());
        closed.await.expect("the stream is given up in time");
    }
}

impl Ticker {
    pub(super) async fn start() -> Self {
        let (watching, watched) = mpsc::unbounded_channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let service = Service {
            watching,
            asked: asked.clone(),
        };
        let routes = Routes::new(InventoryServiceServer::new(service)).into_axum_router();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            address,
            watched,
            asked,
        }
    }

    /// The next stream that somebody listens to.
    pub(super) async fn watch(&mut self) -> Watch {
        let watch = tokio::time::timeout(PATIENCE, self.watched.recv());
        watch.await.expect("in time").expect("the service runs")
    }

    /// How often a stock was asked for.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    pub(super) fn folder(&self, config: &str) -> Folder {
        let config = format!(
            "{config}\nsubgraphs:\n  stock: {{ schema: stock.graphql, env: [STOCK_URL] }}\n"
        );
        let proto = include_str!("../../schema/inventory.proto");
        Folder::new(&[
            ("switchboard.yaml", &config),
            ("stock.graphql", SDL),
            ("stock.proto", proto),
        ])
    }

    pub(super) async fn gateway(&self, folder: &Folder) -> Gateway {
        let url = format!("http://{}", self.address);
        Gateway::start(&folder.file("switchboard.yaml"), &[("STOCK_URL", &url)]).await
    }
}

fn stock(product: &str, quantity: i32, warehouse: &str) -> Stock {
    Stock {
        product_id: product.to_owned(),
        available: true,
        quantity,
        warehouse: Some(warehouse.to_owned()),
    }
}

struct Service {
    watching: mpsc::UnboundedSender<Watch>,
    asked: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl InventoryService for Service {
    type WatchStockStream = Pin<Box<dyn Stream<Item = Result<Stock, Status>> + Send>>;

    async fn watch_stock(
        &self,
        request: Request<WatchStockRequest>,
    ) -> Result<Response<Self::WatchStockStream>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|it| it.to_str().expect("text").to_owned());
        let (events, told) = mpsc::channel(1);
        let watch = Watch {
            product: request.into_inner().product_id,
            authorization,
            events,
        };
        drop(self.watching.send(watch));
        let told = stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
        Ok(Response::new(Box::pin(told)))
    }

    async fn get_stock(
        &self,
        request: Request<GetStockRequest>,
    ) -> Result<Response<Stock>, Status> {
        let times = self.asked.fetch_add(1, SeqCst) + 1;
        let product = request.into_inner().product_id;
        Ok(Response::new(stock(&product, times as i32, "Lyon")))
    }

    async fn batch_get_stock(
        &self,
        _: Request<BatchGetStockRequest>,
    ) -> Result<Response<BatchGetStockResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
