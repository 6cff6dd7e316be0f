//! `switchboard compose`: prints the schema that clients see, or the whole supergraph.

use super::ConfigFile;
use super::Failure;
use super::supergraph;

pub(super) fn run(file: &ConfigFile, whole: bool) -> Result<(), Failure> {
    let (_, graph) = file.compose()?;
    match whole {
        true => print!("{}", supergraph::print(&graph)),
        false => print!("{}", graph.priced_sdl()),
    }
    Ok(())
}
