//! The example's catalogue and warehouses, from their subgraph files to the
//! tape: composition, planning and this room mean the same by every name.

use compose::SchemaFiles;
use compose::SubgraphFile;
use compose::Supergraph;
use plan::Document;
use plan::OperationLimits;
use plan::Plan;
use plan::model::Variables;
use plan::source::Sources;

use super::*;
use crate::ConnectedSources;
use crate::connect;

const PRODUCTS: &str = include_str!("../../../../../schema/products.proto");
const INVENTORY: &str = include_str!("../../../../../schema/inventory.proto");

struct Shop {
    graph: Arc<Supergraph>,
    sources: ConnectedSources,
    context: Context,
}

fn subgraph(name: &str, sdl: &str, variable: &str, url: &str) -> SubgraphFile {
    SubgraphFile {
        name: name.to_owned(),
        file: format!("{name}.graphql"),
        sdl: sdl.to_owned(),
        env: [(variable.to_owned(), Some(url.to_owned()))].into(),
        ..SubgraphFile::default()
    }
}

impl Shop {
    fn new(products: &str, inventory: &str) -> Self {
        let sdl = (
            include_str!("../../../../../schema/products.graphql"),
            include_str!("../../../../../schema/inventory.graphql"),
        );
        let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        let files = SchemaFiles {
            subgraphs: vec![
                subgraph("products", sdl.0, "PRODUCTS_URL", products),
                subgraph("inventory", sdl.1, "INVENTORY_URL", inventory),
            ],
            files: [
                file("products.proto", PRODUCTS),
                file("inventory.proto", INVENTORY),
            ]
            .into(),
            ..SchemaFiles::default()
        };
        let graph = compose::compose(&files).unwrap_or_else(|errors| panic!("{errors:#?}"));
        Self {
            sources: connect(&graph, &SourcesConfig::default(), None).unwrap(),
            graph: Arc::new(graph),
            context: context(),
        }
    }

    fn plan(&self, operation: &str) -> Plan {
        let limits = OperationLimits::default();
        let document = Document::parse(self.graph.api(), operation, &limits).unwrap();
        plan::plan(&self.graph, &document, None, &limits).unwrap()
    }

    /// Runs one step and gives the value of its only tape.
    async fn step(&self, plan: &Plan, index: usize, rows: Vec<Row>) -> Result<Json, SourceError> {
        let step = &plan.steps()[index];
        let resolver = self.graph.resolver(step.resolver);
        let fetch = Fetch {
            step,
            shape: &step.shape,
            prepared: &step.prepared,
            resolver,
            args: step.arguments(&Variables::default()),
            below: Vec::new(),
            rows,
            context: &self.context,
        };
        let mut chunks = self
            .sources
            .source(resolver.source)
            .fetch(fetch)
            .await
            .chunks;
        assert_eq!(chunks.len(), 1);
        let tapes = chunks.remove(0).outcome?;
        assert_eq!(tapes.len(), 1);
        Ok(shown(&tapes[0], &step.shape.root))
    }

    async fn first(&self, operation: &str) -> Result<Json, SourceError> {
        self.step(&self.plan(operation), 0, vec![Row::new()]).await
    }
}

/// Encodes and decodes messages of a contract.
struct Contract(&'static str);

impl Contract {
    fn message(&self, name: &str) -> prost_reflect::MessageDescriptor {
        let pool = testing::compile(self.0);
        pool.get_message_by_name(name).unwrap()
    }

    fn encoded(&self, name: &str, json: Json) -> Vec<u8> {
        DynamicMessage::deserialize(self.message(name), json)
            .unwrap()
            .encode_to_vec()
    }

    fn asked(&self, name: &str, call: &Call) -> Json {
        let message = DynamicMessage::decode(self.message(name), call.message.clone()).unwrap();
        serde_json::to_value(&message).unwrap()
    }
}

const CATALOGUE: Contract = Contract(PRODUCTS);
const WAREHOUSES: Contract = Contract(INVENTORY);

fn product(id: &str) -> Vec<u8> {
    let json = json!({
        "id": id, "name": "Teapot", "price": 12.5, "category": "CATEGORY_HOME", "tags": ["tea", "pot"],
        "createdAt": "2025-01-31T09:30:00Z", "attributes": { "color": "red" },
    });
    CATALOGUE.encoded("ecommerce.v1.Product", json)
}

#[tokio::test]
async fn a_stream_of_products_is_a_list() {
    let upstream = answers(|| Answer::Messages(vec![product("1"), product("2")]));
    let shop = Shop::new(&upstream.url(), &closed_url());
    let operation = "{ products(limit: 2, category: HOME) { id name price category tags imageUrl attributes createdAt } }";
    let products = shop.first(operation).await.unwrap();
    assert_eq!(products[0]["id"], json!(1));
    let second = products[1].as_object().unwrap();
    assert_eq!(second["name"], json!("Teapot"));
    assert_eq!(second["price"], json!(12.5));
    assert_eq!(second["category"], json!("HOME"));
    assert_eq!(second["tags"], json!(["tea", "pot"]));
    assert_eq!(second["image_url"], json!(null));
    assert_eq!(second["attributes"], json!({ "color": "red" }));
    assert_eq!(second["created_at"], json!("2025-01-31T09:30:00Z"));
    let call = &upstream.calls()[0];
    assert_eq!(call.path, "/ecommerce.v1.ProductService/ListProducts");
    let asked = CATALOGUE.asked("ecommerce.v1.ListProductsRequest", call);
    assert_eq!(asked, json!({ "pageSize": 2, "category": "CATEGORY_HOME" }));
}

#[tokio::test]
async fn an_id_is_the_number_that_the_service_wants_and_one_that_is_missing_is_null() {
    let upstream = fails(tonic::Status::not_found("no product 7"));
    let shop = Shop::new(&upstream.url(), &closed_url());
    let missing = shop.first("{ product(id: \"7\") { name } }").await.unwrap();
    assert_eq!(missing, Json::Null);
    let asked = CATALOGUE.asked("ecommerce.v1.GetProductRequest", &upstream.calls()[0]);
    assert_eq!(asked, json!({ "productId": "7" }));
    let refused = shop
        .first("{ product(id: \"seven\") { name } }")
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::BadUserInput);
}

#[tokio::test]
async fn a_batch_asks_for_all_keys_at_once_and_its_items_carry_them() {
    let stock = json!({ "items": [{ "productId": "2", "available": true, "quantity": 4 }] });
    let reply = WAREHOUSES.encoded("inventory.v1.BatchGetStockResponse", stock);
    let upstream = answers(move || Answer::Messages(vec![reply.clone()]));
    let shop = Shop::new(&closed_url(), &upstream.url());
    let plan = shop.plan("{ products { inventory { quantity warehouse } } }");
    let rows = [1, 2].map(|id| Row::from_iter([KeyPart::Int(id)]));
    let items = shop.step(&plan, 1, rows.to_vec()).await.unwrap();
    let item = items[0].as_object().unwrap();
    assert_eq!(
        item["product_id"],
        json!("2"),
        "what finds the parent is read too"
    );
    assert_eq!(item["quantity"], json!(4));
    assert_eq!(item["warehouse"], json!(null));
    let asked = WAREHOUSES.asked("inventory.v1.BatchGetStockRequest", &upstream.calls()[0]);
    assert_eq!(asked, json!({ "productIds": ["1", "2"] }));
}
