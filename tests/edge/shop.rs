//! The example shop behind the real binary, with its services' faults switched on.

use std::path::Path;

use serde_json::json;
use switchboard_subgraphs::Faults;
use switchboard_subgraphs::Running;
use switchboard_subgraphs::Service;
use tokio::net::TcpListener;

use super::binary::Folder;
use super::binary::Gateway;

const JOIN: &str = "{ products(limit: 20) { name price stock: inventory { available } reviews { rating comment user { name } } } }";

/// All services and a gateway over them.
struct Shop {
    services: Vec<Running>,
    gateway: Gateway,
    /// Where the gateway keeps what waits to be delivered.
    _queue: Folder,
}

impl Shop {
    async fn open() -> Self {
        let mut services = Vec::new();
        for service in Service::ALL {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            services.push(service.serve(listener, Faults::NONE).expect("a service"));
        }
        let queue = Folder::new(&[]);
        let place = queue.file("queue").to_string_lossy().into_owned();
        let address = |service: &Running| {
            let name = format!("{}_URL", service.name().to_uppercase());
            (name, service.url())
        };
        let mut env: Vec<(String, String)> = services.iter().map(address).collect();
        env.push(("SWITCHBOARD_QUEUE".to_owned(), place));
        let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/switchboard.yaml");
        let gateway = Gateway::start(&config, &env).await;
        Self {
            services,
            gateway,
            _queue: queue,
        }
    }

    fn service(&self, name: &str) -> &Running {
        let mut services = self.services.iter();
        services
            .find(|service| service.name() == name)
            .expect("a service of the shop")
    }

    fn calls(&self) -> Vec<(&'static str, u64)> {
        let calls = |service: &Running| (service.name(), service.stats().snapshot().requests);
        self.services
            .iter()
            .map(calls)
            .filter(|(_, calls)| *calls > 0)
            .collect()
    }
}

#[tokio::test]
async fn twenty_products_with_stock_reviews_and_their_authors_are_four_calls() {
    let shop = Shop::open().await;
    let answer = shop.gateway.ask(JOIN).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    let products = answer["data"]["products"].as_array().expect("products");
    assert_eq!(products.len(), 20);
    for product in products {
        assert!(product["stock"]["available"].is_boolean(), "{product}");
        assert!(
            product["reviews"][0]["user"]["name"].is_string(),
            "{product}"
        );
    }
    let calls = [
        ("users", 1),
        ("products", 1),
        ("inventory", 1),
        ("reviews", 1),
    ];
    assert_eq!(shop.calls(), calls);
}

#[tokio::test]
async fn a_service_that_always_fails_takes_only_its_own_fields_with_it() {
    let shop = Shop::open().await;
    let broken = [
        (
            "inventory",
            "{ products(limit: 2) { name stock: inventory { available } } }",
            "stock",
        ),
        (
            "reviews",
            "{ products(limit: 2) { name reviews { rating } } }",
            "reviews",
        ),
    ];
    for (name, query, field) in broken {
        let faults = Faults {
            error_rate: 1.0,
            ..Faults::NONE
        };
        shop.service(name).faults().set(faults);
        let answer = shop.gateway.ask(query).await;
        let products = answer["data"]["products"].as_array().expect("products");
        assert!(
            products
                .iter()
                .all(|p| p["name"].is_string() && p[field].is_null()),
            "{answer}"
        );
        let errors = answer["errors"].as_array().expect("errors");
        let paths: Vec<_> = errors.iter().map(|error| error["path"].clone()).collect();
        assert_eq!(
            paths,
            [json!(["products", 0, field]), json!(["products", 1, field])]
        );
        let codes = errors.iter().map(|error| &error["extensions"]["code"]);
        assert!(
            codes.into_iter().all(|code| code == "UPSTREAM_UNAVAILABLE"),
            "{answer}"
        );
        shop.service(name).faults().set(Faults::NONE);
        assert_eq!(shop.gateway.ask(query).await.get("errors"), None);
    }
}

#[tokio::test]
async fn malformed_and_truncated_replies_of_both_kinds_are_errors_and_nothing_worse() {
    let shop = Shop::open().await;
    let malformed = Faults {
        malformed_rate: 1.0,
        ..Faults::NONE
    };
    let truncated = Faults {
        truncate_rate: 1.0,
        ..Faults::NONE
    };
    for faults in [malformed, truncated] {
        for service in &shop.services {
            service.faults().set(faults);
        }
        // Twice, since malformed replies come in two kinds, in turn.
        for _ in 0..2 {
            let answer = shop.gateway.ask("{ user(id: 1) { name } product(id: 1) { name } review(id: 1) { rating } order(id: 1) { id } }").await;
            assert_eq!(
                answer["data"],
                json!({ "user": null, "product": null, "review": null, "order": null }),
                "{answer}"
            );
            assert_eq!(
                answer["errors"].as_array().map(Vec::len),
                Some(4),
                "{answer}"
            );
        }
    }
    for service in &shop.services {
        service.faults().set(Faults::NONE);
    }
    assert_eq!(shop.gateway.ask(JOIN).await.get("errors"), None);
}

#[tokio::test]
async fn a_conflict_of_the_orders_service_reads_as_one() {
    let shop = Shop::open().await;
    let shipped = shop
        .gateway
        .ask("{ orders(first: 1, status: SHIPPED) { nodes { id } } }")
        .await;
    let id = shipped["data"]["orders"]["nodes"][0]["id"]
        .as_str()
        .expect("a shipped order")
        .to_owned();
    let answer = shop
        .gateway
        .ask(&format!("mutation {{ cancelOrder(id: {id}) {{ id }} }}"))
        .await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "CONFLICT",
        "{answer}"
    );
    assert!(
        answer["errors"][0]["extensions"]["problem"]["title"].is_string(),
        "{answer}"
    );
}
