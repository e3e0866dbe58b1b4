//! Compares a document with a JSON Schema and names every place that differs, where a parser stops at the first.
//!
//! Knows the part of JSON Schema that `schemars` writes for our own types. Never refuses anything by itself: it is
//! asked only after `serde_yaml` has refused.

use serde_json::{Map, Value};

use super::blot;
use super::marks::{Content, Found, Node};

/// Likeness (Jaro-Winkler) from which a name is suggested.
const ALIKE: f64 = 0.82;

/// Everything in the document that the schema does not allow.
pub(super) fn check(root: &Node, schema: &Value) -> Vec<Found> {
    Shape { schema }.node(root, schema, "", false)
}

/// A key as a message may show it.
pub(super) fn named(key: &str) -> String {
    let harmless =
        key.len() <= 40 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    match harmless && blot::line(key, None) == key {
        true => format!("key `{key}`"),
        false => "this key".to_owned(),
    }
}

/// The shape that a schema gives.
pub(super) struct Shape<'s> {
    pub(super) schema: &'s Value,
}

impl<'s> Shape<'s> {
    pub(super) fn resolve(&self, mut schema: &'s Value) -> &'s Value {
        // Our own types refer to each other at most a few times in a row.
        for _ in 0..8 {
            let Some(name) = schema.get("$ref").and_then(Value::as_str) else {
                break;
            };
            let pointed = name.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer));
            schema = pointed.unwrap_or(&Value::Null);
        }
        schema
    }

    /// Everything in a node that differs.
    pub(super) fn node(&self, node: &Node, schema: &'s Value, key: &str, secret: bool) -> Vec<Found> {
        let schema = self.resolve(schema);
        let secret = secret || blot::is_sensitive(key);
        let Some(rules) = schema.as_object() else {
            return Vec::new();
        };
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = rules.get(word).and_then(Value::as_array) {
                return self.best(node, choices, key, secret);
            }
        }
        if let Content::Scalar { text, plain } = &node.content {
            let mut found = scalar(node, text, *plain, rules, secret);
            if let Some(one) = found.as_mut().filter(|one| one.help.is_none()) {
                one.help = self.form(rules, text, *plain && !secret);
            }
            return found.into_iter().collect();
        }
        let kind = match &node.content {
            Content::Sequence(_) => "array",
            _ => "object",
        };
        if !allows(rules, kind) {
            let message = format!("expected {}, found {}", expected(rules), article(kind));
            return vec![found(node, message, secret)];
        }
        match &node.content {
            Content::Sequence(elements) => match rules.get("items") {
                Some(items) => elements.iter().flat_map(|one| self.node(one, items, "", secret)).collect(),
                None => Vec::new(),
            },
            Content::Mapping(pairs) => self.mapping(node, pairs, rules, secret),
            _ => Vec::new(),
        }
    }

    /// How something else than a single value would be written. The text is repeated only where it may be.
    fn form(&self, rules: &Map<String, Value>, text: &str, may_be_shown: bool) -> Option<String> {
        if allows(rules, "array") && kinds(rules).is_some() {
            let shown = Some(short(text)).filter(|shown| may_be_shown && !matches!(&**shown, "" | "~" | "null"))?;
            let items = self.resolve(rules.get("items")?);
            return Some(match items.get("properties") {
                None => format!("write it as [{shown}]"),
                Some(_) => format!("write it as [{{ {}: {shown} }}]", items.pointer("/required/0")?.as_str()?),
            });
        }
        Some(keys_of(rules.get("properties")?.as_object()?))
    }

    fn mapping(&self, node: &Node, pairs: &[(Node, Node)], rules: &'s Map<String, Value>, secret: bool) -> Vec<Found> {
        let empty = Map::new();
        let properties = rules.get("properties").and_then(Value::as_object);
        let mut found = Vec::new();
        let mut present: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            let Content::Scalar { text, .. } = &name.content else {
                continue;
            };
            present.push(text);
            let known = properties.and_then(|known| known.get(&**text));
            match (known, rules.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    found.extend(self.node(value, schema, text, secret));
                }
                (None, Some(Value::Bool(false))) => found.push(unknown(name, text, properties.unwrap_or(&empty))),
                _ => {}
            }
        }
        for required in rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !present.contains(&required) {
                let mut one = Found::new(&node.mark, format!("key `{required}` is missing"));
                one.help = properties
                    .and_then(|known| known.get(required)?.get("description")?.as_str())
                    .map(|text| format!("`{required}`: {}", text.replace('\n', " ")));
                found.push(one);
            }
        }
        found
    }

    /// Of several allowed shapes the one that the document comes nearest to.
    fn best(&self, node: &Node, choices: &'s [Value], key: &str, secret: bool) -> Vec<Found> {
        let mut constants = Vec::new();
        let mut best: Option<Vec<Found>> = None;
        let mut kinds = Vec::new();
        for choice in choices {
            let rules = self.resolve(choice);
            constants.extend(words(rules));
            let found = self.node(node, choice, key, secret);
            if found.is_empty() {
                return found;
            }
            if let Some(rules) = rules.as_object() {
                let kind = match &node.content {
                    Content::Sequence(_) => "array",
                    Content::Mapping(_) => "object",
                    _ => "scalar",
                };
                let nested = rules.contains_key("anyOf") || rules.contains_key("oneOf");
                let fits = match kind {
                    "scalar" => !allows(rules, "array") && !allows(rules, "object"),
                    kind => allows(rules, kind),
                };
                if (nested || fits && !only_null(rules)) && best.as_ref().is_none_or(|least| found.len() < least.len())
                {
                    best = Some(found);
                }
                if !only_null(rules) && words(&Value::Object(rules.clone())).is_empty() {
                    kinds.push(expected(rules));
                }
            }
        }
        let scalar = match &node.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        };
        let mut one = match (scalar, best) {
            (Some(text), _) if !constants.is_empty() => {
                let mut one = unknown_word(node, text, &constants, secret);
                for kind in kinds {
                    one.message += &format!(" or {kind}");
                }
                one
            }
            (_, Some(best)) => return best,
            (_, None) => found(node, format!("expected {}", kinds.join(" or ")), secret),
        };
        let mut mappings = choices.iter().filter_map(|choice| self.resolve(choice).get("properties")?.as_object());
        if let (Some(_), None, Some(keys)) = (scalar, &one.help, mappings.next()) {
            one.help = Some(keys_of(keys));
        }
        vec![one]
    }
}

fn keys_of(properties: &Map<String, Value>) -> String {
    format!("a mapping has the keys {}", properties.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
}

fn scalar(node: &Node, text: &str, plain: bool, rules: &Map<String, Value>, secret: bool) -> Option<Found> {
    let allowed = words(&Value::Object(rules.clone()));
    if !allowed.is_empty() {
        return (!allowed.iter().any(|word| word == text)).then(|| unknown_word(node, text, &allowed, secret));
    }
    let null = plain && matches!(text, "" | "~" | "null");
    let fits = kinds(rules).is_none_or(|kinds| {
        kinds.iter().any(|kind| match *kind {
            "string" => true,
            "boolean" => plain && matches!(text, "true" | "false"),
            "integer" => plain && whole_number(text, rules),
            "number" => plain && text.parse::<f64>().is_ok(),
            // Nothing after a key reads as an empty list or mapping.
            "null" | "array" | "object" => null,
            _ => false,
        })
    });
    if fits {
        return None;
    }
    let message = match (secret, null) {
        (true, _) => format!("expected {}", expected(rules)),
        (_, true) => format!("expected {}, found nothing", expected(rules)),
        _ => format!("`{}` is not {}", short(text), expected(rules)),
    };
    Some(found(node, message, secret))
}

fn whole_number(text: &str, rules: &Map<String, Value>) -> bool {
    let bound = |word: &str| rules.get(word).and_then(Value::as_f64);
    text.parse::<i128>().is_ok_and(|number| {
        #[allow(clippy::cast_precision_loss, reason = "bounds are small")]
        let number = number as f64;
        bound("minimum").is_none_or(|least| number >= least) && bound("maximum").is_none_or(|most| number <= most)
    })
}

/// The words that a schema allows, where it allows nothing else.
pub(super) fn words(schema: &Value) -> Vec<String> {
    let listed = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .chain(schema.get("const"))
        .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
        .collect()
}

fn unknown_word(node: &Node, text: &str, allowed: &[String], secret: bool) -> Found {
    // That a key may be there without a value is no word to recommend.
    let shown = allowed.iter().filter(|word| *word != "null");
    let list = shown.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let message = match secret {
        true => format!("expected one of {list}"),
        false => format!("`{}` is not one of {list}", short(text)),
    };
    let mut one = found(node, message, secret);
    one.help = nearest(text, allowed.iter().map(String::as_str)).map(|word| format!("did you mean `{word}`?"));
    one
}

fn unknown(name: &Node, text: &str, properties: &Map<String, Value>) -> Found {
    let mut one = Found::new(&name.mark, format!("{} is not known here", named(text)));
    let listed = || properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    one.help = Some(match nearest(text, properties.keys().map(String::as_str)) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known are {}", listed()),
    });
    one
}

pub(super) fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let text = text.to_ascii_lowercase().replace('-', "_");
    let likeness = |word: &str| strsim::jaro_winkler(&text, &word.to_ascii_lowercase().replace('-', "_"));
    words
        .map(|word| (likeness(word), word))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

fn found(node: &Node, message: String, secret: bool) -> Found {
    let mut one = Found::new(&node.mark, message);
    one.secret = secret;
    one
}

pub(super) fn kinds(rules: &Map<String, Value>) -> Option<Vec<&str>> {
    match rules.get("type")? {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

pub(super) fn allows(rules: &Map<String, Value>, kind: &str) -> bool {
    if kinds(rules).is_none() && !words(&Value::Object(rules.clone())).is_empty() {
        return false;
    }
    kinds(rules).is_none_or(|kinds| kinds.contains(&kind))
}

fn only_null(rules: &Map<String, Value>) -> bool {
    kinds(rules).is_some_and(|kinds| kinds == ["null"])
}

fn expected(rules: &Map<String, Value>) -> String {
    let kinds = kinds(rules).unwrap_or_default();
    let named: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "null").map(article).collect();
    match rules.get("minimum").filter(|_| named == ["a whole number"]) {
        Some(least) => match rules.get("maximum") {
            Some(most) => format!("a whole number from {least} to {most}"),
            None => format!("a whole number from {least}"),
        },
        None if named.is_empty() => {
            let words = words(&Value::Object(rules.clone()));
            let shown = words.iter().filter(|word| *word != "null").map(|word| format!("`{word}`"));
            shown.collect::<Vec<_>>().join(" or ")
        }
        None => named.join(" or "),
    }
}

fn article(kind: &str) -> &str {
    match kind {
        "array" => "a list",
        "object" => "a mapping of keys to values",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        other => other,
    }
}

/// A value as a message may show it.
fn short(text: &str) -> String {
    let text: String = text.chars().take(64).collect();
    blot::line(&text, None)
}
