//! Service accounts: their life, their secrets, their lists and their rights, in the shapes that clients of Atlas know.

use serde_json::{Value, json};

use super::office::{OWNER, Office};
use super::{code, events};

/// Makes an account and returns how it was shown.
#[track_caller]
pub fn account(office: &Office, body: &str) -> Value {
    let made = office.own("POST", "/serviceAccounts", body);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

#[track_caller]
pub fn client_id(shown: &Value) -> String {
    shown["clientId"].as_str().unwrap_or_else(|| panic!("{shown:#}")).to_owned()
}

#[test]
fn an_account_lives_and_dies() {
    let office = Office::open();
    let made = account(
        &office,
        r#"{"name":"batch","description":"nightly","roles":["ORG_MEMBER","app:reader"],"secretExpiresAfterHours":8}"#,
    );
    let id = client_id(&made);
    assert!(id.starts_with("pcl_sa_id_") && id.len() == 34, "{id}");
    assert_eq!(made["roles"], json!(["ORG_MEMBER", "app:reader"]));
    assert_eq!((made["name"].as_str(), made["description"].as_str()), (Some("batch"), Some("nightly")));
    let secret = made["secrets"][0].clone();
    let text = secret["secret"].as_str().unwrap();
    assert!(text.starts_with("pcl_sa_sk_") && text.len() == 50, "{text}");
    let shown = office.own("GET", &format!("/serviceAccounts/{id}"), "");
    assert!(!shown.text().contains(text), "{}", shown.text());
    let masked = shown.json()["secrets"][0]["maskedSecretValue"].as_str().unwrap().to_owned();
    assert_eq!(masked, format!("pcl_sa_sk_…{}", &text[46..]));
    assert_eq!(office.own("GET", "/serviceAccounts", "").json()["totalCount"], 1);
    // Neither kind is taken for the other.
    let bare = &id["pcl_sa_id_".len()..];
    code(&office.own("GET", &format!("/apiKeys/{bare}"), ""), 404, "API_KEY_NOT_FOUND");
    code(&office.own("GET", &format!("/serviceAccounts/{bare}"), ""), 400, "PATH_PARAM_PARSE_ERROR");
    assert_eq!(office.own("GET", "/apiKeys", "").json()["totalCount"], 1);
    // A secret is no key.
    for line in [format!("X-API-Key: {text}"), format!("X-API-Key: {id}.{text}")] {
        assert_eq!(office.served.get("/", &[&line]).outcome(), (401, "INVALID_CREDENTIALS".into()), "{line}");
    }
    let path = format!("/serviceAccounts/{id}");
    let edited = office.own("PATCH", &path, r#"{"name":"night","description":"at night","roles":[]}"#);
    assert_eq!((edited.status, edited.json()["roles"].clone()), (200, json!([])), "{}", edited.text());
    assert_eq!(office.own("PATCH", &path, r#"{"enabled":false}"#).json()["enabled"], false);
    assert_eq!(office.own("DELETE", &path, "").status, 204);
    code(&office.own("GET", &path, ""), 404, "SERVICE_ACCOUNT_NOT_FOUND");
    let mut told = events(&office, "");
    told.reverse();
    assert_eq!(
        told[2..],
        [
            "SERVICE_ACCOUNT_CREATED",
            "SERVICE_ACCOUNT_DESCRIPTION_CHANGED",
            "SERVICE_ACCOUNT_ROLES_CHANGED",
            "SERVICE_ACCOUNT_DESCRIPTION_CHANGED",
            "SERVICE_ACCOUNT_DISABLED",
            "SERVICE_ACCOUNT_DELETED",
        ]
    );
    let event = office.own("GET", "/events?eventType=SERVICE_ACCOUNT_DELETED", "").json()["results"][0].clone();
    assert_eq!(event["targetId"].as_str(), Some(id.as_str()));
}

#[test]
fn a_secret_is_replaced_within_seven_days() {
    let office = Office::open();
    let made = account(&office, r#"{"name":"batch","secretExpiresAfterHours":8760}"#);
    let secrets = format!("/serviceAccounts/{}/secrets", client_id(&made));
    let more = |hours: u32| office.own("POST", &secrets, &format!("{{\"secretExpiresAfterHours\":{hours}}}"));
    for hours in [0, 7, 8761] {
        code(&more(hours), 400, "INVALID_ATTRIBUTE");
    }
    // The organization may allow less; what is there stays.
    for (hours, status) in [(7, 400), (8761, 400), (100, 200)] {
        let body = format!("{{\"maxServiceAccountSecretValidityInHours\":{hours}}}");
        assert_eq!(office.own("PATCH", "/settings", &body).status, status);
    }
    assert_eq!(office.own("GET", "/settings", "").json()["maxServiceAccountSecretValidityInHours"], 100);
    code(&more(101), 400, "INVALID_ATTRIBUTE");
    let refused = office.own("POST", "/serviceAccounts", r#"{"name":"x","secretExpiresAfterHours":101}"#);
    code(&refused, 400, "INVALID_ATTRIBUTE");
    let second = more(100);
    assert_eq!(second.status, 201, "{}", second.text());
    code(&more(100), 409, "LIMIT_REACHED");
    let shown = office.own("GET", &format!("/serviceAccounts/{}", client_id(&made)), "").json();
    let time = |at: &Value| at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    let (old, new) = (&shown["secrets"][0], &shown["secrets"][1]);
    let (old, new) = if old["id"] == made["secrets"][0]["id"] { (old, new) } else { (new, old) };
    assert_eq!(time(&old["expiresAt"]) - time(&second.json()["createdAt"]), 7 * 24 * 3600);
    assert_eq!(time(&new["expiresAt"]) - time(&new["createdAt"]), 100 * 3600);
    let id = old["id"].as_str().unwrap();
    assert_eq!(office.own("DELETE", &format!("{secrets}/{id}"), "").status, 204);
    code(&office.own("DELETE", &format!("{secrets}/{id}"), ""), 404, "SECRET_NOT_FOUND");
    assert_eq!(
        events(&office, "?eventType=SERVICE_ACCOUNT_SECRET_ADDED&eventType=SERVICE_ACCOUNT_SECRET_DELETED"),
        ["SERVICE_ACCOUNT_SECRET_DELETED", "SERVICE_ACCOUNT_SECRET_ADDED"]
    );
}

#[test]
fn its_list_is_as_that_of_a_key_and_has_the_fields_of_atlas() {
    let office = Office::open();
    let id = client_id(&account(&office, r#"{"name":"batch","secretExpiresAfterHours":8}"#));
    let list = format!("/serviceAccounts/{id}/accessList");
    let added =
        office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24","comment":"office"},{"ipAddress":"192.0.2.7"}]"#);
    assert_eq!(added.status, 200, "{}", added.text());
    let entry = office.own("GET", &format!("{list}/192.0.2.7"), "").json();
    assert_eq!((entry["ipAddress"].as_str(), entry["cidrBlock"].as_str()), (Some("192.0.2.7"), Some("192.0.2.7/32")));
    assert!(entry["createdAt"].is_string() && entry.get("created").is_none(), "{entry:#}");
    assert!(entry["links"][0]["href"].as_str().unwrap().ends_with(&format!("{list}/192.0.2.7")));
    assert_eq!(office.own("PATCH", &format!("{list}/192.0.2.7"), r#"{"comment":"x"}"#).json()["comment"], "x");
    assert_eq!(office.own("DELETE", &format!("{list}/203.0.113.0%2F24"), "").status, 204);
    code(&office.own("DELETE", &format!("{list}/192.0.2.7"), ""), 409, "CHANGE_REMOVES_RESTRICTION");
    assert_eq!(office.own("PUT", &list, r#"[{"cidrBlock":"127.0.0.0/8"}]"#).json()["totalCount"], 1);
    let at_once = account(
        &office,
        r#"{"name":"with a list","secretExpiresAfterHours":8,"accessList":[{"ipAddress":"192.0.2.1"}]}"#,
    );
    let list = format!("/serviceAccounts/{}/accessList", client_id(&at_once));
    assert_eq!(office.own("GET", &list, "").json()["totalCount"], 1);
    assert!(events(&office, "").contains(&"SERVICE_ACCOUNT_ACCESS_LIST_ENTRY_ADDED".to_owned()));
}

#[test]
fn a_project_has_accounts_as_it_has_keys() {
    let office = Office::open();
    let project = office.own("POST", "/groups", r#"{"name":"billing"}"#).json()["id"].as_str().unwrap().to_owned();
    let admin = office.key(&format!(r#"[{{"groupId":"{project}","roleName":"GROUP_USER_ADMIN"}}]"#));
    let by_admin = |method: &str, path: &str, body: &str| {
        office.call(&admin.pair, method, &format!("/groups/{project}/serviceAccounts{path}"), body)
    };
    let body = r#"{"name":"p","description":"of a project","roles":["GROUP_READ_ONLY"],"secretExpiresAfterHours":24}"#;
    let made = by_admin("POST", "", body);
    assert_eq!(made.status, 201, "{}", made.text());
    let own = client_id(&made.json());
    assert_eq!(made.json()["roles"], json!(["GROUP_READ_ONLY"]));
    let list = by_admin("POST", &format!("/{own}/accessList"), r#"[{"ipAddress":"192.0.2.1"}]"#);
    assert_eq!(list.status, 200, "{}", list.text());
    assert_eq!(by_admin("POST", &format!("/{own}/secrets"), r#"{"secretExpiresAfterHours":24}"#).status, 201);
    // Nobody grants more than they have.
    let greedy = r#"{"name":"p","roles":["GROUP_OWNER"],"secretExpiresAfterHours":24}"#;
    code(&by_admin("POST", "", greedy), 403, "INSUFFICIENT_ROLE");
    // One of the organization is assigned, as clients of Atlas do it and simply, and unassigned.
    let other = client_id(&account(&office, r#"{"name":"o","roles":["ORG_MEMBER"],"secretExpiresAfterHours":24}"#));
    code(&by_admin("GET", &format!("/{other}"), ""), 404, "SERVICE_ACCOUNT_NOT_FOUND");
    let invite = format!("/api/atlas/v2/groups/{project}/serviceAccounts/{other}:invite");
    let invited = office.raw(
        &admin.pair,
        "POST",
        &invite,
        r#"[{"roles":["GROUP_READ_ONLY"]}]"#,
        "Content-Type: application/vnd.atlas.2024-08-05+json\r\nAccept: application/vnd.atlas.2024-08-05+json\r\n",
    );
    assert_eq!((invited.status, invited.json()["roles"].clone()), (200, json!(["GROUP_READ_ONLY"])));
    assert_eq!(invited.header("content-type"), Some("application/vnd.atlas.2024-08-05+json"));
    let again = by_admin("POST", &format!("/{other}"), r#"{"roles":["GROUP_USER_ADMIN"]}"#);
    assert_eq!(again.json()["roles"], json!(["GROUP_USER_ADMIN"]), "{}", again.text());
    assert_eq!(by_admin("GET", "", "").json()["totalCount"], 2);
    let groups = office.own("GET", &format!("/serviceAccounts/{other}/groups"), "").json();
    assert_eq!(groups["results"], json!([{"groupId": project, "roles": ["GROUP_USER_ADMIN"]}]));
    let shown = office.own("GET", &format!("/serviceAccounts/{other}"), "").json();
    assert_eq!(shown["roles"], json!(["ORG_MEMBER"]));
    assert_eq!(shown["groupRoles"], json!([{"groupId": project, "roleName": "GROUP_USER_ADMIN"}]));
    // It is not the project's alone.
    code(
        &by_admin("POST", &format!("/{other}/secrets"), r#"{"secretExpiresAfterHours":24}"#),
        403,
        "INSUFFICIENT_ROLE",
    );
    code(
        &by_admin("POST", &format!("/{other}/accessList"), r#"[{"ipAddress":"192.0.2.1"}]"#),
        403,
        "INSUFFICIENT_ROLE",
    );
    code(&by_admin("PATCH", &format!("/{other}"), r#"{"name":"mine"}"#), 403, "INSUFFICIENT_ROLE");
    assert_eq!(by_admin("DELETE", &format!("/{other}"), "").status, 204);
    code(&by_admin("GET", &format!("/{other}"), ""), 404, "SERVICE_ACCOUNT_NOT_FOUND");
    assert_eq!(office.own("GET", &format!("/serviceAccounts/{other}"), "").status, 200);
}

#[test]
fn faulty_accounts_are_refused() {
    let office = Office::open();
    let subject = r#"{"issuer":"https://k8s","subject":"system:serviceaccount:jobs:batch"}"#;
    let certificate = r#"{"sanUri":"spiffe://mesh/a"}"#;
    account(&office, &format!(r#"{{"name":"one","token":{subject},"certificate":{certificate}}}"#));
    let long = format!(r#"{{"name":"{}","secretExpiresAfterHours":8}}"#, "x".repeat(65));
    for (body, status, expected, part) in [
        (r#"{"name":"x"}"#.to_owned(), 400, "MISSING_ONE_OF_ATTRIBUTES", "secretExpiresAfterHours"),
        (long, 400, "INVALID_ATTRIBUTE", "1 to 64"),
        (
            r#"{"name":"x","description":"","secretExpiresAfterHours":8}"#.to_owned(),
            400,
            "INVALID_ATTRIBUTE",
            "1 to 250",
        ),
        (
            r#"{"name":"x","secretExpiresAfterHours":-1}"#.to_owned(),
            400,
            "INVALID_ATTRIBUTE",
            "secretExpiresAfterHours",
        ),
        (
            r#"{"name":"x","secretExpiresAfterHours":8,"roles":["ROOT"]}"#.to_owned(),
            400,
            "INVALID_ATTRIBUTE",
            "roles[0]",
        ),
        (r#"{"name":"x","token":{"issuer":"","subject":"s"}}"#.to_owned(), 400, "INVALID_ATTRIBUTE", "token.issuer"),
        (r#"{"name":"x","secret":"mine"}"#.to_owned(), 400, "UNKNOWN_ATTRIBUTE", "secret"),
        (format!(r#"{{"name":"two","token":{subject}}}"#), 409, "ALREADY_EXISTS", "token subject"),
        (format!(r#"{{"name":"two","certificate":{certificate}}}"#), 409, "ALREADY_EXISTS", "certificate"),
        (r#"{"name":"x","certificate":{}}"#.to_owned(), 400, "INVALID_ATTRIBUTE", "say one of them"),
        (r#"{"name":"x","certificate":{"sanUri":"a"}}"#.to_owned(), 400, "INVALID_ATTRIBUTE", "certificate.sanUri"),
        (r#"{"name":"x","certificate":{"sha256":"ab"}}"#.to_owned(), 400, "INVALID_ATTRIBUTE", "64 hexadecimal"),
    ] {
        let refused = office.own("POST", "/serviceAccounts", &body);
        code(&refused, status, expected);
        assert!(refused.text().contains(part), "{part}: {}", refused.text());
    }
    for at in 0..2 {
        account(&office, &format!(r#"{{"name":"{at}","secretExpiresAfterHours":8}}"#));
    }
    let refused = office.own("POST", "/serviceAccounts", r#"{"name":"x","secretExpiresAfterHours":8}"#);
    code(&refused, 409, "LIMIT_REACHED");
}

#[test]
fn certificates_come_and_go() {
    let office = Office::open();
    let made = account(&office, r#"{"name":"one","certificate":{"sanUri":"spiffe://mesh/a"},"roles":["ORG_OWNER"]}"#);
    assert_eq!(made["certificate"], serde_json::json!({"sanUri": "spiffe://mesh/a"}));
    let path = format!("/serviceAccounts/{}", client_id(&made));
    let hash = "0A".repeat(32);
    let edit = |body: &str| office.own("PATCH", &path, body);
    let edited = edit(&format!(r#"{{"certificate":{{"sha256":"{hash}"}}}}"#)).json();
    assert_eq!(edited["certificate"], serde_json::json!({"sha256": hash.to_lowercase()}));
    // What a certificate may own, nobody owns without it.
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(edit(r#"{"certificate":null}"#).json().get("certificate"), None);
    code(&office.own("DELETE", &format!("/apiKeys/{owner}"), ""), 409, "CANNOT_DELETE_LAST_OWNER");
    let told = office.own("GET", "/events?eventType=SERVICE_ACCOUNT_CERTIFICATE_CHANGED", "").json();
    let details: Vec<_> = told["results"].as_array().unwrap().iter().map(|event| event["detail"].clone()).collect();
    assert_eq!(details.len(), 2, "{told}");
}

#[test]
fn the_last_owner_stays_also_where_it_is_an_account() {
    let office = Office::open();
    let owner = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    // One that nobody can use is no owner.
    let made = account(&office, r#"{"name":"o","roles":["ORG_OWNER"],"secretExpiresAfterHours":8}"#);
    let path = format!("/serviceAccounts/{}", client_id(&made));
    let secret = made["secrets"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(office.own("DELETE", &format!("{path}/secrets/{secret}"), "").status, 204);
    code(&office.own("DELETE", &format!("/apiKeys/{owner}"), ""), 409, "CANNOT_DELETE_LAST_OWNER");
    let other = office.key(r#"["ORG_OWNER"]"#);
    assert_eq!(office.own("POST", &format!("{path}/secrets"), r#"{"secretExpiresAfterHours":8}"#).status, 201);
    let org = format!("/orgs/{}", office.organization);
    assert_eq!(office.call(&other.pair, "DELETE", &format!("{org}/apiKeys/{owner}"), "").status, 204);
    assert_eq!(office.call(OWNER, "GET", &org, "").status, 401);
    assert_eq!(office.call(&other.pair, "DELETE", &format!("{org}/apiKeys/{}", other.id), "").status, 204);
}
