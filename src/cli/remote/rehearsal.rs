//! What would come of a change, as the API tells it of a dry run.

use std::fmt::Write as _;

use serde_json::Value;

use super::shown::{Column, Shown, plain, table, text};

/// Exit code where somebody would be refused that passes, a guard would refuse the change, or it can't be told whole: not all was
/// looked at, or nothing is recorded.
const REFUSES: u8 = 2;

/// Lines of one kind that people are shown.
const SHOWN: usize = 200;

const COLUMNS: &[Column] = &[
    Column::new("credential", |one| [text(one, "apiKeyId"), text(one, "clientId")].concat()),
    Column::new("name", |one| text(one, "name")),
    Column::new("from", |one| match one["widened"] == true {
        true => format!("{} (several addresses)", text(one, "cidrBlock")),
        false => text(one, "ipAddress"),
    }),
    Column::new("route", |one| text(one, "route")),
    Column::new("code", |one| text(one, "code")),
    Column::new("count", |one| text(one, "count")),
    Column::new("last", |one| text(one, "lastSeen")),
];

/// Kinds of requests that fare otherwise, and what the API calls them.
const GROUPS: [(&str, &str); 3] =
    [("newly refused", "newlyRefused"), ("newly allowed", "newlyAllowed"), ("newly reported", "newlyReported")];

/// What a change answered, or what would come of it.
pub(super) fn made(answer: Value, shown: impl FnOnce(Value) -> Shown) -> Shown {
    match answer["dryRun"] == true {
        true => Shown::Rehearsed(answer),
        false => shown(answer),
    }
}

/// The exit code of a look at what would come of a change.
pub(super) fn exit_code(told: &Value) -> u8 {
    let is_refused = told["guards"].as_array().into_iter().flatten().any(|guard| guard["refuses"] == true);
    let is_told = told["complete"] == true && told["recordedSince"].is_string();
    let refuses = told["totals"]["newlyRefused"]["count"] != 0 || is_refused;
    if refuses || !is_told { REFUSES } else { 0 }
}

/// What would come of it, for people.
pub(super) fn told(told: &Value) -> String {
    let mut all = String::new();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    for (title, name) in GROUPS {
        let rows = told[name].as_array().map_or(&[][..], Vec::as_slice);
        if rows.is_empty() {
            continue;
        }
        let shown = &rows[..rows.len().min(SHOWN)];
        // Writing into a String never fails.
        let _ = write!(all, "{title}:\n{}", table(shown.iter(), COLUMNS));
        match number(&told["totals"][name]["count"]).saturating_sub(shown.len() as u64) {
            0 => {}
            more if rows.len() > shown.len() => {
                let _ = writeln!(all, "… and {more} more; --output json has the {} that were seen last", rows.len());
            }
            more => {
                let _ = writeln!(all, "… and {more} more");
            }
        }
    }
    for guard in told["guards"].as_array().into_iter().flatten() {
        let what = if guard["refuses"] == true { "a guard would refuse it" } else { "a guard would be passed by" };
        let field = text(guard, "field");
        let field = if field.is_empty() { field } else { format!("{field}: ") };
        let (code, detail) = (text(guard, "errorCode"), text(guard, "detail"));
        let _ = writeln!(all, "{what}: {}", plain(&format!("{field}{code}: {detail}")));
    }
    let named = told["guards"].as_array().map_or(0, Vec::len) as u64;
    if let more @ 1.. = number(&told["totals"]["guards"]).saturating_sub(named) {
        let _ = writeln!(all, "… and guards have {more} more things to say");
    }
    let requests = |name: &str| counted(number(&told["totals"][name]["requests"]), "request", "requests");
    let looked = &told["lookedAt"];
    let _ = write!(
        all,
        "newly refused: {}; newly allowed: {}{}; looked at: {} of {}",
        requests("newlyRefused"),
        requests("newlyAllowed"),
        match number(&told["totals"]["newlyReported"]["requests"]) {
            0 => String::new(),
            _ => format!("; newly reported: {}", requests("newlyReported")),
        },
        counted(number(&looked["requests"]), "request", "requests"),
        counted(number(&looked["credentials"]), "credential", "credentials"),
    );
    let _ = match told["recordedSince"].as_str() {
        Some(since) => writeln!(all, ", recorded since {}", plain(since)),
        None => writeln!(
            all,
            "\nrequests are not being recorded (`admin.record_traffic`): whoever calls now is in none of this"
        ),
    };
    if told["complete"] != true {
        let left = counted(number(&looked["credentialsLeftOut"]), "credential", "credentials");
        let _ = writeln!(
            all,
            "there was no time for {left} more; `portcullis plan --recorded` beside the store looks at all of them"
        );
    }
    all
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(refused: u64, guard: Option<bool>, complete: bool) -> Value {
        json!({
            "dryRun": true, "complete": complete, "recordedSince": "2026-11-01T00:00:00Z",
            "newlyRefused": [{"apiKeyId": "5f", "name": "a\u{1b}[2J", "ipAddress": "192.0.2.1", "widened": false, "route": "/",
                "code": "IP_ADDRESS_NOT_ON_ACCESS_LIST", "count": 2, "lastSeen": "2026-11-02T00:00:00Z"}],
            "newlyAllowed": [], "newlyReported": [],
            "guards": guard.map(|refuses| json!({"errorCode": "CHANGE_X", "detail": "why", "refuses": refuses})).into_iter().collect::<Vec<_>>(),
            "totals": {"newlyRefused": {"count": refused, "requests": 2 * refused}},
            "lookedAt": {"requests": 9, "credentials": 1, "credentialsLeftOut": u64::from(!complete)},
        })
    }

    #[test]
    fn whatever_stands_in_the_way_is_an_exit_code() {
        assert_eq!(exit_code(&look(0, None, true)), 0);
        assert_eq!(exit_code(&look(0, Some(false), true)), 0);
        let mut unrecorded = look(0, None, true);
        unrecorded["recordedSince"].take();
        assert!(told(&unrecorded).contains("\nrequests are not being recorded"), "{}", told(&unrecorded));
        for one in [look(1, None, true), look(0, Some(true), true), look(0, None, false), unrecorded, json!({})] {
            assert_eq!(exit_code(&one), REFUSES, "{one}");
        }
    }

    #[test]
    fn what_people_are_told_says_how_much_there_is_and_obeys_nothing() {
        let shown = told(&look(1_203, Some(true), false));
        assert!(shown.contains("newly refused:\nCREDENTIAL"), "{shown}");
        assert!(shown.contains("… and 1202 more\n") && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.contains("a guard would refuse it: CHANGE_X: why\n"), "{shown}");
        assert!(shown.contains("newly refused: 2406 requests; newly allowed: 0 requests; looked at: 9 requests of 1 credential, recorded since 2026"), "{shown}");
        assert!(shown.contains("no time for 1 credential more"), "{shown}");
    }
}
