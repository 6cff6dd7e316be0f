//! What `switchboard.yaml` says, word by word.
//!
//! Owns the file's keys, their documentation and their defaults, from which
//! the JSON schema is made. Only keys that do something are here.

pub(super) mod admission;
pub(super) mod authentication;
pub(super) mod authorization;
pub(super) mod cache;
pub(super) mod contracts;
pub(super) mod cost;
pub(super) mod credentials;
mod documents;
pub(super) mod edge;
pub(super) mod faults;
pub(super) mod headers;
pub(super) mod idempotency;
pub(super) mod limits;
pub(super) mod observe;
pub(super) mod queue;
mod rate_limits;
pub(super) mod redis;
pub(super) mod resilience;
pub(super) mod subscriptions;
pub(super) mod supergraph;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use compose::Diagnostics;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use self::limits::Limits;
use super::problem;
use super::units::Size;
use super::units::Span;

pub(super) use documents::Documents;
pub(super) use documents::Trusted;
pub(super) use documents::TrustedMode;
pub(super) use rate_limits::LimitsRedis;
pub(super) use rate_limits::RateLimit;
pub(super) use rate_limits::RateLimitHeaders;
pub(super) use rate_limits::RateLimitKey;
pub(super) use rate_limits::RateLimitMode;
pub(super) use rate_limits::RateLimitStore;
pub(super) use rate_limits::RedisFailure;

/// Parses the file.
pub(super) fn parse(name: &str, text: &str) -> Result<File, Diagnostics> {
    serde_yaml_ng::from_str(text)
        .map_err(|error| problem::only(problem::of_parser(name, text, &error)))
}

/// Configuration of the Switchboard gateway. `${NAME}` and `${NAME:-default}` are filled in from the environment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Where clients connect: /graphql, /playground, /health, /ready. Port 0 takes a free one.
    #[serde(default = "default_listen")]
    #[schemars(with = "String")]
    pub(super) listen: SocketAddr,
    /// What operators connect to.
    #[serde(default)]
    pub(super) admin: Admin,
    /// One team's file each. The order decides the order of types in the schema.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Subgraph>")]
    pub(super) subgraphs: IndexMap<String, Subgraph>,
    /// A ready-made supergraph, instead of `subgraphs`.
    #[serde(default)]
    pub(super) supergraph: Option<supergraph::Supergraph>,
    /// Parts of the graph that some clients see, by `@tag`: each is served at /graphql/NAME.
    #[serde(default)]
    pub(super) contracts: BTreeMap<String, contracts::Contract>,
    /// Whether the whole graph is served at /graphql, beside `contracts`.
    #[serde(default = "default_full_graph")]
    pub(super) full_graph: bool,
    /// For how many of 100 requests a label of `@override(label:)` is active; a decimal is one. Goes before the label's own
    /// `percent(...)`; any other label is active for none by default.
    #[serde(default)]
    pub(super) override_labels: BTreeMap<String, f64>,
    /// Values that subgraph files read as {$config.NAME}.
    #[serde(default)]
    pub(super) config: BTreeMap<String, String>,
    /// Where the pages are that explain why a request was refused.
    #[serde(default)]
    pub(super) problems: Problems,
    /// Headers between clients and services.
    #[serde(default)]
    pub(super) headers: headers::Headers,
    /// TLS towards clients.
    #[serde(default)]
    pub(super) tls: Option<edge::Tls>,
    /// How GraphQL over HTTP is spoken.
    #[serde(default)]
    pub(super) http: edge::Http,
    /// Which pages of other origins may read answers. None, unless they are named.
    #[serde(default)]
    pub(super) cors: edge::Cors,
    /// Compressing answers for clients that accept it.
    #[serde(default)]
    pub(super) compression: edge::Compression,
    /// Lists of operations in one request.
    #[serde(default)]
    pub(super) batching: edge::Batching,
    /// Operations that are answered again and again, over WebSocket or server-sent events.
    #[serde(default)]
    pub(super) subscriptions: subscriptions::Subscriptions,
    /// Whose word is taken for a client's address.
    #[serde(default)]
    pub(super) client_address: edge::ClientAddress,
    /// Who asks, and how that is verified.
    #[serde(default)]
    pub(super) authentication: authentication::Authentication,
    /// How large what a client or a service sends may be, and what an operation may hold.
    #[serde(default)]
    pub(super) limits: Limits,
    /// How much one client may ask for, by policies of any number.
    #[serde(default)]
    pub(super) rate_limits: Vec<RateLimit>,
    /// Where rate limits are counted.
    #[serde(default)]
    pub(super) rate_limit_store: RateLimitStore,
    /// Operations that are named instead of sent.
    #[serde(default)]
    pub(super) documents: Documents,
    /// How operations are priced. What they may cost is `limits.cost`.
    #[serde(default)]
    pub(super) cost: cost::Cost,
    /// How long things may take.
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    /// What happens when services fail.
    #[serde(default)]
    pub(super) resilience: resilience::Resilience,
    /// What becomes of what a caller may not see.
    #[serde(default)]
    pub(super) authorization: authorization::Authorization,
    /// Plans of operations that were seen before.
    #[serde(default)]
    pub(super) plan_cache: PlanCache,
    /// Replies of services that are kept.
    #[serde(default)]
    pub(super) cache: cache::Cache,
    /// Which identical work is shared while it is in flight.
    #[serde(default)]
    pub(super) coalesce: Coalesce,
    /// Calls that are made durable and delivered later: `@queue`.
    #[serde(default)]
    pub(super) queue: queue::Queue,
    /// What a client's `Idempotency-Key` on a mutation is worth.
    #[serde(default)]
    pub(super) idempotency: idempotency::Idempotency,
    /// How many gateways serve this graph. `many` refuses what only one process can keep: the embedded queue, idempotency keys in a file, and rate limits that are counted locally.
    #[serde(default)]
    pub(super) replicas: Replicas,
    /// How many requests run at once, and which are refused.
    #[serde(default)]
    pub(super) admission: admission::Admission,
    /// What happens after a signal to stop.
    #[serde(default)]
    pub(super) shutdown: Shutdown,
    /// What helps while a graph is developed; `--dev` turns all of it on.
    #[serde(default)]
    pub(super) dev: Dev,
    /// How the program speaks about itself, on standard error.
    #[serde(default)]
    pub(super) log: Log,
    /// Numbers for Prometheus.
    #[serde(default)]
    pub(super) metrics: observe::Metrics,
    /// Traces, to a collector that speaks OTLP over HTTP.
    #[serde(default)]
    pub(super) tracing: observe::Tracing,
    /// A warning for each request that takes long, with its plan and its calls.
    #[serde(default)]
    pub(super) slow_log: observe::SlowLog,
    /// One line for each request, or for a share of them.
    #[serde(default)]
    pub(super) access_log: observe::AccessLog,
}

impl File {
    /// What is different here from what files say of sources, each with its name.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&String, &Source)> {
        let of_subgraphs = self.subgraphs.values().flat_map(|it| &it.sources);
        of_subgraphs.chain(self.supergraph.iter().flat_map(|it| &it.0.sources))
    }
}

fn default_full_graph() -> bool {
    true
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4000))
}

/// How many gateways serve one graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Replicas {
    /// This one.
    #[default]
    One,
    /// Several.
    Many,
}

/// What operators connect to.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    /// /health/live, /health/ready and /metrics, POST /reload and /cache/purge. Anything but a loopback address needs `tokens`, or certificates of clients.
    #[schemars(with = "String")]
    pub(super) listen: SocketAddr,
    /// What operators send as `Authorization: Bearer`, by a name for the audit log; at least 16 characters. An empty one is none.
    pub(super) tokens: BTreeMap<String, String>,
    /// TLS towards operators.
    pub(super) tls: Option<edge::Tls>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4001)),
            tokens: BTreeMap::new(),
            tls: None,
        }
    }
}

/// Where the pages are that explain why a request was refused.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Problems {
    /// The address at which clients reach this gateway, such as `https://api.example.com`: problem types are named below it, at /problems/. Without it, http://localhost and the port of `listen`.
    pub(super) base_url: Option<String>,
}

/// One team's file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subgraph {
    /// The subgraph file, relative to this one. Without it the service at `url` is asked for its schema at each start and reload: `{ _service { sdl } }`.
    pub(super) schema: Option<String>,
    /// The address of the GraphQL service that serves the subgraph as a whole, by Apollo Federation.
    pub(super) url: Option<String>,
    /// Where the schema that the service told last is kept, relative to this file, for a start at which it does not answer: `./data/subgraphs/NAME.graphql` by default. An empty text keeps none.
    pub(super) keep: Option<String>,
    /// The variables that the file may read as {$env.NAME}.
    #[serde(default)]
    pub(super) env: Vec<String>,
    /// What is different here from what the file says of its sources.
    #[serde(default)]
    pub(super) sources: BTreeMap<String, Source>,
}

/// What is different from what the subgraph file says of a source.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Source {
    /// Its address.
    pub(super) url: Option<String>,
    /// The time of one attempt.
    pub(super) timeout: Option<Span>,
    /// The time to establish a connection.
    pub(super) connect: Option<Span>,
    /// A mutation with less time left is refused before it starts.
    pub(super) min_deadline: Option<Span>,
    /// Headers (gRPC: metadata) for every call; a rule of the subgraph file for the same name wins.
    pub(super) headers: BTreeMap<String, credentials::Secret>,
    /// Who the gateway is to it, the same for all callers.
    pub(super) credentials: Option<credentials::Credentials>,
    /// Whom to trust, and which certificate to show.
    pub(super) tls: credentials::Tls,
    /// The largest reply that is read.
    pub(super) reply: Option<Size>,
    /// HTTP/2 without TLS, for REST services that speak nothing else.
    pub(super) http2: bool,
    /// Points that one operation may cost at this source: `{ max: 1000, mode: enforce }`.
    pub(super) cost: limits::LimitSetting,
    /// Calls a second from this gateway, after merging and batching; what the subgraph file says otherwise.
    pub(super) requests_per_second: Option<NonZeroU32>,
    /// Calls at once; those of one second otherwise.
    pub(super) burst: Option<NonZeroU32>,
    /// How long a call above the limit may wait for its turn; it fails at once otherwise.
    pub(super) wait: Option<Span>,
    /// What happens when it fails; what is not said here, the subgraph file says, then `resilience` for all sources.
    pub(super) resilience: resilience::Resilience,
    /// What goes wrong with its calls, on purpose, so that teams can rehearse an outage.
    pub(super) faults: Option<faults::Faults>,
}

/// How long things may take.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Timeouts {
    /// A client's request, however long the client would wait (`X-Request-Timeout-Ms`, `grpc-timeout`).
    pub(super) request: Span,
    /// What a client's request has at least, however short a time the client names.
    pub(super) request_minimum: Span,
    /// One attempt of a call, where neither the subgraph file nor `sources` says otherwise.
    pub(super) upstream: Span,
    /// Establishing a connection to a service.
    pub(super) connect: Span,
    /// Connections to services are made anew when they are older, so that a service that grew gets its share; 0s for never.
    pub(super) connection_age: Span,
    /// A client's connection without a request.
    pub(super) idle: Span,
    /// The handshake of TLS.
    pub(super) handshake: Span,
    /// A request's headers, from their first byte to their last.
    pub(super) headers: Span,
    /// A request's body, from the last header to its last byte.
    pub(super) body: Span,
    /// A client that takes nothing of its answer.
    pub(super) write: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Span::seconds(30),
            request_minimum: Span::millis(10),
            upstream: Span::seconds(10),
            connect: Span::seconds(2),
            connection_age: Span::seconds(30 * 60),
            idle: Span::seconds(60),
            handshake: Span::seconds(10),
            headers: Span::seconds(10),
            body: Span::seconds(15),
            write: Span::seconds(30),
        }
    }
}

/// Plans of operations that were seen before.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlanCache {
    /// How many are kept.
    pub(super) entries: u64,
}

impl Default for PlanCache {
    fn default() -> Self {
        Self { entries: 1_000 }
    }
}

/// Which identical work is shared while it is in flight. Never across identities, never with a mutation.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Coalesce {
    /// Whole queries.
    pub(super) operations: bool,
    /// Single reads of a service.
    pub(super) reads: bool,
}

impl Default for Coalesce {
    fn default() -> Self {
        Self {
            operations: true,
            reads: true,
        }
    }
}

/// What happens after a signal to stop.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shutdown {
    /// How long after SIGTERM requests are still accepted, while readiness says that they had better go elsewhere.
    pub(super) grace: Span,
    /// How long requests in flight may go on after that.
    pub(super) drain: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Span::seconds(5),
            drain: Span::seconds(20),
        }
    }
}

/// What helps while a graph is developed; `--dev` turns all of it on.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dev {
    /// Answer __schema and __type.
    pub(super) introspection: bool,
    /// Serve /playground, and plan and trace to those who ask for them.
    pub(super) playground: bool,
    /// Say `did you mean` about unknown fields, which tells what names there are.
    pub(super) suggestions: bool,
    /// Reload when a file changes. SIGHUP always reloads.
    pub(super) hot_reload: bool,
    /// What requests sign with that ask for faults on purpose (`Switchboard-Faults`); at least 32 characters. Used with `--dev` alone.
    pub(super) faults_secret: Option<credentials::Secret>,
}

/// How the program speaks about itself, on standard error.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    /// The form of a line.
    pub(super) format: LogFormat,
    /// A level, or levels by module: info, or warn,switchboard=debug.
    pub(super) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".into(),
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One object a line.
    Json,
}
