//! Pages offer nothing that would be refused: whoever lacks a role meets no form that needs it.

use std::collections::BTreeSet;

use super::visitor::Visitor;
use crate::admin::office::{Key, Office};
use crate::admin::usage::{CONFIGURATION, from};
use crate::oauth::Account;
use crate::stage::wait_for;

/// What everybody who is signed in may send.
const EVERYBODY: [&str; 4] = ["/account/password", "/explain", "/sign-out", "/sign-out-everywhere"];

/// What an owner may send besides: all that the console does.
const OWNERS: [&str; 28] = [
    "/orgs/ID/accounts/new",
    "/orgs/ID/credentials/ID/delete",
    "/orgs/ID/credentials/ID/edit",
    "/orgs/ID/credentials/ID/list/add",
    "/orgs/ID/credentials/ID/list/entry",
    "/orgs/ID/credentials/ID/list/remove",
    "/orgs/ID/credentials/ID/secrets",
    "/orgs/ID/credentials/ID/secrets/delete",
    "/orgs/ID/credentials/ID/tokens/revoke",
    "/orgs/ID/delete",
    "/orgs/ID/keys/new",
    "/orgs/ID/people/ID",
    "/orgs/ID/people/ID/remove",
    "/orgs/ID/people/invite",
    "/orgs/ID/people/uninvite",
    "/orgs/ID/projects",
    "/orgs/ID/rename",
    "/orgs/ID/secret-validity",
    "/orgs/ID/sets/new",
    "/orgs/ID/sets/office",
    "/orgs/ID/sets/office/delete",
    "/orgs/ID/switch",
    "/orgs/new",
    "/projects/ID/accounts/new",
    "/projects/ID/assign",
    "/projects/ID/delete",
    "/projects/ID/keys/new",
    "/projects/ID/unassign",
];

/// What an access admin of a project may send besides: all about its credentials.
const ADMINS: [&str; 12] = [
    "/orgs/ID/credentials/ID/delete",
    "/orgs/ID/credentials/ID/edit",
    "/orgs/ID/credentials/ID/list/add",
    "/orgs/ID/credentials/ID/list/entry",
    "/orgs/ID/credentials/ID/list/remove",
    "/orgs/ID/credentials/ID/secrets",
    "/orgs/ID/people/ID",
    "/orgs/ID/people/ID/remove",
    "/projects/ID/accounts/new",
    "/projects/ID/assign",
    "/projects/ID/keys/new",
    "/projects/ID/unassign",
];

/// An address with its ids as `ID`.
fn plain(address: &str) -> String {
    let path = address.split('?').next().unwrap();
    let is_id = |part: &str| {
        let part = part.strip_prefix("pcl_sa_id_").unwrap_or(part);
        part.len() == 24 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    path.split('/').map(|part| if is_id(part) { "ID" } else { part }).collect::<Vec<_>>().join("/")
}

/// The value of an attribute of a tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

/// Looks at a page, whether it is shown or refused.
fn page(visitor: &mut Visitor<'_>, path: &str) -> String {
    let mut answer = visitor.request("GET", path, "", "");
    while answer.status == 303 {
        let next = answer.header("location").unwrap().to_owned();
        answer = visitor.request("GET", &next, "", "");
    }
    assert!(matches!(answer.status, 200 | 403 | 404), "{path}: {}", answer.text());
    answer.text()
}

/// Every page that links lead to.
fn pages(visitor: &mut Visitor<'_>) -> BTreeSet<String> {
    let mut known = BTreeSet::from(["/".to_owned(), "/account".to_owned(), "/explain".to_owned()]);
    let mut waiting: Vec<String> = known.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let text = page(visitor, &path);
        for tag in text.split("<a ").skip(1) {
            let tag = format!(" {}", tag.split('>').next().unwrap());
            let Some(link) = attribute(&tag, "href").filter(|link| link.starts_with('/')) else { continue };
            let link = link.replace("&#38;", "&");
            // Of lists the first page as it is; entries are named by their query.
            let link = if link.contains("/list/entry?") { link } else { link.split('?').next().unwrap().to_owned() };
            if known.insert(link.clone()) {
                waiting.push(link);
            }
        }
    }
    known
}

/// Where the forms are sent that are on these pages.
fn forms(visitor: &mut Visitor<'_>, pages: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in pages {
        let text = page(visitor, path);
        for tag in text.split("<form").skip(1) {
            let tag = tag.split('>').next().unwrap();
            if attribute(tag, "method") == Some("post") {
                found.insert(plain(attribute(tag, "action").unwrap_or(path)));
            }
        }
    }
    found
}

/// An office in which every form of the console is on some page; the project of it, and a key that has a role there.
fn furnished() -> (Office, String, Key) {
    let office = Office::open_with(CONFIGURATION);
    let made = |path: &str, body: &str| {
        let answer = office.own("POST", path, body);
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    };
    let project = made("/groups", r#"{"name":"billing"}"#)["id"].as_str().unwrap().to_owned();
    let role = format!(r#"[{{"groupId":"{project}","roleName":"GROUP_READ_ONLY"}}]"#);
    let key = Key::of(&made("/apiKeys", &format!(r#"{{"desc":"of billing","roles":{role}}}"#)));
    made("/apiKeys", r#"{"desc":"bare","roles":["ORG_READ_ONLY"]}"#);
    Account::new(&office, "[]").token(&office);
    made("/networkSets", r#"{"name":"office","networks":["192.0.2.0/24"]}"#);
    made("/invites", r#"{"username":"eve@example.com","roles":["ORG_MEMBER"]}"#);
    // Used from one address, and refused from another since.
    assert_eq!(from(&office, &key, "198.51.100.7"), 200);
    let shown = |name: &str| office.own("GET", &format!("/apiKeys/{}", key.id), "").json().get(name).is_some();
    wait_for("the use", || shown("lastUsed"));
    made(&format!("/apiKeys/{}/accessList?force=true", key.id), r#"[{"cidrBlock":"203.0.113.0/24"}]"#);
    assert_eq!(from(&office, &key, "198.51.100.8"), 403);
    wait_for("the denial", || shown("lastDenial"));
    (office, project, key)
}

fn expected<const N: usize>(besides: [&str; N]) -> BTreeSet<String> {
    EVERYBODY.iter().chain(&besides).map(|&address| address.to_owned()).collect()
}

#[test]
fn no_form_is_offered_to_whoever_lacks_the_role_for_it() {
    let (office, project, key) = furnished();
    let mut ann = Visitor::owner(&office);
    let mut readers = Vec::new();
    for (email, role) in [("ro@example.com", "ORG_READ_ONLY"), ("member@example.com", "ORG_MEMBER")] {
        readers.push(Visitor::with_roles(&office, email, &format!("[\"{role}\"]")));
    }
    let on_project = |role: &str| format!(r#"{{"groupId":"{project}","roleName":"{role}"}}"#);
    readers.push(Visitor::with_roles(&office, "of@example.com", &format!("[{}]", on_project("GROUP_READ_ONLY"))));
    let admin = format!(r#"["ORG_READ_ONLY",{}]"#, on_project("GROUP_USER_ADMIN"));
    let mut admin = Visitor::with_roles(&office, "admin@example.com", &admin);

    let all = pages(&mut ann);
    assert!(all.len() > 25, "{all:?}");
    assert_eq!(forms(&mut ann, &all), expected(OWNERS));
    for reader in &mut readers {
        assert_eq!(forms(reader, &all), expected([]));
        let settings = page(reader, &format!("/orgs/{}/settings", office.organization));
        assert!(settings.contains("Whoever changes this has the role <em>Organization owner</em>"), "{settings}");
        // What is not offered is refused all the same.
        reader.look("/account");
        let refused = reader.send(&format!("/orgs/{}/rename", office.organization), &[("name", "mine")]);
        assert_eq!(refused.status, 403);
    }
    assert_eq!(forms(&mut admin, &all), expected(ADMINS));

    // What is offered is done: a key of the project is edited, a role that is not theirs to grant is not there to be ticked.
    let at = format!("/orgs/{}/credentials/{}", office.organization, key.id);
    let shown = admin.look(&at).to_owned();
    assert!(!shown.contains("value=\"ORG_OWNER\"") && shown.contains("Add this address"), "{shown}");
    admin.done(
        &format!("{at}/edit"),
        &[("called", "of billing, renamed"), ("enforcement", "enforce"), ("enabled", "on")],
    );
    assert!(admin.page.contains("of billing, renamed") && admin.page.contains("Project reader on"), "{}", admin.page);
    let project_page = admin.look(&format!("/projects/{project}"));
    let (_, owner) = project_page.split_once("id=\"role-GROUP_OWNER\"").unwrap();
    assert!(owner.starts_with(" disabled"), "{project_page}");
    // And what is not managed by them has no form: another key of the organization.
    let bare = office.own("GET", "/apiKeys?search=bare", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let only = BTreeSet::from([format!("/orgs/{}/credentials/{bare}", office.organization)]);
    assert_eq!(forms(&mut admin, &only), BTreeSet::from(["/sign-out".to_owned()]));
    admin.look(&at);
    let gone = admin.send(&format!("/projects/{project}/unassign"), &[("credential", key.id.as_str())]);
    assert_eq!(gone.status, 303, "{}", gone.text());
}
