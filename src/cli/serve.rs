//! `portcullis serve`: the gateway in the foreground, until SIGTERM or SIGINT.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::EX_CONFIG;
use crate::app::{self, Origin, StartFault, StopFault};
use crate::clock::Clock;
use crate::config::diagnostic::Problems;
use crate::net::inherited::Inherited;
use crate::telemetry::logging;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The configuration. Without it: the gateway on 127.0.0.1:8080, the admin API on 127.0.0.1:8081, metrics on
    /// 127.0.0.1:8082, a store in the working directory, and an upstream that echoes.
    #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// How much of its own doings the program logs to standard error.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "PORTCULLIS_LOG")]
    log_level: tracing::Level,
}

/// Runs the gateway.
///
/// # Errors
/// A listener, thread or file that could not be had.
pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    // First of all: it changes the environment, which no thread may read meanwhile.
    let mut inherited = Inherited::from_environment().context("the gateway can't start")?;
    app::memory::begin();
    let _logging = logging::start(logging::Format::detected(), args.log_level).context("the log can't be started")?;
    let origin = match args.config {
        Some(path) => Origin::File(path),
        None => Origin::Defaults,
    };
    // The directory is read last, while probes are answered already: a large one takes seconds.
    let outlined = match app::outline(origin) {
        Ok(outlined) => outlined,
        Err(problems) => return Ok(refused(&problems)),
    };
    if let Some(predecessor) = inherited.predecessor() {
        return match app::succeed(outlined, inherited, predecessor) {
            Ok(running) => ended(running.until_told_to_stop()),
            Err(StartFault::Directory(problems)) => Ok(refused(&problems)),
            Err(fault) => Err(fault).context("the gateway can't take over"),
        };
    }
    let opened = app::open_on(outlined, Clock::system(), &mut inherited).context("the gateway can't start")?;
    ended(opened.until_told_to_stop())
}

fn ended(ended: Result<(), StopFault>) -> anyhow::Result<ExitCode> {
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(StopFault::Refused(problems)) => Ok(refused(&problems)),
        Err(fault) => Err(fault).context("the gateway can't go on"),
    }
}

fn refused(problems: &Problems) -> ExitCode {
    eprintln!("{}", problems.render(std::io::IsTerminal::is_terminal(&std::io::stderr())));
    ExitCode::from(EX_CONFIG)
}
