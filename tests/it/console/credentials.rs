//! API keys and service accounts, their secrets and their access lists.

use std::net::IpAddr;

use super::visitor::Visitor;
use crate::admin::office::{CONFIGURATION, Key, Office};
use crate::oauth::Account;
use crate::stage::{Client, wait_for};

/// An office whose uses are written at once.
fn office() -> Office {
    Office::open_with(&CONFIGURATION.replace("admin: {", "admin: { usage_interval: 50ms,"))
}

/// What stands in the element with this id.
fn text_of(page: &str, id: &str) -> String {
    let (_, after) = page.split_once(&format!("id=\"{id}\">")).unwrap_or_else(|| panic!("no {id} in {page}"));
    after.split('<').next().unwrap().to_owned()
}

/// The code of what the gateway answers to a key that calls from an address of the loopback; `OK` where it passes.
fn from(office: &Office, address: &str, key: &Key) -> String {
    let address: IpAddr = address.parse().unwrap();
    let mut client = Client::connect_from(address, office.served.gateway());
    let answer = client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", key.header()));
    match answer.status {
        200 => "OK".to_owned(),
        _ => answer.json()["errorCode"].as_str().unwrap().to_owned(),
    }
}

/// A key that is made by the form, and the page of it.
fn made(ann: &mut Visitor<'_>, organization: &str, fields: &[(&str, &str)]) -> (Key, String) {
    let path = format!("/orgs/{organization}/keys/new");
    ann.look(&path);
    let made = ann.send(&path, fields);
    assert_eq!(made.status, 200, "{}", made.text());
    let page = made.text();
    let (_, link) = page.split_once(&format!("/orgs/{organization}/credentials/")).unwrap();
    let id = link.split('"').next().unwrap().to_owned();
    let pair = format!("{}:{}", text_of(&page, "public"), text_of(&page, "private"));
    let at = format!("/orgs/{organization}/credentials/{id}");
    (Key { id, pair }, at)
}

#[test]
fn a_key_is_made_with_its_list_and_a_denial_is_put_right() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let organization = office.organization.clone();
    assert!(ann.look(&format!("/orgs/{organization}/accounts")).contains("There is none here yet"));
    let fields = [("desc", "nightly export"), ("entries", "127.0.0.1, office\n"), ("enforcement", "enforce")];
    let (key, at) = made(&mut ann, &organization, &fields);
    assert!(ann.look(&at).contains("office") && !ann.page.contains(&key.pair[9..]), "the secret is shown once");
    assert_eq!(from(&office, "127.0.0.1", &key), "OK");
    assert_eq!(from(&office, "127.0.0.2", &key), "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    wait_for("the denial", || ann.look(&at).contains("Add this address"));
    assert!(ann.page.contains("127.0.0.2") && ann.page.contains("IP_ADDRESS_NOT_ON_ACCESS_LIST"), "{}", ann.page);
    let why = format!("/explain?credential={}&address=127.0.0.2", key.id);
    assert!(ann.page.contains(&why.replace('&', "&#38;")), "{}", ann.page);
    let page = ann.look(&why);
    assert!(page.contains(">refused<") && page.contains("IP_ADDRESS_NOT_ON_ACCESS_LIST"), "{page}");
    ann.done(&format!("{at}/list/add"), &[("entries", "127.0.0.2")]);
    assert_eq!(from(&office, "127.0.0.2", &key), "OK");
    assert!(ann.page.contains("2 entries"), "{}", ann.page);
}

#[test]
fn each_line_that_is_wrong_is_told_beside_the_lines() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let (_, at) = made(&mut ann, &office.organization.clone(), &[("desc", "a key")]);
    ann.look(&at);
    let lines = "192.0.2.1\n10.0.0.5/8\nnonsense";
    let refused = ann.send(&format!("{at}/list/add"), &[("entries", lines)]);
    assert_eq!(refused.status, 400);
    let page = refused.text();
    assert!(page.contains("line 2: network `10.0.0.5/8` has host bits set; did you mean `10.0.0.0/8`?"), "{page}");
    assert!(page.contains("line 3: `nonsense` is not an IP address") && page.contains(lines), "{page}");
    assert!(ann.look(&at).contains("The list is empty"));
    // The visitor's own address is one box away.
    ann.done(&format!("{at}/list/add"), &[("entries", "192.0.2.0/24,\"a, b\",2099-01-31"), ("current", "on")]);
    assert!(ann.page.contains(">127.0.0.1<") && ann.page.contains("a, b"), "{}", ann.page);
    ann.done(&format!("{at}/list/add"), &[("entries", "192.0.2.7,,2098-01-31")]);
    assert!(ann.page.contains("192.0.2.0/24 admits it already"), "{}", ann.page);
    let entry = format!("{at}/list/entry?target=192.0.2.0%2F24");
    assert!(ann.look(&entry).contains("2099-01-31T00:00"));
    let edited = [("target", "192.0.2.0/24"), ("comment", "<b>other</b>"), ("expiresAt", "")];
    ann.done(&format!("{at}/list/entry"), &edited);
    assert!(ann.page.contains("&#60;b&#62;other&#60;/b&#62;"), "{}", ann.page);
}

#[test]
fn a_guard_is_passed_by_whoever_means_it() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let (key, at) = made(&mut ann, &office.organization.clone(), &[("desc", "a key")]);
    assert_eq!(from(&office, "127.0.0.3", &key), "OK");
    wait_for("the use", || ann.look(&at).contains("127.0.0.3"));
    let add = format!("{at}/list/add");
    let refused = ann.send(&add, &[("entries", "192.0.2.1")]);
    assert_eq!(refused.status, 409);
    let page = refused.text();
    assert!(page.contains("was used from 127.0.0.3") && page.contains("Do it all the same"), "{page}");
    assert!(page.contains("name=\"also\"") && page.contains("value=\"192.0.2.1\""), "{page}");
    assert!(!page.contains("?force=true"), "{page}");
    ann.done(&add, &[("entries", "192.0.2.1"), ("also", "127.0.0.3")]);
    assert_eq!(from(&office, "127.0.0.3", &key), "OK");
    let remove = format!("{at}/list/remove");
    let refused = ann.send(&remove, &[("target", "127.0.0.3/32")]);
    assert_eq!(refused.status, 409, "{}", refused.text());
    ann.done(&remove, &[("target", "127.0.0.3/32"), ("force", "on")]);
    assert_eq!(from(&office, "127.0.0.3", &key), "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    let events = ann.look(&format!("/orgs/{}/events?type=ACCESS_LIST_GUARD_OVERRIDDEN", office.organization));
    assert!(events.contains("Access list guard overridden"), "{events}");
    // Without its last entry it could be used from anywhere.
    ann.look(&at);
    let refused = ann.send(&remove, &[("target", "192.0.2.1/32")]);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("CHANGE_REMOVES_RESTRICTION"));
}

#[test]
fn a_credential_is_made_whose_list_only_reports() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let (fields, organization) = ([("desc", "a key"), ("entries", "203.0.113.0/24")], office.organization.clone());
    let new = ann.look(&format!("/orgs/{organization}/keys/new"));
    assert!(new.contains("id=\"enforcement-enforce\" value=\"enforce\" checked"), "{new}");
    let (strict, _) = made(&mut ann, &organization, &fields);
    let (loose, at) = made(&mut ann, &organization, &[&fields[..], &[("enforcement", "report")]].concat());
    assert_eq!(from(&office, "127.0.0.1", &strict), "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    assert_eq!(from(&office, "127.0.0.1", &loose), "OK");
    assert!(ann.look(&at).contains("id=\"enforcement-report\" value=\"report\" checked"), "{}", ann.page);
    // What was chosen stays where the form is refused, and an account has the same choice.
    let path = format!("/orgs/{organization}/accounts/new");
    ann.look(&path);
    let refused = ann.send(&path, &[("name", ""), ("hours", "30"), ("enforcement", "report")]).text();
    assert!(refused.contains("id=\"enforcement-report\" value=\"report\" checked"), "{refused}");
}

#[test]
fn a_key_is_edited_rotated_and_deleted_with_its_name_typed() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let (key, at) = made(&mut ann, &office.organization.clone(), &[("desc", "a key"), ("role", "ORG_READ_ONLY")]);
    ann.look(&at);
    let second = ann.send(&format!("{at}/secrets"), &[]);
    let public = text_of(&second.text(), "public");
    let other = Key { id: key.id.clone(), pair: format!("{public}:{}", text_of(&second.text(), "private")) };
    assert_eq!((from(&office, "127.0.0.1", &key), from(&office, "127.0.0.1", &other)), ("OK".into(), "OK".into()));
    let page = ann.look(&at).to_owned();
    // Both were made in the same second, and stand in the order in which they were made.
    let ends = [&key, &other].map(|key| page.find(&key.pair[key.pair.len() - 12..]).unwrap());
    assert!(ends[0] < ends[1], "{page}");
    let (_, first) = page.split_once(&key.pair[key.pair.len() - 12..]).unwrap();
    let (_, first) = first.split_once("name=\"secret\" value=\"").unwrap();
    ann.done(&format!("{at}/secrets/delete"), &[("secret", first.split('"').next().unwrap())]);
    assert_eq!(from(&office, "127.0.0.1", &key), "INVALID_CREDENTIALS");
    assert_eq!(from(&office, "127.0.0.1", &other), "OK");
    let edit = format!("{at}/edit");
    let fields =
        [("called", "renamed"), ("role", "ORG_MEMBER"), ("app_roles", "report app:sales"), ("enforcement", "enforce")];
    ann.done(&edit, &[&fields[..], &[("enabled", "on")]].concat());
    assert!(ann.page.contains("value=\"app:report app:sales\""), "{}", ann.page);
    ann.done(&edit, &fields);
    assert!(ann.page.contains("disabled"));
    assert_eq!(from(&office, "127.0.0.1", &other), "INVALID_CREDENTIALS");
    let refused = ann.send(&edit, &[("called", ""), ("enforcement", "enforce")]);
    assert!(refused.text().contains("id=\"wrong-called\""), "{}", refused.text());
    let refused = ann.send(&format!("{at}/delete"), &[("typed", "a key")]);
    assert_eq!(refused.status, 400);
    ann.done(&format!("{at}/delete"), &[("typed", "renamed")]);
    assert!(!ann.page.contains("renamed"));
    assert_eq!(ann.request("GET", &at, "", "").status, 404);
}

#[test]
fn a_service_account_is_made_and_gets_its_secrets() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let path = format!("/orgs/{}/accounts/new", office.organization);
    ann.look(&path);
    let fields = [("name", "batch"), ("description", "nightly"), ("hours", "30"), ("entries", "127.0.0.1")];
    let made = ann.send(&path, &fields).text();
    assert!(text_of(&made, "public").starts_with("pcl_sa_id_") && text_of(&made, "private").starts_with("pcl_sa_sk_"));
    let at = format!("/orgs/{}/credentials/{}", office.organization, text_of(&made, "public"));
    assert!(ann.look(&at).contains("nightly") && ann.page.contains("None works now"), "{}", ann.page);
    let (id, secret) = (text_of(&made, "public"), text_of(&made, "private"));
    let account = Account { id, secret, secret_id: String::new() };
    let token = account.token(&office);
    let through = || office.served.get("/", &[&format!("Authorization: Bearer {token}")]).outcome();
    assert_eq!(through().0, 200);
    assert!(ann.look(&at).contains("1 works now") && ann.page.contains("Revoke it"), "{}", ann.page);
    ann.done(&format!("{at}/tokens/revoke"), &[]);
    assert!(ann.page.contains("Its tokens are revoked") && ann.page.contains("None works now"), "{}", ann.page);
    assert_eq!(through(), (401, "INVALID_CREDENTIALS".into()));
    let second = ann.send(&format!("{at}/secrets"), &[("hours", "10")]).text();
    assert!(second.contains("7 days at most"));
    let list = ann.look(&format!("/orgs/{}/accounts?search=batc", office.organization));
    assert!(list.contains("1 entry") && list.contains("pcl_sa_id_"), "{list}");
}

#[test]
fn who_speaks_for_a_service_account_is_shown_and_changed() {
    let office = office();
    let mut ann = Visitor::owner(&office);
    let path = format!("/orgs/{}/accounts/new", office.organization);
    ann.look(&path);
    let uri = "spiffe://mesh/ns/edge/sa/proxy";
    let named = [("name", "edge"), ("description", "edge"), ("speakers", "on")];
    let refused = ann.send(&path, &named);
    assert!(refused.status == 400 && refused.text().contains("it is a number from 1 to 365"), "{}", refused.text());
    let both = [("certificate.sanUri", uri), ("certificate.sha256", "00")];
    let refused = ann.send(&path, &[&named[..], &both[..]].concat());
    assert!(refused.status == 400 && refused.text().contains("by its URI or by its hash"), "{}", refused.text());
    assert!(refused.text().contains("<details open>") && refused.text().contains(uri));
    // Without a secret, since a certificate proves it.
    let made = ann.send(&path, &[&named[..], &both[..1]].concat());
    assert_eq!(made.status, 200, "{}", made.text());
    let account = || office.own("GET", "/serviceAccounts?search=edge", "").json()["results"][0].clone();
    let (client, shown) = (account()["clientId"].as_str().unwrap().to_owned(), account());
    assert_eq!((&shown["certificate"]["sanUri"], &shown["secrets"]), (&uri.into(), &serde_json::json!([])));
    let at = format!("/orgs/{}/credentials/{client}", office.organization);
    let page = ann.look(&at);
    assert!(page.contains(&format!("value=\"{uri}\"")) && page.contains("It has none, and proves itself"), "{page}");

    let edit = [("called", "edge"), ("description", "edge"), ("enabled", "on"), ("speakers", "on")];
    let half = [("token.issuer", "https://issuer.example")];
    let refused = ann.send(&format!("{at}/edit"), &[&edit[..], &half[..]].concat());
    assert!(refused.status == 400 && refused.text().contains("id=\"wrong-token.subject\""), "{}", refused.text());
    let hash = "ab".repeat(32);
    let fields = [half[0], ("token.subject", "system:edge"), ("certificate.sha256", hash.as_str())];
    ann.done(&format!("{at}/edit"), &[&edit[..], &fields[..]].concat());
    let shown = account();
    assert_eq!(shown["token"], serde_json::json!({"issuer": "https://issuer.example", "subject": "system:edge"}));
    assert_eq!(shown["certificate"], serde_json::json!({"sha256": hash}));
    // Whoever looks only sees the same.
    let mut ben = Visitor::with_roles(&office, "ben@example.com", r#"["ORG_READ_ONLY"]"#);
    let page = ben.look(&at);
    assert!(page.contains("system:edge") && page.contains(&hash), "{page}");
    // A form that does not speak of it changes nothing of it; one that does takes it away.
    ann.done(&format!("{at}/edit"), &edit[..3]);
    assert_eq!(account()["certificate"]["sha256"], hash.as_str());
    ann.done(&format!("{at}/edit"), &edit);
    assert!(account().get("token").is_none() && account().get("certificate").is_none());
    let events = ann.look(&format!("/orgs/{}/events", office.organization));
    assert!(events.contains("Service account certificate changed"), "{events}");
}

#[test]
fn lists_are_searched_sorted_and_paged() {
    let office =
        Office::open_with(&CONFIGURATION.replace("api_keys_per_organization: 6", "api_keys_per_organization: 200"));
    for at in 0..60 {
        let name = format!("key {:02}", (at * 7) % 60);
        assert_eq!(office.own("POST", "/apiKeys", &format!(r#"{{"desc":"{name}"}}"#)).status, 200);
    }
    let mut ann = Visitor::owner(&office);
    let list = format!("/orgs/{}/keys", office.organization);
    let first = ann.look(&format!("{list}?sort=name")).to_owned();
    assert!(first.contains("1–50 of 61") && first.find("key 01").unwrap() < first.find("key 48").unwrap(), "{first}");
    assert!(!first.contains("key 59") && first.contains("aria-sort=\"ascending\""));
    let (_, next) = first.split_once("rel=\"next\" href=\"").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    assert!(ann.look(&next).contains("51–61 of 61") && ann.page.contains("key 59"));
    let last = ann.look(&format!("{list}?sort=-name&search=key+5")).to_owned();
    assert!(last.contains("1–10 of 10") && last.find("key 59").unwrap() < last.find("key 50").unwrap());
    assert!(ann.look(&format!("{list}?search=100%25_")).contains("Nothing holds"));
    // The API finds the same.
    let found = office.own("GET", "/apiKeys?search=KEY%205&sortBy=name&descending=true", "").json();
    assert_eq!((&found["totalCount"], &found["results"][0]["desc"]), (&10.into(), &"key 59".into()));
    assert_eq!(office.own("GET", "/apiKeys?sortBy=secret", "").status, 400);
}
