//! Tests of `config`.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All names of keys that a schema knows, at any depth.
pub(crate) fn keys(schema: &serde_json::Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![schema];
    while let Some(one) = left.pop() {
        if let Some(properties) = one.get("properties").and_then(serde_json::Value::as_object) {
            found.extend(properties.keys().cloned());
        }
        match one {
            serde_json::Value::Object(members) => left.extend(members.values()),
            serde_json::Value::Array(elements) => left.extend(elements),
            _ => {}
        }
    }
    found
}

/// Names in backticks: `a`, `a.b`, `a[].b` and the keys of `{ a: …, b: … }`.
pub(crate) fn documented(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.flat_map(|code| code.split(|one: char| !one.is_alphanumeric() && one != '_')).map(str::to_owned).collect()
}

#[test]
fn the_shipped_configuration_spells_out_the_defaults() {
    let (shipped, warnings) = load(Some(&root().join("config/portcullis.yaml")), Vec::new()).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let (defaults, _) = load(None, Vec::new()).unwrap();
    // The store lies beside the configuration, wherever that is.
    let beside = |text: String| text.replace(&root().join("config").display().to_string(), ".");
    assert_eq!(beside(format!("{shipped:#?}")), format!("{defaults:#?}"));
}

#[test]
fn the_shipped_configuration_shows_every_key() {
    let text = std::fs::read_to_string(root().join("config/portcullis.yaml")).unwrap();
    let refused = ["postgres", "follow"];
    let words: BTreeSet<&str> = text.split(|one: char| !one.is_alphanumeric() && one != '_').collect();
    let missing: Vec<String> = keys(&schema())
        .into_iter()
        .filter(|key| !words.contains(key.as_str()) && !refused.contains(&key.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_key_is_documented() {
    let text = std::fs::read_to_string(root().join("docs/reference/configuration.md")).unwrap();
    let documented = documented(&text);
    let missing: Vec<String> = keys(&schema()).into_iter().filter(|key| !documented.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_key_has_a_description_and_every_optional_one_its_default() {
    let schema = schema();
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        let required: Vec<&str> =
            definition["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        for (key, rules) in definition["properties"].as_object().into_iter().flatten() {
            let description = rules["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{name}.{key} has no description");
            let scalar = rules.get("$ref").is_none() && rules["type"] != "array";
            let told = ["Default", "refused", "Relative", "This or", "By default"]
                .iter()
                .any(|word| description.contains(word));
            assert!(required.contains(&key.as_str()) || !scalar || told, "{name}.{key} does not tell its default");
        }
    }
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    assert!(load(Some(&file), Vec::new()).unwrap_err().to_string().contains("can't be read"));
    std::fs::write(&file, b"gateway: \xff").unwrap();
    assert!(load(Some(&file), Vec::new()).unwrap_err().to_string().contains("not UTF-8 at byte 9"));
}
