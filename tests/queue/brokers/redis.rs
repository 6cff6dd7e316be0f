//! A Redis of a test's own.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::process::Command;

use super::Folder;
use super::until;

/// A Redis on a socket in its folder.
pub(crate) struct Redis {
    folder: Folder,
    process: Option<Child>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let mut server = Self {
            folder: Folder::new(),
            process: None,
        };
        server.run().await;
        server
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path("redis.sock")
    }

    /// It forgets what it likes from now on.
    pub(crate) async fn may_evict(&self) {
        let client = redis::Client::open(self.url()).expect("an address");
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("it answers");
        for (name, value) in [("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")] {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg(name).arg(value);
            let set: Result<String, _> = set.query_async(&mut connection).await;
            set.expect("it is set");
        }
    }

    /// Ends it at once; what it knew is gone with it.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.expect("it is ended");
        }
    }

    /// Starts it again, where it was and without what it knew.
    pub(crate) async fn run(&mut self) {
        drop(std::fs::remove_file(self.socket()));
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.process = Some(process.expect("redis-server is needed: make redis"));
        let socket = self.socket();
        let answers = || async { UnixStream::connect(&socket).await.is_ok() };
        until("redis-server listens", answers).await;
    }
}
