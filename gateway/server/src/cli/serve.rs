//! `switchboard serve`: runs the gateway until a signal stops it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::compose::diagnostic::Severity;
use anyhow::Context as _;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::signal::unix::Signal;
#[cfg(unix)]
use tokio::signal::unix::SignalKind;
#[cfg(unix)]
use tokio::signal::unix::signal;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Failure;
use super::ServeOptions;
use super::runtime;
use crate::config::Config;
use crate::config::Edge;
use crate::config::TlsFiles;
use crate::deadline::until;
use crate::durable;
use crate::edge;
use crate::edge::Phase;
use crate::edge::Port;
use crate::edge::problem::Pages;
use crate::edge::tls::Tls;
use crate::graph::Graph;
use crate::graph::kept::keep;
use crate::graph::load::load;
use crate::graph::reload::Origin;
use crate::graph::reload::Reloader;
use crate::graph::reload::Wanted;
use crate::graph::reload::tell_trusted;
use crate::graph::supergraph::LastSeen;
use crate::observe::log;
use crate::observe::trace::Tracer;
use crate::pipeline::Gateway;

pub(super) fn run(options: ServeOptions) -> Result<(), Failure> {
    let origin = options.file.origin(options.adjust());
    let config = origin.read()?;
    log::start(&config.log)?;
    runtime()?.block_on(async {
        let running = Running::start(origin, config).await?;
        running.announce();
        running.until_stopped().await?;
        Ok(())
    })
}

/// A gateway that listens.
pub(super) struct Running {
    config: Config,
    gateway: Arc<Gateway>,
    reloader: Reloader,
    public: TcpListener,
    admin: TcpListener,
    certificates: Certificates,
}

/// TLS of both ports, where it is on.
struct Certificates {
    public: Option<Arc<Tls>>,
    admin: Option<Arc<Tls>>,
}

impl Certificates {
    fn load(edge: &Edge) -> anyhow::Result<Self> {
        let load = |files: &Option<TlsFiles>| files.clone().map(Tls::load).transpose();
        Ok(Self {
            public: load(&edge.tls)?.map(Arc::new),
            admin: load(&edge.admin_tls)?.map(Arc::new),
        })
    }
}

impl Running {
    /// Composes the graph and listens. Services need not be there yet.
    pub(super) async fn start(origin: Origin, config: Config) -> Result<Self, Failure> {
        config.check_admin()?;
        let certificates = Certificates::load(&config.edge)?;
        let last_seen = LastSeen::default();
        let loaded = load(&config, &last_seen).await;
        let supergraph = loaded.supergraph?;
        let warnings = supergraph.warnings().from(Severity::Warning);
        if !warnings.is_empty() {
            tracing::warn!("the graph has warnings:\n{warnings}");
        }
        let pool = Arc::new(Semaphore::new(planners()));
        let graph = Graph::new(config.clone(), supergraph, pool.clone())?;
        let tracer = config.tracing.clone();
        let tracer = tracer.map(|tracing| Tracer::start(tracing, graph.metrics.clone()));
        let tracer = tracer.transpose().map_err(anyhow::Error::msg)?;
        let gateway = Arc::new(Gateway::new(graph).traced(tracer));
        durable::start(&gateway, &gateway.graph.load()).await?;
        keep(&loaded.to_keep);
        tokio::spawn(plan_trusted(gateway.graph.load_full()));
        Ok(Self {
            public: listen(config.listen).await?,
            admin: listen(config.admin).await?,
            reloader: Reloader {
                gateway: gateway.clone(),
                origin,
                pool,
                files: loaded.files,
                last_seen,
            },
            gateway,
            certificates,
            config,
        })
    }

    /// The base address of clients.
    pub(super) fn address(&self) -> String {
        address(&self.public, self.certificates.public.is_some())
    }

    /// Other programs read the addresses from these lines.
    fn announce(&self) {
        println!("graphql {}/graphql", self.address());
        let admin = address(&self.admin, self.certificates.admin.is_some());
        println!("admin {admin}");
    }

    /// Serves until SIGTERM or SIGINT, then drains. A second signal ends it at once.
    pub(super) async fn until_stopped(self) -> anyhow::Result<()> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let (operators, operators_phases) = watch::channel(Phase::Serving);
        let (reload, reloads) = mpsc::channel(1);
        tokio::spawn(self.reloader.run(reloads));
        tokio::spawn(watch_admission(self.gateway.clone()));
        let Certificates { public, admin } = self.certificates;
        let mut signals = Signals::new(reload.clone(), [public.clone(), admin.clone()])?;
        let pages = pages(&self.config, &self.public).counted_by(self.gateway.metrics.clone());
        let settings = &self.config.edge;
        let port = |server, tls| Port {
            server,
            limits: self.config.http,
            tls,
            proxies: self.config.client_address.clone(),
        };
        let drain = self.config.drain;
        let server = edge::public(self.gateway.clone(), pages.clone(), settings);
        let public = edge::serve(self.public, port(server, public), phases, drain);
        let server = edge::admin(self.gateway.clone(), pages, settings, reload);
        let admin = edge::serve(self.admin, port(server, admin), operators_phases, drain);
        // Operators see the gateway until the last client has gone.
        let clients = async {
            public.await;
            operators.send_replace(Phase::Ending);
        };
        let served = async {
            tokio::join!(clients, admin);
            if let Some(durable) = self.gateway.durable.get() {
                durable.queue.deliveries.stop(Instant::now() + drain).await;
            }
            self.gateway.idempotency.close().await;
            if let Some(tracer) = &self.gateway.tracer {
                tracer.finish().await;
            }
        };
        let stopped = stopped(&mut signals, &phase, &self.gateway, self.config.grace);
        tokio::select! {
            () = served => {}
            () = stopped => tracing::warn!("stopped at once, as a second signal asked"),
        }
        Ok(())
    }
}

/// How an operator asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// As an orchestrator does, which still sends requests for a while.
    Gently,
    /// As somebody at a terminal does.
    Now,
}

/// Follows the signals through the phases. Returns where the process is to end at once.
async fn stopped(
    signals: &mut Signals,
    phase: &watch::Sender<Phase>,
    gateway: &Gateway,
    grace: Duration,
) {
    if signals.next().await == Stop::Gently {
        gateway.admission.drain();
        phase.send_replace(Phase::Leaving);
        tracing::info!(?grace, "draining: requests are still answered");
        if until(Instant::now() + grace, signals.next())
            .await
            .is_some()
        {
            return;
        }
    }
    phase.send_replace(Phase::Ending);
    signals.next().await;
}

async fn watch_admission(gateway: Arc<Gateway>) {
    gateway.admission.watch().await;
}

/// Beside the first requests, which plan for themselves what is not there yet.
async fn plan_trusted(graph: Arc<Graph>) {
    tell_trusted(&graph.plan_trusted().await);
}

/// As many as there are processors: planning is nothing but computing.
fn planners() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}"))
}

fn address(listener: &TcpListener, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let address = listener.local_addr().map(|address| address.to_string());
    format!("{scheme}://{}", address.unwrap_or_default())
}

/// What the operator says, else this machine's own name for itself: neither a
/// client's `Host` nor an internal address is ever repeated to anyone.
fn pages(config: &Config, public: &TcpListener) -> Pages {
    let here = || {
        let port = public.local_addr().map_or(0, |address| address.port());
        let scheme = if config.edge.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://localhost:{port}")
    };
    Pages::below(&config.problems.clone().unwrap_or_else(here))
}

/// What the operating system tells the process.
#[cfg(unix)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    reload: mpsc::Sender<Wanted>,
    certificates: [Option<Arc<Tls>>; 2],
}

#[cfg(unix)]
impl Signals {
    fn new(
        reload: mpsc::Sender<Wanted>,
        certificates: [Option<Arc<Tls>>; 2],
    ) -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            reload,
            certificates,
        })
    }

    /// Returns at the next signal to stop; asks for a reload at each SIGHUP.
    async fn next(&mut self) -> Stop {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Stop::Gently,
                _ = self.interrupt.recv() => return Stop::Now,
                // One that waits already will see the newest files too.
                _ = self.hangup.recv() => {
                    drop(self.reload.try_send(None));
                    self.certificates.iter().flatten().for_each(|tls| tls.reload());
                }
            }
        }
    }
}

/// What the operating system tells the process.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new(_: mpsc::Sender<Wanted>, _: [Option<Arc<Tls>>; 2]) -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Stop {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Stop::Now,
            Err(_) => std::future::pending().await,
        }
    }
}
