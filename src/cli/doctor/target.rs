//! The deployment under examination: who may be examined, how fast, and what becomes of a request.

use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::rand;
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::agent::{NAME, PREFIX, Seen, Told};
use super::message;
use crate::net::fetch::{Fetcher, is_this_machine};

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(3);

/// Longest time of all checks together.
const TOTAL: Duration = Duration::from_secs(300);

/// Most bytes of an answer.
const MOST_BYTES: usize = 256 * 1024;

/// The header of a key. Has no `Debug`.
pub struct Credential {
    /// The header's name.
    pub name: String,
    /// The key.
    pub value: String,
}

impl Credential {
    /// Reads one from a file, or from standard input.
    ///
    /// # Errors
    /// A file that can't be read, or has no header. The message never holds what is in it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            let read = std::io::stdin().take(64 * 1024).read_to_string(&mut text);
            read.context("no key could be read from standard input")?;
            text
        } else {
            std::fs::read_to_string(path).with_context(|| format!("`{}` can't be read", path.display()))?
        };
        let wrong = || format!("`{}` has no header; write it like 'X-API-Key: …' on one line", path.display());
        let (name, value) = text.trim().split_once(':').with_context(wrong)?;
        let value = value.trim();
        let is_whole = name.parse::<http::HeaderName>().is_ok() && http::HeaderValue::from_str(value).is_ok();
        if !is_whole || value.is_empty() {
            bail!(wrong());
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// The line of the head, without its end.
    pub fn line(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

/// What came back.
pub struct Reply {
    /// None where the connection was closed, or nothing came in time.
    pub status: Option<u16>,
    body: Vec<u8>,
}

impl Reply {
    /// In words.
    pub fn told(&self) -> String {
        self.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
    }
}

/// A deployment. Has no `Debug`, because of its key.
pub struct Target {
    fetcher: Fetcher,
    uri: Uri,
    /// What stands in `Host`.
    pub host: String,
    /// A key that is let in from here.
    pub inside: Credential,
    gap: Duration,
    next: Instant,
    end: Instant,
}

/// A name that nobody guesses.
pub fn draw() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).ok().context("the system has no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Target {
    /// Connects nowhere yet.
    ///
    /// # Errors
    /// Certificates that can't be read.
    pub fn new(uri: &Uri, ca: Option<&Path>, inside: Credential, rate: u32) -> anyhow::Result<Self> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let now = Instant::now();
        Ok(Self {
            fetcher: Fetcher::new(ca)?.within(DEADLINE),
            uri: uri.clone(),
            host: authority.rsplit('@').next().unwrap_or_default().to_owned(),
            inside,
            gap: Duration::from_secs(1) / rate,
            next: now,
            end: now + TOTAL,
        })
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Lets this machine pass, and whoever serves the token.
    ///
    /// # Errors
    /// A target that is not proven to be the caller's own.
    pub async fn prove(&self, token: Option<&str>) -> anyhow::Result<()> {
        let host = self.uri.host().unwrap_or_default();
        if is_this_machine(host.trim_start_matches('[').trim_end_matches(']')) {
            return Ok(());
        }
        let path = "/.well-known/portcullis-doctor/";
        let Some(token) = token else {
            let token = draw()? + &draw()?;
            bail!(
                "`{host}` is another machine: let it serve `{path}{token}` with the body `{token}`, and give `--token {token}`"
            );
        };
        if token.len() != 32 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("`--token` takes what a run without one gave");
        }
        let uri = format!("{}://{}{path}{token}", self.uri.scheme_str().unwrap_or("https"), self.host);
        let served = self.fetcher.get(&uri.parse()?, None).await.context("the target is not proven to be yours")?;
        match served.trim_ascii() == token.as_bytes() {
            true => Ok(()),
            false => bail!("`{uri}` has to answer with the token alone"),
        }
    }

    /// Sends bytes as they are on a connection of their own, and reads one answer.
    ///
    /// # Errors
    /// A target that can't be connected to, or one that takes too long for all checks.
    pub async fn send(&mut self, raw: &[u8]) -> anyhow::Result<Reply> {
        if Instant::now() > self.end {
            bail!("the checks took longer than {} s; nothing is told of a half", TOTAL.as_secs());
        }
        tokio::time::sleep_until(self.next).await;
        self.next = Instant::now() + self.gap;
        let mut stream = self.fetcher.open(&self.uri).await?;
        let mut bytes = Vec::new();
        let exchange = async {
            // Whoever refuses may close before everything is written: the answer tells.
            let _ = stream.write_all(raw).await;
            let _ = stream.flush().await;
            loop {
                if let Ok(answer) = message::read(&mut Cursor::new(&bytes)) {
                    return Some(answer);
                }
                match stream.read_buf(&mut bytes).await {
                    Ok(more) if more > 0 && bytes.len() <= MOST_BYTES => {}
                    _ => return None,
                }
            }
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await.ok().flatten();
        let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let status = String::from_utf8_lossy(first).split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Reply { status, body: answer.map(|answer| answer.body).unwrap_or_default() })
    }

    /// A request line and head of a probe; `lines` come after `Host`.
    pub fn request(&self, line: &str, lines: &[String]) -> String {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{line}\r\nHost: {}\r\n{lines}\r\n", self.host)
    }

    /// What reached the agent of a probe. None where the agent can't be asked any more: what was sent broke the next request.
    ///
    /// # Errors
    /// As of [`Self::send`].
    pub async fn seen(&mut self, probe: &str) -> anyhow::Result<Option<Vec<Seen>>> {
        let look = format!("{PREFIX}{probe}/look");
        for _ in 0..3 {
            let raw = self.request(&format!("GET {look} HTTP/1.1"), &[self.inside.line()]);
            let reply = self.send(raw.as_bytes()).await?;
            let told = serde_json::from_slice::<Told>(&reply.body).ok();
            if let Some(told) = told.filter(|told| told.agent == NAME && told.seen.line.contains(&look)) {
                let others = told.same_probe.into_iter().filter(|seen| !seen.line.contains(&look));
                return Ok(Some(others.collect()));
            }
        }
        Ok(None)
    }

    /// An honest request, as the agent sees it.
    ///
    /// # Errors
    /// A deployment that does not let it through to the agent: nothing can be learnt from it.
    pub async fn control(&mut self) -> anyhow::Result<Seen> {
        let probe = draw()?;
        let raw = self.request(&format!("GET {PREFIX}{probe}/control HTTP/1.1"), &[self.inside.line()]);
        let reply = self.send(raw.as_bytes()).await?;
        let seen = self.seen(&probe).await?.and_then(|mut seen| seen.pop());
        let told = reply.told();
        seen.with_context(|| {
            format!("an honest request with the key of `--key-inside` does not reach the agent ({told}); it has to be the upstream")
        })
    }

    /// An honest request with the other key, which has to be refused.
    ///
    /// # Errors
    /// A deployment that lets it in.
    pub async fn control_outside(&mut self, outside: &Credential) -> anyhow::Result<()> {
        let probe = draw()?;
        let raw = self.request(&format!("GET {PREFIX}{probe}/control HTTP/1.1"), &[outside.line()]);
        let status = self.send(raw.as_bytes()).await?.status;
        let reached = self.seen(&probe).await?.is_none_or(|seen| !seen.is_empty());
        match status {
            Some(400..500) if !reached => Ok(()),
            _ => bail!("the key of `--key` is let in from here; it takes one whose list does not have this address"),
        }
    }
}
