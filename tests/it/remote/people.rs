//! People and invitations from the command line.

use serde_json::json;

use super::{Remote, results};

#[test]
fn people_are_invited_changed_and_removed() {
    let remote = Remote::new();
    let project = remote.json("projects create billing")["id"].as_str().unwrap().to_owned();
    let told = remote.run(&format!("invites create ann@example.com --role ORG_MEMBER --role GROUP_OWNER@{project}"));
    let told = told.code(0);
    assert!(told.1.contains(&format!("ORG_MEMBER, GROUP_OWNER@{project}")), "{}", told.1);
    assert!(
        told.1.contains("token   pcl_invite_") && told.2.contains("token is shown this once"),
        "{}{}",
        told.1,
        told.2
    );
    let again = remote.json("invites create ann@example.com --role ORG_READ_ONLY");
    let listed = remote.run("invites list").code(0).1;
    assert!(listed.contains("ann@example.com") && !listed.contains("pcl_invite_"), "{listed}");
    assert_eq!(listed.lines().count(), 2, "the second takes the first back: {listed}");
    let accept = json!({"token": again["token"], "password": "a password of the test 4711"}).to_string();
    let ann = remote.office.call("", "POST", "/auth/accept", &accept).json()["userId"].as_str().unwrap().to_owned();
    assert_eq!(results(&remote.json("users list"))[0]["username"], "ann@example.com");
    let changed = remote.json(&format!("users update {ann} --role ORG_GROUP_CREATOR --role GROUP_READ_ONLY@{project}"));
    let roles: Vec<_> = changed["roles"].as_array().unwrap().iter().map(|role| role["roleName"].clone()).collect();
    assert_eq!(roles, ["ORG_GROUP_CREATOR", "GROUP_READ_ONLY"]);
    let shown = remote.run(&format!("users show {ann}")).code(0).1;
    assert!(shown.contains("last sign-in") && shown.contains(&format!("GROUP_READ_ONLY@{project}")), "{shown}");
    let told = remote.run(&format!("users delete {ann}")).code(0).1;
    assert_eq!(told, format!("user {ann} is out of the organization\n"));
    remote.run(&format!("users show {ann}")).refused(1, &["404 USER_NOT_FOUND"]);
    let other = remote.json("invites create ben@example.com --role ORG_MEMBER")["id"].as_str().unwrap().to_owned();
    let told = remote.run(&format!("invites delete {other}")).code(0).1;
    assert_eq!(told, format!("invitation {other} is taken back\n"));
    remote.run(&format!("invites delete {other}")).refused(1, &["404 INVITE_NOT_FOUND"]);
    remote.run("invites create nobody --role ORG_MEMBER").refused(1, &["400 INVALID_ATTRIBUTE", "email"]);
    remote.run("invites create a@b.c --role GROUP_OWNER@x").refused(64, &["24 hexadecimal characters"]);
    remote.run("users update x --role ORG_MEMBER").refused(64, &["24 hexadecimal characters"]);
    remote.run("users update 5f0000000000000000000001").refused(64, &["--role"]);
}
