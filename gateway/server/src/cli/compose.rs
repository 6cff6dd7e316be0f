//! `switchboard compose`: prints the schema that clients see, the supergraph, or who answers what.

use std::path::Path;

use super::ConfigFile;
use super::Failure;
use super::resolvers;
use crate::durable::following;

pub(super) fn schema(file: &ConfigFile) -> Result<(), Failure> {
    let (_, graph) = file.compose()?;
    print!("{}", graph.priced_sdl());
    Ok(())
}

pub(super) fn resolvers(file: &ConfigFile) -> Result<(), Failure> {
    let (_, graph) = file.compose()?;
    print!("{}", resolvers::print(&graph));
    Ok(())
}

/// As it would stand beside the configuration: documents are named from there.
pub(super) fn supergraph(file: &ConfigFile) -> Result<(), Failure> {
    let (config, mut files, _) = file.compose_files()?;
    // Every gateway adds its own.
    files.subgraphs.retain(|it| it.name != following::NAME);
    let directory = config.path.parent().unwrap_or(Path::new(""));
    let directory = directory.to_string_lossy().replace('\\', "/");
    print!("{}", compose::join::print(&files, &directory)?);
    Ok(())
}
