//! A check: attempts of one kind, and whether all of them end as they have to.

use super::agent::{PREFIX, Seen};
use super::target::{Reply, Target, draw};

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No attempt got through.
    Holds,
    /// At least one did.
    Fails,
    /// It was not made.
    NotApplicable,
}

/// One line of the report. Never holds a key.
#[derive(Debug, serde::Serialize)]
pub struct Finding {
    /// The line of `threats.md`.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What was sent.
    pub sent: String,
    /// How it had to end.
    pub expected: &'static str,
    /// How it ended, or why it was not made.
    pub seen: String,
    /// The sum.
    pub verdict: Verdict,
}

/// Which check it is.
#[derive(Clone, Copy)]
pub struct Check {
    /// The line of `threats.md`.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// How each attempt has to end.
    pub expected: &'static str,
}

/// One request, in words and in bytes.
pub struct Attempt {
    /// Names it in the report; never holds a key.
    pub what: String,
    /// The name by which the agent keeps its requests together.
    pub probe: String,
    /// What is written.
    pub raw: Vec<u8>,
}

impl Attempt {
    /// Makes one of the bytes for the path of its probe.
    ///
    /// # Errors
    /// No random numbers.
    pub fn new(what: impl Into<String>, raw: impl FnOnce(&str) -> String) -> anyhow::Result<Self> {
        let probe = draw()?;
        let raw = raw(&format!("{PREFIX}{probe}")).into_bytes();
        Ok(Self { what: what.into(), probe, raw })
    }
}

impl Check {
    /// The finding where it can't be made.
    pub fn not_applicable(self, reason: &str) -> Finding {
        let Self { id, title, expected } = self;
        let seen = reason.to_owned();
        Finding { id, title, sent: String::new(), expected, seen, verdict: Verdict::NotApplicable }
    }

    /// Makes all attempts; `judge` tells what is wrong with what became of one, if anything is.
    ///
    /// # Errors
    /// A target that can't be reached.
    pub async fn make(
        self,
        target: &mut Target,
        attempts: Vec<Attempt>,
        judge: impl Fn(&Attempt, &Reply, &[Seen]) -> Option<String>,
    ) -> anyhow::Result<Finding> {
        let (mut sent, mut ended, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for attempt in attempts {
            let reply = target.send(&attempt.raw).await?;
            match target.seen(&attempt.probe).await? {
                Some(seen) => {
                    wrong.extend(judge(&attempt, &reply, &seen).map(|why| format!("{}: {why}", attempt.what)))
                }
                None => wrong.push(format!("{}: the next request is broken", attempt.what)),
            }
            ended.push(reply.told());
            sent.push(attempt.what);
        }
        ended.sort();
        ended.dedup();
        let Self { id, title, expected } = self;
        let (verdict, seen) = match wrong.is_empty() {
            true => (Verdict::Holds, ended.join(", ")),
            false => (Verdict::Fails, wrong.join("; ")),
        };
        Ok(Finding { id, title, sent: sent.join(", "), expected, seen, verdict })
    }
}

/// Whether the request was let in, where it had to be refused.
pub fn let_in(_: &Attempt, reply: &Reply, seen: &[Seen]) -> Option<String> {
    match (seen.len(), reply.status) {
        (0, None | Some(300..)) => None,
        (0, _) => Some(format!("answered {}", reply.told())),
        _ => Some("reached the upstream".to_owned()),
    }
}
