//! Parts of the graph that some clients see, from what the file says.

use std::collections::BTreeMap;

use compose::Diagnostics;
use compose::GivenContract;
use compose::diagnostic::Diagnostic;

use crate::config::file::File;
use crate::config::file::contracts::Contract;
use crate::config::problem::only;

/// A name that needs no escaping in a path.
const LONGEST_NAME: usize = 64;

pub(super) fn contracts(file: &File) -> Result<BTreeMap<String, GivenContract>, Diagnostics> {
    if file.contracts.is_empty() && !file.full_graph {
        let what = "full_graph: nothing would be served";
        let found = Diagnostic::error("CONFIG_VALUE", what);
        return Err(only(
            found.help("name a part of the graph under `contracts`"),
        ));
    }
    let contracts = file.contracts.iter();
    let contracts = contracts.map(|(name, said)| Ok((name.clone(), contract(name, said)?)));
    contracts.collect()
}

fn contract(name: &str, said: &Contract) -> Result<GivenContract, Diagnostics> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        let help = "up to 64 letters, digits, `-`, `_` and `.`: it is served at /graphql/NAME";
        return Err(wrong(name, "this cannot be the name of a contract", help));
    }
    if said.include.is_empty() && said.exclude.is_empty() {
        let why = "without `include` and `exclude` it is the whole graph";
        return Err(wrong(name, why, "name tags"));
    }
    Ok(GivenContract {
        include: said.include.clone(),
        exclude: said.exclude.clone(),
    })
}

fn wrong(name: &str, why: &str, help: &str) -> Diagnostics {
    let what = format!("contracts.{name}: {why}");
    only(Diagnostic::error("CONFIG_VALUE", what).help(help))
}
