//! `switchboard queue`: what waits, what died, and what is done about it.
//!
//! Owns asking the port of operators of a gateway that runs, and how its
//! answers look. What they mean is the gateway's affair.

mod print;
mod salvage;

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::anyhow;
use clap::Args;
use clap::Subcommand;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::Value as Json;
use serde_json::json;
use sources::Tls;
use sources::outbound::Answer;
use sources::outbound::Outbound;
use sources::outbound::OutboundError;
use sources::outbound::OutboundSettings;
use tokio::time::Instant;

use super::ConfigFile;
use super::Failure;
use super::runtime;
use crate::config::Config;
use crate::config::Environment;

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of one answer: a page of dead letters, or a message that is revealed.
const LARGEST: usize = 16 << 20;
/// Where the token of operators is looked for first.
const TOKEN: &str = "SWITCHBOARD_ADMIN_TOKEN";

/// The durable queue of a gateway that runs
#[derive(Args)]
pub(super) struct QueueOptions {
    /// The configuration file of the gateway
    #[arg(long, global = true, default_value = "switchboard.yaml")]
    config: PathBuf,
    /// Where operators connect, instead of the configuration's `admin.listen`: http://127.0.0.1:4001. The token is then read from SWITCHBOARD_ADMIN_TOKEN
    #[arg(long, global = true)]
    admin: Option<String>,
    /// Authorities to trust, in a PEM file, instead of the machine's: where the gateway's certificate is of your own
    #[arg(long, global = true)]
    ca: Option<PathBuf>,
    /// Print the gateway's answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Subcommand)]
enum QueueCommand {
    /// Print how the queues stand
    Ls,
    /// Print one message and what came of it
    Show {
        /// What the client was told
        id: String,
        /// Print what is delivered, too; the audit log says so
        #[arg(long)]
        reveal: bool,
    },
    /// Print messages that were given up, oldest first
    DeadLetters {
        /// Of this queue only
        #[arg(long)]
        queue: Option<String>,
        /// Those after this one
        #[arg(long)]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        most: usize,
    },
    /// Deliver a dead letter once more, or all of a queue
    Retry {
        /// The dead letter
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// Though its key has moved on: it comes after what followed it
        #[arg(long, conflicts_with = "all")]
        force: bool,
        /// All of a queue, but for those whose key has moved on
        #[arg(long, requires = "queue")]
        all: bool,
        /// Which queue
        #[arg(long, requires = "all")]
        queue: Option<String>,
    },
    /// Delete a dead letter for good, or many of them
    Purge {
        /// The dead letter
        #[arg(required_unless_present_any = ["queue", "status", "older_than"], conflicts_with_all = ["queue", "status", "older_than"])]
        id: Option<String>,
        /// All of a queue
        #[arg(long)]
        queue: Option<String>,
        /// All that stand so: DEAD_LETTERED or EXPIRED
        #[arg(long)]
        status: Option<String>,
        /// All that died so long ago: 90s, 30m, 12h, 7d
        #[arg(long, value_parser = seconds)]
        older_than: Option<u64>,
    },
    /// Deliver nothing of a queue until it is resumed, on any gateway that shares it
    Pause {
        /// Its name
        queue: String,
        /// Why, for whoever finds it paused
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a queue go on, also one whose target has denied it
    Resume {
        /// Its name
        queue: String,
    },
    /// Delete what is kept of a caller's deliveries that have ended
    Erase {
        /// Issuer and subject, or the id of an API key, as `show` prints it
        #[arg(long)]
        caller: String,
    },
    /// Write what can be read of a damaged file of the embedded store into a new one, while no gateway runs over it
    Salvage,
}

/// What the gateway is asked.
#[derive(Debug, PartialEq)]
struct Question {
    method: Method,
    /// Path and query below the address.
    path: String,
}

#[derive(Debug, PartialEq)]
enum Method {
    Get,
    Post(Json),
    Delete,
}

/// Whom to ask, and as whom.
struct Operators {
    address: String,
    token: Option<String>,
    /// The only ones that are trusted, in PEM; those of the machine without them.
    authorities: Option<String>,
}

/// Asks and prints.
pub(super) fn run(options: &QueueOptions) -> Result<(), Failure> {
    let answer = match options.command.question() {
        Some(question) => {
            let operators = options.operators()?;
            runtime()?.block_on(operators.ask(&question))?
        }
        None => salvage::salvage(&options.read()?)?,
    };
    match options.json {
        true => println!("{answer:#}"),
        false => print!("{}", options.command.text(&answer)),
    }
    Ok(())
}

impl QueueOptions {
    fn read(&self) -> Result<Config, Failure> {
        let file = ConfigFile {
            config: self.config.clone(),
        };
        Ok(file.origin(|_| {}).read()?)
    }

    fn operators(&self) -> Result<Operators, Failure> {
        let environment = Environment::of_process();
        let token = environment.get(TOKEN).map(str::to_owned);
        if let Some(address) = &self.admin {
            let address = address.trim_end_matches('/').to_owned();
            return Ok(Operators {
                address,
                token,
                authorities: self.authorities()?,
            });
        }
        let config = self.read()?;
        let first = || config.edge.admin_tokens.first();
        Ok(Operators {
            address: address(&config)?,
            token: token.or_else(|| first().map(|token| token.secret.clone())),
            authorities: self.authorities()?,
        })
    }

    fn authorities(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.ca else {
            return Ok(None);
        };
        let read = std::fs::read_to_string(file);
        let read = read.with_context(|| format!("--ca: {} cannot be read", file.display()));
        read.map(Some)
    }
}

/// Where the gateway of this configuration listens, as seen from the same machine.
fn address(config: &Config) -> anyhow::Result<String> {
    let listen = config.admin;
    if listen.port() == 0 {
        return Err(anyhow!(
            "admin.listen takes any free port; say which with --admin, as the gateway's first lines tell it"
        ));
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = match config.edge.admin_tls {
        Some(_) => "https",
        None => "http",
    };
    Ok(format!("{scheme}://{}", SocketAddr::new(ip, listen.port())))
}

impl Operators {
    async fn ask(&self, question: &Question) -> anyhow::Result<Json> {
        let url = format!("{}{}", self.address, question.path);
        let settings = OutboundSettings {
            max_reply_bytes: LARGEST,
            tls: Tls {
                authorities: self.authorities.clone(),
                ..Tls::default()
            },
            ..OutboundSettings::default()
        };
        let outbound = Outbound::new(&url, &settings)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let token = HeaderValue::from_str(&format!("Bearer {token}"));
            headers.insert(AUTHORIZATION, token.context("the token holds a line end")?);
        }
        let deadline = Instant::now() + PATIENCE;
        let answer = match &question.method {
            Method::Get => outbound.get(headers, deadline).await,
            Method::Post(body) => outbound.post_json(body, headers, deadline).await,
            Method::Delete => outbound.delete(headers, deadline).await,
        };
        read(&answer.map_err(|error| self.unanswered(&error))?)
    }

    fn unanswered(&self, error: &OutboundError) -> anyhow::Error {
        let address = &self.address;
        anyhow!(
            "no gateway answers operators at {address}: {error}\n  help: start it, or say where it listens with --admin"
        )
    }
}

/// What was answered, or what to do about it.
fn read((status, body): &Answer) -> anyhow::Result<Json> {
    let json = serde_json::from_slice(body);
    let json: Json =
        json.map_err(|_| anyhow!("what answers there (HTTP {status}) is no gateway"))?;
    if *status < 300 {
        return Ok(json);
    }
    let detail = json["detail"].as_str().unwrap_or("it gives no reason");
    let slug = json["type"].as_str().and_then(|it| it.rsplit('/').next());
    let help = match slug {
        Some("unauthenticated") => {
            "\n  help: set SWITCHBOARD_ADMIN_TOKEN to one of the gateway's admin.tokens"
        }
        Some("not-retried") => "\n  help: --force, or switchboard queue purge ID",
        Some("queue-unavailable") => "\n  help: the gateway's log says why; try again later",
        _ => "",
    };
    Err(anyhow!("{detail}{help}"))
}

impl QueueCommand {
    /// None where no gateway is asked.
    fn question(&self) -> Option<Question> {
        let (method, path) = match self {
            Self::Salvage => return None,
            Self::Ls => (Method::Get, "/queues".to_owned()),
            Self::Show { id, reveal } => {
                let query = if *reveal { "?reveal=true" } else { "" };
                (Method::Get, format!("/deliveries/{}{query}", part(id)))
            }
            Self::DeadLetters { queue, after, most } => {
                let given = [("queue", queue), ("after", after)];
                let given = given.into_iter().filter_map(|(name, value)| {
                    let value = value.as_deref()?;
                    Some(format!("&{name}={}", part(value)))
                });
                let more: String = given.collect();
                (Method::Get, format!("/dead-letters?most={most}{more}"))
            }
            Self::Retry {
                id: Some(id),
                force,
                ..
            } => {
                let path = format!("/dead-letters/{}/retry", part(id));
                (Method::Post(json!({ "force": force })), path)
            }
            Self::Retry { queue, .. } => {
                let body = json!({ "queue": queue });
                (Method::Post(body), "/dead-letters/retry".to_owned())
            }
            Self::Purge { id: Some(id), .. } => {
                (Method::Delete, format!("/dead-letters/{}", part(id)))
            }
            Self::Purge {
                queue,
                status,
                older_than,
                ..
            } => {
                let body = json!({ "queue": queue, "status": status, "older_than": older_than });
                (Method::Post(body), "/dead-letters/purge".to_owned())
            }
            Self::Pause { queue, reason } => {
                let path = format!("/queues/{}/pause", part(queue));
                (Method::Post(json!({ "reason": reason })), path)
            }
            Self::Resume { queue } => {
                let path = format!("/queues/{}/resume", part(queue));
                (Method::Post(json!({})), path)
            }
            Self::Erase { caller } => {
                let path = format!("/callers/{}/deliveries", part(caller));
                (Method::Delete, path)
            }
        };
        Some(Question { method, path })
    }

    fn text(&self, answer: &Json) -> String {
        match self {
            Self::Ls => print::queues(answer),
            Self::Show { .. } => print::message(answer),
            Self::DeadLetters { .. } => print::dead_letters(answer),
            Self::Retry { .. } => print::retried(answer),
            Self::Purge { id: Some(id), .. } => format!("deleted: {id}\n"),
            Self::Purge { .. } => format!("deleted: {}\n", answer["purged"]),
            Self::Pause { queue, .. } => {
                format!("paused: {queue}. What is under way is finished.\n")
            }
            Self::Resume { queue } => format!("goes on: {queue}\n"),
            Self::Erase { .. } => format!("erased: {}\n", answer["erased"]),
            Self::Salvage => format!(
                "salvaged: {} messages. The damaged file is kept: {}\nErase callers again whose erasure it may hold still.\n",
                answer["messages"],
                answer["damaged"].as_str().unwrap_or_default()
            ),
        }
    }
}

/// `7d` as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "write it like 90s, 30m, 12h or 7d".to_owned();
    let (at, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..at].parse().map_err(|_| wrong())?;
    count.checked_mul(unit).ok_or_else(wrong)
}

/// One part of a path or of a query.
fn part(text: &str) -> String {
    // Queries hold what paths may not, and the other way round: everything but letters and digits is encoded.
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encoded = text.bytes().map(|byte| match unreserved(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: QueueOptions,
    }

    fn asked(line: &str) -> Option<Question> {
        let words = ["queue"].into_iter().chain(line.split(' '));
        let line = Line::try_parse_from(words).ok()?;
        line.options.command.question()
    }

    fn get(path: &str) -> Option<Question> {
        let (method, path) = (Method::Get, path.to_owned());
        Some(Question { method, path })
    }

    fn post(path: &str, body: Json) -> Option<Question> {
        let (method, path) = (Method::Post(body), path.to_owned());
        Some(Question { method, path })
    }

    fn delete(path: &str) -> Option<Question> {
        let (method, path) = (Method::Delete, path.to_owned());
        Some(Question { method, path })
    }

    #[test]
    fn each_command_is_one_question() {
        for (line, expected) in [
            ("ls", get("/queues")),
            ("show 1", get("/deliveries/1")),
            ("show 1 --reveal", get("/deliveries/1?reveal=true")),
            ("dead-letters", get("/dead-letters?most=100")),
            (
                "dead-letters --queue a&b --after 7 --most 5",
                get("/dead-letters?most=5&queue=a%26b&after=7"),
            ),
            (
                "retry 1",
                post("/dead-letters/1/retry", json!({ "force": false })),
            ),
            (
                "retry 1 --force",
                post("/dead-letters/1/retry", json!({ "force": true })),
            ),
            (
                "retry --all --queue e",
                post("/dead-letters/retry", json!({ "queue": "e" })),
            ),
            ("purge 1", delete("/dead-letters/1")),
            (
                "purge --queue e --status EXPIRED --older-than 7d",
                post(
                    "/dead-letters/purge",
                    json!({ "queue": "e", "status": "EXPIRED", "older_than": 604_800 }),
                ),
            ),
            (
                "purge --older-than 90s",
                post(
                    "/dead-letters/purge",
                    json!({ "queue": null, "status": null, "older_than": 90 }),
                ),
            ),
            (
                "pause e",
                post("/queues/e/pause", json!({ "reason": null })),
            ),
            (
                "pause e --reason r",
                post("/queues/e/pause", json!({ "reason": "r" })),
            ),
            ("resume e/f", post("/queues/e%2Ff/resume", json!({}))),
            ("erase --caller i|a", delete("/callers/i%7Ca/deliveries")),
        ] {
            assert_eq!(asked(line), expected, "{line}");
        }
    }

    #[test]
    fn half_a_command_is_none() {
        for line in [
            "retry",
            "retry --all",
            "retry --queue e",
            "retry 1 --all --queue e",
            "retry --all --queue e --force",
            "erase",
            "show",
            "purge",
            "purge 1 --queue e",
            "purge --older-than 7",
            "purge --older-than d",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let told = |status: u16, body: &str| {
            let read = read(&(status, body.to_owned().into()));
            read.map_err(|error| error.to_string())
        };
        let problem = |slug: &str| {
            json!({ "type": format!("http://g/problems/{slug}"), "detail": "No." }).to_string()
        };
        assert_eq!(told(200, "{}"), Ok(json!({})));
        for (slug, expected) in [
            ("not-found", "No."),
            (
                "not-retried",
                "No.\n  help: --force, or switchboard queue purge ID",
            ),
            (
                "unauthenticated",
                "No.\n  help: set SWITCHBOARD_ADMIN_TOKEN to one of the gateway's admin.tokens",
            ),
        ] {
            assert_eq!(told(400, &problem(slug)), Err(expected.to_owned()));
        }
        let other = told(502, "<html>").unwrap_err();
        assert_eq!(other, "what answers there (HTTP 502) is no gateway");
    }
}
