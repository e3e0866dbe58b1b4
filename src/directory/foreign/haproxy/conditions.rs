//! Conditions of HAProxy's rules, compiled: ACLs with their patterns, and how they are joined.
//!
//! Never runs anything; a way to compare that is not understood is said to be unknown.

use std::path::Path;

use super::super::reasoning::How;
use super::lines::patterns;
use super::program::{Acl, Condition, Expression, Fetch, Patterns, Step, Term, Test, expression};
use crate::config::diagnostic::{Place, Problems};

/// Takes one `acl` apart: what stands behind its name.
///
/// # Errors
/// A file of patterns that can't be read.
pub(super) fn acl(place: &Place, words: &[String], base: &Path) -> Result<Acl, Problems> {
    let unknown = |expression: Expression| Acl { expression, test: Test::Unknown };
    let Some((criterion, rest)) = words.split_first() else {
        return Ok(unknown(Expression { fetch: Fetch::Unknown, steps: Vec::new() }));
    };
    let (criterion, mut method) = suffixed(criterion);
    let expression = expression(&criterion, place, base)?;
    let (mut files, mut ignores_case, mut values, mut is_map) = (Vec::new(), false, Vec::new(), false);
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-i" => ignores_case = true,
            "-n" => {}
            "-M" => is_map = true,
            "-f" => files.extend(words.next()),
            "-m" => method = words.next().cloned(),
            "-u" => {
                words.next();
            }
            "--" => {
                values.extend(words.by_ref());
            }
            _ => values.push(word),
        }
    }
    let method = method.unwrap_or_else(|| match (&expression.fetch, expression.steps.last()) {
        (Fetch::Source, None) => "ip".to_owned(),
        (Fetch::Count(_), None) => "int".to_owned(),
        (_, Some(Step::Map(_))) | (Fetch::Header(_) | Fetch::Variable(_) | Fetch::Text(_), _) => "str".to_owned(),
        _ => String::new(),
    });
    let how = match method.as_str() {
        "found" => return Ok(Acl { expression, test: Test::IsThere }),
        "int" => return Ok(Acl { test: number(&values), expression }),
        "str" => Some(How::Whole),
        "beg" => Some(How::Beginning),
        "end" => Some(How::End),
        "sub" => Some(How::Within),
        "ip" => None,
        _ => return Ok(unknown(expression)),
    };
    let mut all: Vec<(Place, String)> = values.into_iter().map(|value| (place.clone(), value.clone())).collect();
    for file in files {
        let lines = patterns(file, base)?.into_iter();
        let key = |(place, line): (Place, String)| match is_map {
            true => (place, line.split_whitespace().next().unwrap_or_default().to_owned()),
            false => (place, line),
        };
        all.extend(lines.map(key));
    }
    let all = all.into_iter().map(|(place, pattern)| (place, pattern, "1".to_owned())).collect();
    Ok(Acl { expression, test: Test::Matches(Patterns::of(place, how, all, None, ignores_case)) })
}

/// `hdr_beg(x)` is `hdr(x)` with another way to compare.
fn suffixed(criterion: &str) -> (String, Option<String>) {
    for (suffix, method) in [
        ("_beg(", "beg"),
        ("_end(", "end"),
        ("_sub(", "sub"),
        ("_reg(", "reg"),
        ("_dir(", "dir"),
        ("_dom(", "dom"),
        ("_len(", "len"),
        ("_ip(", "none"),
    ] {
        if (criterion.starts_with("hdr") || criterion.starts_with("req.hdr"))
            && let Some((before, behind)) = criterion.split_once(suffix)
        {
            return (format!("{before}({behind}"), Some(method.to_owned()));
        }
    }
    (criterion.to_owned(), None)
}

fn number(values: &[&String]) -> Test {
    let of = |text: &String| text.parse().ok();
    match values {
        [operator, number] => of(number).map_or(Test::Unknown, |number| Test::Number((*operator).clone(), number)),
        [number] => of(number).map_or(Test::Unknown, |number| Test::Number("eq".to_owned(), number)),
        _ => Test::Unknown,
    }
}

/// What stands behind `if` or `unless`.
///
/// # Errors
/// A file of patterns that can't be read.
pub(super) fn condition(place: &Place, words: &[String], base: &Path, is_unless: bool) -> Result<Condition, Problems> {
    let mut any: Vec<Vec<(bool, Term)>> = vec![Vec::new()];
    let mut is_negated = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "or" | "||" => any.push(Vec::new()),
            "!" => is_negated = !is_negated,
            "{" | "!{" => {
                let end = words[at..].iter().position(|word| word == "}").map_or(words.len(), |length| at + length);
                let term = Term::Itself(Box::new(acl(place, &words[at..end], base)?));
                let term = (std::mem::take(&mut is_negated) != (word == "!{"), term);
                if let Some(all) = any.last_mut() {
                    all.push(term);
                }
                at = end + 1;
                continue;
            }
            name => {
                let (negations, name) = (name.len() - name.trim_start_matches('!').len(), name.trim_start_matches('!'));
                let term = (std::mem::take(&mut is_negated) != (negations % 2 == 1), Term::Named(name.to_owned()));
                if let Some(all) = any.last_mut() {
                    all.push(term);
                }
                continue;
            }
        }
    }
    Ok(Condition { any, is_unless })
}
