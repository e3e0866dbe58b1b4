//! `portcullis ranges`: the networks of a list that a provider publishes, one a line, as a list file has them.
//!
//! Fetches nothing: whoever fetches the list says where from, and how it is trusted.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::access::network::Network;
use crate::directory::provider_list::{self, Form, ListFault, Wanted};

/// Most bytes of a list: those of Azure have some four million.
const LARGEST: u64 = 32 << 20;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ListForm {
    /// ip-ranges.json of AWS.
    Aws,
    /// goog.json or cloud.json of Google.
    Google,
    /// ServiceTags of Azure.
    Azure,
    /// What the API of Cloudflare answers; its text files are plain.
    Cloudflare,
    /// What `/meta` of GitHub's API answers.
    Github,
    /// A network a line; `#` begins a comment.
    Plain,
}

impl From<ListForm> for Form {
    fn from(form: ListForm) -> Self {
        match form {
            ListForm::Aws => Self::Aws,
            ListForm::Google => Self::Google,
            ListForm::Azure => Self::Azure,
            ListForm::Cloudflare => Self::Cloudflare,
            ListForm::Github => Self::GitHub,
            ListForm::Plain => Self::Plain,
        }
    }
}

/// What of a list is taken.
#[derive(Debug, Clone, clap::Args)]
pub struct ListChoice {
    /// How the list is written [default: found out].
    #[arg(long, value_name = "FORM")]
    form: Option<ListForm>,
    /// A service of the list, in Azure's a service tag or a service, in GitHub's one of its lists; may be there several times
    /// [default: all, but for Azure and GitHub].
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// A region of the list, in Google's a scope; may be there several times [default: all].
    #[arg(long = "region", value_name = "NAME")]
    regions: Vec<String>,
}

/// Why a list can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It can't be read.
    #[error("the list `{0}` can't be read")]
    Read(String, #[source] std::io::Error),
    /// It is too large.
    #[error("the list `{0}` has more than {LARGEST} bytes; is it one?")]
    Large(String),
    /// It is faulty.
    #[error("the list `{0}` is not taken")]
    Faulty(String, #[source] ListFault),
}

impl ListChoice {
    /// Whether anything of a list is chosen.
    pub fn is_said(&self) -> bool {
        self.form.is_some() || !self.services.is_empty() || !self.regions.is_empty()
    }

    /// The networks of a file, or of standard input where it is `-`.
    ///
    /// # Errors
    /// A [`FileFault`].
    pub fn read(&self, file: &Path) -> Result<Vec<Network>, FileFault> {
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        let mut text = String::new();
        let read = match file == Path::new("-") {
            true => std::io::stdin().take(LARGEST + 1).read_to_string(&mut text),
            false => std::fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text)),
        };
        let length = read.map_err(|fault| FileFault::Read(name.clone(), fault))?;
        if length as u64 > LARGEST {
            return Err(FileFault::Large(name));
        }
        let wanted = Wanted { services: self.services.clone(), regions: self.regions.clone() };
        let form = self.form.map(Form::from);
        provider_list::read(&text, form, &wanted).map_err(|fault| FileFault::Faulty(name, fault))
    }
}

/// Arguments of `ranges`.
#[derive(Debug, clap::Args)]
pub struct RangesArgs {
    /// The list; `-` reads it from standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    choice: ListChoice,
}

/// Prints the networks.
///
/// # Errors
/// A list that is not taken, or an output that can't be written.
pub fn run(args: &RangesArgs) -> anyhow::Result<ExitCode> {
    let networks = args.choice.read(&args.file)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for network in networks {
        writeln!(out, "{network}").context("standard output can't be written")?;
    }
    out.flush().context("standard output can't be written")?;
    Ok(ExitCode::SUCCESS)
}
