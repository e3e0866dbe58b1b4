//! Projects, network sets, people and events.

use super::visitor::{PASSWORD, Visitor};
use crate::admin::office::{CONFIGURATION, Office};
use crate::stage::wait_for;

#[test]
fn a_project_has_credentials_of_its_own_and_of_the_organization() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let projects = format!("/orgs/{}/projects", office.organization);
    ann.look(&projects);
    ann.done(&projects, &[("name", "billing")]);
    assert!(ann.page.contains("API keys of billing"), "{}", ann.page);
    let id = office.own("GET", "/groups", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let new = format!("/projects/{id}/keys/new");
    ann.look(&new);
    let made = ann.send(&new, &[("desc", "billing key"), ("role", "GROUP_READ_ONLY")]);
    assert_eq!(made.status, 200, "{}", made.text());
    let other = office.key(r#"["ORG_MEMBER"]"#);
    ann.look(&format!("/projects/{id}"));
    let public = other.pair.split(':').next().unwrap().to_owned();
    ann.done(&format!("/projects/{id}/assign"), &[("credential", &public), ("role", "GROUP_USER_ADMIN")]);
    assert!(ann.page.contains("billing key") && ann.page.contains(&public), "{}", ann.page);
    // Whoever administers the project alone sees what is in it, and no more.
    let roles = format!(r#"[{{"groupId":"{id}","roleName":"GROUP_USER_ADMIN"}}]"#);
    let mut ben = Visitor::with_roles(&office, "ben@example.com", &roles);
    assert!(ben.look(&format!("/orgs/{}", office.organization)).contains("billing"), "{}", ben.page);
    assert!(ben.look(&format!("/projects/{id}/keys")).contains("billing key"));
    assert_eq!(ben.request("GET", &format!("/orgs/{}/keys", office.organization), "", "").status, 403);
    ann.look(&format!("/projects/{id}"));
    ann.done(&format!("/projects/{id}/unassign"), &[("credential", &other.id)]);
    ann.look(&format!("/projects/{id}"));
    ann.done(&format!("/projects/{id}/delete"), &[("typed", "billing")]);
    assert!(ann.page.contains("There is no project yet"));
}

#[test]
fn a_network_set_is_one_edit_for_every_list() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let sets = format!("/orgs/{}/sets", office.organization);
    assert!(ann.look(&sets).contains("one edit changes every list"));
    ann.look(&format!("{sets}/new"));
    let refused = ann.send(&format!("{sets}/new"), &[("typed", "on"), ("name", "office"), ("entries", "10.0.0.1/8")]);
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("did you mean") && refused.text().contains("value=\"office\""),
        "{}",
        refused.text()
    );
    ann.done(
        &format!("{sets}/new"),
        &[("typed", "on"), ("name", "the office"), ("entries", "127.0.0.1\n192.0.2.0/24")],
    );
    assert!(ann.page.contains("Network set the office"), "{}", ann.page);
    let key = office.key("[]");
    ann.look(&format!("/orgs/{}/credentials/{}", office.organization, key.id));
    ann.done(
        &format!("/orgs/{}/credentials/{}/list/add", office.organization, key.id),
        &[("entries", "set:the office")],
    );
    assert!(ann.page.contains("set:the office"));
    assert_eq!(office.through(&key).0, 200);
    let set = format!("{sets}/the%20office");
    assert!(ann.look(&set).contains("1 access list uses"), "{}", ann.page);
    let (_, version) = ann.page.split_once("name=\"version\" value=\"").unwrap();
    let version = version.split('"').next().unwrap().to_owned();
    let fields = [("typed", "on"), ("entries", "192.0.2.0/24"), ("version", version.as_str()), ("force", "on")];
    ann.done(&set, &fields);
    assert_eq!(office.through(&key).1, "IP_ADDRESS_NOT_ON_ACCESS_LIST");
    // A page that is older than somebody else's change changes nothing.
    let refused = ann.send(&set, &fields);
    assert_eq!(refused.status, 412, "{}", refused.text());
    let refused = ann.send(&format!("{set}/delete"), &[]);
    assert!(refused.status == 409 && refused.text().contains("NETWORK_SET_IN_USE"));
}

#[test]
fn a_network_set_takes_a_list_by_itself_and_a_doubtful_one_waits() {
    let lists = tempfile::tempdir().unwrap();
    std::fs::write(lists.path().join("edge.txt"), "127.0.0.0/8\n").unwrap();
    let feeds = format!("feeds: {{ allow_files: \"{}\" }}\n", lists.path().display());
    let office = Office::open_with(&format!("{CONFIGURATION}{feeds}"));
    let mut ann = Visitor::owner(&office);
    let sets = format!("/orgs/{}/sets", office.organization);
    ann.look(&format!("{sets}/new"));
    let new = format!("{sets}/new");
    let refused = ann.send(&new, &[("typed", "on"), ("name", "edge"), ("source.file", "../edge.txt")]);
    assert!(refused.status == 400 && refused.text().contains("id=\"wrong-source.file\""), "{}", refused.text());
    let refused = ann.send(&new, &[("typed", "on"), ("name", "edge"), ("source.url", "https://a.example/")]);
    assert!(refused.status == 400 && refused.text().contains("id=\"wrong-source.url\""), "{}", refused.text());
    ann.done(&new, &[("typed", "on"), ("name", "edge"), ("source.file", "edge.txt"), ("source.every", "1h")]);
    assert!(ann.page.contains("value=\"edge.txt\"") && ann.page.contains("Ask it now"), "{}", ann.page);
    let set = format!("{sets}/edge");
    wait_for("the first list", || ann.look(&set).contains("Its last good list came just now"));
    assert!(ann.page.contains(">127.0.0.0/8<"), "{}", ann.page);
    std::fs::write(lists.path().join("edge.txt"), "127.0.0.0/9\n").unwrap();
    ann.done(&format!("{set}/refresh"), &[]);
    wait_for("the list that is held", || ann.look(&set).contains("A list waits for you"));
    assert!(ann.page.contains("50 % of its addresses would go"), "{}", ann.page);
    let listed = ann.look(&sets);
    assert!(
        listed.contains("<span class=\"tag warn\">a list waits</span>") && listed.contains(">just now<"),
        "{listed}"
    );
    ann.look(&set);
    let (_, id) = ann.page.split_once("name=\"held\" value=\"").unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    assert_eq!(ann.send(&format!("{set}/held"), &[("held", "another")]).status, 412);
    ann.look(&set);
    ann.done(&format!("{set}/held"), &[("held", &id)]);
    assert!(ann.page.contains(">127.0.0.0/9<") && !ann.page.contains("A list waits"), "{}", ann.page);
    // Saved without a source, it is a set like any other.
    let (_, version) = ann.page.split_once("name=\"version\" value=\"").unwrap();
    let version = version.split('"').next().unwrap().to_owned();
    ann.done(&set, &[("typed", "on"), ("entries", "127.0.0.0/9"), ("version", &version)]);
    assert!(!ann.page.contains("Ask it now"), "{}", ann.page);
}

#[test]
fn people_are_invited_and_get_other_roles() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let people = format!("/orgs/{}/people", office.organization);
    ann.look(&people);
    let made = ann.send(&format!("{people}/invite"), &[("email", "ben@example.com"), ("role", "ORG_MEMBER")]);
    assert_eq!(made.status, 200, "{}", made.text());
    let page = made.text();
    let (_, token) = page.split_once("<code id=\"token\">").unwrap();
    let token = token.split('<').next().unwrap().to_owned();
    let mut ben = Visitor::new(&office);
    ben.look("/invitation");
    ben.done("/invitation", &[("token", &token), ("password", PASSWORD), ("again", PASSWORD)]);
    assert!(ben.page.contains("<h1>API keys</h1>"));
    let page = ann.look(&people).to_owned();
    assert!(!page.contains(&token));
    let (before, _) = page.split_once(">ben@example.com</a>").unwrap();
    let at = before.rsplit_once("href=\"").unwrap().1.trim_end_matches('"').to_owned();
    ann.look(&at);
    ann.done(&at, &[("role", "ORG_OWNER")]);
    assert!(ann.page.contains("Organization owner"));
    let refused = ann.send(&format!("{people}/invite"), &[("email", "no address"), ("role", "ORG_MEMBER")]);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("it is no email address"));
    ann.look(&at);
    ann.done(&format!("{at}/remove"), &[]);
    assert!(!ann.page.contains(">ben@example.com</a>"));
    assert!(ben.look("/").contains("<h1>Sign in</h1>"), "whoever is gone is signed out");
    let events = ann.look(&format!("/orgs/{}/events", office.organization));
    for what in ["User invited", "User removed from org", "owner@example.com"] {
        assert!(events.contains(what), "{what}: {events}");
    }
}

#[test]
fn an_address_that_leads_nowhere_is_a_page_for_people_and_an_answer_for_programs() {
    let office = Office::open();
    let browser = "Accept: text/html,application/xhtml+xml\r\n";
    for path in ["/nowhere", "/orgs/x/y/z", "/console"] {
        let page = office.raw("", "GET", path, "", browser);
        assert!(page.status == 404 && page.text().contains("There is no page at this address."), "{}", page.text());
        assert!(page.header("content-security-policy").is_some());
        assert_eq!(office.raw("", "GET", path, "", "").json()["errorCode"], "CREDENTIALS_REQUIRED");
    }
    let api = office.raw("", "GET", "/api/v1/nowhere", "", browser);
    assert_eq!((api.status, api.json()["errorCode"].as_str()), (401, Some("CREDENTIALS_REQUIRED")));
}

#[test]
fn a_line_of_the_access_log_is_explained() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let key = office.key("[]");
    office.through(&key);
    ann.look("/explain");
    let refused = ann.send("/explain", &[("line", "no line")]);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("no line of the access log"));
    let fields = [("address", "192.0.2.9"), ("credential", key.id.as_str()), ("path", "/v1/things")];
    let page = ann.send("/explain", &fields).text();
    assert!(page.contains(">allowed<") && page.contains("192.0.2.9"), "{page}");
    let unknown = ann.send("/explain", &[("address", "192.0.2.9"), ("credential", "5f0000000000000000000099")]);
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("<h1>Explain a decision</h1>"));
}
