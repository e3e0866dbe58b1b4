//! threats.md H: credentials, other spellings of headers, and who the upstream is told that calls.

use http::HeaderName;

use super::agent::Seen;
use super::check::{Attempt, Check, Finding, let_in};
use super::target::{Credential, Reply, Target};

/// A value that nobody else sends.
const MARK: &str = "doctor-forged";

const TWO_KEYS: Check = Check { id: "H1", title: "two keys in two lines", expected: "refused: neither is chosen" };
const SPELLINGS: Check = Check {
    id: "H2",
    title: "other spellings of headers, with _ and .",
    expected: "refused, or removed before the upstream",
};
const STRIPPED: Check = Check {
    id: "H3",
    title: "Connection names headers of the gateway",
    expected: "refused, or the upstream still gets what the gateway tells it",
};
const IDENTITY: Check =
    Check { id: "H4", title: "forged identity headers", expected: "refused, or removed before the upstream" };
const CREDENTIAL: Check =
    Check { id: "H6", title: "the key is passed on", expected: "the upstream sees the key nowhere" };

/// All checks of this kind.
///
/// # Errors
/// A target that can't be reached.
pub async fn examine(
    target: &mut Target,
    control: &Seen,
    outside: Option<&Credential>,
    identity: &[HeaderName],
) -> anyhow::Result<Vec<Finding>> {
    let inside = target.inside.line();
    let get = |target: &Target, what: String, lines: Vec<String>| {
        Attempt::new(what, |path| target.request(&format!("GET {path}/a HTTP/1.1"), &lines))
    };
    let mut findings = Vec::new();

    findings.push(match outside {
        Some(outside) if outside.name.eq_ignore_ascii_case(&target.inside.name) => {
            let one = get(target, "refused key, admitted key".into(), vec![outside.line(), inside.clone()])?;
            let other = get(target, "admitted key, refused key".into(), vec![inside.clone(), outside.line()])?;
            TWO_KEYS.make(target, vec![one, other], let_in).await?
        }
        _ => TWO_KEYS.not_applicable("it takes `--key` in the same header as `--key-inside`"),
    });

    let reaches = |_: &Attempt, _: &Reply, seen: &[Seen]| {
        let mut headers = seen.iter().flat_map(|seen| &seen.headers);
        headers.find(|(_, value)| value.contains(MARK)).map(|(name, _)| format!("the upstream sees {name}"))
    };
    let mut attempts = Vec::new();
    for name in ["X-Forwarded-For", target.inside.name.as_str()].into_iter().filter(|name| name.contains('-')) {
        for other in ["_", "."] {
            let name = name.replace('-', other);
            attempts.push(get(target, name.clone(), vec![inside.clone(), format!("{name}: {MARK}")])?);
        }
    }
    findings.push(SPELLINGS.make(target, attempts, reaches).await?);

    let told = identity.iter().map(HeaderName::as_str).chain(["x-forwarded-for", "x-real-ip", "forwarded"]);
    let told: Vec<&str> = told.filter(|name| !control.all(name).is_empty()).collect();
    findings.push(if told.is_empty() {
        STRIPPED.not_applicable("the upstream is told neither an address nor an identity")
    } else {
        let lines = vec![inside.clone(), format!("Connection: close, {}", told.join(", "))];
        let attempt = get(target, format!("Connection: close, {}", told.join(", ")), lines)?;
        let is_gone = |_: &Attempt, _: &Reply, seen: &[Seen]| {
            let seen = seen.first()?;
            told.iter().find(|name| seen.all(name).is_empty()).map(|name| format!("{name} is gone"))
        };
        STRIPPED.make(target, vec![attempt], is_gone).await?
    });

    findings.push(if identity.is_empty() {
        IDENTITY.not_applicable("it takes `--identity-header`")
    } else {
        let mut attempts = Vec::new();
        for name in identity {
            for spelled in [name.to_string(), name.as_str().replace('-', "_"), name.as_str().replace('-', ".")] {
                attempts.push(get(target, spelled.clone(), vec![inside.clone(), format!("{spelled}: {MARK}")])?);
            }
        }
        IDENTITY.make(target, attempts, reaches).await?
    });

    let key = target.inside.value.clone();
    let attempt = get(target, "an honest request".into(), vec![inside])?;
    let holds_key = |_: &Attempt, _: &Reply, seen: &[Seen]| {
        let mut headers = seen.iter().flat_map(|seen| &seen.headers);
        headers.find(|(_, value)| value.contains(&key)).map(|(name, _)| format!("the upstream sees it in {name}"))
    };
    findings.push(CREDENTIAL.make(target, vec![attempt], holds_key).await?);
    Ok(findings)
}
