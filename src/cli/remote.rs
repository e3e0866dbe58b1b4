//! The commands against the admin API: what they share.
//!
//! Each command asks the API and tells what it answered; nothing is decided here, and no store is opened. One way in for all
//! of them: [`run`].

pub mod access_lists;
mod api;
pub mod api_keys;
pub mod apply;
mod arguments;
mod bulk;
mod connection;
pub mod events;
pub mod login;
pub mod network_sets;
pub mod organizations;
pub mod profiles;
pub mod projects;
pub mod promote;
mod rehearsal;
pub mod rehearse;
mod secret;
pub mod service_accounts;
pub mod settings;
mod shown;
pub mod users;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::Value;

use super::{EX_CONFIG, EX_USAGE};
use crate::config::diagnostic::Problems;
use crate::net::fetch::FetchFault;

pub use connection::ConnectionArgs;

pub(super) use api::Api;
pub(super) use shown::{Column, Output, Shown, plain, text};

use connection::SetupFault;

/// A command against the API, with what it does there.
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Group<C: Remote> {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: C,
}

impl<C: Remote> Group<C> {
    /// A command of a group that has others besides.
    pub fn new(connection: ConnectionArgs, command: C) -> Self {
        Self { connection, command }
    }
}

/// What a command does by the API.
pub trait Remote: clap::Subcommand {
    /// Asks, and says what is to be shown.
    ///
    /// # Errors
    /// A [`Fault`].
    async fn ask(self, api: &Api) -> Result<Shown, Fault>;
}

/// Why a command did nothing, or not all.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum Fault {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Setup(#[from] SetupFault),
    #[error("{status} {code}: {detail}")]
    Refused { status: u16, code: String, detail: String, way_out: Option<String>, body: Value },
    #[error("the admin API at {url} can't be asked")]
    Unreachable { url: String, source: Box<FetchFault> },
    #[error("{url} answers {status}, and not as the admin API does")]
    Stranger { url: String, status: u16 },
    /// A file that is at fault.
    #[error("nothing was imported: {}", super::check::count(.0.len(), "problem", "problems"))]
    Faulty(Problems),
    /// A file that does not go together with what is there.
    #[error("nothing was imported: {}", conflicts(problems, *untold))]
    Conflicting {
        problems: Problems,
        /// How many lines are at fault besides, of which nothing was told.
        untold: usize,
    },
    /// A store that can't be written.
    #[error("the store `{path}` takes no import")]
    Store { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// A list of networks that can't be used.
    #[error(transparent)]
    List(#[from] super::ranges::FileFault),
    /// A list that would change too much.
    #[error("nothing was changed: {0}")]
    Held(String),
    #[error("standard output can't be written")]
    Output(#[from] std::io::Error),
}

impl Fault {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => EX_USAGE,
            Self::Setup(_) | Self::Faulty(_) => EX_CONFIG,
            _ => 1,
        }
    }

    /// What to do about it.
    fn way_out(&self) -> Option<String> {
        match self {
            Self::Usage(_)
            | Self::Output(_)
            | Self::List(_)
            | Self::Held(_)
            | Self::Faulty(_)
            | Self::Conflicting { .. }
            | Self::Store { .. } => None,
            Self::Setup(fault) => fault.way_out(),
            Self::Refused { way_out, .. } => way_out.clone(),
            Self::Unreachable { source, .. } => Some(
                match **source {
                    FetchFault::InClear(_) => {
                        "neither keys nor passwords are sent in clear to another machine: name it by https, or go \
                         through a tunnel"
                    }
                    FetchFault::Handshake { .. } => "a private authority is named by `--ca FILE`",
                    _ => {
                        "start it with `portcullis serve`, or name another by `--api-url`, PORTCULLIS_API_URL or \
                         `--profile`"
                    }
                }
                .into(),
            ),
            Self::Stranger { .. } => {
                Some("`--api-url` names the admin listener (8081 by default), not the gateway or the metrics".into())
            }
        }
    }
}

/// How many conflicts there are.
fn conflicts(problems: &Problems, untold: usize) -> String {
    let told = super::check::count(problems.len(), "conflict", "conflicts");
    match untold {
        0 => told,
        untold => format!("{told}, and {untold} more lines are at fault"),
    }
}

/// Runs a command and tells its outcome.
///
/// # Errors
/// Standard output is closed, or no runtime is to be had.
pub fn run<C: Remote>(group: Group<C>) -> anyhow::Result<ExitCode> {
    let output = group.connection.output();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = group.connection.connect().map_err(Fault::from).and_then(|connection| {
        let api = Api::new(connection)?;
        runtime.block_on(group.command.ask(&api))
    });
    told(outcome, output)
}

/// Prints what was answered, or why it was not.
pub(super) fn told(outcome: Result<Shown, Fault>, output: Output) -> anyhow::Result<ExitCode> {
    let printed = outcome.and_then(|shown| {
        let code = shown.exit_code();
        shown.print(output)?;
        Ok(code)
    });
    match printed {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(Fault::Output(fault)) => Err(fault.into()),
        Err(fault) => {
            if let (Fault::Refused { body, .. }, Output::Json) = (&fault, output) {
                writeln!(std::io::stdout(), "{body:#}")?;
            }
            if let Fault::Faulty(problems) | Fault::Conflicting { problems, .. } = &fault {
                match output {
                    Output::Json => writeln!(std::io::stdout(), "{:#}", serde_json::json!({ "problems": problems }))?,
                    Output::Table => eprintln!("{}\n", problems.render(std::io::stderr().is_terminal())),
                }
            }
            let code = ExitCode::from(fault.exit_code());
            let way_out = fault.way_out();
            eprintln!("portcullis: {:#}", anyhow::Error::from(fault));
            if let Some(way_out) = way_out {
                eprintln!("  = help: {way_out}");
            }
            Ok(code)
        }
    }
}
