//! Replacing the graph while it serves.
//!
//! Owns reading everything anew, what happens when it is wrong (the old graph
//! stays), and warming the new graph's plans before it takes over. Requests in
//! flight finish on the graph that they began on.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use compose::Diagnostics;
use notify::Event;
use notify::RecursiveMode;
use notify::Watcher as _;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Graph;
use super::kept::keep;
use super::load::load;
use super::supergraph::LastSeen;
use crate::config;
use crate::config::Config;
use crate::config::Environment;
use crate::config::Supergraph;
use crate::durable;
use crate::pipeline::Gateway;

/// Plans that are made for a new graph before it takes over.
const WARM: usize = 200;
/// Editors write a file in several steps, and a deployment several files.
const QUIET: Duration = Duration::from_millis(100);

/// Wants the newest files in service. Whoever waits is told the graph's version, or the codes of what is wrong.
pub(crate) type Wanted = Option<oneshot::Sender<Result<String, Vec<&'static str>>>>;

/// Where a configuration comes from, again and again.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) environment: Environment,
    /// What the command line says on top.
    pub(crate) adjust: Arc<dyn Fn(&mut Config) + Send + Sync>,
}

impl Origin {
    /// The configuration as it is now.
    pub(crate) fn read(&self) -> Result<Config, Diagnostics> {
        let mut config = config::load(&self.path, &self.environment)?;
        (self.adjust)(&mut config);
        Ok(config)
    }
}

/// Keeps a gateway's graph up to date.
pub(crate) struct Reloader {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) origin: Origin,
    /// Shared with the graph in service, so that a reload plans no more at a time.
    pub(crate) pool: Arc<Semaphore>,
    pub(crate) files: BTreeSet<PathBuf>,
    /// Of a supergraph's address.
    pub(crate) last_seen: LastSeen,
}

impl Reloader {
    /// Reads everything anew; the old graph stays when anything is wrong.
    pub(crate) async fn reload(&mut self) -> Result<(), Diagnostics> {
        let settings = self.origin.read()?;
        let loaded = load(&settings, &self.last_seen).await;
        // Watched even when they are wrong, since they are about to be put right.
        self.files.extend(loaded.files);
        self.replace(settings, loaded.supergraph?).await?;
        keep(&loaded.to_keep);
        Ok(())
    }

    async fn replace(
        &self,
        settings: Config,
        supergraph: compose::Supergraph,
    ) -> Result<(), Diagnostics> {
        let old = self.gateway.graph.load_full();
        let new = Graph::after(Some(&old), settings, supergraph, self.pool.clone())?;
        let plans = new.warm_from(&old, WARM).await;
        tell_trusted(&new.plan_trusted().await);
        durable::start(&self.gateway, &new).await?;
        let version = format!("{:016x}", new.supergraph.version());
        needs_restart(&old.settings, &new.settings);
        self.gateway.metrics.keep_fields_of(&new.supergraph);
        self.gateway.replace(new);
        tracing::info!(version, plans, "a new graph is in service");
        Ok(())
    }

    /// Asks the supergraph's address, where there is one; whether it has another supergraph.
    /// One that does not answer changes nothing.
    async fn poll(&self) -> bool {
        let settings = self.gateway.graph.load().settings.supergraph.clone();
        let Some(address) = settings.as_ref().and_then(Supergraph::address) else {
            return false;
        };
        let asked = self.last_seen.ask(address).await;
        self.gateway.metrics.polled(asked.as_ref().ok().copied());
        asked.unwrap_or_else(|why| {
            tracing::warn!(
                url = address.url,
                why,
                "the supergraph's address does not answer: the last good one stays"
            );
            false
        })
    }

    /// When the supergraph's address is asked again.
    async fn poll_is_due(&self, last: Instant) {
        let settings = &self.gateway.graph.load().settings;
        let address = settings.supergraph.as_ref().and_then(Supergraph::address);
        match address.map(|address| address.poll) {
            Some(poll) => tokio::time::sleep_until(last + poll).await,
            None => std::future::pending().await,
        }
    }

    /// Reloads at every change of a watched file or a polled address and at every signal, until the process ends.
    pub(crate) async fn run(mut self, mut signals: mpsc::Receiver<Wanted>) {
        let (changed, mut changes) = mpsc::unbounded_channel();
        let mut watcher = self.watcher(changed);
        let mut polled = Instant::now();
        loop {
            let mut waits = None;
            tokio::select! {
                Some(path) = changes.recv() => {
                    if !self.concerns(&path) {
                        continue;
                    }
                    settle(&mut changes).await;
                }
                Some(wanted) = signals.recv() => {
                    waits = wanted;
                    self.poll().await;
                    polled = Instant::now();
                }
                () = self.poll_is_due(polled) => {
                    let changed = self.poll().await;
                    polled = Instant::now();
                    if !changed {
                        continue;
                    }
                }
                else => return,
            }
            let outcome = self.reload().await;
            self.gateway.metrics.reloaded(outcome.is_ok());
            if let Err(diagnostics) = &outcome {
                tracing::error!("the graph in service stays: {diagnostics}");
            }
            if let Some(waits) = waits {
                // Whoever asked may be gone.
                let _ = waits.send(self.told(outcome));
            }
            if let Some(watcher) = &mut watcher {
                watch(watcher, &self.watched());
            }
        }
    }

    fn told(&self, outcome: Result<(), Diagnostics>) -> Result<String, Vec<&'static str>> {
        let version = self.gateway.graph.load().supergraph.version();
        outcome
            .map(|()| format!("{version:016x}"))
            .map_err(|diagnostics| diagnostics.codes())
    }

    fn watcher(
        &self,
        changed: mpsc::UnboundedSender<PathBuf>,
    ) -> Option<notify::RecommendedWatcher> {
        if self.watched().is_empty() {
            return None;
        }
        let tell = move |event: Result<Event, notify::Error>| {
            let event = event.into_iter().filter(|event| !event.kind.is_access());
            for path in event.flat_map(|event| event.paths) {
                // Nobody listens any more when the process ends.
                let _ = changed.send(path);
            }
        };
        match notify::recommended_watcher(tell) {
            Ok(mut watcher) => {
                watch(&mut watcher, &self.watched());
                Some(watcher)
            }
            Err(error) => {
                tracing::warn!(%error, "files are not watched; SIGHUP reloads");
                None
            }
        }
    }

    /// Every file while a graph is developed; manifests of documents always, since clients are released when they are.
    fn watched(&self) -> BTreeSet<PathBuf> {
        let settings = &self.gateway.graph.load().settings;
        let mut files: BTreeSet<PathBuf> = settings.persisted.files().collect();
        if settings.features.hot_reload {
            files.extend(self.files.iter().cloned());
        }
        files
    }

    fn concerns(&self, path: &Path) -> bool {
        let settings = &self.gateway.graph.load().settings;
        let developed = settings.features.hot_reload && self.is_watched(path);
        developed || settings.persisted.concerns(path)
    }

    fn is_watched(&self, path: &Path) -> bool {
        self.files
            .iter()
            .any(|file| file.file_name() == path.file_name())
    }
}

/// Plans and problems of trusted documents, for the log.
pub(crate) fn tell_trusted((planned, problems): &(usize, Diagnostics)) {
    if *planned > 0 {
        tracing::info!(planned, "trusted operations are planned");
    }
    if !problems.is_empty() {
        tracing::warn!("trusted documents that do not fit the graph:\n{problems}");
    }
}

/// Directories are watched, not files: editors replace a file by another one.
fn watch(watcher: &mut notify::RecommendedWatcher, files: &BTreeSet<PathBuf>) {
    let directories: BTreeSet<&Path> = files
        .iter()
        .filter_map(|file| file.parent())
        .map(|parent| match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        })
        .collect();
    for directory in directories {
        if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
            tracing::debug!(%error, directory = %directory.display(), "not watched");
        }
    }
}

/// Returns once nothing has changed for a moment.
async fn settle(changes: &mut mpsc::UnboundedReceiver<PathBuf>) {
    while let Ok(Some(_)) = tokio::time::timeout(QUIET, changes.recv()).await {}
}

/// Some settings are read once, when the process starts.
fn needs_restart(old: &Config, new: &Config) {
    let settled = |config: &Config| {
        let (log, problems) = (config.log.clone(), config.problems.clone());
        (
            config.listen,
            config.admin,
            log,
            problems,
            config.admission,
            (config.grace, config.drain),
            config.edge.clone(),
            config.metrics.clone(),
            config.queue.store.place(),
            config
                .tracing
                .as_ref()
                .map(|tracing| tracing.endpoint.clone()),
        )
    };
    if settled(old) != settled(new) {
        tracing::warn!(
            "`listen`, `admin`, `admission`, `shutdown`, `log`, `problems`, `tls`, `cors`, `compression`, `http.hsts`, `metrics`, `tracing` and the place of the `queue` are read at the start only: restart to change them"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    const GOOD: &str = r#"
        extend schema @source(name: "users", http: { baseURL: "http://127.0.0.1:9" })
        type Query { hello: String @rest(GET: "/hello") }
    "#;

    /// A directory of its own, removed at the end.
    struct Scene {
        directory: PathBuf,
        reloader: Reloader,
    }

    impl Scene {
        async fn new() -> Self {
            let name = format!("switchboard-reload-{}", uuid::Uuid::now_v7());
            let directory = std::env::temp_dir().join(name);
            std::fs::create_dir(&directory).unwrap();
            let write =
                |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
            write("users.graphql", GOOD);
            write(
                "switchboard.yaml",
                "subgraphs: { users: { schema: users.graphql } }",
            );
            let origin = Origin {
                path: directory.join("switchboard.yaml"),
                environment: Environment::default(),
                adjust: Arc::new(|_| {}),
            };
            let pool = Arc::new(Semaphore::new(1));
            let config = origin.read().unwrap();
            let loaded = load(&config, &LastSeen::default()).await;
            let graph = Graph::new(config, loaded.supergraph.unwrap(), pool.clone()).unwrap();
            let reloader = Reloader {
                gateway: Arc::new(Gateway::new(graph)),
                origin,
                pool,
                files: loaded.files,
                last_seen: LastSeen::default(),
            };
            Self {
                directory,
                reloader,
            }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.directory.join(name), text).unwrap();
        }

        fn version(&self) -> u64 {
            self.reloader.gateway.graph.load().supergraph.version()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.directory).unwrap();
        }
    }

    #[tokio::test]
    async fn a_changed_file_replaces_the_graph_and_its_plans_are_there_already() {
        let mut scene = Scene::new().await;
        let old = scene.reloader.gateway.graph.load_full();
        old.plans
            .get_or_plan("{ hello }", None, &Limits::default())
            .await
            .unwrap();
        scene.write(
            "users.graphql",
            &GOOD.replace("hello:", "hello: String @rest(GET: \"/h\") again:"),
        );
        scene.reloader.reload().await.unwrap();
        assert_ne!(scene.version(), old.supergraph.version());
        let new = scene.reloader.gateway.graph.load_full();
        assert!(
            new.plans
                .get_or_plan("{ hello }", None, &Limits::default())
                .await
                .unwrap()
                .1
        );
        assert!(
            new.plans
                .get_or_plan("{ again }", None, &Limits::default())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_bad_subgraph_file_keeps_the_old_graph_and_says_why() {
        let mut scene = Scene::new().await;
        let version = scene.version();
        scene.write("users.graphql", &GOOD.replace("@rest(GET: \"/hello\")", ""));
        let told = scene.reloader.reload().await.unwrap_err();
        assert_eq!(told.codes(), ["NO_RESOLVER"]);
        assert_eq!(scene.version(), version);
        scene.write("users.graphql", GOOD);
        scene.reloader.reload().await.unwrap();
        assert_eq!(scene.version(), version);
    }

    #[tokio::test]
    async fn a_bad_or_missing_configuration_keeps_the_old_graph_too() {
        let mut scene = Scene::new().await;
        let version = scene.version();
        scene.write(
            "switchboard.yaml",
            "subgraphs: { users: { shema: users.graphql } }",
        );
        let told = scene.reloader.reload().await.unwrap_err();
        assert_eq!(told.codes(), ["UNKNOWN_KEY"]);
        scene.write(
            "switchboard.yaml",
            "subgraphs: { users: { schema: gone.graphql } }",
        );
        let told = scene.reloader.reload().await.unwrap_err();
        assert_eq!(told.codes(), ["FILE_NOT_FOUND"]);
        assert_eq!(scene.version(), version);
    }

    #[tokio::test]
    async fn a_file_that_is_looked_for_in_vain_is_watched_as_well() {
        let mut scene = Scene::new().await;
        let contract = GOOD.replace(
            "\"http://127.0.0.1:9\"",
            "\"http://127.0.0.1:9\", openapi: \"later.yaml\"",
        );
        scene.write("users.graphql", &contract);
        let told = scene.reloader.reload().await.unwrap_err();
        assert_eq!(told.codes(), ["FILE_NOT_FOUND"]);
        assert!(
            scene
                .reloader
                .is_watched(&scene.directory.join("later.yaml"))
        );
        assert!(
            !scene
                .reloader
                .is_watched(&scene.directory.join("other.yaml"))
        );
    }

    const SUPERGRAPH: &str = r#"
        schema @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
          @join__directive(graphs: [USERS], name: "source", args: { name: "users", http: { baseURL: "http://127.0.0.1:9" } })
          { query: Query }
        enum join__Graph { USERS @join__graph(name: "users", url: "") }
        type Query @join__type(graph: USERS) {
          hello: String @join__directive(graphs: [USERS], name: "rest", args: { GET: "/hello" })
        }
    "#;

    #[tokio::test]
    async fn a_supergraph_takes_the_place_of_its_subgraphs_and_is_watched() {
        let mut scene = Scene::new().await;
        let version = scene.version();
        scene.write("switchboard.yaml", "supergraph: supergraph.graphql");
        let told = scene.reloader.reload().await.unwrap_err();
        assert_eq!(told.codes(), ["FILE_NOT_FOUND"]);
        scene.write("supergraph.graphql", SUPERGRAPH);
        scene.reloader.reload().await.unwrap();
        assert_ne!(scene.version(), version);
        let graph = scene.reloader.gateway.graph.load_full();
        assert_eq!(graph.supergraph.subgraphs()[0].name, "users");
        assert!(
            scene
                .reloader
                .is_watched(&scene.directory.join("supergraph.graphql"))
        );
        scene.write("supergraph.graphql", &SUPERGRAPH.replace("GET:", "GTE:"));
        let told = scene.reloader.reload().await.unwrap_err();
        assert!(told.to_string().contains("supergraph.graphql:7:"), "{told}");
    }
}
