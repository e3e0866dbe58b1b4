//! `portcullis doctor`: sends what attackers send to a deployment of any make, and asks an agent behind it what arrived.
//!
//! Each check is of `threats.md`: C, F or H. [`agent`] is the upstream, [`target`] the way to the deployment.

mod addresses;
mod agent;
mod check;
mod framing;
mod headers;
mod message;
mod report;
mod target;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use check::{Finding, Verdict};
use target::{Credential, Target};

use super::EX_USAGE;

/// The exit code where a check fails.
const FAILS: u8 = 2;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct DoctorArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// The deployment, such as http://127.0.0.1:8080; the agent has to be its upstream.
    #[arg(value_name = "URL", required = true)]
    url: Option<http::Uri>,
    /// A file with the header of a key that is let in from here, such as 'X-API-Key: …'; `-` is standard input.
    #[arg(long, value_name = "FILE", required = true)]
    key_inside: Option<PathBuf>,
    /// A file with the header of a valid key whose list does not have the address that the doctor calls from.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// An address that the list of `--key` has.
    #[arg(long, value_name = "IP", requires = "key")]
    listed_address: Option<IpAddr>,
    /// A header by which the deployment tells the upstream who calls, such as X-Portcullis-Credential. As often as there is one.
    #[arg(long = "identity-header", value_name = "NAME")]
    identity_headers: Vec<http::HeaderName>,
    /// The token that proves that a target on another machine is yours; the first run without one gives it.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Trusted certificates in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Most requests a second.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    rate: u32,
    /// The form of the report.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: report::Output,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the upstream that tells what reached it. For tests alone: it shows whatever it is sent.
    Agent(agent::AgentArgs),
}

/// Examines one deployment: exit code 0 where all holds, 2 where something fails.
///
/// # Errors
/// A target that can't be reached, is not proven to be the caller's own, or has no agent behind it.
pub fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    if let Some(Command::Agent(args)) = args.command {
        return agent::run(&args);
    }
    let (Some(url), Some(inside)) = (&args.url, &args.key_inside) else {
        bail!("say what is examined: `portcullis doctor URL --key-inside FILE`");
    };
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
        eprintln!("portcullis: `{url}` is no address of a deployment; write it like http://127.0.0.1:8080");
        return Ok(ExitCode::from(EX_USAGE));
    }
    let inside = Credential::read(inside)?;
    let outside = args.key.as_deref().map(Credential::read).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let findings = runtime.context("no runtime can be started")?.block_on(async {
        let mut target = Target::new(url, args.ca.as_deref(), inside, args.rate)?;
        target.prove(args.token.as_deref()).await?;
        examine(&mut target, &args, outside.as_ref()).await
    })?;
    report::write(args.output, &url.to_string(), &findings)?;
    let fails = findings.iter().any(|finding| finding.verdict == Verdict::Fails);
    Ok(if fails { ExitCode::from(FAILS) } else { ExitCode::SUCCESS })
}

async fn examine(target: &mut Target, args: &DoctorArgs, outside: Option<&Credential>) -> anyhow::Result<Vec<Finding>> {
    let control = target.control().await?;
    if let Some(outside) = outside {
        target.control_outside(outside).await?;
    }
    let mut findings = addresses::examine(target, outside, args.listed_address).await?;
    findings.extend(headers::examine(target, &control, outside, &args.identity_headers).await?);
    findings.extend(framing::examine(target, &control).await?);
    Ok(findings)
}
