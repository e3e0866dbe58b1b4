//! Variables of the environment that look like overrides and are not: told with the name that was meant, because a setting
//! that is written down and does nothing is found out too late.
//!
//! Never takes one for what it may have meant.

use serde_json::Value;

/// What such variables begin with, after which one more underscore is missing.
const NEARLY: &str = "PORTCULLIS_";

/// The name that was meant by a variable with single underscores, such as `PORTCULLIS__GATEWAY__WORKERS` by
/// `PORTCULLIS_GATEWAY_WORKERS`; `None` where it is none of ours.
pub(super) fn meant(name: &str) -> Option<String> {
    let (start, rest) = name.split_at_checked(NEARLY.len())?;
    if !start.eq_ignore_ascii_case(NEARLY) || rest.starts_with('_') {
        return None;
    }
    let words: Vec<String> = rest.split('_').filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    let (section, mut left) = words.split_first()?;
    let schema = super::schema();
    let mut node = schema["properties"].get(section.as_str())?;
    if is_service_link(left) {
        return None;
    }
    let mut keys = vec![section.clone()];
    while !left.is_empty() {
        node = resolved(&schema, node);
        let (taken, key, next) = step(node, left);
        keys.push(key);
        (node, left) = (next, &left[taken..]);
    }
    Some(format!("PORTCULLIS__{}", keys.join("__").to_ascii_uppercase()))
}

/// Kubernetes tells every container of a Service by variables: one that is called `portcullis-gateway` by
/// `PORTCULLIS_GATEWAY_SERVICE_HOST`, `PORTCULLIS_GATEWAY_PORT_8080_TCP` and their like.
fn is_service_link(words: &[String]) -> bool {
    match words {
        [one, host, ..] if one == "service" => host == "host" || host == "port",
        [one, ..] => one == "port",
        [] => false,
    }
}

/// The key that the words begin with, how many of them it takes, and what may be below it.
fn step<'s>(node: &'s Value, words: &[String]) -> (usize, String, &'s Value) {
    let known = (1..=words.len()).rev().find_map(|count| {
        let key = words[..count].join("_");
        let below = node["properties"].get(&key)?;
        Some((count, key, below))
    });
    let named =
        || ["additionalProperties", "items"].iter().find_map(|inner| node.get(*inner).filter(|it| it.is_object()));
    match known {
        Some(known) => known,
        None => match named() {
            Some(below) => (1, words[0].clone(), below),
            None => (words.len(), words.join("_"), &Value::Null),
        },
    }
}

/// A definition in the place of a reference to it, and what a key is if it is there at all.
fn resolved<'s>(schema: &'s Value, node: &'s Value) -> &'s Value {
    let one = node["anyOf"].as_array().and_then(|any| any.iter().find(|one| one["type"] != "null")).unwrap_or(node);
    let name = one["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    name.map_or(one, |name| &schema["$defs"][name])
}

#[cfg(test)]
mod tests;
