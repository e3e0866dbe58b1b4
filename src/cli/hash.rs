//! `portcullis hash`: turns keys from standard input into what a directory file holds of them.
//!
//! Never prints, logs or repeats a key, and takes none as an argument, where other users of the machine could read it.

mod strength;

use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::check::Output;
use crate::access::digest_secret::{Algorithm, REALM_FORM, is_realm};
use crate::gate::digest::ha1;
use crate::live::fingerprint;

/// Lengths that a key may have (decision.md §5).
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=512;

/// Estimated strength below which a key is refused.
const LEAST_BITS: f64 = 128.0;

/// Arguments of `hash`.
#[derive(Debug, clap::Args)]
pub struct HashArgs {
    /// Read one key a line, and not one key alone.
    #[arg(long)]
    batch: bool,
    /// Also make the HA1s of Digest authentication for this realm; keys have to be `publicKey.privateKey`.
    #[arg(long, value_name = "REALM")]
    digest: Option<String>,
    /// Take keys that can be guessed (below 128 estimated bits).
    #[arg(long)]
    weak: bool,
    /// Form of the answer.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// What a directory file holds of a key.
#[derive(serde::Serialize)]
pub(super) struct Hashed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_key: Option<String>,
    pub(super) secret_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Ha1s>,
}

#[derive(serde::Serialize)]
pub(super) struct Ha1s {
    pub(super) realm: String,
    pub(super) sha256: String,
    pub(super) md5: String,
}

/// Reads keys and answers.
///
/// # Errors
/// A line that is no key, or that is too weak; named by its number alone.
pub fn run(args: HashArgs) -> anyhow::Result<ExitCode> {
    let answer = hash(&args, std::io::stdin().lock())?;
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn hash(args: &HashArgs, input: impl BufRead) -> anyhow::Result<String> {
    if let Some(realm) = args.digest.as_ref().filter(|realm| !is_realm(realm)) {
        bail!("`{}` is no realm, which is {REALM_FORM}", realm.escape_debug());
    }
    let mut hashed = Vec::new();
    for (index, line) in input.split(b'\n').enumerate() {
        let line = line.context("standard input can't be read")?;
        let key = line.strip_suffix(b"\r").unwrap_or(&line);
        if key.is_empty() {
            continue;
        }
        if !args.batch && !hashed.is_empty() {
            bail!("there is more than one line; use `--batch` for one key a line");
        }
        hashed.push(one(key, args.weak, args.digest.as_deref()).with_context(|| format!("line {}", index + 1))?);
    }
    if hashed.is_empty() {
        bail!("standard input has no key; pipe it in, such as `portcullis hash < key.txt`");
    }
    written(args, &hashed)
}

/// What is kept of one key, where it is strong enough or a `weak` one is meant.
///
/// # Errors
/// What is wrong with the key, without the key.
pub(super) fn one(key: &[u8], weak: bool, realm: Option<&str>) -> anyhow::Result<Hashed> {
    if !LENGTHS.contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        bail!("a key is {} to {} visible ASCII characters without blanks", LENGTHS.start(), LENGTHS.end());
    }
    // Checked above: visible ASCII.
    let key = std::str::from_utf8(key).context("a key is ASCII")?;
    if super::is_pair(key) {
        bail!(
            "`publicKey:privateKey` is the form of HTTP Basic; write `publicKey.privateKey`, which is what is hashed"
        );
    }
    if !weak && !strength::suffices(key, LEAST_BITS) {
        bail!("the key could be guessed (below {LEAST_BITS} estimated bits); make a random one, or say `--weak`");
    }
    let parts = key
        .split_once('.')
        .filter(|(public, _)| public.len() == 8 && public.bytes().all(|byte| byte.is_ascii_lowercase()));
    let digest = match (realm, parts) {
        (None, _) => None,
        (Some(realm), Some((public, private))) => {
            let made = ha1::of(public, realm, private);
            let hex = |algorithm| made.ha1(algorithm).map(hex).unwrap_or_default();
            Some(Ha1s { realm: realm.to_owned(), sha256: hex(Algorithm::Sha256), md5: hex(Algorithm::Md5) })
        }
        (Some(_), None) => {
            bail!("Digest needs a key of the form `publicKey.privateKey`, with a public key of 8 lowercase letters")
        }
    };
    let secret_sha256 = hex(&fingerprint::of_key(key.as_bytes()).0);
    Ok(Hashed { public_key: parts.map(|(public, _)| public.to_owned()), secret_sha256, digest })
}

fn written(args: &HashArgs, hashed: &[Hashed]) -> anyhow::Result<String> {
    let mut text = String::new();
    match (args.output, args.batch) {
        (Output::Json, true) => text = format!("{:#}\n", json!(hashed)),
        (Output::Json, false) => text = format!("{:#}\n", json!(hashed[0])),
        (Output::Text, _) => {
            for one in hashed {
                match &one.digest {
                    None => writeln!(text, "{}", one.secret_sha256)?,
                    Some(digest) => {
                        let realm = json!(digest.realm);
                        writeln!(text, "secret_sha256: {}", one.secret_sha256)?;
                        writeln!(text, "digest: {{ realm: {realm}, sha256: {}, md5: {} }}", digest.sha256, digest.md5)?;
                    }
                }
            }
        }
    }
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
