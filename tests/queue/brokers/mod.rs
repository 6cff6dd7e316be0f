//! Brokers of the tests' own: real servers on free ports, with folders of their own, gone with the value.

mod rabbit;
mod redis;

use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::process::Command;
use tokio::time::timeout;

pub(crate) use rabbit::RabbitMq;
pub(crate) use redis::Redis;

/// Longer than anything takes that happens at all: a cluster needs a while to agree.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Until this holds, looked at again and again.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let holds = async {
        while !holds().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    let held = timeout(PATIENCE, holds).await;
    assert!(held.is_ok(), "in time: {what}");
}

/// A folder, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "switchboard-broker-{}-{}",
            std::process::id(),
            rand::random::<u64>()
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder for the broker");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A NATS server with JetStream.
pub(crate) struct Nats {
    folder: Folder,
    process: Option<Child>,
    /// Found by the server, and kept when it starts again.
    port: Option<u16>,
    monitoring: Option<String>,
    /// What its configuration says besides.
    further: String,
}

impl Nats {
    /// One alone.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// One with more in its configuration.
    pub(crate) async fn start_with(further: &str) -> Self {
        Self::start_over(Folder::new(), further).await
    }

    /// One that asks for certificates of this authority, and shows one of its own.
    pub(crate) async fn start_with_tls(authority: &str, certificate: &str, key: &str) -> Self {
        let folder = Folder::new();
        for (name, text) in [("ca", authority), ("cert", certificate), ("key", key)] {
            std::fs::write(folder.path(name), text).expect("a file");
        }
        let path = |name| folder.path(name).display().to_string();
        let further = format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
            path("cert"),
            path("key"),
            path("ca")
        );
        Self::start_over(folder, &further).await
    }

    async fn start_over(folder: Folder, further: &str) -> Self {
        let mut server = Self {
            folder,
            process: None,
            port: None,
            monitoring: None,
            further: further.into(),
        };
        server.run().await;
        server
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.expect("it has started"))
    }

    /// A file in its folder, gone with it.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Where its monitoring listens, where its configuration says that it does.
    pub(crate) fn monitoring(&self) -> String {
        self.monitoring.clone().expect("it has monitoring")
    }

    /// Ends it at once, without a word to anybody.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.expect("it is ended");
        }
    }

    /// Starts it again over what it has stored, where it was.
    pub(crate) async fn run(&mut self) {
        let config = self.folder.path("nats.conf");
        let port = self.port.map_or("-1".into(), |port| port.to_string());
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?} }}\nports_file_dir: {:?}\n{}\n",
            self.folder.path("store"),
            self.folder.0,
            self.further
        );
        std::fs::write(&config, text).expect("a configuration");
        let process = spawn(&config, &self.folder.path("log"));
        let file = format!("nats-server_{}.ports", process.id().expect("it runs"));
        let file = self.folder.path(&file);
        self.process = Some(process);
        until("nats-server says where it listens", || {
            let ports = listening(&file);
            if let Some((port, monitoring)) = ports.clone() {
                self.port = Some(port);
                self.monitoring = monitoring;
            }
            std::future::ready(ports.is_some())
        })
        .await;
        until_connected(self.port.expect("it has started")).await;
    }
}

fn spawn(config: &Path, log: &Path) -> Child {
    let start = |program: &str| {
        Command::new(program)
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["--log".as_ref(), log.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    };
    // Debian's place for it is not in everybody's path.
    start("nats-server")
        .or_else(|_| start("/usr/sbin/nats-server"))
        .expect("nats-server is needed: make brokers")
}

/// Its port, and where its monitoring is.
fn listening(file: &Path) -> Option<(u16, Option<String>)> {
    let ports: Json = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let url = ports["nats"][0].as_str()?;
    let port = url.rsplit(':').next()?.parse().ok()?;
    Some((port, ports["monitoring"][0].as_str().map(str::to_owned)))
}

async fn until_connected(port: u16) {
    let connects = || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() };
    until("the broker listens", connects).await;
}

/// Three NATS servers that are one.
pub(crate) struct NatsCluster {
    pub(crate) servers: Vec<Nats>,
}

impl NatsCluster {
    /// All of them run.
    pub(crate) async fn start() -> Self {
        let ports = free_ports::<3>();
        let routes = ports.map(|port| format!("\"nats://127.0.0.1:{port}\""));
        let routes = routes.join(", ");
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let further = format!(
                "server_name: s{number}\ncluster {{ name: switchboard, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
            );
            servers.push(Nats::start_with(&further).await);
        }
        Self { servers }
    }

    /// Where they listen.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Nats::url).collect()
    }
}

/// Ports that were free a moment ago: servers of a cluster must know each other's before they start.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
