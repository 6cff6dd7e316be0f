//! The programs under test: started, watched through /proc, and killed when dropped. Linux only, as
//! the figures are: processor time and resident memory as the kernel accounts them.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use http::Uri;
use tokio::time::Instant;

/// How long a program may take to print an address or to accept connections.
const START: Duration = Duration::from_secs(20);
/// The kernel's unit for a process's times, in microseconds. Fixed by the Linux user interface.
const TICK_MICROS: u64 = 10_000;

/// A running program whose standard output announces its addresses, one `name URL` to a line.
pub(crate) struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// The lines received so far.
    announced: RefCell<Vec<String>>,
    log: PathBuf,
}

impl Program {
    /// Standard error goes to `NAME.log` in `logs`.
    pub(crate) fn start(name: &str, command: &mut Command, logs: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(logs)?;
        let log = logs.join(format!("{name}.log"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // Reads to the end even when nobody listens any more, so that the program never blocks.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self {
            name: name.into(),
            child,
            lines,
            announced: RefCell::default(),
            log,
        })
    }

    /// The URL that the program prints after `name`, in whatever order it prints several.
    pub(crate) fn address(&self, name: &str) -> anyhow::Result<Uri> {
        let deadline = Instant::now() + START;
        let mut announced = self.announced.borrow_mut();
        loop {
            if let Some(url) = announced.iter().find_map(|line| url_after(name, line)) {
                return Ok(url.parse()?);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            announced.push(line.map_err(|_| self.silent(name))?);
        }
    }

    /// Waits for a program that announces nothing.
    pub(crate) fn accepts(&self, address: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            anyhow::ensure!(Instant::now() < deadline, self.silent(&address.to_string()));
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Microseconds of processor time so far, user and system.
    pub(crate) fn cpu_micros(&self) -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_micros(&stat).with_context(|| format!("{} has no times in /proc", self.name))
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        memory(&status).with_context(|| format!("{} has no memory in /proc", self.name))
    }

    fn silent(&self, awaited: &str) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(10).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        anyhow::anyhow!(
            "{} did not come up with `{awaited}`\n{}",
            self.name,
            tail.join("\n")
        )
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has nothing to save, and a failure here means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Memory {
    pub(crate) peak: u64,
    pub(crate) now: u64,
}

fn url_after<'a>(name: &str, line: &'a str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix(' ').map(str::trim)
}

/// The 14th and 15th fields of `/proc/PID/stat`, counted after the name, which may hold anything.
fn cpu_micros(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some((user + system) * TICK_MICROS)
}

fn memory(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory {
        peak: field("VmHWM:")?,
        now: field("VmRSS:")?,
    })
}

/// A port that was free a moment ago, for a program that cannot choose one itself.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_blanks_and_brackets() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 9 0 0 0 12 30 0 0 20 0 1 0 5";
        assert_eq!(cpu_micros(stat), Some(420_000));
    }

    #[test]
    fn a_url_follows_exactly_its_name() {
        let found =
            ["users http://a", "users2 http://a", "users"].map(|line| url_after("users", line));
        assert_eq!(found, [Some("http://a"), None, None]);
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(
            memory(status),
            Some(Memory {
                peak: 2048,
                now: 1024
            })
        );
    }

    #[test]
    fn missing_figures_are_not_zero() {
        assert_eq!((cpu_micros("7 (a) S"), memory("VmRSS: 1 kB")), (None, None));
    }
}
