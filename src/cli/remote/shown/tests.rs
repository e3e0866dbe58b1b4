//! What is printed, to the blank.

use serde_json::json;

use super::*;

const COLUMNS: &[Column] = &[
    Column::new("name", |one| text(one, "name")),
    Column::new("on", |one| text(one, "on")),
    Column::new("roles", roles),
];

fn page() -> Value {
    json!({"results": [
        {"name": "one", "on": true, "roles": [{"roleName": "ORG_OWNER"}, {"roleName": "app:x", "groupId": "5f"}]},
        {"name": "ünïcode – 東京", "on": false},
    ]})
}

#[test]
fn columns_are_aligned_and_end_with_their_text() {
    let printed = Shown::Many(page(), COLUMNS).text(Output::Table);
    assert_eq!(
        printed,
        "NAME            ON   ROLES\n\
         one             yes  ORG_OWNER, app:x@5f\n\
         ünïcode – 東京  no   -\n"
    );
    assert_eq!(Shown::Many(json!({"results": []}), COLUMNS).text(Output::Table), "NAME  ON  ROLES\n");
}

#[test]
fn one_thing_is_shown_line_by_line() {
    let one = page()["results"][0].clone();
    assert_eq!(
        Shown::One(one.clone(), COLUMNS).text(Output::Table),
        "name   one\non     yes\nroles  ORG_OWNER, app:x@5f\n"
    );
    assert_eq!(Shown::One(one.clone(), COLUMNS).text(Output::Json), format!("{one:#}\n"));
    assert_eq!(Shown::Done("gone".into()).text(Output::Table), "gone\n");
    assert_eq!(Shown::Done("gone".into()).text(Output::Json), "");
}

#[test]
fn a_terminal_obeys_no_cell() {
    let row = json!({"name": "a\u{1b}]0;x\u{7}\nb\u{202e}c"});
    let printed = Shown::One(row, &COLUMNS[..1]).text(Output::Table);
    assert_eq!(printed, "name  a\u{fffd}]0;x\u{fffd}\u{fffd}b\u{fffd}c\n");
}
