//! The command line: reads arguments, calls the library, turns outcomes into exit codes.
//!
//! 0 is success, 1 a failure while running, 2 "there is a difference that matters" (`explain` refused, `check --against`
//! refuses more, `diff` found some, a check of `doctor` fails, `import --from` met what has no equal), 64 wrong usage, 69 something is missing on the machine, 78 a faulty configuration.

pub mod check;
pub mod compare;
pub mod demo;
mod doctor;
pub mod explain;
pub mod export;
pub mod hash;
pub mod import;
pub mod openapi;
mod plan;
mod ranges;
mod remote;
pub mod schema;
pub mod serve;
pub mod users;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

/// Wrong usage (sysexits.h, `EX_USAGE`).
pub const EX_USAGE: u8 = 64;
/// A faulty configuration (sysexits.h, `EX_CONFIG`).
pub const EX_CONFIG: u8 = 78;

/// A reverse-proxy gateway that checks each API key against its own IP access list.
#[derive(Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(serve::ServeArgs),
    /// Show what the gateway does, on free ports, with requests to copy.
    Demo(demo::DemoArgs),
    /// Name every problem of a configuration or directory, or what a new one would change.
    Check(check::CheckArgs),
    /// Show whom a change would refuse or allow, by access logs, and propose lists that admit what was seen.
    Plan(plan::PlanArgs),
    /// Show a decision step by step.
    Explain(explain::ExplainArgs),
    /// Attack a deployment of any make, and tell what held.
    Doctor(doctor::DoctorArgs),
    /// Turn keys from standard input into what a directory file holds.
    Hash(hash::HashArgs),
    /// Print the JSON Schema of a file format.
    Schema(schema::SchemaArgs),
    /// Show what a directory file would change in a running gateway's store.
    Diff(remote::apply::DiffArgs),
    /// Make a running gateway's store what a directory file says.
    Apply(remote::apply::ApplyArgs),
    /// Have lists refuse that only report, where nothing would have been refused for long enough.
    Promote(remote::promote::PromoteArgs),
    /// Tell what would come of any change of the admin API, and change nothing.
    Rehearse(remote::rehearse::RehearseArgs),
    /// Manage organizations by the admin API.
    Orgs(remote::Group<remote::organizations::Organizations>),
    /// Turn the switch that makes access lists mandatory.
    Settings(remote::Group<remote::settings::Settings>),
    /// Manage projects.
    Projects(remote::Group<remote::projects::Projects>),
    /// Manage API keys.
    ApiKeys(remote::Group<remote::api_keys::ApiKeys>),
    /// Manage service accounts.
    ServiceAccounts(remote::Group<remote::service_accounts::ServiceAccounts>),
    /// Manage the access list of an API key or a service account.
    AccessLists(remote::Group<remote::access_lists::AccessLists>),
    /// Manage named networks that access lists refer to.
    NetworkSets(remote::Group<remote::network_sets::NetworkSets>),
    /// Look at what was changed.
    Events(remote::Group<remote::events::Events>),
    /// Sign in as a person, or sign up by an invitation; the session is kept in a profile.
    Login(remote::login::LoginArgs),
    /// End the session of a profile.
    Logout(remote::login::LogoutArgs),
    /// Change one's own password.
    Password(remote::login::PasswordArgs),
    /// Keep connections to admin APIs by names.
    Profiles(remote::profiles::ProfilesArgs),
    /// Print the OpenAPI document of the admin API.
    Openapi(openapi::OpenapiArgs),
    /// Print the networks of a list that a provider publishes, one a line.
    Ranges(ranges::RangesArgs),
    /// Write what a store holds as a directory file.
    Export(export::ExportArgs),
    /// Add organizations and API keys in bulk: all or nothing.
    Import(import::ImportArgs),
    /// Manage people by the admin API, or help those who can't sign in, on the machine that has the store.
    Users(users::UsersArgs),
    /// Manage invitations, by which people come.
    Invites(remote::Group<remote::users::Invites>),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page a command into a folder.
    Man {
        /// The folder; it must exist.
        #[arg(long, value_name = "FOLDER")]
        out: Option<std::path::PathBuf>,
    },
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(mut wrong) => {
            withhold(&mut wrong);
            // Help and version are no mistakes; a closed pipe leaves nobody to tell.
            let _ = wrong.print();
            return if wrong.use_stderr() { ExitCode::from(EX_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match arguments.command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Hash(args) => hash::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Diff(args) => remote::apply::diff(args),
        Command::Apply(args) => remote::apply::apply(args),
        Command::Promote(args) => remote::promote::run(args),
        Command::Rehearse(args) => remote::rehearse::run(args),
        Command::Orgs(group) => remote::run(group),
        Command::Settings(group) => remote::run(group),
        Command::Projects(group) => remote::run(group),
        Command::ApiKeys(group) => remote::run(group),
        Command::ServiceAccounts(group) => remote::run(group),
        Command::AccessLists(group) => remote::run(group),
        Command::NetworkSets(group) => remote::run(group),
        Command::Events(group) => remote::run(group),
        Command::Login(args) => remote::login::login(args),
        Command::Logout(args) => remote::login::logout(args),
        Command::Password(args) => remote::login::password(args),
        Command::Profiles(args) => remote::profiles::run(args),
        Command::Openapi(args) => openapi::run(args),
        Command::Ranges(args) => ranges::run(&args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Users(args) => users::run(args),
        Command::Invites(group) => remote::run(group),
        Command::Completions { shell } => completions(shell),
        Command::Man { out } => manual(out.as_deref()),
    };
    outcome.unwrap_or_else(|fault| {
        let closed_pipe = fault.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if closed_pipe == Some(std::io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        // Each cause on the same line, outermost first.
        eprintln!("portcullis: {fault:#}");
        ExitCode::FAILURE
    })
}

/// Takes out of a message what may be a secret: the value of a header or of an id, whatever looks like a key, and a word where none is expected, such as a
/// key that was written behind `hash`.
fn withhold(wrong: &mut clap::Error) {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if let Some(ContextValue::String(word)) = wrong.get(ContextKind::InvalidSubcommand)
        && word.contains([':', '.'])
    {
        wrong.insert(ContextKind::InvalidSubcommand, ContextValue::String("…".to_owned()));
    }
    let argument = match wrong.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => return,
    };
    let may_be_key = match wrong.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.contains('@') || is_like_a_key(value),
        _ => false,
    };
    let is_secret = may_be_key || argument.starts_with("--header") || argument.ends_with("ID>");
    let withheld = match wrong.kind() {
        ErrorKind::ValueValidation if is_secret => ContextKind::InvalidValue,
        ErrorKind::UnknownArgument if !argument.starts_with('-') => ContextKind::InvalidArg,
        _ => return,
    };
    wrong.insert(withheld, ContextValue::String("…".to_owned()));
}

/// Whether a text begins as `publicKey:privateKey` does.
fn is_like_a_key(text: &str) -> bool {
    let public = text.split_once([':', '.']).map(|(public, _)| public);
    public.is_some_and(|public| public.len() == 8 && public.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// Whether this is a key of ours as HTTP Basic, `curl -u` and profiles write it: with a colon, where headers and hashes have
/// a full stop.
fn is_pair(key: &str) -> bool {
    key.split_once(':').is_some_and(|(_, private)| private.len() == 36) && is_like_a_key(key)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn manual(out: Option<&std::path::Path>) -> anyhow::Result<ExitCode> {
    match out {
        Some(folder) => std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
            .with_context(|| format!("the pages can't be written into `{}`; it must be a folder", folder.display()))?,
        None => clap_mangen::Man::new(Arguments::command()).render(&mut std::io::stdout())?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
