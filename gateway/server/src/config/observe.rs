//! What observers need to know, from what the file says.

use std::path::Path;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;

use super::credentials;
use super::file::observe as file;
use super::problem::only;
use crate::observe::share::Share;
use crate::observe::trace::TraceSettings;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsSettings {
    pub(crate) enabled: bool,
    /// Operation names that are counted apart.
    pub(crate) operations: usize,
    pub(crate) fields: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        metrics(&file::Metrics::default())
    }
}

pub(super) fn metrics(file: &file::Metrics) -> MetricsSettings {
    MetricsSettings {
        enabled: file.enabled,
        operations: file.operations,
        fields: file.fields,
    }
}

/// None where no collector is named.
pub(super) fn tracing(
    path: &Path,
    file: file::Tracing,
) -> Result<Option<TraceSettings>, Diagnostics> {
    let share = share("tracing.sample", file.sample)?;
    let Some(endpoint) = file.endpoint.filter(|endpoint| !endpoint.is_empty()) else {
        return Ok(None);
    };
    let headers = file.headers.into_iter();
    Ok(Some(TraceSettings {
        endpoint: whole(endpoint)?,
        headers: headers
            .map(|(name, value)| (name, value.0.into()))
            .collect(),
        tls: credentials::tls(path, &file.tls)?,
        share,
        parent: file.parent == file::Parent::Obey,
        service: file.service,
        attributes: file.attributes.into_iter().collect(),
        queue: file.queue,
    }))
}

pub(super) fn access_log(file: file::AccessLog) -> Result<Option<Share>, Diagnostics> {
    let share = share("access_log.sample", file.sample)?;
    Ok(file.enabled.then_some(share))
}

/// Collectors take traces at /v1/traces, unless it is said where.
fn whole(endpoint: String) -> Result<String, Diagnostics> {
    let uri: http::Uri = endpoint.parse().map_err(|_| {
        let why = format!("tracing.endpoint: `{endpoint}` is no address");
        only(
            Diagnostic::error("CONFIG_VALUE", why)
                .help("write scheme, host and port: http://jaeger:4318"),
        )
    })?;
    match uri.path() {
        "" | "/" => Ok(format!("{}/v1/traces", endpoint.trim_end_matches('/'))),
        _ => Ok(endpoint),
    }
}

fn share(key: &str, ratio: f64) -> Result<Share, Diagnostics> {
    Share::of(ratio).ok_or_else(|| {
        let why = format!("{key}: {ratio} is not between 0 and 1");
        only(Diagnostic::error("CONFIG_VALUE", why).help("0.01 is one request of a hundred"))
    })
}
