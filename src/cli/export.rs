//! `portcullis export`: what a store holds, as a directory file.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::directory::export::export;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The store; it may be served meanwhile.
    #[arg(default_value = "portcullis.db")]
    store: PathBuf,
}

/// Prints the file. It holds hashes and no keys, and HA1s where the store has them, which are as good as passwords.
///
/// # Errors
/// A store that can't be read, or holds what a file can't.
pub fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let path = args.store.display();
    let text = export(&args.store).with_context(|| format!("the store `{path}` can't be exported"))?;
    let Some(text) = text else { bail!("there is no store at `{path}`; name the one that `directory.sqlite` names") };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
