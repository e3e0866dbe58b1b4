//! How much is asked, what becomes of it, and how long it takes.

use super::visitor::Visitor;
use crate::admin::office::{Key, Office};
use crate::stage::wait_for;

/// The sum of a member over all samples.
fn sum(traffic: &serde_json::Value, member: &str) -> u64 {
    let samples = traffic["samples"].as_array().unwrap_or_else(|| panic!("{traffic:#}"));
    samples.iter().map(|one| one[member].as_u64().unwrap()).sum()
}

#[test]
fn requests_are_counted_over_time_for_whoever_owns_them() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let activity = format!("/orgs/{}/activity", office.organization);
    assert!(ann.look(&activity).contains("None was denied since"));
    let open = office.key("[]");
    let body = r#"{"desc":"listed","accessList":[{"ipAddress":"192.0.2.1"}]}"#;
    let listed = Key::of(&office.own("POST", "/apiKeys", body).json());
    for _ in 0..3 {
        assert_eq!(office.through(&open).0, 200);
    }
    assert_eq!(office.through(&listed).1, "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    // What proves no credential is nobody's.
    office.served.get("/", &["X-API-Key: nobodyss.40395d07-a353-4881-853b-43efa41339a1"]);
    let counted = || office.own("GET", "/activity", "").json();
    wait_for("the counts", || sum(&counted(), "denied") == 1 && sum(&counted(), "allowed") == 3);
    let told = counted();
    assert_eq!((&told["intervalSeconds"], sum(&told, "failed"), sum(&told, "wouldDeny")), (&10.into(), 0, 0));
    let sample = &told["samples"][0];
    assert!(sample["p50Ms"].as_f64().unwrap() <= sample["p99Ms"].as_f64().unwrap(), "{told:#}");
    let page = ann.look(&activity).to_owned();
    for what in ["<dt>Requests</dt><dd>4</dd>", "<dt>Denied</dt><dd>1</dd>", ">listed</a>", ">127.0.0.1</td>"] {
        assert!(page.contains(what), "{what}: {page}");
    }
    assert!(page.contains("integrity=\"sha384-") && page.contains("/assets/uplot.js"), "{page}");
    let samples = ann.request("GET", &format!("{activity}/samples"), "", "");
    assert_eq!(samples.header("content-type"), Some("application/json"));
    let columns = samples.json();
    let lengths: Vec<usize> = columns.as_array().unwrap().iter().map(|one| one.as_array().unwrap().len()).collect();
    assert_eq!(lengths, [360; 6]);
    let denied: f64 = columns[2].as_array().unwrap().iter().filter_map(serde_json::Value::as_f64).sum();
    assert!((denied - 0.1).abs() < 1e-9, "one in ten seconds: {denied}");
}

#[test]
fn nobody_sees_what_others_ask() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    ann.look("/orgs/new");
    ann.done("/orgs/new", &[("name", "other")]);
    let (_, other) = ann.page.split_once("/orgs/").unwrap();
    let other = other.split(['/', '"']).next().unwrap().to_owned();
    let mut ben = Visitor::with_roles(&office, "ben@example.com", r#"["ORG_READ_ONLY"]"#);
    assert!(ben.look(&format!("/orgs/{}/activity", office.organization)).contains("<h1>Activity</h1>"));
    for path in ["activity", "activity/samples"] {
        let refused = ben.request("GET", &format!("/orgs/{other}/{path}"), "", "");
        assert_eq!(refused.status, 404, "{path}: {}", refused.text());
    }
}
