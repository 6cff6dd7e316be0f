//! What observers need to know, from what the file says.

use super::file::observe as file;

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
