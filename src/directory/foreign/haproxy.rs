//! Configurations of HAProxy: keys and networks in ACLs, their files and maps, and what rules make of them.
//!
//! Runs the rules for each key and all addresses at once. Never takes what it can't run for harmless.

mod conditions;
mod judge;
mod lines;
mod program;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::Effect;
use super::notebook::{Notebook, shown};
use crate::config::diagnostic::{Place, Problem, Problems};
use judge::{Half, Judge, Seen, is_of_the_request};
use lines::Section;
use program::{Acl, Action, Expression, Piece, Rule};

/// Headers that carry keys where nobody says another.
const HEADERS: &[&str] = &[
    "x-api-key",
    "apikey",
    "api-key",
    "x-apikey",
    "x-api-token",
    "x-auth-key",
    "x-auth-token",
    "x-access-token",
    "x-token",
];

/// Takes everything from the files.
///
/// # Errors
/// A file that can't be read, or files in which no key decides.
pub(super) fn read(paths: &[PathBuf], notebook: &mut Notebook<'_>) -> Result<(), Problems> {
    let first = paths.first().map_or_else(PathBuf::new, Clone::clone);
    let fault = |message: String| Problems::from(Problem::error(Place::file(first.display().to_string()), message));
    let (mut fronts, mut backs, mut headers) = (Vec::new(), HashMap::new(), BTreeSet::new());
    let mut has_rules_elsewhere = false;
    for path in super::files(paths, &["cfg"])? {
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        for section in lines::read(&path)? {
            let (is_front, is_back) = match section.kind.as_str() {
                "frontend" => (true, false),
                "backend" => (false, true),
                "listen" => (true, false),
                "defaults"
                    if section.lines.iter().any(|line| {
                        matches!(line.words[0].as_str(), "http-request" | "tcp-request" | "default_backend")
                    }) =>
                {
                    has_rules_elsewhere = true;
                    let message = "`defaults` with rules of its own has no equal; keys are imported disabled. Write the rules where they are in effect, in a copy of the file";
                    notebook.notice(&section.place, Effect::Disabled, message);
                    (false, false)
                }
                "userlist" => {
                    notebook.notice(&section.place, Effect::LeftOut, "`userlist`: names and passwords are no keys");
                    (false, false)
                }
                _ => (false, false),
            };
            if is_front || is_back {
                let half = half(&section, &base, &mut headers, notebook)?;
                match is_front {
                    true => fronts.push((section.name, section.place, half)),
                    false => {
                        backs.insert(section.name, half);
                    }
                }
            }
        }
    }
    for (_, _, front) in &mut fronts {
        front.is_doubtful |= has_rules_elsewhere;
    }
    let header = match notebook.wishes().header.as_deref() {
        Some(header) => header.to_ascii_lowercase(),
        None => {
            let known: Vec<&str> = HEADERS.iter().copied().filter(|name| headers.contains(*name)).collect();
            match known[..] {
                [one] => one.to_owned(),
                [] => return Err(fault("no header is known to carry keys; name it by `--key-header`".into())),
                _ => {
                    return Err(fault(format!(
                        "keys may come in several headers ({}); name one by `--key-header`",
                        known.join(", ")
                    )));
                }
            }
        }
    };
    notebook.header(&header);
    let mut keyed = Vec::new();
    let mut found = Seen::default();
    for (name, place, front) in &fronts {
        let judge = Judge::of(&header, None);
        judge.reach(front, &backs);
        let seen = judge.seen();
        if seen.asks && notebook.route(&shown(name)).is_some() {
            keyed.push((name, place, front));
            found.keys.extend(seen.keys);
            found.untold.extend(seen.untold);
            found.any_case.extend(seen.any_case);
            found.composites.extend(seen.composites);
        }
    }
    if keyed.is_empty() {
        return Err(fault(format!(
            "no frontend that is asked for decides by header `{header}`; name another by `--key-header`"
        )));
    }
    for (name, place, front) in &keyed {
        if !Judge::of(&header, Some("\u{0}")).reach(front, &backs).addresses.is_empty() {
            let message = format!(
                "`{}` lets callers without a known key in from some addresses; Portcullis refuses them on a route that asks for a credential",
                shown(name)
            );
            notebook.notice(place, Effect::Missing, message);
        }
    }
    for (key, found) in &found.keys {
        let Some(at) = notebook.key(&found.name, &found.place, key) else { continue };
        for (_, _, front) in &keyed {
            notebook.reach(at, Judge::of(&header, Some(key)).reach(front, &backs));
        }
    }
    tell(&found, notebook);
    Ok(())
}

/// Tells what of the patterns is taken otherwise than it was.
fn tell(found: &Seen, notebook: &mut Notebook<'_>) {
    for place in &found.any_case {
        notebook.notice(
            place,
            Effect::Narrower,
            "keys are taken in upper and lower case alike here (`-i`); Portcullis takes each as it is written",
        );
    }
    for place in &found.untold {
        notebook.notice(
            place,
            Effect::LeftOut,
            "this pattern names no key as a whole; keys that stand nowhere else are not imported",
        );
    }
    for place in &found.composites {
        notebook.notice(
            place,
            Effect::Configure,
            "key and address are compared as one text here, by which a caller could choose its address; that ends",
        );
    }
}

/// Compiles a section, and tells what of it has no equal.
fn half(
    section: &Section,
    base: &Path,
    headers: &mut BTreeSet<String>,
    notebook: &mut Notebook<'_>,
) -> Result<Half, Problems> {
    let mut half =
        Half { rules: Vec::new(), acls: HashMap::new(), is_doubtful: false, serves: section.kind == "listen" };
    let kind = section.kind.as_str();
    let equal = if kind == "backend" { "gateway.upstreams" } else { "gateway.listen` and `gateway.routes" };
    notebook.notice(
        &section.place,
        Effect::Configure,
        format!("{kind} `{}`: write it under `{equal}`", shown(&section.name)),
    );
    for line in &section.lines {
        match line.words[0].as_str() {
            "acl" if line.words.len() > 2 => {
                let acl = conditions::acl(&line.place, &line.words[2..], base)?;
                look(&acl.expression, headers);
                half.acls.entry(line.words[1].clone()).or_default().push(acl);
            }
            "bind" if line.words.windows(2).any(|pair| pair == ["verify", "required"]) => {
                half.is_doubtful = true;
                notebook.notice(
                    &line.place,
                    Effect::Disabled,
                    "`verify required` asks for a certificate besides the key; keys that need it are imported disabled",
                );
            }
            _ => {
                if let Some(rule) = program::rule(line, base)? {
                    rule_looks(&rule, headers);
                    half.rules.push(rule);
                }
            }
        }
    }
    for rule in &half.rules {
        judge_rule(rule, &half, notebook);
    }
    Ok(half)
}

fn look(expression: &Expression, headers: &mut BTreeSet<String>) {
    expression.headers(headers);
}

fn rule_looks(rule: &Rule, headers: &mut BTreeSet<String>) {
    if let Action::SetVariable(_, pieces) | Action::SetHeader(_, pieces) = &rule.action {
        for piece in pieces {
            if let Piece::Of(expression) = piece {
                look(expression, headers);
            }
        }
    }
    for (_, term) in rule.condition.iter().flat_map(|condition| condition.any.iter().flatten()) {
        if let program::Term::Itself(acl) = term {
            let Acl { expression, .. } = &**acl;
            look(expression, headers);
        }
    }
}

/// Tells a rule that has no equal.
fn judge_rule(rule: &Rule, half: &Half, notebook: &mut Notebook<'_>) {
    let does = shown(&rule.words.iter().take(2).cloned().collect::<Vec<_>>().join(" "));
    match &rule.action {
        Action::Refuse if is_of_the_request(rule, half) => {
            notebook.notice(&rule.place, Effect::Missing, format!("`{does}`: this condition looks at the request alone, and not at who sends it; its work has to be done elsewhere"));
        }
        Action::Unknown => {
            notebook.notice(&rule.place, Effect::Disabled, format!("`{does}` may refuse somebody in a way that has no equal; keys that it is in effect for are imported disabled. Where it refuses nobody, take it out of a copy of the file"));
        }
        Action::Nothing if rule.words.iter().any(|word| word == "set-src") => {
            notebook.notice(
                &rule.place,
                Effect::Configure,
                "`set-src`: where the client's address is read from is said by `gateway.client_address`",
            );
        }
        _ => {}
    }
}
