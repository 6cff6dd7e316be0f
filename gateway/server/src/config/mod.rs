//! What the operator decides: `switchboard.yaml`, converted once.
//!
//! Owns reading the file, the environment, and the conversion from what the
//! file says to what each room needs: paths resolved, durations parsed,
//! defaults filled in. Nobody else sees the file's own types. Knows nothing of
//! graphs or requests.

mod authentication;
mod authorization;
mod convert;
mod credentials;
mod edge;
mod env;
mod file;
mod interpolate;
mod observe;
mod problem;
mod schema;
mod subscriptions;
mod supergraph;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use compose::Diagnostics;
use compose::GivenContract;
use compose::GivenHeaders;
use compose::SourceOverride;
use compose::diagnostic::Diagnostic;
use sources::CacheSettings;
use sources::Secret;
use sources::SourcesConfig;

use crate::admission;
use crate::cost::CostSettings;
use crate::documents;
use crate::durable::DurableSettings;
use crate::idempotency::IdempotencySettings;
use crate::limits::ClientLimits;
use crate::observe::share::Share;
use crate::observe::trace::TraceSettings;
use crate::rate_limits;

pub(crate) use authentication::Algorithm;
pub(crate) use authentication::ApiKeys;
pub(crate) use authentication::Authentication;
pub(crate) use authentication::Issuer;
pub(crate) use authentication::Jwt;
pub(crate) use authentication::KeyPlace;
pub(crate) use authentication::TokenPlace;
pub(crate) use authorization::Authorization;
pub(crate) use authorization::AuthorizationMode;
pub(crate) use authorization::OnPolicyFailure;
pub(crate) use authorization::PolicyService;
pub(crate) use edge::ClientAddress;
pub(crate) use edge::Compression;
pub(crate) use edge::Cors;
pub(crate) use edge::Edge;
pub(crate) use edge::ForwardedHeader;
pub(crate) use edge::Origins;
pub(crate) use edge::StatusProfile;
pub(crate) use edge::TlsFiles;
pub(crate) use edge::Token;
pub(crate) use env::Environment;
pub(crate) use observe::MetricsSettings;
pub(crate) use schema::json_schema;
pub(crate) use subscriptions::OnReload;
pub(crate) use subscriptions::Subscriptions;
pub(crate) use subscriptions::WhenFull;
pub(crate) use supergraph::Supergraph;
pub(crate) use supergraph::SupergraphAddress;
pub(crate) use supergraph::SupergraphOrigin;
#[cfg(test)]
pub(crate) use tests::cors_for_tests;

/// Everything the program needs to know, in the form in which it needs it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file that it was read from.
    pub(crate) path: PathBuf,
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Where operators connect.
    pub(crate) admin: SocketAddr,
    /// In the order of the file.
    pub(crate) subgraphs: Vec<Subgraph>,
    /// Composed by somebody else; then there are no subgraphs.
    pub(crate) supergraph: Option<Supergraph>,
    /// Parts of the graph, by name.
    pub(crate) contracts: BTreeMap<String, GivenContract>,
    /// Whether the whole of it is served too.
    pub(crate) full_graph: bool,
    /// Shares of the requests, 0 to 1, for which labels of `@override` are active.
    pub(crate) override_labels: BTreeMap<String, f64>,
    /// `$config` values.
    pub(crate) values: BTreeMap<String, String>,
    /// Header rules beside those of the subgraph files.
    pub(crate) headers: GivenHeaders,
    pub(crate) sources: SourcesConfig,
    pub(crate) limits: ClientLimits,
    pub(crate) cost: CostSettings,
    pub(crate) http: HttpLimits,
    pub(crate) authentication: Authentication,
    pub(crate) client_address: ClientAddress,
    pub(crate) rate_limits: rate_limits::Settings,
    /// Operations that are named instead of sent.
    pub(crate) persisted: documents::Settings,
    pub(crate) edge: Edge,
    pub(crate) subscriptions: Subscriptions,
    /// Operations of one request; none where lists are not accepted.
    pub(crate) batching: Option<usize>,
    pub(crate) status_profile: StatusProfile,
    /// Where clients reach this gateway, for the addresses of problem types. None: `localhost`.
    pub(crate) problems: Option<String>,
    pub(crate) authorization: Authorization,
    /// What is kept of services' replies; none where nothing is.
    pub(crate) cache: Option<CacheSettings>,
    /// How many plans are kept.
    pub(crate) plans: u64,
    pub(crate) coalesce: Coalesce,
    /// Calls of services for one operation.
    pub(crate) upstream_calls: u32,
    /// From the first byte of a request to the last of its answer.
    pub(crate) request_timeout: Duration,
    /// What a request has at least, whatever its client says.
    pub(crate) request_minimum: Duration,
    /// Durable calls. The store is opened once.
    pub(crate) queue: DurableSettings,
    /// What clients' keys are worth. The store is opened once.
    pub(crate) idempotency: IdempotencySettings,
    /// How many requests run at once. Read when the process starts.
    pub(crate) admission: admission::Settings,
    /// How long requests are still accepted after SIGTERM.
    pub(crate) grace: Duration,
    /// How long requests in flight may go on after that.
    pub(crate) drain: Duration,
    pub(crate) features: Features,
    /// Whether it was started with `--dev`.
    pub(crate) dev: bool,
    /// What requests sign with that ask for faults on purpose.
    pub(crate) faults_secret: Option<Secret>,
    pub(crate) log: Log,
    /// Read when the process starts.
    pub(crate) metrics: MetricsSettings,
    /// Where traces go. Read when the process starts.
    pub(crate) tracing: Option<TraceSettings>,
    /// Requests that take longer are told with their plan.
    pub(crate) slow_log: Option<Duration>,
    /// Requests that have a line in the log; none where there is no such log.
    pub(crate) access_log: Option<Share>,
}

/// One team's file.
#[derive(Debug, Clone)]
pub(crate) struct Subgraph {
    pub(crate) name: String,
    pub(crate) origin: SchemaOrigin,
    /// The address of the GraphQL service that serves it as a whole.
    pub(crate) url: Option<String>,
    /// The `$env` names that it may read; `None` is not set.
    pub(crate) env: BTreeMap<String, Option<String>>,
    pub(crate) sources: BTreeMap<String, SourceOverride>,
}

/// Where a subgraph's schema is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaOrigin {
    /// As diagnostics name it, and as it is opened.
    File(String),
    /// The service tells it.
    Service {
        url: String,
        /// Where what it told last is kept.
        keep: Option<PathBuf>,
    },
}

/// Limits on what a client sends, before anyone looks at what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpLimits {
    /// Bytes of a body.
    pub(crate) body: usize,
    /// Bytes of all headers.
    pub(crate) headers: usize,
    /// Brackets of a JSON body that stand open at once.
    pub(crate) json_depth: usize,
    /// Bytes of an address.
    pub(crate) uri: usize,
    /// Connections that are open at once.
    pub(crate) connections: usize,
    /// Those of one address.
    pub(crate) connections_per_address: usize,
    /// Time without a request.
    pub(crate) idle: Duration,
    /// Time for the handshake of TLS.
    pub(crate) handshake: Duration,
    /// Time for the head of a request.
    pub(crate) head_time: Duration,
    /// Time for the body of a request.
    pub(crate) body_time: Duration,
    /// Time in which a client takes nothing of its answer.
    pub(crate) write: Duration,
}

impl Config {
    /// The port of operators lets nobody in whom it cannot tell from anybody else.
    pub(crate) fn check_admin(&self) -> Result<(), Diagnostics> {
        let certificates = self
            .edge
            .admin_tls
            .as_ref()
            .and_then(|tls| tls.clients.as_ref());
        let certificates = certificates.is_some_and(|clients| clients.required);
        let guarded = certificates || !self.edge.admin_tokens.is_empty();
        match guarded || self.admin.ip().is_loopback() {
            true => Ok(()),
            false => Err(problem::only(
                Diagnostic::error(
                    "OPEN_ADMIN_PORT",
                    format!("admin.listen is {}, where anybody could act", self.admin),
                )
                .help("set admin.tokens, or listen on 127.0.0.1"),
            )),
        }
    }
}

/// Which identical work is shared while it is in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coalesce {
    /// Whole operations.
    pub(crate) operations: bool,
    /// Single upstream reads.
    pub(crate) reads: bool,
}

/// What `--dev` turns on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) introspection: bool,
    pub(crate) playground: bool,
    pub(crate) suggestions: bool,
    pub(crate) hot_reload: bool,
}

impl Features {
    /// All of them.
    pub(crate) const DEV: Self = Self {
        introspection: true,
        playground: true,
        suggestions: true,
        hot_reload: true,
    };
}

/// How the program speaks about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// A level, or levels by module: `info`, `warn,switchboard=debug`.
    pub(crate) level: String,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    Pretty,
    Json,
}

/// Reads and converts the file.
pub(crate) fn load(path: &Path, environment: &Environment) -> Result<Config, Diagnostics> {
    let name = path.to_string_lossy().replace('\\', "/");
    let text = problem::read(path, &name)?;
    let text = interpolate::interpolate(&name, &text, environment)?;
    let file = file::parse(&name, &text)?;
    convert::convert(path, file, environment)
}

#[cfg(test)]
mod tests;
