//! What a service remembers of its callers, so that a test can count upstream calls.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

/// A service's count, as `GET /__stats` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Requests since the start or the last reset, those that met a fault included; `/__` routes are not counted.
    pub requests: u64,
    /// The `X-Correlation-ID` of the newest request, if it carried one.
    pub last_correlation_id: Option<String>,
}

/// The running count.
#[derive(Debug, Default)]
pub struct Stats {
    requests: AtomicU64,
    last_correlation_id: Mutex<Option<String>>,
}

impl Stats {
    pub(crate) fn record(&self, correlation_id: Option<&str>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        *self
            .last_correlation_id
            .lock()
            .expect("no holder of this lock can panic") = correlation_id.map(str::to_owned);
    }

    /// The count as it stands.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            requests: self.requests.load(Ordering::Relaxed),
            last_correlation_id: self
                .last_correlation_id
                .lock()
                .expect("no holder of this lock can panic")
                .clone(),
        }
    }

    /// Counts from zero again.
    pub fn reset(&self) {
        self.requests.store(0, Ordering::Relaxed);
        *self
            .last_correlation_id
            .lock()
            .expect("no holder of this lock can panic") = None;
    }
}
