//! What reading a ready-made supergraph needs to know, from what the file says.

use std::path::Path;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use super::beside;
use super::compose_override;
use crate::config::Environment;
use crate::config::Supergraph;
use crate::config::SupergraphAddress;
use crate::config::SupergraphOrigin;
use crate::config::credentials;
use crate::config::file::File;
use crate::config::file::supergraph::Long;
use crate::config::problem::only;

/// Teams' files or a ready-made supergraph, and not both.
pub(super) fn check(file: &File) -> Result<(), Diagnostics> {
    match (file.subgraphs.is_empty(), &file.supergraph) {
        (true, None) => Err(only(
            Diagnostic::error("CONFIG_VALUE", "there is no subgraph")
                .help("name at least one under `subgraphs`, or a ready-made one as `supergraph`"),
        )),
        (false, Some(_)) => Err(only(
            Diagnostic::error("CONFIG_VALUE", "there are `subgraphs` and a `supergraph`")
                .help("a ready-made supergraph has its subgraphs already: keep one of the two"),
        )),
        _ => Ok(()),
    }
}

pub(super) fn supergraph(
    path: &Path,
    written: &Long,
    environment: &Environment,
) -> Result<Supergraph, Diagnostics> {
    let read = |name: &String| (name.clone(), environment.get(name).map(str::to_owned));
    let sources = written.sources.iter();
    Ok(Supergraph {
        origin: origin(path, written)?,
        env: written.env.iter().map(read).collect(),
        sources: sources
            .map(|(name, source)| (name.clone(), compose_override(source)))
            .collect(),
    })
}

fn origin(path: &Path, written: &Long) -> Result<SupergraphOrigin, Diagnostics> {
    match (&written.file, &written.url) {
        (Some(file), None) => Ok(SupergraphOrigin::File(beside(path, file))),
        (None, Some(url)) => Ok(SupergraphOrigin::Address(Box::new(SupergraphAddress {
            url: url.clone(),
            poll: match written.poll.0.is_zero() {
                true => return Err(wrong("poll", "there is no time between two questions")),
                false => written.poll.0,
            },
            timeout: written.timeout.0,
            max_bytes: written.reply.0,
            headers: headers(written)?,
            tls: credentials::tls(path, &written.tls)?,
            keep: match written.keep.as_str() {
                "" => None,
                keep => Some(beside(path, keep).into()),
            },
        }))),
        _ => Err(wrong("file", "say `file` or `url`")),
    }
}

fn headers(written: &Long) -> Result<HeaderMap, Diagnostics> {
    let mut headers = HeaderMap::new();
    for (name, value) in &written.headers {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::try_from(name), HeaderValue::try_from(&value.0))
        else {
            return Err(wrong("headers", &format!("`{name}` cannot be sent")));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn wrong(key: &str, why: &str) -> Diagnostics {
    let what = format!("supergraph.{key}: {why}");
    only(Diagnostic::error("CONFIG_VALUE", what))
}
