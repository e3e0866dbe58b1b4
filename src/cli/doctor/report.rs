//! The report: for people, for programs, and for CI.

use std::io::Write;

use serde_json::json;

use super::check::{Finding, Verdict};

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Lines.
    Text,
    /// One document.
    Json,
    /// What CI systems read.
    Junit,
}

/// Prints all findings.
///
/// # Errors
/// An output that can't be written.
pub fn write(output: Output, url: &str, findings: &[Finding]) -> anyhow::Result<()> {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (holds, fails, skipped) = (count(Verdict::Holds), count(Verdict::Fails), count(Verdict::NotApplicable));
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => {
            for Finding { id, title, sent, expected, seen, verdict } in findings {
                match verdict {
                    Verdict::Holds => writeln!(out, "holds  {id}  {title}")?,
                    Verdict::NotApplicable => writeln!(out, "–      {id}  {title}: not made, {seen}")?,
                    Verdict::Fails => writeln!(
                        out,
                        "FAILS  {id}  {title}\n         sent      {sent}\n         expected  {expected}\n         seen      {seen}"
                    )?,
                }
            }
            writeln!(out, "{holds} hold, {fails} fail, {skipped} not made")?;
        }
        Output::Json => {
            let sums = json!({ "holds": holds, "fails": fails, "notApplicable": skipped });
            writeln!(out, "{:#}", json!({ "target": url, "sums": sums, "checks": findings }))?;
        }
        Output::Junit => {
            writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
            let all = findings.len();
            writeln!(
                out,
                "<testsuite name=\"portcullis doctor\" tests=\"{all}\" failures=\"{fails}\" skipped=\"{skipped}\">"
            )?;
            for finding in findings {
                let name = escaped(&format!("{} {}", finding.id, finding.title));
                write!(out, "  <testcase classname=\"doctor\" name=\"{name}\"")?;
                let seen = escaped(&finding.seen);
                match finding.verdict {
                    Verdict::Holds => writeln!(out, "/>")?,
                    Verdict::Fails => writeln!(out, "><failure message=\"{seen}\"/></testcase>")?,
                    Verdict::NotApplicable => writeln!(out, "><skipped message=\"{seen}\"/></testcase>")?,
                }
            }
            writeln!(out, "</testsuite>")?;
        }
    }
    Ok(())
}

/// For an attribute of XML, which has no control characters.
fn escaped(text: &str) -> String {
    let mut to = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            letter if letter.is_control() => to.push('\u{fffd}'),
            letter => to.push(letter),
        }
    }
    to
}
