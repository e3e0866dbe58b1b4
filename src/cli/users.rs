//! `portcullis users`: people of an organization by the admin API, and what is done to them on the machine that has the store
//! where nobody can sign in any more.

use std::path::PathBuf;
use std::process::ExitCode;

use super::remote::{self, ConnectionArgs, Group};
use crate::access::id::Id;
use crate::clock::Clock;
use crate::control::{self, Password};

/// Arguments of `users`.
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct UsersArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Remote(remote::users::Users),
    /// Give somebody a new password and the role of an owner. It is asked for, or comes from standard input, on one line.
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
    match args.command {
        Command::Remote(command) => remote::run(Group::new(args.connection, command)),
        Command::ResetOwner(reset) => reset_owner(reset),
    }
}

fn reset_owner(ResetArgs { store, email, org }: ResetArgs) -> anyhow::Result<ExitCode> {
    let password = Password::new(remote::login::chosen("new password")?);
    let organization = control::reset_owner(&store, &email, org, &password, &Clock::system())?;
    println!("{email} owns organization {organization} and signs in with the new password.");
    Ok(ExitCode::SUCCESS)
}
