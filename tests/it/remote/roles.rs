//! What a person may not do is told with the role that is missing and the command that grants it, of every command.

use super::{Remote, results};

/// A command that changes something, and the role that it needs. `{…}` stand for what is there.
const OWNERS: &[(&str, &str)] = &[
    ("orgs create new", "ORG_OWNER"),
    ("orgs update --name new", "ORG_OWNER"),
    ("orgs delete {org}", "ORG_OWNER"),
    ("settings update --access-lists report", "ORG_OWNER"),
    ("projects create new", "ORG_GROUP_CREATOR"),
    ("projects delete {project}", "GROUP_OWNER"),
    ("api-keys create --desc new", "ORG_OWNER"),
    ("api-keys create --desc new --project {project} --role GROUP_READ_ONLY", "GROUP_USER_ADMIN"),
    ("api-keys update {key} --disable", "ORG_OWNER"),
    ("api-keys delete {key}", "ORG_OWNER"),
    ("api-keys assign {key} --project {project} --role GROUP_READ_ONLY", "GROUP_USER_ADMIN"),
    ("api-keys unassign {key} --project {project}", "GROUP_USER_ADMIN"),
    ("api-keys secrets add {key}", "ORG_OWNER"),
    ("api-keys secrets remove {key} 5f0000000000000000000001", "ORG_OWNER"),
    ("access-lists create --api-key {key} --ip 192.0.2.1", "ORG_OWNER"),
    ("access-lists replace --api-key {key} --ip 192.0.2.1", "ORG_OWNER"),
    ("access-lists update 203.0.113.0/24 --api-key {key} --comment x", "ORG_OWNER"),
    ("access-lists delete 203.0.113.0/24 --api-key {key}", "ORG_OWNER"),
    ("access-lists create --service-account {account} --ip 192.0.2.1", "ORG_OWNER"),
    ("service-accounts create --name new --secret-hours 8", "ORG_OWNER"),
    ("service-accounts update {account} --disable", "ORG_OWNER"),
    ("service-accounts delete {account}", "ORG_OWNER"),
    ("service-accounts assign {account} --project {project} --role GROUP_READ_ONLY", "GROUP_USER_ADMIN"),
    ("service-accounts unassign {account} --project {project}", "GROUP_USER_ADMIN"),
    ("service-accounts secrets add {account} --secret-hours 8", "ORG_OWNER"),
    ("network-sets create new --cidr 10.0.0.0/8", "ORG_OWNER"),
    ("network-sets update office --add 10.0.0.0/8", "ORG_OWNER"),
    ("network-sets delete office", "ORG_OWNER"),
    ("users update {owner} --role ORG_MEMBER", "ORG_OWNER"),
    ("users delete {owner}", "ORG_OWNER"),
    ("invites list", "ORG_OWNER"),
    ("invites create x@example.com --role ORG_MEMBER", "ORG_OWNER"),
    ("invites delete 5f0000000000000000000001", "ORG_OWNER"),
    ("apply -f file.yaml", "ORG_OWNER"),
    ("diff -f file.yaml", "ORG_OWNER"),
    ("import file.yaml", "ORG_OWNER"),
];

/// What looks, and is for nobody who has a role on a project alone.
const READERS: &[&str] = &["users list", "users show {owner}", "events list"];

#[test]
fn a_missing_role_is_named_by_every_command() {
    let remote = Remote::new();
    let text = |shown: &serde_json::Value, name: &str| shown[name].as_str().unwrap().to_owned();
    remote.person("owner", "--role ORG_OWNER");
    let key = remote.key("--desc ci --cidr 203.0.113.0/24").id;
    let account = text(&remote.json("service-accounts create --name batch --secret-hours 8"), "clientId");
    let project = text(&remote.json("projects create billing"), "id");
    remote.run(&format!("api-keys assign {key} --project {project} --role GROUP_READ_ONLY")).code(0);
    remote.run(&format!("service-accounts assign {account} --project {project} --role GROUP_READ_ONLY")).code(0);
    remote.run("network-sets create office --cidr 203.0.113.0/24").code(0);
    let owner = text(&results(&remote.json("users list"))[0], "id");
    let file =
        format!("organizations: [{{ id: {}, name: new, require_access_list: false }}]\n", remote.office.organization);
    std::fs::write(remote.home.path().join("file.yaml"), file).unwrap();
    remote.person("reader", "--role ORG_READ_ONLY");
    remote.person("guest", &format!("--role GROUP_READ_ONLY@{project}"));
    let names = [
        ("{org}", &remote.office.organization),
        ("{key}", &key),
        ("{account}", &account),
        ("{project}", &project),
        ("{owner}", &owner),
    ];
    let wrong = |profile: &str, command: &str, role: &str| {
        let command = names.iter().fold(command.to_owned(), |text, (name, value)| text.replace(name, value));
        let needs = format!("403 INSUFFICIENT_ROLE: This needs the role {role}, which the caller does not have.");
        let on = if role.starts_with("GROUP_") { "@PROJECT_ID" } else { "" };
        let granted = format!("`portcullis users update ID --role {role}{on}`");
        let ran = remote.plain(&format!("{command} --profile {profile}"), "");
        let is_told = ran.0 == 1 && ran.1.is_empty() && ran.2.contains(&needs) && ran.2.contains(&granted);
        (!is_told).then(|| format!("{command}: {} {}{}", ran.0, ran.1, ran.2))
    };
    let owners = OWNERS.iter().filter_map(|(command, role)| wrong("reader", command, role));
    let readers = READERS.iter().filter_map(|command| wrong("guest", command, "ORG_READ_ONLY"));
    let all: Vec<String> = owners.chain(readers).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
    let own = results(&remote.json("users list")).iter().find(|one| one["username"] == "owner@example.com").cloned();
    let own = text(&own.unwrap(), "id");
    let told = remote.plain(&format!("users update {own} --role ORG_MEMBER --profile owner"), "");
    told.refused(1, &["403 INSUFFICIENT_ROLE: Nobody can change their own roles", "ask another owner"]);
}
