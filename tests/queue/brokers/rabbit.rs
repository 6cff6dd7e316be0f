//! A RabbitMQ of the tests' own, with an `epmd` of its own: nothing is left on the machine.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Weak;

use tokio::sync::Mutex;

use super::Folder;
use super::free_ports;
use super::until_connected;

/// Debian's place for it: the one in the path asks for a user of its own.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A RabbitMQ server.
pub(crate) struct RabbitMq {
    folder: Folder,
    ports: [u16; 3],
    processes: Vec<Child>,
}

impl RabbitMq {
    /// One that all tests share that run at the same time: it takes seconds to start. Prefixes keep them apart.
    pub(crate) async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<RabbitMq>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&started);
        started
    }

    /// One alone.
    pub(crate) async fn start() -> Self {
        let mut server = Self {
            folder: Folder::new(),
            ports: free_ports(),
            processes: Vec::new(),
        };
        server.run().await;
        server
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports[0])
    }

    /// Ends it at once, without a word to anybody.
    pub(crate) fn kill(&mut self) {
        for mut process in self.processes.drain(..) {
            // The server is a script and what it has started: a group.
            let group = format!("-{}", process.id());
            let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
            killed.expect("there is kill");
            process.wait().expect("it is ended");
        }
        // What the script had started ends a moment later, and would pass for the next one.
        while std::net::TcpStream::connect(("127.0.0.1", self.ports[0])).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Starts it again over what it has stored, where it was.
    pub(crate) async fn run(&mut self) {
        let [port, epmd, distribution] = self.ports;
        // Little of a small disk, and little memory.
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\n\
             disk_free_limit.absolute = 50MB\n\
             log.file.level = error\n\
             raft.wal_max_size_bytes = 16777216\n"
        );
        let file = |name: &str, text: &str| {
            let path = self.folder.path(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let (config, plugins) = (file("rabbit.conf", &config), file("plugins", "[].\n"));
        let nothing = file("env.conf", "");
        let mut names = Command::new("epmd");
        names.args(["-address", "127.0.0.1", "-port", &epmd.to_string()]);
        self.processes.push(spawn(&mut names));
        let folder: &Path = &self.folder.0;
        let mut server = Command::new(SERVER);
        server
            .env("HOME", folder)
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_NODENAME", format!("test{port}@localhost"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.folder.path("data"))
            .env("RABBITMQ_LOG_BASE", self.folder.path("log"))
            .env("RABBITMQ_CONFIG_FILE", config)
            .env("RABBITMQ_CONF_ENV_FILE", nothing)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
            );
        self.processes.push(spawn(&mut server));
        until_connected(port).await;
    }
}

fn spawn(command: &mut Command) -> Child {
    let process = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    process.expect("rabbitmq-server is needed: make brokers")
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}
