//! Faults on purpose.
//!
//! Owns what is to go wrong with the calls of a source, so that teams can see
//! an outage before it comes. Who may want it is decided elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

/// What goes wrong with calls, on purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// How much later each attempt begins.
    pub delay: Duration,
    /// The HTTP status that is answered in place of the service; a gRPC source answers its gRPC kin.
    pub abort: Option<u16>,
    /// The share of attempts that meet it, 0 to 100.
    pub percentage: f64,
}

/// What goes wrong with the calls of one request, by the source's name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rehearsal(BTreeMap<String, Fault>);

impl Rehearsal {
    /// Of the calls to a source.
    pub fn of(&self, source: &str) -> Option<&Fault> {
        self.0.get(source)
    }

    /// The sources that are meant.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, Fault)> for Rehearsal {
    fn from_iter<I: IntoIterator<Item = (String, Fault)>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}
