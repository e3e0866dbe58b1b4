//! What would come of a change, told before it is made: nothing of it stays, what is told is what happens then, and nobody is
//! told of what is not theirs to see.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::code;
use super::office::{Key, OWNER, Office};
use super::usage::{CONFIGURATION, from};
use crate::stage::Answer;

/// Whose, from where, and with which code.
type Told = BTreeSet<(String, String, String)>;

const NOT_LISTED: &str = "IP_ADDRESS_NOT_ON_ACCESS_LIST";

fn office() -> Office {
    // Lists of any length; nothing is written by itself, so that what was counted last has to be looked for.
    Office::open_with(
        &CONFIGURATION.replace("50ms", "1h").replace("api_keys_per_organization: 6", "api_keys_per_organization: 60"),
    )
}

/// What the organization is: everything that a change would leave a mark on.
fn state(office: &Office) -> Vec<(String, Value)> {
    let look = |path: &str| {
        let answer = office.own("GET", path, "");
        let version = answer.header("etag").unwrap_or_default().to_owned();
        let mut body = answer.json();
        for one in body["results"].as_array_mut().into_iter().flatten() {
            // What is counted of uses is no part of it.
            for name in ["lastUsed", "lastUsedAddress", "recentAddresses", "requestCount", "count", "lastDenial"] {
                one.as_object_mut().unwrap().remove(name);
            }
        }
        (version, body)
    };
    ["/events?itemsPerPage=500", "/apiKeys?itemsPerPage=500", "/settings", "/networkSets", "/serviceAccounts"]
        .map(look)
        .into()
}

#[track_caller]
fn is_rehearsal(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((answer.header("etag"), answer.header("x-portcullis-revision")), (None, None));
    let told = answer.json();
    assert_eq!((&told["dryRun"], &told["complete"]), (&json!(true), &json!(true)), "{told:#}");
    assert!(told["recordedSince"].is_string(), "{told:#}");
    told
}

#[track_caller]
fn rehearsed(office: &Office, method: &str, path: &str, body: &str) -> Value {
    let before = state(office);
    let and = if path.contains('?') { '&' } else { '?' };
    let told = is_rehearsal(&office.own(method, &format!("{path}{and}dryRun=true"), body));
    assert_eq!(state(office), before, "something of it stayed");
    told
}

fn group(told: &Value, name: &str) -> Told {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let of = |one: &Value| (text(one, "apiKeyId"), text(one, "ipAddress"), text(one, "code"));
    told[name].as_array().unwrap().iter().map(of).collect()
}

fn guards(told: &Value) -> Vec<(String, bool)> {
    let of = |one: &Value| (one["errorCode"].as_str().unwrap().to_owned(), one["refuses"].as_bool().unwrap());
    told["guards"].as_array().unwrap().iter().map(of).collect()
}

fn told(of: &[(&Key, &str, &str)]) -> Told {
    of.iter().map(|(key, address, code)| (key.id.clone(), (*address).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn a_list_that_would_shut_somebody_out_says_so_and_stays_as_it_was() {
    let office = office();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    let start = office.own("POST", &list, r#"[{"cidrBlock":"198.51.100.0/24"}]"#);
    let revision = |answer: &Answer| answer.header("x-portcullis-revision").unwrap().parse::<u64>().unwrap();
    for address in ["198.51.100.1", "198.51.100.1", "198.51.100.2"] {
        assert_eq!(from(&office, &key, address), 200);
    }
    assert_eq!(from(&office, &key, "203.0.113.9"), 403);
    let body = r#"[{"ipAddress":"198.51.100.2"},{"cidrBlock":"203.0.113.0/24"}]"#;
    let foreseen = rehearsed(&office, "PUT", &list, body);
    assert_eq!(group(&foreseen, "newlyRefused"), told(&[(&key, "198.51.100.1", NOT_LISTED)]));
    assert_eq!(group(&foreseen, "newlyAllowed"), told(&[(&key, "203.0.113.9", "")]));
    assert_eq!(guards(&foreseen), [("CHANGE_EXCLUDES_RECENT_USE".to_owned(), true)], "the real change is refused");
    let row = &foreseen["newlyRefused"][0];
    assert_eq!((&row["count"], &row["route"], &row["widened"]), (&json!(2), &json!("/"), &json!(false)));
    assert_eq!((row["lastSeen"].as_str().map(str::len), &row["orgId"]), (Some(20), &json!(office.organization)));
    assert_eq!(foreseen["totals"]["newlyRefused"], json!({"count": 1, "credentials": 1, "requests": 2}));
    assert_eq!(foreseen["lookedAt"], json!({"credentials": 1, "requests": 4, "credentialsLeftOut": 0}));
    code(&office.own("PUT", &list, body), 409, "CHANGE_EXCLUDES_RECENT_USE");
    let forced = rehearsed(&office, "PUT", &format!("{list}?force=true"), body);
    assert_eq!(guards(&forced), [("CHANGE_EXCLUDES_RECENT_USE".to_owned(), false)]);
    // Each other way to change it.
    let add = rehearsed(&office, "POST", &list, r#"[{"ipAddress":"203.0.113.9"}]"#);
    assert_eq!(group(&add, "newlyAllowed"), told(&[(&key, "203.0.113.9", "")]));
    assert_eq!(add["newlyRefused"], json!([]));
    let remove = rehearsed(&office, "DELETE", &format!("{list}/198.51.100.0%2F24"), "");
    assert_eq!(guards(&remove), [("CHANGE_REMOVES_RESTRICTION".to_owned(), true)]);
    assert_eq!(group(&remove, "newlyAllowed"), told(&[(&key, "203.0.113.9", "")]));
    let comment = rehearsed(&office, "PATCH", &format!("{list}/198.51.100.0%2F24"), r#"{"comment":"c"}"#);
    assert_eq!((&comment["newlyRefused"], &comment["newlyAllowed"]), (&json!([]), &json!([])));
    // What is refused for itself is refused all the same, and a version is heeded.
    for (body, status, code_) in [
        (r#"[{"ipAddress":"x"}]"#, 400, "INVALID_ATTRIBUTE"),
        (r#"[{"set":"nowhere"}]"#, 400, "INVALID_ATTRIBUTE"),
        (r#"[{"ipAddress":"192.0.2.1"},{"ipAddress":"192.0.2.1"}]"#, 400, "DUPLICATE_ADDRESSES_IN_INPUT"),
    ] {
        code(&office.own("PUT", &format!("{list}?dryRun=true"), body), status, code_);
    }
    let path = format!("/api/v1/orgs/{}{list}?dryRun=true", office.organization);
    code(&office.raw(OWNER, "PUT", &path, "[]", "If-Match: \"999\"\r\n"), 412, "VERSION_MISMATCH");
    // An envelope is one, and the prefixes of others know it as well, with their guards.
    let wrapped = office.own("PUT", &format!("{list}?dryRun=true&envelope=true"), body).json();
    assert_eq!((&wrapped["status"], &wrapped["content"]["dryRun"]), (&json!(200), &json!(true)));
    let path = format!("/api/atlas/v2/orgs/{}{list}?dryRun=true", office.organization);
    assert!(!guards(&is_rehearsal(&office.raw(OWNER, "PUT", &path, body, "")))[0].1);
    let done = office.own("PUT", &format!("{list}?force=true"), body);
    assert_eq!(revision(&done), revision(&start) + 1, "rehearsals make no revision");
    let met = ["198.51.100.1", "198.51.100.2", "203.0.113.9"].map(|address| from(&office, &key, address));
    assert_eq!(met, [403, 200, 200]);
}

#[test]
fn the_switch_a_credential_and_a_set_are_foreseen() {
    let office = office();
    assert_eq!(office.own("POST", "/networkSets", r#"{"name":"office","networks":["198.51.100.0/24"]}"#).status, 201);
    let bare = office.key("[]");
    let listed = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", listed.id);
    assert_eq!(office.own("POST", &list, r#"[{"set":"office"}]"#).status, 200);
    for key in [&bare, &listed] {
        assert_eq!(from(&office, key, "198.51.100.1"), 200);
    }
    assert_eq!(from(&office, &listed, "203.0.113.1"), 403);
    // The calling key has no list either: it would refuse itself.
    let owner = Key {
        id: office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().into(),
        pair: OWNER.into(),
    };
    let turned = rehearsed(&office, "PATCH", "/settings", r#"{"apiAccessListMode":"required"}"#);
    let required = "ORG_REQUIRES_ACCESS_LIST";
    let refused = told(&[(&bare, "198.51.100.1", required), (&owner, "127.0.0.1", required)]);
    assert_eq!(group(&turned, "newlyRefused"), refused);
    assert_eq!(turned["totals"]["guards"], 2);
    let codes: Vec<String> = guards(&turned).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["CHANGE_EXCLUDES_CALLER", "CHANGE_EXCLUDES_RECENT_USE"], "all of them");
    assert!(turned["newlyRefused"].as_array().unwrap().iter().any(|one| one["route"] == "admin API"), "{turned:#}");
    // Together with the lists that they lack nobody is refused.
    let additions = json!({"apiAccessListMode": "required", "accessListAdditions": [
        {"apiKeyId": bare.id, "entries": [{"ipAddress": "198.51.100.1"}]},
        {"apiKeyId": owner.id, "entries": [{"ipAddress": "127.0.0.1"}]},
    ]});
    let turned = rehearsed(&office, "PATCH", "/settings", &additions.to_string());
    assert_eq!((&turned["newlyRefused"], &turned["guards"]), (&json!([]), &json!([])));
    // Report refuses nobody, and tells who would be.
    let reported = rehearsed(&office, "PATCH", "/settings", r#"{"apiAccessListMode":"report"}"#);
    assert_eq!((group(&reported, "newlyReported"), &reported["newlyRefused"]), (refused, &json!([])));
    // A credential that is switched off, over soon, only reporting, or gone.
    let path = format!("/apiKeys/{}", listed.id);
    for (method, body) in [("PATCH", r#"{"enabled":false}"#), ("DELETE", "")] {
        let off = rehearsed(&office, method, &path, body);
        assert_eq!(group(&off, "newlyRefused"), told(&[(&listed, "198.51.100.1", "INVALID_CREDENTIALS")]), "{method}");
    }
    let reports = rehearsed(&office, "PATCH", &path, r#"{"enforcement":"report"}"#);
    assert_eq!(group(&reports, "newlyAllowed"), told(&[(&listed, "203.0.113.1", NOT_LISTED)]));
    // A set that is another, for all lists that refer to it.
    let moved = rehearsed(&office, "PUT", "/networkSets/office", r#"{"networks":["203.0.113.0/24"]}"#);
    assert_eq!(group(&moved, "newlyRefused"), told(&[(&listed, "198.51.100.1", NOT_LISTED)]));
    assert_eq!(group(&moved, "newlyAllowed"), told(&[(&listed, "203.0.113.1", "")]));
    code(&office.own("DELETE", "/networkSets/office?dryRun=true", ""), 409, "NETWORK_SET_IN_USE");
    // A directory file.
    let document = json!({"organizations": [{"id": office.organization, "name": "acme", "require_access_list": false,
        "network_sets": [{"name": "office", "networks": ["192.0.2.0/24"]}]}]});
    let before = state(&office);
    let applied = office.call(OWNER, "POST", "/apply?dryRun=true", &document.to_string());
    assert_eq!(applied.status, 200, "{}", applied.text());
    let applied = applied.json();
    assert_eq!((&applied["totalCount"], state(&office)), (&json!(1), before));
    assert_eq!(group(&applied["rehearsal"], "newlyRefused"), told(&[(&listed, "198.51.100.1", NOT_LISTED)]));
    let guard = &applied["rehearsal"]["guards"][0];
    let field = format!("organizations[{}].network_sets[office]", office.organization);
    assert_eq!((&guard["errorCode"], &guard["field"]), (&json!("CHANGE_EXCLUDES_RECENT_USE"), &json!(field)));
    assert_eq!(from(&office, &listed, "198.51.100.1"), 200);
}

#[test]
fn who_may_not_change_a_thing_is_told_nothing() {
    let office = office();
    let key = office.key("[]");
    assert_eq!(from(&office, &key, "198.51.100.1"), 200);
    let reader = office.key("[\"ORG_READ_ONLY\"]");
    let nobody = office.key("[]");
    let made = office.call(OWNER, "POST", "/orgs", r#"{"name":"evil","apiKey":{"desc":"owner of evil"}}"#).json();
    let mallory = Key::of(&made["apiKey"]);
    let before = state(&office);
    let organization = &office.organization;
    for (method, path, body) in [
        ("PUT", format!("/orgs/{organization}/apiKeys/{}/accessList", key.id), r#"[{"ipAddress":"192.0.2.1"}]"#),
        ("PATCH", format!("/orgs/{organization}/apiKeys/{}", key.id), r#"{"enabled":false}"#),
        ("DELETE", format!("/orgs/{organization}/apiKeys/{}", key.id), ""),
        ("PATCH", format!("/orgs/{organization}/settings"), r#"{"apiAccessListMode":"required"}"#),
        ("DELETE", format!("/orgs/{organization}"), ""),
    ] {
        for caller in [&reader, &nobody, &mallory] {
            let answer = office.call(&caller.pair, method, &format!("{path}?dryRun=true"), body);
            assert!(matches!(answer.status, 403 | 404), "{method} {path}: {} {}", answer.status, answer.text());
            assert!(!answer.text().contains("198.51.100.1"), "{}", answer.text());
        }
    }
    let document = json!({"organizations": [{"id": organization, "name": "acme", "require_access_list": true}]});
    let answer = office.call(&mallory.pair, "POST", "/apply?dryRun=true&force=true", &document.to_string());
    assert!(matches!(answer.status, 403 | 404 | 409), "{}", answer.text());
    assert!(!answer.text().contains("198.51.100.1"), "{}", answer.text());
    // An administrator of one project gives a key of another one roles, and sees it only then.
    let project = |name: &str| {
        office.own("POST", "/groups", &json!({"name": name}).to_string()).json()["id"].as_str().unwrap().to_owned()
    };
    let (ours, theirs) = (project("ours"), project("theirs"));
    let on = |project: &str, role: &str| {
        Key::of(
            &office
                .call(
                    OWNER,
                    "POST",
                    &format!("/groups/{project}/apiKeys"),
                    &json!({"desc": "k", "roles": [role]}).to_string(),
                )
                .json(),
        )
    };
    let (admin, other) = (on(&ours, "GROUP_USER_ADMIN"), on(&theirs, "GROUP_READ_ONLY"));
    assert_eq!(from(&office, &other, "198.51.100.7"), 200);
    let assign = format!("/groups/{ours}/apiKeys/{}?dryRun=true", other.id);
    let answer = office.call(&admin.pair, "POST", &assign, r#"[{"roles":["GROUP_READ_ONLY"]}]"#);
    let looked = is_rehearsal(&answer)["lookedAt"].clone();
    assert_eq!(looked, json!({"credentials": 0, "requests": 0, "credentialsLeftOut": 0}), "not even how much there is");
    // Of the two organizations only what was made here is new.
    assert_eq!(state(&office)[2], before[2]);
}

/// Numbers that are as good as any, and the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }
}

#[test]
fn what_is_foreseen_is_what_happens() {
    let office = office();
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let own = format!("/apiKeys/{owner}/accessList");
    assert_eq!(office.own("POST", &own, r#"[{"ipAddress":"127.0.0.1"}]"#).status, 200);
    assert_eq!(office.own("POST", "/networkSets", r#"{"name":"s","networks":["198.51.100.0/25"]}"#).status, 201);
    let keys: Vec<Key> = (0..5).map(|_| office.key("[]")).collect();
    let addresses = ["198.51.100.1", "198.51.100.129", "203.0.113.7", "192.0.2.1"];
    let met = || -> BTreeSet<(String, String)> {
        let all = keys.iter().flat_map(|key| addresses.iter().map(move |address| (key, *address)));
        let passes = all.filter(|(key, address)| from(&office, key, address) == 200);
        passes.map(|(key, address)| (key.id.clone(), address.to_owned())).collect()
    };
    let networks = ["198.51.100.0/25", "198.51.100.128/25", "203.0.113.0/24", "192.0.2.1/32"];
    let mut numbers = Numbers(2_026);
    let mut before = met();
    let (mut came, mut went) = (0, 0);
    for _ in 0..40 {
        let key = numbers.of(&keys).id.clone();
        let some: Vec<&str> = networks.iter().copied().filter(|_| numbers.below(2) == 0).collect();
        let (method, path, body) = match numbers.below(6) {
            0 => {
                ("PATCH", "/settings".into(), json!({"apiAccessListMode": numbers.of(&["off", "report", "required"])}))
            }
            1 => ("PATCH", format!("/apiKeys/{key}"), json!({"enabled": numbers.below(3) > 0})),
            2 => ("PATCH", format!("/apiKeys/{key}"), json!({"enforcement": numbers.of(&["enforce", "report"])})),
            3 => ("PUT", "/networkSets/s".into(), json!({"networks": some})),
            of_list => {
                let mut entries: Vec<Value> = some.iter().map(|network| json!({"cidrBlock": network})).collect();
                entries.extend((of_list == 4).then(|| json!({"set": "s"})));
                ("PUT", format!("/apiKeys/{key}/accessList"), Value::Array(entries))
            }
        };
        let body = body.to_string();
        let foreseen = rehearsed(&office, method, &format!("{path}?force=true"), &body);
        let pairs = |name: &str| -> BTreeSet<(String, String)> {
            group(&foreseen, name).into_iter().map(|(key, address, _)| (key, address)).collect()
        };
        let done = office.own(method, &format!("{path}?force=true"), &body);
        assert_eq!(done.status, 200, "{}", done.text());
        let after = met();
        let what = format!("{method} {path} {body}\n{foreseen:#}");
        assert_eq!(pairs("newlyRefused"), before.difference(&after).cloned().collect(), "{what}");
        assert_eq!(pairs("newlyAllowed"), after.difference(&before).cloned().collect(), "{what}");
        (came, went) = (came + after.difference(&before).count(), went + before.difference(&after).count());
        before = after;
    }
    assert!(came > 10 && went > 10, "{came} {went}");
}

#[test]
fn a_network_that_stands_for_many_is_told_by_its_worst() {
    let office = office();
    let key = office.key("[]");
    for number in 0..100 {
        assert_eq!(from(&office, &key, &format!("203.0.113.{number}")), 200);
    }
    let list = format!("/apiKeys/{}/accessList", key.id);
    let foreseen = rehearsed(&office, "PUT", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#);
    assert_eq!(foreseen["newlyRefused"], json!([]));
    let foreseen = rehearsed(&office, "PUT", &list, r#"[{"cidrBlock":"203.0.113.0/28"}]"#);
    let refused = foreseen["newlyRefused"].as_array().unwrap();
    assert!(refused.iter().any(|one| one["widened"] == true && one.get("ipAddress").is_none()), "{foreseen:#}");
    assert!(foreseen["totals"]["newlyRefused"]["requests"].as_u64().unwrap() >= 84, "{foreseen:#}");
}
