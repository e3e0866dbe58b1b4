//! What the store remembers of requests: from where, what became of them and on which route; and plans against it.

use std::process::Command;

use serde_json::{Value, json};

use super::office::{Key, OWNER, Office};
use super::usage::{CONFIGURATION, from};
use crate::programs::{PORTCULLIS, output};
use crate::stage::wait_for;

fn traffic(office: &Office, key: &Key) -> Vec<Value> {
    let page = office.own("GET", &format!("/apiKeys/{}/traffic?itemsPerPage=500", key.id), "").json();
    assert_eq!(page["totalCount"], page["results"].as_array().unwrap().len());
    page["results"].as_array().unwrap().clone()
}

/// Address, outcome, code, route and count, sorted.
fn told(office: &Office, key: &Key) -> Vec<(String, String, String, String, u64)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let of = |row: &Value| {
        let [address, outcome, code, route] = ["ipAddress", "outcome", "code", "route"].map(|name| text(row, name));
        (address, outcome, code, route, row["count"].as_u64().unwrap())
    };
    let mut all: Vec<_> = traffic(office, key).iter().map(of).collect();
    all.sort();
    all
}

fn row(address: &str, outcome: &str, code: &str, route: &str, count: u64) -> (String, String, String, String, u64) {
    (address.into(), outcome.into(), code.into(), route.into(), count)
}

/// `portcullis plan` against the record of the office's store.
fn planned(office: &Office, arguments: &str) -> (Option<i32>, Value) {
    let mut command = Command::new(PORTCULLIS);
    command.args(["plan", "--recorded", "--config", "portcullis.yaml", "--output", "json"]);
    let ran = command.args(arguments.split_whitespace()).current_dir(office.folder()).output().unwrap();
    let plan = serde_json::from_slice(&ran.stdout).unwrap_or_else(|fault| panic!("{fault}: {ran:?}"));
    (ran.status.code(), plan)
}

#[test]
fn requests_are_remembered_and_a_change_is_planned_by_them() {
    let routes = "  routes: [{ path: /, upstream: echo }, { path: /a, upstream: echo }]
  upstreams: { echo: { endpoints: [\"echo:\"] } }
directory:";
    let office = Office::open_with(&CONFIGURATION.replacen("directory:", routes, 1));
    let key = office.key("[\"ORG_MEMBER\"]");
    assert_eq!(traffic(&office, &key), [] as [Value; 0], "one that was never used has no rows");
    for address in ["198.51.100.1", "198.51.100.2", "198.51.100.1"] {
        assert_eq!(from(&office, &key, address), 200);
    }
    assert_eq!(office.served.get("/a/b", &[&key.header(), "X-Forwarded-For: 198.51.100.1"]).status, 200);
    assert_eq!(office.call(&key.pair, "GET", "/orgs", "").status, 200);
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"ipAddress":"198.51.100.1"}]"#).status, 200);
    assert_eq!(from(&office, &key, "192.0.2.66"), 403);
    assert_eq!(office.own("PATCH", &format!("/apiKeys/{}", key.id), r#"{"enforcement":"report"}"#).status, 200);
    assert_eq!(from(&office, &key, "192.0.2.66"), 200);
    let not_listed = "IP_ADDRESS_NOT_ON_ACCESS_LIST";
    let expected = [
        row("127.0.0.1", "allow", "", "admin API", 1),
        row("192.0.2.66", "deny", not_listed, "/", 1),
        row("192.0.2.66", "would_deny", not_listed, "/", 1),
        row("198.51.100.1", "allow", "", "/", 2),
        row("198.51.100.1", "allow", "", "/a", 1),
        row("198.51.100.2", "allow", "", "/", 1),
    ];
    wait_for("all of it", || told(&office, &key) == expected);
    let newest = &traffic(&office, &key)[0];
    assert_eq!((&newest["widened"], newest["firstSeen"].as_str().map(str::len)), (&json!(false), Some(20)));

    // Whoever may not see the key is not told, and a restart forgets nothing.
    let other = office.key("[\"ORG_MEMBER\"]");
    assert_ne!(
        office
            .call(&other.pair, "GET", &format!("/orgs/{}/apiKeys/{}/traffic", office.organization, "0".repeat(24)), "")
            .status,
        200
    );
    let office = office.reopen("TERM");
    assert_eq!(told(&office, &key), expected);

    // As it stands nothing changes but what was refused before; enforced, three addresses are refused.
    let (code, plan) = planned(&office, "");
    assert_eq!((code, plan["newly_refused"].as_array().map(Vec::len)), (Some(0), Some(0)), "{plan:#}");
    assert_eq!(plan["newly_allowed"][0]["address"], "192.0.2.66");
    let (code, plan) = planned(&office, &format!("--enforce {}", key.id));
    let refused: Vec<_> =
        plan["newly_refused"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap()).collect();
    assert_eq!((code, refused), (Some(2), vec!["127.0.0.1", "192.0.2.66", "198.51.100.2"]), "{plan:#}");
    assert_eq!(plan["newly_refused"][0]["route"], "the admin API");
    // The owner has no list.
    let (code, plan) = planned(&office, "--require all");
    assert_eq!((code, &plan["newly_refused"][0]["code"]), (Some(2), &json!("ORG_REQUIRES_ACCESS_LIST")), "{plan:#}");
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").status, 200);
}

#[test]
fn very_many_addresses_become_networks_that_say_so() {
    let office = Office::open_with(CONFIGURATION);
    let key = office.key("[]");
    for number in 0..100 {
        assert_eq!(from(&office, &key, &format!("203.0.113.{number}")), 200);
    }
    assert_eq!(from(&office, &key, "2001:db8::9"), 200);
    let count = |rows: &[Value]| rows.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>();
    wait_for("all of it", || count(&traffic(&office, &key)) == 101);
    let rows = traffic(&office, &key);
    assert!(rows.len() <= 64, "{}", rows.len());
    let (wide, single): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["widened"] == true);
    assert!(!wide.is_empty() && wide.iter().all(|row| row.get("ipAddress").is_none()));
    assert!(single.iter().any(|row| row["ipAddress"] == "2001:db8::9"));
    // All of a network has to be admitted.
    let network = wide[0]["cidrBlock"].as_str().unwrap();
    let list = format!("/apiKeys/{}/accessList?force=true", key.id);
    let body = json!([{"ipAddress": "2001:db8::9"}, {"cidrBlock": network}]).to_string();
    assert_eq!(office.own("POST", &list, &body).status, 200);
    let (code, plan) = planned(&office, "");
    let refused = plan["newly_refused"].as_array().unwrap();
    assert_eq!(code, Some(2));
    assert!(refused.iter().all(|row| row["address"] != network && row["address"] != "2001:db8::9"), "{plan:#}");
    assert!(wide.len() == 1 || refused.iter().any(|row| row["widened"] == true));
}

#[test]
fn what_is_not_to_be_recorded_is_not() {
    let office = Office::open_with(&CONFIGURATION.replacen(
        "usage_interval: 50ms",
        "usage_interval: 50ms, record_traffic: false",
        1,
    ));
    let key = office.key("[]");
    assert_eq!(from(&office, &key, "198.51.100.1"), 200);
    let used = |office: &Office| office.own("GET", &format!("/apiKeys/{}", key.id), "").json()["lastUsed"].is_string();
    wait_for("the use", || used(&office));
    assert_eq!(traffic(&office, &key), [] as [Value; 0]);
    // What would come of a change nobody can tell then, which is said.
    let told = office.own("DELETE", &format!("/apiKeys/{}?dryRun=true", key.id), "").json();
    assert_eq!((told.get("recordedSince"), &told["lookedAt"]["requests"]), (None, &json!(0)), "{told:#}");
    let shown = output(Command::new(PORTCULLIS).args([
        "api-keys",
        "traffic",
        &key.id,
        "--key",
        OWNER,
        "--api-url",
        &format!("http://{}", office.admin()),
    ]));
    assert!(String::from_utf8(shown.stdout).unwrap().starts_with("FROM"));
}
