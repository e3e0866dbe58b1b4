//! Whether a document has the shape that a JSON Schema describes: as much of JSON Schema as ours use, and no more.

use serde_json::Value;

/// What does not fit, each with its place.
pub fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(schema, schema, document, "$", &mut found);
    found
}

fn look(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(path) = schema["$ref"].as_str() {
        let target = root.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("`{path}` leads nowhere"));
        look(root, target, value, at, found);
    }
    for word in ["anyOf", "oneOf"] {
        let Some(ways) = schema[word].as_array() else { continue };
        let fits = ways.iter().any(|way| {
            let mut faults = Vec::new();
            look(root, way, value, at, &mut faults);
            faults.is_empty()
        });
        if !fits {
            found.push(format!("{at}: {value} fits none of {word}"));
        }
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|one| is_a(value, one)) {
        found.push(format!("{at}: {value} is not of type {types:?}"));
    }
    let known = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    if !known || schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value} is not among the values"));
    }
    if let Some(members) = value.as_object() {
        for (key, member) in members {
            let at = format!("{at}.{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(inner), _) => look(root, inner, member, &at, found),
                (None, Value::Bool(false)) => found.push(format!("{at} is not known")),
                (None, inner) if inner.is_object() => look(root, inner, member, &at, found),
                (None, _) => {}
            }
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(key) {
                found.push(format!("{at}.{key} is missing"));
            }
        }
    }
    if let (Some(elements), Some(inner)) = (value.as_array(), schema.get("items")) {
        for (index, element) in elements.iter().enumerate() {
            look(root, inner, element, &format!("{at}[{index}]"), found);
        }
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no such type: {other}"),
    }
}
