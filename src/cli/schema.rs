//! `portcullis schema`: the JSON Schema of a file format, for editors and for other programs' checks.

use std::io::Write;
use std::process::ExitCode;

use crate::{config, directory};

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Which format.
    #[arg(value_enum, default_value_t)]
    format: Format,
}

/// A file format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The configuration of `portcullis serve`.
    #[default]
    Config,
    /// A directory file.
    Directory,
}

/// Prints the schema.
///
/// # Errors
/// Standard output is closed.
pub fn run(args: SchemaArgs) -> anyhow::Result<ExitCode> {
    let schema = match args.format {
        Format::Config => config::schema(),
        Format::Directory => directory::schema(),
    };
    writeln!(std::io::stdout(), "{schema:#}")?;
    Ok(ExitCode::SUCCESS)
}
