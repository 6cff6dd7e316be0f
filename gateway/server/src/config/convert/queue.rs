//! Durable calls.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use queue::nats::Credentials;
use queue::nats::Options;
use queue::rabbit;
use queue::seal::Seal;
use queue::store;

use super::beside;
use super::file::Replicas;
use super::file::queue::Durability;
use super::file::queue::Nats;
use super::file::queue::Pace;
use super::file::queue::Queue;
use super::file::queue::RabbitMq;
use super::file::queue::Servers;
use super::file::redis::Redis;
use super::only;
use crate::durable;
use crate::durable::DurableSettings;
use crate::durable::StoreSettings;

pub(super) fn settings(
    path: &Path,
    file: Queue,
    replicas: Replicas,
) -> Result<DurableSettings, Diagnostics> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let prefix = &file.types_prefix;
    if !prefix.chars().all(is_name) || prefix.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(only(
            Diagnostic::error(
                "CONFIG_VALUE",
                format!("queue.types_prefix: `{prefix}` begins no name of a type"),
            )
            .help("letters, digits and underscores, the first of which is no digit"),
        ));
    }
    let limits = store::Limits {
        messages: file.limits.messages,
        bytes: file.limits.bytes.0 as u64,
        message: file.limits.message.0,
        delivered: file.retention.delivered.0,
        dead: file.retention.dead.0,
    };
    let key = file.encryption_key.as_ref().map(|key| key.0.as_str());
    Ok(DurableSettings {
        store: store(path, &file, &limits)?,
        several: replicas == Replicas::Many,
        limits,
        key: key.map(secret).transpose()?.map(Into::into),
        prefix: file.types_prefix,
        captures_credentials: file.capture_credentials,
        follow_scope: file.follow_scope,
        queues: file
            .queues
            .iter()
            .map(|(name, said)| (name.clone(), pace(said)))
            .collect(),
    })
}

fn store(path: &Path, file: &Queue, limits: &store::Limits) -> Result<StoreSettings, Diagnostics> {
    Ok(match (&file.nats, &file.rabbitmq, &file.redis) {
        (None, None, None) => StoreSettings::Embedded {
            path: beside(path, &file.path).into(),
            handover: file.handover.0,
        },
        (Some(said), None, None) => StoreSettings::Nats(Box::new(nats(path, said, limits)?)),
        (None, Some(said), Some(redis)) => {
            StoreSettings::Rabbit(Box::new(rabbit(path, said, redis, limits)?))
        }
        _ => {
            let message = "queue: messages wait in one place: on `nats`, or on `rabbitmq` together with `redis`, or in a directory where neither is given";
            return Err(only(Diagnostic::error("CONFIG_VALUE", message)));
        }
    })
}

fn rabbit(
    path: &Path,
    said: &RabbitMq,
    redis: &Redis,
    limits: &store::Limits,
) -> Result<rabbit::Options, Diagnostics> {
    let text = |name: &Option<String>| {
        let read = |name| text_of("queue.rabbitmq.tls", &beside(path, name));
        name.as_deref().map(read).transpose()
    };
    let tls = said.tls.as_ref();
    let mut options = rabbit::Options {
        servers: servers("queue.rabbitmq.url", &said.url)?,
        user: said.user.clone().map(|user| {
            let password = said.password.as_ref().map(|it| it.0.clone());
            (user, password.unwrap_or_default())
        }),
        redis: redis.url.clone(),
        prefix: said.prefix.clone(),
        partitions: said.partitions,
        limits: limits.clone(),
        ..rabbit::Options::default()
    };
    if let Some(timeout) = &redis.timeout {
        options.redis_timeout = timeout.0;
    }
    if let Some(tls) = tls {
        options.tls.authorities = text(&tls.ca)?;
        options.tls.identity = match (text(&tls.certificate)?, text(&tls.key)?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let message = "queue.rabbitmq: `tls.certificate` and `tls.key` go together";
                return Err(only(Diagnostic::error("CONFIG_VALUE", message)));
            }
        };
    }
    Ok(options)
}

fn servers(key: &str, said: &Servers) -> Result<Vec<String>, Diagnostics> {
    let servers = match said {
        Servers::One(server) => vec![server.clone()],
        Servers::Several(servers) => servers.clone(),
    };
    match servers.is_empty() {
        false => Ok(servers),
        true => {
            let message = format!("{key}: there is no address");
            Err(only(Diagnostic::error("CONFIG_VALUE", message)))
        }
    }
}

fn nats(path: &Path, said: &Nats, limits: &store::Limits) -> Result<Options, Diagnostics> {
    let servers = servers("queue.nats.url", &said.url)?;
    let file = |name: &Option<String>| name.as_ref().map(|name| beside(path, name).into());
    let tls = said.tls.as_ref();
    let identity = tls.map(|tls| (file(&tls.certificate), file(&tls.key)));
    Ok(Options {
        servers,
        prefix: said.prefix.clone(),
        partitions: said.partitions,
        durability: match said.durability {
            Durability::Replicated => queue::nats::Durability::Replicated,
            Durability::SyncAlways => queue::nats::Durability::SyncAlways,
            Durability::Relaxed => queue::nats::Durability::Relaxed,
        },
        monitoring: said.monitoring.clone(),
        credentials: nats_credentials(path, said)?,
        tls: queue::nats::Tls {
            required: tls.is_some(),
            authorities: tls.and_then(|tls| file(&tls.ca)),
            identity: match identity {
                Some((Some(certificate), Some(key))) => Some((certificate, key)),
                None | Some((None, None)) => None,
                Some(_) => {
                    let message = "queue.nats: `tls.certificate` and `tls.key` go together";
                    return Err(only(Diagnostic::error("CONFIG_VALUE", message)));
                }
            },
        },
        limits: limits.clone(),
        ..Options::default()
    })
}

fn nats_credentials(path: &Path, said: &Nats) -> Result<Credentials, Diagnostics> {
    let password = said.user.is_some() || said.password.is_some();
    let ways = [
        password,
        said.token.is_some(),
        said.nkey.is_some(),
        said.credentials_file.is_some(),
    ];
    if ways.into_iter().filter(|given| *given).count() > 1 {
        let message = "queue.nats: a gateway is one: give `user` and `password`, `token`, `nkey` or `credentials_file`";
        return Err(only(Diagnostic::error("CONFIG_VALUE", message)));
    }
    Ok(match said {
        Nats {
            token: Some(token), ..
        } => Credentials::Token(token.0.clone()),
        Nats {
            nkey: Some(seed), ..
        } => Credentials::Nkey(seed.0.clone()),
        Nats {
            credentials_file: Some(name),
            ..
        } => {
            let text = text_of("queue.nats.credentials_file", &beside(path, name));
            Credentials::Credentials(text?)
        }
        _ if password => Credentials::Password {
            user: said.user.clone().unwrap_or_default(),
            password: said.password.clone().map_or_else(String::new, |it| it.0),
        },
        _ => Credentials::None,
    })
}

fn text_of(key: &str, path: &str) -> Result<String, Diagnostics> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{key}: {path} cannot be read: {error}");
        only(Diagnostic::error("FILE_NOT_FOUND", message))
    })
}

fn pace(said: &Pace) -> durable::Pace {
    let count = |count: std::num::NonZeroU32| count.get() as usize;
    durable::Pace {
        concurrency: count(said.concurrency),
        rate: said.rate,
        prefetch: said.prefetch.map(count),
    }
}

/// Refused here, so that a wrong key is told with the rest of the file, and not when the store is opened.
pub(super) fn secret(text: &str) -> Result<String, Diagnostics> {
    let bad = |why: String| {
        only(
            Diagnostic::error("CONFIG_VALUE", format!("queue.encryption_key: {why}"))
                .help("make one: openssl rand -base64 32"),
        )
    };
    let bytes = BASE64.decode(text.trim());
    let bytes = bytes.map_err(|_| bad("this is not base64".to_owned()))?;
    match Seal::with_key(&bytes) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(bad(error.to_string())),
    }
}
