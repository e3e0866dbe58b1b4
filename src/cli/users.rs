//! `portcullis users`: what is done to people on the machine that has the store, where nobody can sign in any more.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::access::id::Id;
use crate::clock::Clock;
use crate::control::{self, Password};

/// Arguments of `users`.
#[derive(Debug, clap::Args)]
pub struct UsersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Give somebody a new password and the role of an owner. The password comes from standard input, on one line.
    ///
    /// Nothing may serve the store meanwhile: stop `portcullis serve` first. The person's sessions end.
    ResetOwner(ResetArgs),
}

#[derive(Debug, clap::Args)]
struct ResetArgs {
    /// The store's file.
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// The person's email address; who is not known yet is made.
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// Id of the organization, where the store has several.
    #[arg(long, value_name = "ID")]
    org: Option<Id>,
}

/// Runs the command.
///
/// # Errors
/// What keeps the owner from being reset.
pub fn run(args: UsersArgs) -> anyhow::Result<ExitCode> {
    let Command::ResetOwner(ResetArgs { store, email, org }) = args.command;
    if std::io::stdin().is_terminal() {
        eprintln!("The new password (it is shown as you type; pipe it in to hide it):");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password can't be read from standard input")?;
    let password = Password::new(line.trim_end_matches(['\r', '\n']).to_owned());
    let organization = control::reset_owner(&store, &email, org, &password, &Clock::system())?;
    println!("{email} owns organization {organization} and signs in with the new password.");
    Ok(ExitCode::SUCCESS)
}
