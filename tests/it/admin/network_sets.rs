//! Network sets: one edit is one revision and every list that refers to the set, and the guards look through it.

use serde_json::{Value, json};

use super::office::{Key, OWNER, Office};
use crate::stage::{Answer, Client};

/// What a refusal says, where it has this status.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> (String, String) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    (body["errorCode"].as_str().unwrap().to_owned(), body["detail"].as_str().unwrap().to_owned())
}

#[track_caller]
fn done(answer: Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

fn set(office: &Office, name: &str, networks: &[&str]) -> Answer {
    office.own("POST", "/networkSets", &json!({"name": name, "networks": networks}).to_string())
}

/// A key whose list is this.
#[track_caller]
fn key_with(office: &Office, entries: &Value) -> Key {
    let body = json!({"desc": "a key", "roles": [], "accessList": entries});
    Key::of(&done(office.own("POST", "/apiKeys", &body.to_string()), 200))
}

#[test]
fn a_set_is_made_shown_replaced_and_deleted() {
    let office = Office::open();
    let made = office.own(
        "POST",
        "/networkSets",
        r#"{"name":"Büro / 1","networks":["2001:db8::/32","198.51.100.7"],"owner":"net@acme.example","comment":"c"}"#,
    );
    let shown = done(made, 201);
    assert_eq!(shown["networks"], json!(["198.51.100.7/32", "2001:db8::/32"]));
    assert_eq!(
        (&shown["owner"], &shown["comment"], &shown["accessListCount"]),
        (&json!("net@acme.example"), &json!("c"), &json!(0))
    );
    let path = "/networkSets/B%C3%BCro%20%2F%201";
    assert!(shown["links"][0]["href"].as_str().unwrap().ends_with(path));
    let got = office.own("GET", path, "");
    let version = got.header("etag").unwrap().to_owned();
    assert_eq!(done(got, 200), shown);
    assert_eq!(refused(&set(&office, "Büro / 1", &[]), 409).0, "ALREADY_EXISTS");
    // What is left out of a replacement is gone.
    let replaced = done(office.own("PUT", path, r#"{"networks":["203.0.113.0/24"]}"#), 200);
    assert_eq!((&replaced["networks"], replaced.get("owner")), (&json!(["203.0.113.0/24"]), None));
    let absolute = format!("/api/v1/orgs/{}{path}", office.organization);
    let stale = office.raw(OWNER, "PUT", &absolute, r#"{"networks":[]}"#, &format!("If-Match: {version}\r\n"));
    assert_eq!(refused(&stale, 412).0, "VERSION_MISMATCH");
    for (body, code) in [
        (r#"{"networks":["203.0.113.5/24"]}"#, "INVALID_ATTRIBUTE"),
        (r#"{"networks":["203.0.113.5","203.0.113.5/32"]}"#, "DUPLICATE_ADDRESSES_IN_INPUT"),
        (r#"{"networks":["set:other"]}"#, "INVALID_ATTRIBUTE"),
        (r#"{"networks":[],"name":"other"}"#, "INVALID_ATTRIBUTE"),
        (r#"{"networks":[],"owner":""}"#, "INVALID_ATTRIBUTE"),
        (r#"{"networks":[],"ower":"x"}"#, "UNKNOWN_ATTRIBUTE"),
        (r#"{"owner":"x"}"#, "INVALID_ATTRIBUTE"),
    ] {
        assert_eq!(refused(&office.own("PUT", path, body), 400).0, code, "{body}");
    }
    let many = json!({"networks": (0..6).map(|at| format!("203.0.113.{at}")).collect::<Vec<_>>()});
    assert_eq!(refused(&office.own("PUT", path, &many.to_string()), 409).0, "LIMIT_REACHED");
    assert_eq!(refused(&set(&office, " x", &[]), 400).0, "INVALID_ATTRIBUTE");
    let page = office.own("GET", "/networkSets?itemsPerPage=1", "").json();
    assert_eq!((&page["totalCount"], &page["results"][0]["name"]), (&json!(1), &json!("Büro / 1")));
    assert_eq!(office.own("DELETE", path, "").status, 204);
    assert_eq!(refused(&office.own("GET", path, ""), 404).0, "NETWORK_SET_NOT_FOUND");
    assert_eq!(refused(&office.own("PUT", path, r#"{"networks":[]}"#), 404).0, "NETWORK_SET_NOT_FOUND");
    // The record tells what came and went.
    let events = office.own("GET", "/events", "").json();
    let told = |at: usize| {
        let one = &events["results"][at];
        (one["eventTypeName"].clone(), one["whitelistEntry"].clone(), one["detail"].clone())
    };
    let name = json!("set:Büro / 1");
    assert_eq!(told(0), (json!("NETWORK_SET_DELETED"), name.clone(), Value::Null));
    let difference = json!("+203.0.113.0/24 -198.51.100.7/32 -2001:db8::/32");
    assert_eq!(told(1), (json!("NETWORK_SET_CHANGED"), name, difference));
}

#[test]
fn an_entry_refers_to_a_set_wherever_an_entry_is_taken() {
    let office = Office::open();
    done(set(&office, "office", &["127.0.0.0/8"]), 201);
    let key = key_with(&office, &json!([{"set": "office", "comment": "desks"}]));
    assert_eq!(office.through(&key).0, 200);
    let list = format!("/apiKeys/{}/accessList", key.id);
    let page = office.own("GET", &list, "").json();
    let entry = page["results"][0].clone();
    assert_eq!((&entry["set"], entry.get("cidrBlock")), (&json!("office"), None));
    assert!(entry["links"][0]["href"].as_str().unwrap().ends_with("/accessList/set:office"));
    assert_eq!(office.own("GET", &format!("{list}/set:office"), "").json(), entry);
    assert_eq!(office.own("GET", &format!("{list}/set%3Aoffice"), "").json(), entry);
    // Adding it again changes nothing; a set that is not there is refused.
    assert_eq!(done(office.own("POST", &list, r#"[{"set":"office"}]"#), 200)["totalCount"], 1);
    let strict = office.own("POST", &format!("{list}?strict=true"), r#"[{"set":"office"}]"#);
    assert_eq!(refused(&strict, 409).0, "ADDRESS_ALREADY_IN_ACCESS_LIST");
    for (body, code) in [
        (r#"[{"set":"home"}]"#, "INVALID_ATTRIBUTE"),
        (r#"[{"set":"office","ipAddress":"127.0.0.1"}]"#, "BAD_ACCESS_LIST_ADD_REQUEST"),
        (r#"[{"comment":"x"}]"#, "MISSING_ONE_OF_ATTRIBUTES"),
        (r#"[{"set":"office"},{"set":"office"}]"#, "DUPLICATE_ADDRESSES_IN_INPUT"),
    ] {
        assert_eq!(refused(&office.own("POST", &list, body), 400).0, code, "{body}");
    }
    done(
        office.own("PATCH", &format!("{list}/set:office"), r#"{"expiresAt":"2099-01-01T00:00:00Z","comment":null}"#),
        200,
    );
    done(office.own("PUT", &list, r#"[{"cidrBlock":"203.0.113.0/24"},{"set":"office"}]"#), 200);
    assert_eq!(office.own("DELETE", &format!("{list}/203.0.113.0%2F24"), "").status, 204);
    // It is the last entry now.
    let last = office.own("DELETE", &format!("{list}/set:office"), "");
    assert_eq!(refused(&last, 409).0, "CHANGE_REMOVES_RESTRICTION");
    // While it is used, it stays; the lists are named.
    let (code, detail) = refused(&office.own("DELETE", "/networkSets/office", ""), 409);
    assert_eq!(code, "NETWORK_SET_IN_USE");
    assert!(detail.contains(&key.pair[..8]), "{detail}");
    assert_eq!(office.own("GET", "/networkSets/office", "").json()["accessListCount"], 1);
    assert_eq!(office.own("DELETE", &format!("{list}/set:office?force=true"), "").status, 204);
    assert_eq!(office.own("DELETE", "/networkSets/office", "").status, 204);
    // Another organization's sets are not this one's.
    let other = done(office.call(OWNER, "POST", "/orgs", r#"{"name":"b","apiKey":{"desc":"k","roles":[]}}"#), 201);
    let (id, owner) = (other["id"].as_str().unwrap().to_owned(), Key::of(&other["apiKey"]));
    let theirs =
        office.call(&owner.pair, "POST", &format!("/orgs/{id}/networkSets"), r#"{"name":"theirs","networks":[]}"#);
    assert_eq!(theirs.status, 201);
    assert_eq!(refused(&office.own("POST", &list, r#"[{"set":"theirs"}]"#), 400).0, "INVALID_ATTRIBUTE");
    let foreign = office.call(OWNER, "GET", &format!("/orgs/{id}/networkSets/theirs"), "");
    assert_eq!(refused(&foreign, 404).0, "ORG_NOT_FOUND");
    // Whoever owns nothing looks, and changes nothing.
    let reader = office.key(r#"["ORG_READ_ONLY"]"#);
    let path = format!("/orgs/{}/networkSets", office.organization);
    assert_eq!(office.call(&reader.pair, "GET", &path, "").status, 200);
    let made = office.call(&reader.pair, "POST", &path, r#"{"name":"x","networks":[]}"#);
    assert_eq!(refused(&made, 403).0, "INSUFFICIENT_ROLE");
}

#[test]
fn one_edit_of_a_set_is_enforced_for_every_list_that_refers_to_it() {
    let office = Office::open();
    done(set(&office, "office", &["127.0.0.0/8"]), 201);
    let keys: Vec<Key> = (0..4).map(|_| key_with(&office, &json!([{"set": "office"}]))).collect();
    let gateway = office.served.gateway();
    let mut kept: Vec<Client> = (0..8).map(|_| Client::connect(gateway)).collect();
    let request = |key: &Key| format!("GET / HTTP/1.1\r\nHost: api.example.com\r\n{}\r\n\r\n", key.header());
    let revision = |answer: &Answer| answer.header("x-portcullis-revision").unwrap().parse::<u64>().unwrap();
    let mut last = None;
    for flip in 0..100 {
        let (network, expected) = if flip % 2 == 0 { ("203.0.113.0/24", 403) } else { ("127.0.0.1", 200) };
        let edited = office.own("PUT", "/networkSets/office?force=true", &json!({"networks": [network]}).to_string());
        assert_eq!(edited.status, 200, "{}", edited.text());
        let now = revision(&edited);
        assert!(last.is_none_or(|last| now == last + 1), "one edit is one revision");
        last = Some(now);
        for (at, key) in keys.iter().enumerate() {
            let statuses = [Client::connect(gateway), kept.swap_remove(0)].map(|mut client| {
                let status = client.send(request(key)).status;
                kept.push(client);
                status
            });
            kept.truncate(8);
            assert_eq!(statuses, [expected; 2], "flip {flip}, key {at}");
        }
    }
    // An edit that changes nothing makes no revision.
    let same = office.own("PUT", "/networkSets/office", r#"{"networks":["127.0.0.1/32"]}"#);
    assert_eq!(Some(revision(&same)), last);
}

#[test]
fn the_guards_look_through_sets() {
    let office = Office::open();
    done(set(&office, "office", &["127.0.0.0/8", "203.0.113.0/24"]), 201);
    // The calling credential's own list stands on the set.
    let owner = OWNER.split(':').next().unwrap();
    let keys = office.own("GET", "/apiKeys", "").json();
    let own = keys["results"].as_array().unwrap().iter().find(|one| one["publicKey"] == owner).unwrap();
    let list = format!("/apiKeys/{}/accessList", own["id"].as_str().unwrap());
    done(office.own("POST", &list, r#"[{"set":"office"}]"#), 200);
    let narrowed = r#"{"networks":["203.0.113.0/24"]}"#;
    let (code, detail) = refused(&office.own("PUT", "/networkSets/office", narrowed), 409);
    assert_eq!(code, "CHANGE_EXCLUDES_CALLER");
    assert!(detail.contains("127.0.0.1"), "{detail}");
    let removed = office.own("DELETE", &format!("{list}/set:office"), "");
    assert_eq!(refused(&removed, 400).0, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST");
    done(office.own("POST", &list, r#"[{"cidrBlock":"192.0.2.0/24"}]"#), 200);
    let removed = office.own("DELETE", &format!("{list}/set:office?force=true"), "");
    assert_eq!(refused(&removed, 400).0, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST");
    // Both halves of IPv4, one by a set: an "anyone" entry in two parts.
    done(set(&office, "low", &["0.0.0.0/2", "64.0.0.0/2"]), 201);
    let wide = key_with(&office, &json!([{"set": "low"}, {"cidrBlock": "128.0.0.0/1"}]));
    let on = r#"{"apiAccessListRequired":true}"#;
    let answer = office.own("PATCH", "/settings", on);
    assert_eq!(refused(&answer, 409).0, "LISTS_COVER_EVERYTHING");
    assert_eq!(answer.json()["parameters"], json!([&wide.pair[..8]]));
    done(office.own("PUT", "/networkSets/low", r#"{"networks":["0.0.0.0/2"]}"#), 200);
    done(office.own("PATCH", "/settings", on), 200);
    // While lists are required: not by the set, and not by the list.
    let wider = r#"{"networks":["0.0.0.0/2","64.0.0.0/2"]}"#;
    assert_eq!(refused(&office.own("PUT", "/networkSets/low?force=true", wider), 409).0, "LISTS_COVER_EVERYTHING");
    done(set(&office, "all", &["::/0"]), 201);
    let path = format!("/apiKeys/{}/accessList", wide.id);
    let added = office.own("POST", &path, r#"[{"set":"all"}]"#);
    assert_eq!(refused(&added, 400).0, "CANNOT_ADD_IP_ADDRESS_TO_API_KEY_ACCESS_LIST");
    // Several sets together.
    done(set(&office, "high", &[]), 201);
    done(office.own("PUT", &path, r#"[{"set":"low"},{"set":"high"}]"#), 200);
    done(office.own("PUT", "/networkSets/low", wider), 200);
    let rest = office.own("PUT", "/networkSets/high", r#"{"networks":["128.0.0.0/2","192.0.0.0/2"]}"#);
    assert_eq!(refused(&rest, 409).0, "LISTS_COVER_EVERYTHING");
    done(office.own("PUT", "/networkSets/high", r#"{"networks":["128.0.0.0/2","192.0.0.0/3"]}"#), 200);
    // What is meant is done, and recorded.
    assert_eq!(office.own("PUT", "/networkSets/office?force=true", narrowed).status, 200);
    assert_eq!(office.call(OWNER, "GET", "/orgs", "").outcome(), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
}
