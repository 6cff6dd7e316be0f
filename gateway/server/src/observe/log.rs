//! Log lines, on standard error.
//!
//! Owns their form: for people on a terminal, one JSON object a line
//! otherwise. The span of a request carries its ids, so that every line that
//! is written on its behalf has them.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::Log;
use crate::config::LogFormat;

/// Sets the process's log up, once.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&log.level)
        .with_context(|| format!("log.level: `{}` is no level", log.level))?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match pretty(log.format) {
        true => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init(),
        false => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

fn pretty(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    }
}
