//! `portcullis ranges`: the networks of a list that a provider publishes, one a line, as a list file has them.
//!
//! A list is a file, or fetched by https: from the address that was said and no other.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use http::Uri;

use crate::access::feed::{Form, Wanted};
use crate::access::network::Network;
use crate::directory::provider_list::{self, ListFault};
use crate::net::fetch::{FetchFault, Fetcher};

/// Most bytes of a list: those of Azure have some four million.
const LARGEST: u64 = 32 << 20;

/// What fetching one may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// On standard input.
    StandardInput,
    /// In a file.
    File(PathBuf),
    /// At an address.
    Url(Uri),
}

/// `-`, an address, or a file.
///
/// # Errors
/// An address that is none, or that holds a password.
pub fn list_source(text: &str) -> Result<ListSource, String> {
    if text == "-" {
        return Ok(ListSource::StandardInput);
    }
    if !["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(ListSource::File(text.into()));
    }
    // The address is not repeated: it may hold a password.
    let uri: Uri = text.parse().map_err(|_| "an address is like https://host/path".to_owned())?;
    match uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        true => Err("the address has a user name or password in it; leave them out".into()),
        false => Ok(ListSource::Url(uri)),
    }
}

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
    /// It can't be fetched.
    #[error("the list can't be fetched")]
    Fetch(#[source] Box<FetchFault>),
    /// It is something else.
    #[error("the list `{0}` is no text")]
    NotText(String),
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

    /// The choice as the API takes it within a `source`.
    pub fn asked(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut asked = serde_json::Map::new();
        if let Some(form) = self.form {
            asked.insert("form".into(), Form::from(form).as_str().into());
        }
        for (name, chosen) in [("services", &self.services), ("regions", &self.regions)] {
            if !chosen.is_empty() {
                asked.insert(name.into(), chosen.clone().into());
            }
        }
        asked
    }

    /// The networks of a list.
    ///
    /// # Errors
    /// A [`FileFault`].
    pub async fn read(&self, source: &ListSource) -> Result<Vec<Network>, FileFault> {
        let (name, bytes) = match source {
            ListSource::StandardInput => bounded("standard input".to_owned(), std::io::stdin())?,
            ListSource::File(file) => {
                let name = file.display().to_string();
                let opened = std::fs::File::open(file);
                let opened = opened.map_err(|fault| FileFault::Read(name.clone(), fault))?;
                bounded(name, opened)?
            }
            ListSource::Url(uri) => {
                (uri.to_string(), fetched(uri).await.map_err(|fault| FileFault::Fetch(fault.into()))?)
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| FileFault::NotText(name.clone()))?;
        let wanted = Wanted { services: self.services.clone(), regions: self.regions.clone() };
        let form = self.form.map(Form::from);
        provider_list::read(&text, form, &wanted).map_err(|fault| FileFault::Faulty(name, fault))
    }
}

/// What can be read, unless it is too much, with its name.
fn bounded(name: String, from: impl std::io::Read) -> Result<(String, Vec<u8>), FileFault> {
    let mut bytes = Vec::new();
    match from.take(LARGEST + 1).read_to_end(&mut bytes) {
        Err(fault) => Err(FileFault::Read(name, fault)),
        Ok(length) if length as u64 > LARGEST => Err(FileFault::Large(name)),
        Ok(_) => Ok((name, bytes)),
    }
}

/// A document by https, or, on this machine, by http. No redirect is followed.
async fn fetched(uri: &Uri) -> Result<Vec<u8>, FetchFault> {
    let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
    let fetcher = Fetcher::new(None)?.within(PATIENCE).up_to(most);
    Ok(fetcher.get(uri, None).await?.to_vec())
}

/// Arguments of `ranges`.
#[derive(Debug, clap::Args)]
pub struct RangesArgs {
    /// The list: a file, or an https address; `-` reads it from standard input.
    #[arg(value_name = "LIST", value_parser = list_source)]
    list: ListSource,
    #[command(flatten)]
    choice: ListChoice,
}

/// Prints the networks.
///
/// # Errors
/// A list that is not taken, or an output that can't be written.
pub fn run(args: &RangesArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let networks = runtime.block_on(args.choice.read(&args.list))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for network in networks {
        writeln!(out, "{network}").context("standard output can't be written")?;
    }
    out.flush().context("standard output can't be written")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
