//! Tests of `config::document`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape matters")]
struct Sample {
    name: String,
    count: Option<u8>,
    #[serde(default)]
    flags: Vec<bool>,
    #[serde(default)]
    inner: BTreeMap<String, Inner>,
    secret_sha256: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape matters")]
struct Inner {
    level: u32,
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let problems = Document::new("d.yaml", text).strict().parse::<Sample>().unwrap_err();
    let found: Vec<String> =
        problems.iter().map(|one| format!("{}:{} {}", one.place.line, one.place.column, one.message)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn every_fault_of_the_shape_has_its_place() {
    check("nmae: a", &["1:1 key `name` is missing", "1:1 key `nmae` is not known here"]);
    check("name: [a]\ncount: x", &["1:7 expected a text, found a list", "2:8 `x` is not a whole number from 0 to 255"]);
    check("name: a\ncount: 256", &["2:8 `256` is not a whole number from 0 to 255"]);
    check(
        "name: a\nflags: [true, yes, 1]",
        &["2:15 `yes` is not `true` or `false`", "2:20 `1` is not `true` or `false`"],
    );
    check("name: a\ninner:\n  x: {level: 1}\n  y: {}", &["4:6 key `level` is missing"]);
    check("name: a\ninner:\n  x: {level: 1}\n  x: {level: 2}", &["4:3 key `x` is there twice; keep one"]);
    check("name: a\nname: b", &["2:1 key `name` is there twice; keep one"]);
    check("[]", &["1:1 expected a mapping of keys to values, found a list"]);
    check("name: a\n---\nname: b", &["2:1 a second document begins here; a file holds one"]);
    check(
        "name: &n a\nsecret_sha256: *n",
        &[
            "1:7 anchors (`&name`) are not taken; write the value out where it is needed",
            "2:16 aliases (`*name`) are not taken; write the value out",
        ],
    );
}

#[test]
fn columns_count_characters() {
    check(
        "name: \"ä\" # ö\nflags: [\"é\", maybe]",
        &["2:9 `é` is not `true` or `false`", "2:14 `maybe` is not `true` or `false`"],
    );
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        assert!(Document::new("d.yaml", text).parse::<Sample>().is_err());
    }
}

#[test]
fn no_text_panics() {
    let texts = [
        "", "\0", "\u{feff}", "%", "---", "...", "? ", ":", "- - -", "\"", "'", "|", ">-", "@", "`", "{a: [}", "\t",
        "a: b: c", "\r", "!!",
    ];
    for text in texts {
        let _ = Document::new("d.yaml", text).strict().parse::<Sample>();
    }
}

#[test]
fn secrets_are_shown_neither_in_message_nor_in_drawing() {
    let key = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";
    let texts = [
        format!("name: a\nsecret_sha256: [{key}]"),
        format!("name: a\nsecret: {key}"),
        format!("name: a\nprivateKey: hunter2\n{key}: 1"),
        format!("name: a\n{key}"),
        format!("name: a\ncount: {key}"),
        format!("name: a\nsecret_sha256: {{a: {key}"),
        format!("name: a\nflags: [{key}]"),
        key.to_owned(),
    ];
    for text in texts {
        let problems = Document::new("d.yaml", &*text).parse::<Sample>().unwrap_err();
        let told = format!("{problems}\n{}", problems.render(false));
        assert!(!told.contains("40395d07") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_path_that_is_not_there_shows_what_is_around() {
    let document = Document::new("d.yaml", "a:\n  b: [1, 2]\n");
    let place = |path: Path| document.place_of(&path, false).to_string();
    assert_eq!(place(path!["a", "b", 1]), "d.yaml:2:10");
    assert_eq!(place(path!["a", "b", 7]), "d.yaml:2:6");
    assert_eq!(place(path!["a", "missing", "x"]), "d.yaml:2:3");
    let key: Path = path!["a", "b"];
    assert_eq!(document.place_of(&key, true).to_string(), "d.yaml:2:3");
}

#[test]
fn what_has_the_wrong_shape_is_taken_out_and_the_rest_is_read() {
    let mended = |text: &str| {
        let document = Document::new("d.yaml", text).strict();
        let (value, problems) = document.parse_mended::<Sample>();
        (value, problems.len(), document)
    };
    let (value, problems, document) = mended("nmae: a\ncount: x\nflags: [true, yes, false]\ninner: {x: {}, y: 5}");
    let value = value.unwrap();
    assert_eq!((&*value.name, value.count, &*value.flags, problems), ("", None, &[true, false, false][..], 6));
    assert_eq!(value.inner.keys().collect::<Vec<_>>(), ["x"]);
    for (lost, path) in [
        (true, path!["name"]),
        (true, path!["count"]),
        (true, path!["flags", 1]),
        (false, path!["flags", 0]),
        (true, path!["inner", "x", "level"]),
        (true, path!["inner", "y"]),
        (false, path!["secret_sha256"]),
    ] {
        assert_eq!(document.lost(&path), lost, "{path:?}");
    }
    assert!(mended("[]").0.is_none());
    assert!(mended("name: a\n  b: c").0.is_none());
    assert_eq!(mended("name: a\nname: b").0.unwrap().name, "a");
}
