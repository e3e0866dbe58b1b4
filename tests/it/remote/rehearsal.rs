//! Commands that change something, only to be told what would come of it.

use super::*;
use crate::admin::usage::{CONFIGURATION, from};

#[test]
fn a_command_tells_whom_it_would_refuse_and_does_nothing() {
    let remote = Remote::at(Office::open_with(CONFIGURATION));
    let key = remote.key("--desc ci");
    assert_eq!(from(&remote.office, &key, "198.51.100.1"), 200);
    let events = remote.json("events list --limit 1");
    let list = format!("--api-key {}", key.id);
    let shut = remote.run(&format!("access-lists create {list} --cidr 203.0.113.0/24 --dry-run")).code(2);
    for part in [
        "newly refused:\nCREDENTIAL ",
        "  ci    198.51.100.1  /      IP_ADDRESS_NOT_ON_ACCESS_LIST  1      2",
        "a guard would refuse it: CHANGE_EXCLUDES_RECENT_USE: In the last hour",
        "\nnewly refused: 1 request; newly allowed: 0 requests; looked at: 1 request of 1 credential, recorded since 2",
    ] {
        assert!(shut.1.contains(part), "`{part}` is not in:\n{}", shut.1);
    }
    assert!(
        remote
            .run(&format!("access-lists create {list} --ip 203.0.113.1 --force --dry-run"))
            .code(2)
            .1
            .contains("passed by")
    );
    let told = remote.run(&format!("access-lists replace {list} --ip 203.0.113.1 --dry-run --output json")).code(2);
    let told: Value = serde_json::from_str(&told.1).unwrap();
    assert_eq!((&told["newlyRefused"][0]["apiKeyId"], &told["dryRun"]), (&key.id.clone().into(), &true.into()));
    let let_in = remote.run(&format!("access-lists create {list} --cidr 198.51.100.0/24 --dry-run")).code(0);
    assert!(let_in.1.starts_with("newly refused: 0 requests;"), "{}", let_in.1);
    for (command, code) in [
        (format!("api-keys update {} --disable", key.id), 2),
        (format!("api-keys update {} --desc other", key.id), 0),
        (format!("api-keys delete {}", key.id), 2),
        ("settings update --access-lists required".into(), 2),
        ("settings update --access-lists report".into(), 0),
        (format!("orgs delete {}", remote.office.organization), 2),
    ] {
        remote.run(&format!("{command} --dry-run")).code(code);
    }
    // What only adds has nothing to foresee, and says so before it asks.
    for command in ["api-keys create --desc x", "network-sets create x --cidr 192.0.2.1", "orgs create x"] {
        remote.run(&format!("{command} --dry-run")).code(64);
    }
    assert_eq!(remote.json("events list --limit 1"), events, "nothing was changed");
    assert!(remote.networks(&key).is_empty());
    // Sets and accounts, once they are there.
    remote.run("network-sets create office --cidr 198.51.100.0/24").code(0);
    remote.run(&format!("access-lists create {list} --set office")).code(0);
    remote.run("network-sets update office --add 192.0.2.0/24 --dry-run").code(0);
    let moved = remote.run("network-sets update office --cidr 192.0.2.0/24 --dry-run").code(2);
    assert!(moved.1.contains("198.51.100.1"), "{}", moved.1);
    remote.run("network-sets delete office --dry-run").refused(1, &["NETWORK_SET_IN_USE"]);
    let account =
        remote.json("service-accounts create --name job --secret-hours 8")["clientId"].as_str().unwrap().to_owned();
    for command in ["update ID --disable", "delete ID"] {
        remote.run(&format!("service-accounts {} --dry-run", command.replace("ID", &account))).code(0);
    }
    let project = remote.json("projects create billing")["id"].as_str().unwrap().to_owned();
    for command in [
        format!("api-keys assign {} --project {project} --role GROUP_READ_ONLY", key.id),
        format!("service-accounts assign {account} --project {project} --role GROUP_READ_ONLY"),
    ] {
        remote.run(&format!("{command} --dry-run")).code(0);
        remote.run(&command).code(0);
    }
    for command in [
        format!("api-keys unassign {} --project {project}", key.id),
        format!("service-accounts unassign {account} --project {project}"),
        format!("projects delete {project}"),
    ] {
        remote.run(&format!("{command} --dry-run")).code(0);
    }
    assert_eq!(from(&remote.office, &key, "198.51.100.1"), 200);
    assert_eq!(remote.json(&format!("projects show {project}"))["name"], "billing");
}

#[test]
fn any_body_of_the_api_is_rehearsed() {
    let remote = Remote::at(Office::open_with(CONFIGURATION));
    let organization = &remote.office.organization;
    let body = |text: &str| std::fs::write(remote.home.path().join("body.json"), text).unwrap();
    let settings = |text: &str| {
        body(text);
        remote.run(&format!("rehearse PATCH /api/v1/orgs/{organization}/settings --body body.json"))
    };
    let refused = settings(r#"{"apiAccessListMode":"required"}"#).code(2);
    assert!(refused.1.contains("admin API  ORG_REQUIRES_ACCESS_LIST"), "{}", refused.1);
    assert!(settings(r#"{"apiAccessListMode":"report"}"#).code(0).1.starts_with("newly reported:"));
    settings(r#"{"apiAccessListMode":"never"}"#).refused(1, &["INVALID_ATTRIBUTE"]);
    settings("{").refused(64, &["`body.json` is no JSON"]);
    body(&format!(r#"{{"organizations":[{{"id":"{organization}","name":"acme","require_access_list":true}}]}}"#));
    let applied = remote.run("rehearse post /apply?prune=false --body body.json").code(2);
    assert!(applied.1.contains(&format!("organizations[{organization}]: CHANGE_EXCLUDES_CALLER: ")), "{}", applied.1);
    // The command that applies a file says it as well.
    std::fs::write(
        remote.home.path().join("directory.yaml"),
        format!("organizations: [{{ id: {organization}, name: acme, require_access_list: true }}]\n"),
    )
    .unwrap();
    let applied = remote.run("apply -f directory.yaml --dry-run").code(2);
    for part in ["ACTION  KIND          ID", "newly refused:\n", "a guard would refuse it: organizations["] {
        assert!(applied.1.contains(part), "`{part}` is not in:\n{}", applied.1);
    }
    remote.run("apply -f directory.yaml --dry-run --output json").code(2);
    // What is not rehearsed is refused, and never done.
    body(r#"{"desc":"x"}"#);
    remote
        .run(&format!("rehearse POST /orgs/{organization}/apiKeys --body body.json"))
        .refused(1, &["INVALID_QUERY_PARAMETER", "is not for this operation"]);
    remote.run(&format!("rehearse GET /orgs/{organization}")).code(64);
    assert_eq!(results(&remote.json("api-keys list")).len(), 1);
}
