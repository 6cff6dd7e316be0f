//! The command line.
//!
//! Owns the commands, their options and exit codes: 0, 1 (the input is wrong)
//! or 2 (the command line is wrong). Results go to standard output,
//! diagnostics to standard error. Each command is a file.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what the command line prints is its result"
)]

mod api_key;
mod check;
mod compose;
mod demo;
mod explain;
mod plan;
mod queue;
mod resolvers;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ::compose::Diagnostics;
use ::compose::SchemaFiles;
use ::compose::Supergraph;
use ::compose::diagnostic::Severity;
use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::config::Config;
use crate::config::Environment;
use crate::config::Features;
use crate::config::json_schema;
use crate::graph::load::load;
use crate::graph::reload::Origin;
use crate::graph::supergraph::LastSeen;

/// A GraphQL federation gateway over REST, gRPC and GraphQL services.
#[derive(Parser)]
#[command(name = "switchboard", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve(ServeOptions),
    /// Compose the graph and run every start-up check
    Check(ConfigFile),
    /// Print the schema that clients see
    Compose {
        #[command(flatten)]
        file: ConfigFile,
        /// Print the supergraph, join v0.5, which other routers accept where every subgraph is GraphQL
        #[arg(long)]
        supergraph: bool,
        /// Print which source answers which field, and how
        #[arg(long, conflicts_with = "supergraph")]
        resolvers: bool,
    },
    /// Print the plan of an operation and its upstream calls
    Plan {
        #[command(flatten)]
        file: ConfigFile,
        /// A file with the operation; - reads standard input
        operation: PathBuf,
        /// Which operation of the file, where it has several
        #[arg(long)]
        name: Option<String>,
        /// A label of @override that is active; may be repeated
        #[arg(long)]
        label: Vec<String>,
    },
    /// Print how a field is answered, and where each setting comes from
    Explain {
        #[command(flatten)]
        file: ConfigFile,
        /// Type.field, or the name of an entity
        field: String,
    },
    /// Start the example services and the gateway over them
    Demo(demo::DemoOptions),
    /// About the durable queue of a gateway that runs
    Queue(queue::QueueOptions),
    /// About keys for callers
    ApiKey {
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
    /// About the configuration file
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum ApiKeyCommand {
    /// Print a fresh key once, and the line for the file of hashes
    New {
        /// What the key is called in limits and logs
        #[arg(long)]
        id: String,
        /// What it allows; may be given several times
        #[arg(long = "scope")]
        scopes: Vec<String>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the JSON schema of switchboard.yaml
    Schema,
}

#[derive(Args, Clone)]
struct ConfigFile {
    /// The configuration file
    #[arg(long, default_value = "switchboard.yaml")]
    config: PathBuf,
}

#[derive(Args, Clone)]
struct ServeOptions {
    #[command(flatten)]
    file: ConfigFile,
    /// Turn introspection, playground, suggestions and hot reload on
    #[arg(long)]
    dev: bool,
    /// Where clients connect, instead of `listen`; port 0 takes a free one
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where operators connect, instead of `admin.listen`
    #[arg(long)]
    admin_listen: Option<SocketAddr>,
}

/// Why a command fails.
enum Failure {
    /// The input is wrong, and this is what is wrong with it.
    Diagnostics(Diagnostics),
    /// Anything else that went wrong.
    Other(anyhow::Error),
}

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Serve(options) => serve::run(options),
        Command::Check(file) => check::run(&file),
        Command::Compose {
            file,
            supergraph,
            resolvers,
        } => match (supergraph, resolvers) {
            (true, _) => compose::supergraph(&file),
            (_, true) => compose::resolvers(&file),
            _ => compose::schema(&file),
        },
        Command::Plan {
            file,
            operation,
            name,
            label,
        } => plan::run(&file, &operation, name.as_deref(), &label),
        Command::Explain { file, field } => explain::run(&file, &field),
        Command::Demo(options) => demo::run(options),
        Command::Queue(options) => queue::run(&options),
        Command::ApiKey {
            command: ApiKeyCommand::New { id, scopes },
        } => api_key::new(&id, &scopes),
        Command::Config {
            command: ConfigCommand::Schema,
        } => print_schema(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(1)
        }
    }
}

fn report(failure: &Failure) {
    match failure {
        Failure::Diagnostics(diagnostics) => {
            eprintln!("{diagnostics}");
            let errors = diagnostics.0.iter();
            let errors = errors.filter(|d| d.severity == Severity::Error);
            match errors.count() {
                1 => eprintln!("1 error"),
                n => eprintln!("{n} errors"),
            }
        }
        Failure::Other(error) => eprintln!("error: {error:#}"),
    }
}

fn print_schema() -> Result<(), Failure> {
    println!("{:#}", json_schema());
    Ok(())
}

impl ConfigFile {
    fn origin(&self, adjust: impl Fn(&mut Config) + Send + Sync + 'static) -> Origin {
        Origin {
            path: self.config.clone(),
            environment: Environment::of_process(),
            adjust: Arc::new(adjust),
        }
    }

    /// The graph of the file, for the commands that only look at it. Warnings go to standard error.
    fn compose(&self) -> Result<(Config, Supergraph), Failure> {
        let (config, _, supergraph) = self.compose_files()?;
        Ok((config, supergraph))
    }

    /// The same, with what was composed.
    fn compose_files(&self) -> Result<(Config, SchemaFiles, Supergraph), Failure> {
        let config = self.origin(|_| {}).read()?;
        let loaded = runtime()?.block_on(load(&config, &LastSeen::default()));
        let supergraph = loaded.supergraph?;
        let warnings = supergraph.warnings().from(Severity::Warning);
        if !warnings.is_empty() {
            eprintln!("{warnings}");
        }
        Ok((config, loaded.read, supergraph))
    }
}

impl ServeOptions {
    fn adjust(&self) -> impl Fn(&mut Config) + Send + Sync + 'static {
        let (dev, listen, admin) = (self.dev, self.listen, self.admin_listen);
        move |config| {
            if dev {
                config.features = Features::DEV;
                config.dev = true;
            }
            config.listen = listen.unwrap_or(config.listen);
            config.admin = admin.unwrap_or(config.admin);
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| Failure::Other(error.into()))
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Failure::Diagnostics(diagnostics)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Other(error)
    }
}
