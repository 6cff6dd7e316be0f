//! Two services of the example shop, one REST and one gRPC, each behind a
//! proxy, and a gateway over both.

use std::time::Duration;

use proxy::Fault;
use proxy::Proxy;
use serde_json::Value as Json;
use serde_json::json;
use switchboard_subgraphs::Faults;
use switchboard_subgraphs::Running;
use switchboard_subgraphs::Service;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::binary;
use super::binary::Folder;
use super::binary::Gateway;
use super::until;

/// The time of one attempt of a call.
pub(super) const TIMEOUT: Duration = Duration::from_millis(400);
/// The time of a client's request.
pub(super) const DEADLINE: Duration = Duration::from_secs(4);
/// No answer comes later than this after its deadline, beside what a busy machine takes.
pub(super) const LATE: Duration = Duration::from_millis(500);

/// Which of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rest,
    Grpc,
}

impl Kind {
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Rest => "users",
            Self::Grpc => "products",
        }
    }

    /// A field of this service.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Rest => "user",
            Self::Grpc => "product",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Rest => Self::Grpc,
            Self::Grpc => Self::Rest,
        }
    }
}

/// The services, their proxies, and the gateway.
pub(super) struct Shop {
    pub(super) users: Proxy,
    pub(super) products: Proxy,
    pub(super) services: Vec<Running>,
    pub(super) gateway: Gateway,
    _folder: Folder,
}

/// What is different from the usual.
#[derive(Default)]
pub(super) struct Setting<'s> {
    /// More of the file.
    pub(super) config: &'s str,
    /// Of each source.
    pub(super) source: &'s str,
    /// More of the command line.
    pub(super) arguments: &'s [&'s str],
}

/// What came back for one request.
pub(super) struct Answer {
    pub(super) body: Json,
    pub(super) took: Duration,
}

const CONFIG: &str = "
timeouts: { request: 4s, upstream: 400ms, connect: 400ms }
coalesce: { operations: false, reads: false }
subgraphs:
  users: { schema: SCHEMA/users.graphql, env: [USERS_URL], sources: { users: { SOURCE } } }
  products: { schema: SCHEMA/products.graphql, env: [PRODUCTS_URL], sources: { products: { SOURCE } } }
";

impl Shop {
    pub(super) async fn open() -> Self {
        Self::open_with(&Setting::default()).await
    }

    /// With more configuration.
    pub(super) async fn open_with(setting: &Setting<'_>) -> Self {
        let (users, behind_users) = behind_proxy(Service::Users).await;
        let (products, behind_products) = behind_proxy(Service::Products).await;
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema");
        let config = format!("{CONFIG}{}", setting.config);
        let config = config
            .replace("SCHEMA", schema)
            .replace("SOURCE", setting.source);
        let folder = Folder::new(&[("switchboard.yaml", &config)]);
        let env = [
            ("USERS_URL", behind_users.url()),
            ("PRODUCTS_URL", behind_products.url()),
        ];
        let env = env.each_ref().map(|(name, url)| (*name, url.as_str()));
        Self {
            gateway: Gateway::start_with(&folder.file("switchboard.yaml"), &env, setting.arguments)
                .await,
            users: behind_users,
            products: behind_products,
            services: vec![users, products],
            _folder: folder,
        }
    }

    pub(super) fn proxy(&self, kind: Kind) -> &Proxy {
        match kind {
            Kind::Rest => &self.users,
            Kind::Grpc => &self.products,
        }
    }

    /// One field of each service.
    pub(super) async fn ask(&self, correlation_id: &str) -> Answer {
        self.send(
            "{ user(id: 1) { name } product(id: 1) { name } }",
            correlation_id,
        )
        .await
    }

    pub(super) async fn send(&self, query: &str, correlation_id: &str) -> Answer {
        let started = Instant::now();
        let request = self.gateway.post(&json!({ "query": query }));
        let request = request.header("x-correlation-id", correlation_id);
        let response = request.send().await.expect("an answer");
        let body = binary::body(response).await;
        let took = started.elapsed();
        Answer { body, took }
    }

    /// Whether both services answer.
    pub(super) async fn is_well(&self) -> bool {
        self.ask("well").await.body.get("errors").is_none()
    }

    /// The fault ends; the gateway finds that out by itself.
    pub(super) async fn recovers(&self, kind: Kind) {
        self.proxy(kind).set(Fault::None).await;
        until(async || self.is_well().await).await;
    }

    /// The lines of the log that belong to one request and have failed calls.
    pub(super) fn failures(&self, correlation_id: &str) -> Vec<Json> {
        let log = self.gateway.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Json| line.to_string().contains(correlation_id))
            .filter(|line| line.to_string().contains("upstream call failed"))
            .collect()
    }

    /// Nothing of what only the log may have.
    pub(super) fn leaks(&self, answer: &Json) -> bool {
        let answer = answer.to_string();
        let mut secrets: Vec<String> = self
            .services
            .iter()
            .map(|service| service.address().port().to_string())
            .collect();
        secrets.extend([&self.users, &self.products].map(|it| it.address().port().to_string()));
        secrets.extend(["127.0.0.1", "secret", "hyper", "h2", "os error"].map(str::to_owned));
        secrets.iter().any(|secret| answer.contains(secret))
    }
}

async fn behind_proxy(service: Service) -> (Running, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let running = service.serve(listener, Faults::NONE).expect("a service");
    let proxy = Proxy::before(running.address()).await.expect("a proxy");
    (running, proxy)
}
