//! Organizations, their settings, and the switch.

use super::visitor::Visitor;
use crate::admin::office::{CONFIGURATION, Office};

/// The switch of an organization, as the list shows it.
fn tag(ann: &mut Visitor<'_>, name: &str) -> String {
    let (_, after) = ann.look("/").split_once(&format!(">{name}</a>")).unwrap();
    after.split("</td>").next().unwrap().to_owned()
}

#[test]
fn an_organization_made_here_requires_lists_unless_that_is_switched_off() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    assert!(ann.look("/orgs/new").contains("name=\"required\" value=\"on\" checked"));
    ann.done("/orgs/new", &[("name", "strict"), ("required", "on")]);
    assert!(tag(&mut ann, "strict").contains("Required"), "{}", ann.page);
    ann.look("/orgs/new");
    ann.done("/orgs/new", &[("name", "lenient")]);
    assert!(tag(&mut ann, "lenient").contains("Off"), "{}", ann.page);
    ann.look("/orgs/new");
    let refused = ann.send("/orgs/new", &[("name", " \u{1} ")]);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("a name has 1 to 64 characters"), "{}", refused.text());
    assert!(refused.text().contains("aria-invalid=\"true\""));
    let list = ann.look("/").to_owned();
    assert!(list.contains("strict") && list.contains("lenient") && list.contains("acme"));
}

/// threats.md H12.
#[test]
fn h12_markup_in_a_name_stays_text() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    ann.look("/orgs/new");
    let name = "<script>alert(1)</script>\"'&";
    ann.done("/orgs/new", &[("name", name)]);
    for page in [ann.page.clone(), ann.look("/").to_owned()] {
        assert!(!page.contains("<script>alert") && page.contains("&#60;script&#62;alert(1)"), "{page}");
    }
}

#[test]
fn whoever_switches_on_sees_whom_it_refuses_and_gives_them_lists_in_the_same_step() {
    let configuration = CONFIGURATION.replace("admin: {", "admin: { usage_interval: 1s,");
    let office = Office::open_with(&configuration);
    let key = office.key(r#"["ORG_READ_ONLY"]"#);
    assert_eq!(office.through(&key).0, 200);
    let mut ann = Visitor::owner(&office);
    let settings = format!("/orgs/{}/settings", office.organization);
    let switch = format!("/orgs/{}/switch", office.organization);
    ann.look(&settings);
    let page = ann.done(&switch, &[("mode", "required")]).to_owned();
    assert!(page.contains("Who “Required” would refuse"), "{page}");
    assert!(page.contains("a key") && page.contains("first owner"));
    // Nothing has been changed by looking.
    assert_eq!(office.through(&key).0, 200);
    let refused = ann.send(&switch, &[("mode", "required"), ("seen", "on")]);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("127.0.0.1") && refused.text().contains("Do it all the same"));
    let add = format!("{} 127.0.0.1", key.id);
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let add_owner = format!("{owner} 127.0.0.1");
    ann.done(&switch, &[("mode", "required"), ("seen", "on"), ("add", &add), ("add", &add_owner)]);
    assert!(ann.page.contains("enforced from now on"));
    assert_eq!(office.through(&key).0, 200);
    let bare = office.key(r#"["ORG_READ_ONLY"]"#);
    assert_eq!(office.through(&bare).1, "ORG_REQUIRES_ACCESS_LIST");
    let list = office.own("GET", &format!("/apiKeys/{}/accessList", key.id), "").json();
    assert_eq!(list["results"][0]["ipAddress"], "127.0.0.1");
}

#[test]
fn an_organization_is_renamed_and_deleted_by_its_owner_alone() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let mut ben = Visitor::with_roles(&office, "ben@example.com", r#"["ORG_MEMBER"]"#);
    let at = |what: &str| format!("/orgs/{}/{what}", office.organization);
    ben.look(&at("settings"));
    let refused = ben.send(&at("rename"), &[("name", "mine")]);
    assert_eq!(refused.status, 403);
    ann.look(&at("settings"));
    ann.done(&at("rename"), &[("name", "acme & sons")]);
    assert!(ann.page.contains("acme &#38; sons"), "{}", ann.page);
    let refused = ann.send(&at("delete"), &[("typed", "acme")]);
    assert_eq!(refused.status, 400);
    ann.done(&at("delete"), &[("typed", "acme & sons")]);
    assert!(!ann.page.contains("acme"));
}

#[test]
fn how_long_secrets_of_service_accounts_last_is_set_and_offered() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let at = |what: &str| format!("/orgs/{}/{what}", office.organization);
    let field = "maxServiceAccountSecretValidityInHours";
    assert!(
        ann.look(&at("settings")).contains(&format!("name=\"{field}\" type=\"number\" value=\"8760\"")),
        "{}",
        ann.page
    );
    for wrong in ["7", "8761", "", "a month"] {
        let refused = ann.send(&at("secret-validity"), &[(field, wrong)]);
        assert!(
            refused.status == 400 && refused.text().contains(&format!("id=\"wrong-{field}\"")),
            "{}",
            refused.text()
        );
    }
    ann.look(&at("settings"));
    ann.done(&at("secret-validity"), &[(field, "720")]);
    assert!(ann.page.contains("Saved.") && ann.page.contains("last 720 hours at most"), "{}", ann.page);
    assert_eq!(office.own("GET", "/settings", "").json()[field], 720);
    // Whoever makes one is offered what will be taken.
    let new = ann.look(&at("accounts/new"));
    assert!(new.contains("value=\"30\"") && new.contains("1 to 30, which is what this organization allows"), "{new}");
}
