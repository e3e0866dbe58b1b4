//! `portcullis openapi`: the OpenAPI document of the admin API, without a running one.

use std::io::Write;
use std::process::ExitCode;

use crate::admin;

/// Arguments of `openapi`.
#[derive(Debug, clap::Args)]
pub struct OpenapiArgs {}

/// Prints the document.
///
/// # Errors
/// Standard output is closed.
pub fn run(_: OpenapiArgs) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{:#}", admin::document())?;
    Ok(ExitCode::SUCCESS)
}
