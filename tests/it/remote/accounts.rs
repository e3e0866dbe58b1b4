//! Service accounts from the command line.

use serde_json::Value;

use super::{Remote, results};
use crate::oauth::Account;

fn account(made: &Value) -> Account {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made:#}")).to_owned();
    let secret = &made["secrets"][0];
    Account { id: text(&made["clientId"]), secret: text(&secret["secret"]), secret_id: text(&secret["id"]) }
}

#[test]
fn accounts_are_made_listed_and_get_through_by_their_lists() {
    let remote = Remote::new();
    let create = "service-accounts create --name batch --role ORG_READ_ONLY --role app:reader --secret-hours 8";
    let made = remote.json(&format!("{create} --current-ip --cidr 203.0.113.0/24 --comment x --expires-at 2099-01-01"));
    let batch = account(&made);
    assert_eq!((made["name"].as_str(), made["description"].as_str()), (Some("batch"), Some("batch")));
    assert_eq!(made["expiresAt"], "2099-01-01T00:00:00Z");
    let token = batch.token(&remote.office);
    let through = || remote.office.served.get("/", &[&format!("Authorization: Bearer {token}")]).outcome();
    assert_eq!(through().0, 200);
    let list = |command: &str| format!("access-lists {command} --service-account {}", batch.id);
    let shown = remote.json(&list("list"));
    let networks: Vec<&str> = results(&shown).iter().map(|one| one["cidrBlock"].as_str().unwrap()).collect();
    assert_eq!(networks, ["127.0.0.1/32", "203.0.113.0/24"]);
    remote.run(&list("delete 127.0.0.1")).refused(1, &["409 CHANGE_EXCLUDES_RECENT_USE"]);
    let told = remote.run(&list("delete 127.0.0.1 --force")).code(0).1;
    assert_eq!(told, format!("127.0.0.1/32 is off the access list of service account {}\n", batch.id));
    assert_eq!(through(), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    remote.run(&list("replace --ip 127.0.0.1")).code(0);
    assert_eq!(through().0, 200);
    assert_eq!(remote.json(&list("update 127.0.0.1 --comment desk"))["comment"], "desk");
    assert_eq!(remote.json(&list("show 127.0.0.1"))["comment"], "desk");
    // The table has what entries of keys have, however they spell it.
    let table = remote.run(&list("list")).code(0).1;
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(
        row[..3] == ["127.0.0.1/32", "desk", "-"] && row[3].ends_with('Z') && row[4].parse::<u64>().is_ok(),
        "{table}"
    );
    let tokens = remote.run(&format!("service-accounts tokens list {}", batch.id)).code(0).1;
    assert!(
        tokens.starts_with("ISSUED ") && tokens.contains(&batch.secret_id) && tokens.lines().count() == 2,
        "{tokens}"
    );
    remote.run(&format!("service-accounts tokens revoke {}", batch.id)).code(0);
    assert_eq!(through(), (401, "INVALID_CREDENTIALS".into()));
    assert!(results(&remote.json(&format!("service-accounts tokens list {}", batch.id))).is_empty());
    let token = batch.token(&remote.office);
    let through = || remote.office.served.get("/", &[&format!("Authorization: Bearer {token}")]).outcome();
    let listed = remote.run("service-accounts list").code(0).1;
    assert!(listed.contains("batch  ORG_READ_ONLY, app:reader  yes"), "{listed}");
    assert_eq!(results(&remote.json("service-accounts list")).len(), 1);
    remote.run(&format!("service-accounts delete {}", batch.id)).code(0);
    assert_eq!(through(), (401, "INVALID_CREDENTIALS".into()));
    remote.run(&format!("service-accounts show {}", batch.id)).refused(1, &["404 SERVICE_ACCOUNT_NOT_FOUND"]);
}

#[test]
fn accounts_are_changed_and_rotated() {
    let remote = Remote::new();
    let first = account(&remote.json("service-accounts create --name batch --description x --secret-hours 8760"));
    let update = |changes: &str| remote.json(&format!("service-accounts update {} {changes}", first.id));
    let changed =
        update("--name night --description nightly --role ORG_MEMBER --enforcement report --expires-at 2099-01-01");
    let texts = ["name", "description", "enforcement", "expiresAt"].map(|name| changed[name].as_str().unwrap());
    assert_eq!(texts, ["night", "nightly", "report", "2099-01-01T00:00:00Z"]);
    assert_eq!(changed["roles"], serde_json::json!(["ORG_MEMBER"]));
    assert_eq!(update("--no-roles --expires-at never")["roles"], serde_json::json!([]));
    let spoken = update("--token-issuer https://issuer.example --token-subject jobs:batch");
    assert_eq!(spoken["token"]["subject"], "jobs:batch");
    assert_eq!(update("--no-token").get("token"), None);
    assert_eq!(update("--certificate-uri spiffe://mesh/a")["certificate"]["sanUri"], "spiffe://mesh/a");
    let hash = "0a".repeat(32);
    assert_eq!(update(&format!("--certificate-sha256 {hash}"))["certificate"]["sha256"], hash.as_str());
    let shown = remote.run(&format!("service-accounts show {}", first.id)).code(0).1;
    assert!(shown.contains(&hash), "{shown}");
    assert_eq!(update("--no-certificate").get("certificate"), None);
    let token = first.token(&remote.office);
    let through = |token: &str| remote.office.served.get("/", &[&format!("Authorization: Bearer {token}")]).status;
    assert_eq!(update("--disable")["enabled"], false);
    assert_eq!(through(&token), 401);
    update("--enable");
    // Another secret, and the first one goes with its tokens.
    let secrets = |command: &str| format!("service-accounts secrets {command} {}", first.id);
    let added = remote.json(&format!("{} --secret-hours 100", secrets("add")));
    let text = |name: &str| added[name].as_str().unwrap().to_owned();
    let second = Account { id: first.id.clone(), secret: text("secret"), secret_id: text("id") };
    let (old, new) = (first.token(&remote.office), second.token(&remote.office));
    assert_eq!((through(&old), through(&new)), (200, 200));
    assert_eq!(results(&remote.json(&secrets("list"))).len(), 2);
    remote.run(&format!("{} {}", secrets("remove"), first.secret_id)).code(0);
    assert_eq!((through(&old), through(&new)), (401, 200));
    // What the organization allows at most.
    assert_eq!(remote.json("settings update --secret-hours 100")["maxServiceAccountSecretValidityInHours"], 100);
    remote.run(&format!("{} --secret-hours 101", secrets("add"))).refused(1, &["400 INVALID_ATTRIBUTE", "100"]);
}

#[test]
fn accounts_are_assigned_to_projects() {
    let remote = Remote::new();
    let project = remote.json("projects create billing")["id"].as_str().unwrap().to_owned();
    let batch = account(&remote.json("service-accounts create --name batch --secret-hours 8"));
    let roles = format!("--project {project} --role GROUP_READ_ONLY --role GROUP_USER_ADMIN");
    let assigned = remote.run(&format!("service-accounts assign {} {roles}", batch.id)).code(0).1;
    assert!(assigned.contains("GROUP_READ_ONLY, GROUP_USER_ADMIN"), "{assigned}");
    let shown = remote.run(&format!("service-accounts show {}", batch.id)).code(0).1;
    assert!(shown.contains(&format!("GROUP_READ_ONLY@{project}, GROUP_USER_ADMIN@{project}")), "{shown}");
    let here = remote.json(&format!("service-accounts list --project {project}"));
    assert_eq!(results(&here)[0]["clientId"].as_str(), Some(batch.id.as_str()));
    remote.run(&format!("service-accounts unassign {} --project {project}", batch.id)).code(0);
    assert!(results(&remote.json(&format!("service-accounts list --project {project}"))).is_empty());
    let made = remote.json(&format!("service-accounts create --name there --secret-hours 8 {roles}"));
    let id = made["clientId"].as_str().unwrap();
    let shown = remote.json(&format!("service-accounts show {id} --project {project}"));
    assert_eq!(shown["roles"], serde_json::json!(["GROUP_READ_ONLY", "GROUP_USER_ADMIN"]));
}

#[test]
fn what_is_wrong_of_an_account_is_told_before_anybody_is_asked() {
    let remote = Remote::new();
    let id = "pcl_sa_id_5f0000000000000000000032";
    for (wrong, told) in [
        ("service-accounts create --name x".into(), "--secret-hours <HOURS>"),
        ("service-accounts create --name x --secret-hours 7".into(), "8..=8760"),
        ("service-accounts create --name x --token-issuer https://a".into(), "--token-subject"),
        ("service-accounts show 5f0000000000000000000032".into(), "a client id is `pcl_sa_id_` and 24"),
        (format!("service-accounts update {id}"), "name what is to be changed"),
        (format!("service-accounts secrets add {id}"), "--secret-hours <HOURS>"),
        (format!("service-accounts assign {id} --role app:x"), "--project <ID>"),
        (format!("access-lists list --api-key 5f0000000000000000000032 --service-account {id}"), "cannot be used with"),
        ("settings update".into(), "--access-lists"),
    ] {
        remote.run(&wrong).refused(64, &[told]);
    }
    // A secret in the place of the id is not repeated.
    let secret = "pcl_sa_sk_PRnk4HKzR1wuT9S39pM041GB78twq4lhVO6jXJJh";
    for misplaced in
        [format!("service-accounts show {secret}"), format!("access-lists list --service-account {secret}")]
    {
        let ran = remote.run(&misplaced).code(64);
        assert!(!ran.2.contains(secret), "{}", ran.2);
    }
}
