//! `portcullis rehearse`: any change of the admin API as a program would ask for it, only to be told what would come of it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::api::Api;
use super::connection::ConnectionArgs;
use super::shown::Shown;
use super::{Fault, told};

/// Methods that change something.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
enum Verb {
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn method(self) -> http::Method {
        match self {
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }
}

/// What `rehearse` takes.
#[derive(clap::Args)]
pub struct RehearseArgs {
    /// The method of the change.
    #[arg(value_name = "METHOD", ignore_case = true)]
    verb: Verb,
    /// Its path below /api/v1, such as /orgs/5f0000000000000000000001/settings, with its query if it has one.
    #[arg(value_name = "PATH", value_parser = path)]
    path: String,
    /// Its body: a file that holds JSON; `-` is standard input.
    #[arg(long, short, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn path(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("/api/v1").filter(|rest| rest.starts_with('/')).unwrap_or(text);
    match text.starts_with('/') && !text.contains(['#', ' ']) {
        true if text.contains("dryRun=") => Err("leave `dryRun` out; it is never more than a rehearsal".to_owned()),
        true => Ok(text.to_owned()),
        false => Err("a path is like /orgs/5f0000000000000000000001/settings".to_owned()),
    }
}

/// Tells what would come of a change: 0 where nobody would be refused, 2 where somebody would.
///
/// # Errors
/// Standard output is closed, or no runtime is to be had.
pub fn run(args: RehearseArgs) -> anyhow::Result<ExitCode> {
    let output = args.connection.output();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = args.connection.connect().map_err(Fault::from).and_then(|connection| {
        let body = args.body.as_deref().map(document).transpose()?;
        let and = if args.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{and}dryRun=true", args.path);
        let api = Api::new(connection)?;
        let answer = runtime.block_on(api.call(args.verb.method(), &path, body.as_ref()))?;
        foreseen(answer).ok_or_else(|| api.stranger())
    });
    told(outcome.map(Shown::Rehearsed), output)
}

/// What would come of it, also where it stands beside something else.
fn foreseen(mut answer: Value) -> Option<Value> {
    let found = if answer["rehearsal"].is_object() { answer["rehearsal"].take() } else { answer };
    (found["dryRun"] == true).then_some(found)
}

/// The body.
fn document(file: &Path) -> Result<Value, Fault> {
    let read = match file.to_str() {
        Some("-") => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text).map(|_| text)
        }
        _ => std::fs::read(file),
    };
    let shown = file.display();
    let text = read.map_err(|fault| Fault::Usage(format!("the body `{shown}` can't be read: {fault}")))?;
    serde_json::from_slice(&text).map_err(|fault| Fault::Usage(format!("the body `{shown}` is no JSON: {fault}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is_shown() {
        for text in ["/orgs/5f/settings", "/api/v1/orgs/5f/settings"] {
            assert_eq!(path(text).unwrap(), "/orgs/5f/settings");
        }
        assert_eq!(path("/apply?prune=true").unwrap(), "/apply?prune=true");
        for text in ["orgs", "", "https://gateway.example.com/orgs", "/orgs?dryRun=false", "/a b", "/a#b"] {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_rehearsal_is_never_shown_as_one() {
        assert!(foreseen(json!({"dryRun": true})).is_some());
        assert!(foreseen(json!({"results": [], "rehearsal": {"dryRun": true}})).is_some());
        for answer in [json!(null), json!({}), json!({"results": []}), json!([1]), json!({"dryRun": "true"})] {
            assert!(foreseen(answer.clone()).is_none(), "{answer}");
        }
    }
}
