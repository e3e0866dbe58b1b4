//! threats.md C: a caller that says where it comes from.

use std::net::IpAddr;

use super::agent::Seen;
use super::check::{Attempt, Check, Finding, let_in};
use super::target::{Credential, Target};

/// An address that nobody has (RFC 5737).
const FORGED: &str = "203.0.113.77";

/// Headers by which servers learn an address, without `X-Forwarded-For`.
const OTHERS: [&str; 7] = [
    "X-Real-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Client-IP",
    "Client-IP",
    "X-Cluster-Client-IP",
    "Fastly-Client-IP",
];

const REFUSED: &str = "refused: the caller's own address is not on the list";

const FORGED_ONE: Check = Check { id: "C1", title: "a forged X-Forwarded-For", expected: REFUSED };
const DOUBLED: Check = Check { id: "C3", title: "doubled lines of X-Forwarded-For", expected: REFUSED };
const OTHER: Check = Check { id: "C9", title: "other headers with an address", expected: REFUSED };
const PROXY: Check = Check { id: "C10", title: "a PROXY line where none is expected", expected: REFUSED };
const APPENDED: Check =
    Check { id: "composite-key", title: "a listed address appended to the key (composite maps)", expected: REFUSED };
const BELIEVED: Check = Check {
    id: "C1-upstream",
    title: "a forged address is passed on",
    expected: "refused, or the upstream sees the forged address nowhere",
};

/// All checks of this kind.
///
/// # Errors
/// A target that can't be reached.
pub async fn examine(
    target: &mut Target,
    outside: Option<&Credential>,
    listed: Option<IpAddr>,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    match (outside, listed) {
        (Some(outside), Some(listed)) => findings.extend(with_listed(target, outside, &listed.to_string()).await?),
        _ => {
            let checks = [FORGED_ONE, DOUBLED, OTHER, PROXY, APPENDED];
            findings.extend(checks.map(|check| check.not_applicable("it takes `--key` and `--listed-address`")));
        }
    }
    let mut lines = vec![format!("X-Forwarded-For: {FORGED}"), format!("Forwarded: for={FORGED}")];
    lines.extend(OTHERS.map(|name| format!("{name}: {FORGED}")));
    let attempts = one_each(target, &target.inside, lines)?;
    let believes = |_: &Attempt, _: &_, seen: &[Seen]| {
        let mut headers = seen.iter().flat_map(|seen| &seen.headers);
        headers.find(|(_, value)| value.contains(FORGED)).map(|(name, _)| format!("the upstream sees it in {name}"))
    };
    findings.push(BELIEVED.make(target, attempts, believes).await?);
    Ok(findings)
}

fn one_each(target: &Target, key: &Credential, lines: Vec<String>) -> anyhow::Result<Vec<Attempt>> {
    let attempt = |line: String| {
        let what = line.replace("\r\n", " + ");
        Attempt::new(what, |path| target.request(&format!("GET {path}/a HTTP/1.1"), &[key.line(), line]))
    };
    lines.into_iter().map(attempt).collect()
}

async fn with_listed(target: &mut Target, outside: &Credential, listed: &str) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let attempts = one_each(target, outside, vec![format!("X-Forwarded-For: {listed}")])?;
    findings.push(FORGED_ONE.make(target, attempts, let_in).await?);

    let line = format!("X-Forwarded-For: {listed}");
    let doubled = vec![
        format!("{line}\r\n{line}"),
        format!("X-Forwarded-For: 127.0.0.1\r\n{line}"),
        format!("{line}\r\nX-Forwarded-For: 127.0.0.1"),
        format!("{line}, {listed}"),
    ];
    let attempts = one_each(target, outside, doubled)?;
    findings.push(DOUBLED.make(target, attempts, let_in).await?);

    let bracketed = if listed.contains(':') { format!("\"[{listed}]\"") } else { listed.to_owned() };
    let mut others = vec![format!("Forwarded: for={bracketed}"), format!("X_Forwarded_For: {listed}")];
    others.extend(OTHERS.map(|name| format!("{name}: {listed}")));
    let attempts = one_each(target, outside, others)?;
    findings.push(OTHER.make(target, attempts, let_in).await?);

    findings.push(if target.is_tls() {
        PROXY.not_applicable("the line would come before TLS")
    } else {
        let (family, to) = if listed.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
        let line = format!("PROXY {family} {listed} {to} 40000 80");
        let attempt = Attempt::new(line.clone(), |path| {
            format!("{line}\r\n") + &target.request(&format!("GET {path}/a HTTP/1.1"), &[outside.line()])
        })?;
        PROXY.make(target, vec![attempt], let_in).await?
    });

    let mut attempts = Vec::new();
    for separator in ["@", " ", ":", "|", ",", ";", "-", "_", "/", "#", ""] {
        let line = format!("{}{separator}{listed}", outside.line());
        let what = format!("key{separator}{listed}");
        attempts.push(Attempt::new(what, |path| target.request(&format!("GET {path}/a HTTP/1.1"), &[line]))?);
    }
    findings.push(APPENDED.make(target, attempts, let_in).await?);
    Ok(findings)
}
