//! threats.md F: where a request ends, which path it names, and which host.

use super::agent::{PREFIX, Seen};
use super::check::{Attempt, Check, Finding};
use super::target::{Reply, Target};

const ONE: &str = "refused, or one request in one framing reaches the upstream";

const BOTH: Check = Check { id: "F1-both", title: "Content-Length and Transfer-Encoding", expected: ONE };
const CODINGS: Check = Check { id: "F1-codings", title: "odd spellings of Transfer-Encoding", expected: ONE };
const LENGTHS: Check = Check { id: "F1-lengths", title: "doubtful Content-Length", expected: ONE };
const BARE: Check = Check { id: "F1-bare-lf", title: "a bare LF within the head", expected: ONE };
const EXTENSIONS: Check = Check { id: "F1-extensions", title: "a bare LF within a chunk's extension", expected: ONE };
const FOLDED: Check = Check { id: "F1-folded", title: "a folded line", expected: ONE };
const PATHS: Check = Check {
    id: "F4",
    title: "paths that can be read in two ways",
    expected: "refused, or passed on as they were sent",
};
const HOSTS: Check =
    Check { id: "F5", title: "two hosts in one request", expected: "refused, or the upstream is told one host" };

/// All checks of this kind.
///
/// # Errors
/// A target that can't be reached.
pub async fn examine(target: &mut Target, control: &Seen) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let framings: [(Check, &[(&str, &str)]); 5] = [
        (
            BOTH,
            &[
                ("length first", "Content-Length: ALL\r\nTransfer-Encoding: chunked"),
                ("coding first", "Transfer-Encoding: chunked\r\nContent-Length: ALL"),
            ],
        ),
        (
            CODINGS,
            &[
                ("xchunked", "Content-Length: ALL\r\nTransfer-Encoding: xchunked"),
                ("blank before the colon", "Content-Length: ALL\r\nTransfer-Encoding : chunked"),
                ("vertical tab", "Content-Length: ALL\r\nTransfer-Encoding: \u{b}chunked"),
                ("quoted", "Content-Length: ALL\r\nTransfer-Encoding: \"chunked\""),
                ("chunked, identity", "Content-Length: ALL\r\nTransfer-Encoding: chunked, identity"),
                ("two lines", "Content-Length: ALL\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
            ],
        ),
        (
            LENGTHS,
            &[
                ("two lines", "Content-Length: 5\r\nContent-Length: ALL"),
                ("a list", "Content-Length: 5, ALL"),
                ("a sign", "Content-Length: +5"),
            ],
        ),
        (BARE, &[("before a field", "Content-Length: ALL\r\nX-A: b\nTransfer-Encoding: chunked")]),
        (FOLDED, &[("after a field", "Content-Length: ALL\r\nX-A: b\r\n Transfer-Encoding: chunked")]),
    ];
    for (check, forms) in framings {
        let attempt = |(what, lines): &(&str, &str)| {
            Attempt::new(*what, |path| {
                let after = format!("0\r\n\r\n{}", smuggled(path));
                let lines = lines.replace("ALL", &after.len().to_string());
                target.request(&format!("POST {path}/one HTTP/1.1"), &[target.inside.line(), lines]) + &after
            })
        };
        let attempts = forms.iter().map(attempt).collect::<anyhow::Result<_>>()?;
        findings.push(check.make(target, attempts, is_doubtful).await?);
    }

    // Whoever ends the line at LF reads a chunk of two bytes and one that has the second request in it; whoever waits for
    // CR and LF reads a chunk of two bytes, which are the other's length, and then the end.
    let attempt = Attempt::new("2;LF", |path| {
        let hidden = format!("0\r\n\r\n{}", smuggled(path));
        let lines = [target.inside.line(), "Transfer-Encoding: chunked".to_owned()];
        let head = target.request(&format!("POST {path}/one HTTP/1.1"), &lines);
        format!("{head}2;\nxx\r\n{:02x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len())
    })?;
    findings.push(EXTENSIONS.make(target, vec![attempt], is_doubtful).await?);

    findings.push(paths(target, control).await?);

    let inside = target.inside.line();
    let absolute = Attempt::new("a target with another host", |path| {
        target.request(&format!("GET http://doctor.invalid{path}/a HTTP/1.1"), std::slice::from_ref(&inside))
    })?;
    let doubled = Attempt::new("two lines of Host", |path| {
        let lines = [inside.clone(), "Host: doctor.invalid".to_owned()];
        target.request(&format!("GET {path}/a HTTP/1.1"), &lines)
    })?;
    let has_two = |_: &Attempt, _: &Reply, seen: &[Seen]| {
        let seen = seen.first()?;
        let is_absolute = seen.line.contains("://doctor.invalid") && seen.all("host") != ["doctor.invalid"];
        (is_absolute || seen.all("host").len() > 1).then(|| "the upstream is told two".to_owned())
    };
    findings.push(HOSTS.make(target, vec![absolute, doubled], has_two).await?);
    Ok(findings)
}

/// A request without a key: nobody may ever see it as one.
fn smuggled(path: &str) -> String {
    format!("GET {path}/smuggled HTTP/1.1\r\nHost: doctor.invalid\r\n\r\n")
}

fn is_doubtful(_: &Attempt, _: &Reply, seen: &[Seen]) -> Option<String> {
    if seen.iter().any(|seen| seen.line.contains("/smuggled")) {
        return Some("a second request reached the upstream, without a key".to_owned());
    }
    if seen.len() > 1 {
        return Some(format!("{} requests reached the upstream", seen.len()));
    }
    let seen = seen.first()?;
    let framings = seen.all("content-length").len() + seen.all("transfer-encoding").len();
    (framings > 1).then(|| "the upstream gets more than one framing".to_owned())
}

async fn paths(target: &mut Target, control: &Seen) -> anyhow::Result<Finding> {
    let path = |seen: &Seen| seen.line.split(' ').nth(1).unwrap_or_default().to_owned();
    if !path(control).starts_with(PREFIX) {
        return Ok(PATHS.not_applicable("the deployment rewrites every path"));
    }
    let forms = ["/a/../b", "/a/%2e%2e/b", "/%2e/b", "/a//b", "/a;x/b", "/a%2fb"];
    let inside = target.inside.line();
    let attempt = |form: &&str| {
        Attempt::new(*form, |path| target.request(&format!("GET {path}{form} HTTP/1.1"), std::slice::from_ref(&inside)))
    };
    let attempts = forms.iter().map(attempt).collect::<anyhow::Result<_>>()?;
    let is_changed = |attempt: &Attempt, _: &Reply, seen: &[Seen]| {
        let got = path(seen.first()?);
        let sent = format!("{PREFIX}{}{}", attempt.probe, attempt.what);
        (got != sent).then(|| format!("the upstream sees {got}"))
    };
    PATHS.make(target, attempts, is_changed).await
}
