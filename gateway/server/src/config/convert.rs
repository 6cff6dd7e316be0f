//! From what the file says to what the program needs.

mod contracts;
mod documents;
mod faults;
mod headers;
mod idempotency;
mod limits;
mod overrides;
mod queue;
mod rate_limits;
mod resilience;
mod supergraph;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use indexmap::IndexMap;
use sources::CacheSettings;
use sources::LocalServices;
use sources::Secret;
use sources::SourcesConfig;
use sources::UpstreamRule;

use super::Coalesce;
use super::Config;
use super::Edge;
use super::Environment;
use super::Features;
use super::HttpLimits;
use super::Log;
use super::LogFormat;
use super::SchemaOrigin;
use super::Subgraph;
use super::authentication;
use super::authorization;
use super::credentials;
use super::edge;
use super::file;
use super::file::File;
use super::file::Replicas;
use super::observe;
use super::problem::only;
use super::subscriptions;
use crate::admission;

/// The configuration, with paths relative to the directory of `path`.
pub(super) fn convert(
    path: &Path,
    mut file: File,
    environment: &Environment,
) -> Result<Config, Diagnostics> {
    supergraph::check(&file)?;
    let authentication =
        authentication::authentication(path, std::mem::take(&mut file.authentication))?;
    check_replicas(&file)?;
    let contracts = contracts::contracts(&file)?;
    let override_labels = overrides::shares(&file)?;
    Ok(Config {
        subscriptions: subscriptions::subscriptions(&file.subscriptions, &authentication)?,
        idempotency: idempotency::settings(path, &file)?,
        path: path.into(),
        listen: file.listen,
        admin: file.admin.listen,
        sources: sources(path, &file)?,
        rate_limits: rate_limits::settings(&file)?,
        persisted: documents::settings(path, &file.documents),
        limits: limits::limits(&file)?,
        cost: limits::cost(&file),
        http: http(&file),
        authentication,
        authorization: authorization::authorization(file.authorization),
        client_address: edge::client_address(file.client_address)?,
        edge: Edge {
            cors: edge::cors(file.cors)?,
            compression: edge::compression(&file.compression),
            tls: file.tls.map(|tls| edge::tls(path, tls)),
            admin_tls: file.admin.tls.map(|tls| edge::tls(path, tls)),
            admin_tokens: edge::tokens(file.admin.tokens)?,
            hsts: file.http.hsts.map(|span| span.0),
        },
        batching: file.batching.enabled.then_some(file.batching.max),
        status_profile: file.http.status_profile,
        problems: problems(file.problems)?,
        subgraphs: subgraphs(path, file.subgraphs, environment)?,
        contracts,
        full_graph: file.full_graph,
        override_labels,
        supergraph: file
            .supergraph
            .map(|said| supergraph::supergraph(path, &said.0, environment))
            .transpose()?,
        headers: headers::headers(&file.headers)?,
        values: file.config,
        cache: file.cache.enabled.then(|| cache(&file.cache)),
        plans: file.plan_cache.entries,
        coalesce: Coalesce {
            operations: file.coalesce.operations,
            reads: file.coalesce.reads,
        },
        upstream_calls: file.limits.upstream_calls,
        request_timeout: file.timeouts.request.0,
        request_minimum: file.timeouts.request_minimum.0,
        queue: queue::settings(path, file.queue, file.replicas)?,
        admission: admission(&file.admission),
        grace: file.shutdown.grace.0,
        drain: file.shutdown.drain.0,
        features: Features {
            introspection: file.dev.introspection,
            playground: file.dev.playground,
            suggestions: file.dev.suggestions,
            hot_reload: file.dev.hot_reload,
        },
        dev: false,
        faults_secret: faults::secret(file.dev.faults_secret)?,
        log: log(file.log),
        metrics: observe::metrics(&file.metrics),
        tracing: observe::tracing(path, file.tracing)?,
        slow_log: file.slow_log.above.map(|span| span.0),
        access_log: observe::access_log(file.access_log)?,
    })
}

/// Each gateway would grant the whole of every limit.
fn check_replicas(file: &File) -> Result<(), Diagnostics> {
    let local = file.rate_limit_store.redis.is_none() && !file.rate_limits.is_empty();
    match file.replicas {
        Replicas::Many if local => Err(only(
            Diagnostic::error(
                "LOCAL_STORE",
                "replicas: many, and each gateway would grant the whole of every rate limit",
            )
            .help("count in Redis: rate_limit_store: { redis: { url: \"redis://...\" } }"),
        )),
        Replicas::Many | Replicas::One => Ok(()),
    }
}

/// Where problem types have their pages.
fn problems(problems: file::Problems) -> Result<Option<String>, Diagnostics> {
    let url = problems.base_url;
    url.map(|url| address("problems.base_url", url)).transpose()
}

fn subgraphs(
    path: &Path,
    subgraphs: IndexMap<String, file::Subgraph>,
    environment: &Environment,
) -> Result<Vec<Subgraph>, Diagnostics> {
    let subgraphs = subgraphs.into_iter();
    subgraphs
        .map(|(name, subgraph)| convert_subgraph(path, name, subgraph, environment))
        .collect()
}

fn convert_subgraph(
    path: &Path,
    name: String,
    subgraph: file::Subgraph,
    environment: &Environment,
) -> Result<Subgraph, Diagnostics> {
    let read = |name: String| {
        let value = environment.get(&name).map(str::to_owned);
        (name, value)
    };
    let url = subgraph
        .url
        .clone()
        .map(|url| address(&format!("subgraphs.{name}.url"), url));
    let url = url.transpose()?;
    Ok(Subgraph {
        origin: schema_origin(path, &name, &subgraph, url.as_deref())?,
        name,
        url,
        env: subgraph.env.into_iter().map(read).collect(),
        sources: subgraph
            .sources
            .into_iter()
            .map(|(name, source)| (name, compose_override(&source)))
            .collect(),
    })
}

fn schema_origin(
    path: &Path,
    name: &str,
    subgraph: &file::Subgraph,
    url: Option<&str>,
) -> Result<SchemaOrigin, Diagnostics> {
    let wrong = |what: &str, help: &str| {
        let what = format!("subgraphs.{name}{what}");
        Err(only(Diagnostic::error("CONFIG_VALUE", what).help(help)))
    };
    let usual = || format!("./data/subgraphs/{name}.graphql");
    match (&subgraph.schema, url, &subgraph.keep) {
        (Some(_), _, Some(_)) => wrong(
            ".keep: the schema is in a file already",
            "leave `keep` out, or `schema` where the service shall tell it",
        ),
        (Some(file), _, None) => Ok(SchemaOrigin::File(beside(path, file))),
        (None, Some(url), keep) => {
            let keep = keep.clone().unwrap_or_else(usual);
            Ok(SchemaOrigin::Service {
                url: url.to_owned(),
                keep: (!keep.is_empty()).then(|| beside(path, &keep).into()),
            })
        }
        (None, None, _) => wrong(
            ": there is neither `schema` nor `url`",
            "name the subgraph's file as `schema`, or give the `url` of a service that tells its schema",
        ),
    }
}

/// A path as the file names it, seen from where the program runs.
pub(super) fn beside(config: &Path, written: &str) -> String {
    let directory = config.parent().unwrap_or(Path::new(""));
    directory.join(written).to_string_lossy().replace('\\', "/")
}

fn compose_override(source: &file::Source) -> compose::SourceOverride {
    compose::SourceOverride {
        url: source.url.clone(),
        timeout: source.timeout.map(|span| span.0),
        min_deadline: source.min_deadline.map(|span| span.0),
    }
}

fn sources(path: &Path, file: &File) -> Result<SourcesConfig, Diagnostics> {
    let overrides = file.sources();
    let overrides =
        overrides.map(|(name, source)| Ok((name.clone(), source_override(path, name, source)?)));
    let overrides: HashMap<_, _> = overrides.collect::<Result<_, Diagnostics>>()?;
    Ok(SourcesConfig {
        timeout: file.timeouts.upstream.0,
        connect_timeout: file.timeouts.connect.0,
        connection_age: Some(file.timeouts.connection_age.0).filter(|age| !age.is_zero()),
        resilience: resilience::rules("resilience", &file.resilience)?,
        max_reply_bytes: file.limits.reply.0,
        merge_reads: file.coalesce.reads,
        cache: cache(&file.cache),
        sources: overrides,
        local: LocalServices::default(),
    })
}

fn cache(file: &file::cache::Cache) -> CacheSettings {
    CacheSettings {
        size: file.size.0 as u64,
        upstream: match file.upstream {
            file::cache::Upstream::Ignore => UpstreamRule::Ignore,
            file::cache::Upstream::Shorten => UpstreamRule::Shorten,
            file::cache::Upstream::Follow => UpstreamRule::Follow,
        },
        last_good_size: file.last_good_size.0 as u64,
        stale_while_revalidate: file.stale_while_revalidate.0,
        missing: file.missing.0,
    }
}

fn source_override(
    path: &Path,
    name: &str,
    source: &file::Source,
) -> Result<sources::SourceOverride, Diagnostics> {
    let own = source.credentials.as_ref();
    let own = own.map(|own| credentials::credentials(path, own));
    Ok(sources::SourceOverride {
        url: source.url.clone(),
        timeout: source.timeout.map(|span| span.0),
        connect_timeout: source.connect.map(|span| span.0),
        resilience: resilience::rules(&format!("sources.{name}.resilience"), &source.resilience)?,
        fault: source
            .faults
            .as_ref()
            .map(|said| faults::fault(name, said))
            .transpose()?,
        max_reply_bytes: source.reply.map(|size| size.0),
        merge_reads: None,
        http2_prior_knowledge: source.http2,
        headers: headers(&source.headers),
        requests_per_second: source.requests_per_second,
        burst: source.burst,
        rate_wait: source.wait.map(|span| span.0),
        credentials: own.transpose()?,
        tls: credentials::tls(path, &source.tls)?,
    })
}

fn headers(map: &BTreeMap<String, file::credentials::Secret>) -> Vec<(String, Secret)> {
    map.iter()
        .map(|(name, value)| (name.clone(), value.0.clone().into()))
        .collect()
}

fn admission(file: &file::admission::Admission) -> admission::Settings {
    admission::Settings {
        enabled: file.enabled,
        delay: file.delay.0,
        most: file.most,
        least: file.least.max(1),
        wait: file.wait.0,
        unready_after: file.unready_after.0,
    }
}

fn http(file: &File) -> HttpLimits {
    HttpLimits {
        body: file.limits.body.0,
        headers: file.limits.headers.0,
        json_depth: file.limits.json_depth,
        uri: file.limits.uri.0,
        connections: file.limits.connections,
        connections_per_address: file.limits.connections_per_address,
        idle: file.timeouts.idle.0,
        handshake: file.timeouts.handshake.0,
        head_time: file.timeouts.headers.0,
        body_time: file.timeouts.body.0,
        write: file.timeouts.write.0,
    }
}

/// An absolute address that a path can be added to.
fn address(key: &str, written: String) -> Result<String, Diagnostics> {
    let usable = |uri: &http::Uri| {
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        http && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    };
    match written.parse().is_ok_and(|uri| usable(&uri)) && !written.contains('#') {
        true => Ok(written),
        false => Err(only(
            Diagnostic::error(
                "CONFIG_VALUE",
                format!("{key}: `{written}` is no absolute address"),
            )
            .help("write scheme and host, and a path if there is one: https://api.example.com"),
        )),
    }
}

fn log(log: file::Log) -> Log {
    Log {
        format: match log.format {
            file::LogFormat::Auto => LogFormat::Auto,
            file::LogFormat::Pretty => LogFormat::Pretty,
            file::LogFormat::Json => LogFormat::Json,
        },
        level: log.level,
    }
}
