//! Starting and asking the `switchboard` binary.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;

use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::Command;
use tokio::time::timeout;

use super::PATIENCE;

/// The binary, built once for all tests that need it.
pub(crate) fn path() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let status = std::process::Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "switchboard"])
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binary builds");
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.ancestors().nth(2).expect("target/debug/deps/it");
        copy(&profile.join("switchboard"), &test)
    })
}

/// Under a name of this test's own: another build would replace it while it is in use.
fn copy(built: &Path, test: &Path) -> PathBuf {
    let folder = test.with_extension("binary");
    std::fs::create_dir_all(&folder).expect("a folder for the binary");
    let own = folder.join("switchboard");
    drop(std::fs::remove_file(&own));
    if std::fs::hard_link(built, &own).is_err() {
        std::fs::copy(built, &own).expect("a copy of the binary");
    }
    own
}

/// A folder of configuration files, removed with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let name = format!(
            "switchboard-{}-{}",
            std::process::id(),
            rand::random::<u64>()
        );
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a folder for the test");
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("a file for the test");
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A running gateway. Killed with the value, unless it was stopped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) url: String,
    pub(crate) admin: String,
    log: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
}

impl Gateway {
    /// Starts over a configuration file, on free ports.
    pub(crate) async fn start(config: &Path, env: &[(&str, &str)]) -> Self {
        Self::start_with(config, env, &[]).await
    }

    pub(crate) async fn start_with(config: &Path, env: &[(&str, &str)], more: &[&str]) -> Self {
        let mut child = Command::new(path())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--config",
            ])
            .arg(config)
            .args(more)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(keep(
            BufReader::new(child.stderr.take().expect("piped")),
            log.clone(),
        ));
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut address = async |prefix: &str| {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("in time");
            let line = line
                .expect("text")
                .unwrap_or_else(|| panic!("it stopped: {:#?}", log.lock()));
            line.strip_prefix(prefix)
                .unwrap_or_else(|| panic!("`{line}`"))
                .to_owned()
        };
        let url = address("graphql ").await;
        let admin = address("admin ").await;
        Self {
            child,
            url,
            admin,
            log,
            http: client(),
        }
    }

    pub(crate) fn post(&self, body: &Json) -> reqwest::RequestBuilder {
        self.http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/graphql-response+json")
            .body(body.to_string())
    }

    /// Answers one operation.
    pub(crate) async fn ask(&self, query: &str) -> Json {
        let response = self
            .post(&json!({ "query": query }))
            .send()
            .await
            .expect("an answer");
        body(response).await
    }

    /// A GET that is not sent yet.
    pub(crate) fn request(&self, url: &str) -> reqwest::RequestBuilder {
        self.http.get(url)
    }

    pub(crate) async fn get(&self, url: &str) -> reqwest::Response {
        self.request(url).send().await.expect("an answer")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("a log").join("\n")
    }

    /// Asks it to stop, as an orchestrator does.
    pub(crate) async fn terminate(&mut self) {
        self.signal("TERM").await;
    }

    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let killed = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(killed.expect("kill runs").success());
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Its exit code, once it has stopped.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .expect("it stops in time");
        status.expect("a status").code()
    }
}

fn client() -> reqwest::Client {
    // Another test may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
}

async fn keep(mut lines: BufReader<tokio::process::ChildStderr>, log: Arc<Mutex<Vec<String>>>) {
    let mut line = String::new();
    while lines.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        log.lock().expect("a log").push(line.trim_end().to_owned());
        line.clear();
    }
}

/// A response's body as JSON.
pub(crate) async fn body(response: reqwest::Response) -> Json {
    let text = response.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|bad| panic!("{bad}: {text}"))
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub(crate) async fn run(arguments: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(path())
        .args(arguments)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output)
        .await
        .expect("in time")
        .expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = output.status.code().expect("it was not killed");
    (code, text(output.stdout), text(output.stderr))
}
