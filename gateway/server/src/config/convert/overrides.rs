//! How often labels of `@override` are active, from what the file says.

use std::collections::BTreeMap;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;

use crate::config::file::File;
use crate::config::problem::only;

/// Shares of the requests, 0 to 1, by label.
pub(super) fn shares(file: &File) -> Result<BTreeMap<String, f64>, Diagnostics> {
    let labels = file.override_labels.iter();
    let shares = labels.map(|(label, percentage)| {
        if !(0.0..=100.0).contains(percentage) {
            let what = format!("override_labels.{label}: {percentage} is no percentage");
            let found = Diagnostic::error("CONFIG_VALUE", what);
            return Err(only(found.help("write a number from 0 to 100")));
        }
        Ok((label.clone(), percentage / 100.0))
    });
    shares.collect()
}
