//! `switchboard serve`: runs the gateway until a signal stops it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::Failure;
use super::ServeOptions;
use super::runtime;
use crate::config::Config;
use crate::config::Edge;
use crate::config::TlsFiles;
use crate::edge;
use crate::edge::Port;
use crate::edge::problem::Pages;
use crate::edge::tls::Tls;
use crate::graph::Graph;
use crate::graph::load::load;
use crate::graph::reload::Origin;
use crate::graph::reload::Reloader;
use crate::graph::reload::Wanted;
use crate::graph::reload::tell_trusted;
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
        let loaded = load(&config).await;
        let supergraph = loaded.supergraph?;
        if !supergraph.warnings().is_empty() {
            tracing::warn!("the graph has warnings:\n{}", supergraph.warnings());
        }
        let pool = Arc::new(Semaphore::new(planners()));
        let graph = Graph::new(config.clone(), supergraph, pool.clone())?;
        let tracer = config.tracing.clone();
        let tracer = tracer.map(|tracing| Tracer::start(tracing, graph.metrics.clone()));
        let tracer = tracer.transpose().map_err(anyhow::Error::msg)?;
        let gateway = Arc::new(Gateway::new(graph).traced(tracer));
        tokio::spawn(plan_trusted(gateway.graph.load_full()));
        Ok(Self {
            public: listen(config.listen).await?,
            admin: listen(config.admin).await?,
            reloader: Reloader {
                gateway: gateway.clone(),
                origin,
                pool,
                files: loaded.files,
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

    /// Serves until SIGTERM or SIGINT, then drains.
    pub(super) async fn until_stopped(self) -> anyhow::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let (reload, reloads) = mpsc::channel(1);
        tokio::spawn(self.reloader.run(reloads));
        let drain = self.config.drain;
        let pages = pages(&self.config, &self.public).counted_by(self.gateway.metrics.clone());
        let Certificates { public, admin } = self.certificates;
        let certificates = [public.clone(), admin.clone()];
        let settings = &self.config.edge;
        let port = |server, tls| Port {
            server,
            limits: self.config.http,
            tls,
            proxies: self.config.client_address.clone(),
        };
        let server = edge::public(self.gateway.clone(), pages.clone(), settings);
        let public = edge::serve(self.public, port(server, public), stopped.clone(), drain);
        let gateway = self.gateway.clone();
        let server = edge::admin(self.gateway, pages, settings, reload.clone());
        let admin = edge::serve(self.admin, port(server, admin), stopped, drain);
        let signals = async {
            let result = signals(reload, &certificates).await;
            // Receivers are there as long as anything is served.
            let _ = stop.send(true);
            result
        };
        let (_, _, result) = tokio::join!(public, admin, signals);
        if let Some(tracer) = &gateway.tracer {
            tracer.finish().await;
        }
        result
    }
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

/// Returns at the first signal to stop; asks for a reload at each SIGHUP.
#[cfg(unix)]
async fn signals(
    reload: mpsc::Sender<Wanted>,
    certificates: &[Option<Arc<Tls>>],
) -> anyhow::Result<()> {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            // One that waits already will see the newest files too.
            _ = hangup.recv() => {
                drop(reload.try_send(None));
                certificates.iter().flatten().for_each(|tls| tls.reload());
            }
        }
    }
}

#[cfg(not(unix))]
async fn signals(
    _reload: mpsc::Sender<Wanted>,
    _certificates: &[Option<Arc<Tls>>],
) -> anyhow::Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}
