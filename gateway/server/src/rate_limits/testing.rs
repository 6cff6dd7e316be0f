//! What tests of this room share: policies, callers, and a Redis of their own.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use super::Headers;
use super::Key;
use super::Mode;
use super::OnFailure;
use super::Policy;
use super::RedisSettings;
use super::Unit;

/// One request an hour, for everybody together.
pub(super) fn policy() -> Policy {
    Policy {
        name: "test".into(),
        key: Key::default(),
        unit: Unit::Requests,
        amount: 1,
        per: Duration::from_secs(3600),
        burst: 1,
        mode: Mode::Enforce,
        headers: Headers::OnRefusal,
        keys: 1_000,
    }
}

pub(super) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A `redis-server` of a test's own, on a socket in a folder that goes with it.
pub(super) struct Redis {
    folder: PathBuf,
    process: Option<Child>,
}

impl Redis {
    pub(super) async fn start() -> Self {
        let name = format!("switchboard-redis-{}", uuid::Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut redis = Self {
            folder,
            process: None,
        };
        redis.resume().await;
        redis
    }

    /// Starts it again, where it was.
    pub(super) async fn resume(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.folder)
            .arg("--unixsocket")
            .arg(self.socket())
            .stdout(Stdio::null())
            .spawn();
        let missing = "redis-server is needed: sudo apt-get install redis-server";
        self.process = Some(process.expect(missing));
        for _ in 0..1_000 {
            if tokio::net::UnixStream::connect(self.socket()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("Redis did not listen within ten seconds");
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(super) fn settings(&self, on_failure: OnFailure) -> RedisSettings {
        RedisSettings {
            url: format!("redis+unix://{}", self.socket().display()),
            prefix: "test".into(),
            timeout: Duration::from_secs(5),
            on_failure,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
