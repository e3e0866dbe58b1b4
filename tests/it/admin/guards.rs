//! What nobody can do by mistake or on purpose: take the last owner, rise above oneself, shut oneself out. By every way there is.

use serde_json::json;

use super::code;
use super::office::{Key, OWNER, Office};

const PREFIXES: [&str; 3] = ["/api/v1", "/api/public/v1.0", "/api/atlas/v2"];

fn owner_key(office: &Office) -> String {
    office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_last_owner_stays_whoever_it_is() {
    let office = Office::open();
    let org = office.organization.clone();
    let owner = owner_key(&office);
    let call = |key: &str, prefix: &str, method: &str, path: &str, body: &str| {
        office.raw(key, method, &format!("{prefix}/orgs/{org}{path}"), body, "")
    };
    let last = |answer: &crate::stage::Answer| code(answer, 409, "CANNOT_DELETE_LAST_OWNER");
    // A key.
    let key = format!("/apiKeys/{owner}");
    for prefix in PREFIXES {
        last(&call(OWNER, prefix, "DELETE", &key, ""));
        last(&call(OWNER, prefix, "PATCH", &key, r#"{"enabled":false}"#));
        last(&call(OWNER, prefix, "PATCH", &key, r#"{"expiresAt":"2099-01-01T00:00:00Z"}"#));
        // Nobody changes their own roles, whether or not they are the last.
        code(&call(OWNER, prefix, "PATCH", &key, r#"{"roles":["ORG_MEMBER"]}"#), 403, "INSUFFICIENT_ROLE");
    }
    // A service account, while it can have tokens.
    let made =
        office.own("POST", "/serviceAccounts", r#"{"name":"a","roles":["ORG_OWNER"],"secretExpiresAfterHours":8}"#);
    let account = made.json();
    let (client, secret) = (account["clientId"].as_str().unwrap(), account["secrets"][0]["id"].as_str().unwrap());
    assert_eq!(office.own("DELETE", &key, "").status, 204, "there is another owner");
    let form = format!(
        "grant_type=client_credentials&client_id={client}&client_secret={}",
        account["secrets"][0]["secret"].as_str().unwrap()
    );
    let token =
        office.raw("", "POST", "/api/oauth/token", &form, "Content-Type: application/x-www-form-urlencoded\r\n");
    let bearer = format!("Authorization: Bearer {}\r\n", token.json()["access_token"].as_str().unwrap());
    let by_token = |prefix: &str, method: &str, path: &str, body: &str| {
        office.raw("", method, &format!("{prefix}/orgs/{org}{path}"), body, &bearer)
    };
    let path = format!("/serviceAccounts/{client}");
    for prefix in PREFIXES {
        last(&by_token(prefix, "DELETE", &path, ""));
        last(&by_token(prefix, "PATCH", &path, r#"{"enabled":false}"#));
        last(&by_token(prefix, "PATCH", &path, r#"{"expiresAt":"2099-01-01T00:00:00Z"}"#));
        last(&by_token(prefix, "DELETE", &format!("{path}/secrets/{secret}"), ""));
        code(&by_token(prefix, "PATCH", &path, r#"{"roles":["ORG_MEMBER"]}"#), 403, "INSUFFICIENT_ROLE");
    }
    // A person, by themselves, by a key that owns, and by a whole directory.
    let invite =
        by_token("/api/v1", "POST", "/invites", r#"{"username":"ann@example.com","roles":["ORG_OWNER"]}"#).json();
    let accept = json!({"token": invite["token"], "password": "a password of the test 4711"}).to_string();
    let ann = office.call("", "POST", "/auth/accept", &accept).json();
    let session = format!("Authorization: Bearer {}\r\n", ann["token"].as_str().unwrap());
    let by_ann = |prefix: &str, method: &str, path: &str, body: &str| {
        office.raw("", method, &format!("{prefix}/orgs/{org}{path}"), body, &session)
    };
    assert_eq!(by_ann("/api/v1", "DELETE", &path, "").status, 204, "there is another owner");
    let user = format!("/users/{}", ann["userId"].as_str().unwrap());
    for prefix in PREFIXES {
        code(&by_ann(prefix, "DELETE", &user, ""), 403, "INSUFFICIENT_ROLE");
        code(&by_ann(prefix, "PATCH", &user, r#"{"roles":["ORG_MEMBER"]}"#), 403, "INSUFFICIENT_ROLE");
    }
    assert_eq!(by_ann("/api/v1", "GET", &user, "").json()["roles"][0]["roleName"], "ORG_OWNER");
}

#[test]
fn a_person_who_is_the_last_owner_is_not_removed_by_one_that_is_ending() {
    let office = Office::open();
    let invite = office.own("POST", "/invites", r#"{"username":"ann@example.com","roles":["ORG_OWNER"]}"#).json();
    let accept = json!({"token": invite["token"], "password": "a password of the test 4711"}).to_string();
    let ann = office.call("", "POST", "/auth/accept", &accept).json();
    let user = format!("/users/{}", ann["userId"].as_str().unwrap());
    let session = format!("Authorization: Bearer {}\r\n", ann["token"].as_str().unwrap());
    let key = format!("/api/v1/orgs/{}/apiKeys/{}", office.organization, owner_key(&office));
    // With a person beside it, a key may end; and then the person stays.
    let disabled = office.raw("", "PATCH", &key, r#"{"enabled":false}"#, &session);
    assert_eq!(disabled.status, 200, "{}", disabled.text());
    code(&office.own("DELETE", &user, ""), 401, "INVALID_CREDENTIALS");
    let path = format!("/api/v1/orgs/{}{user}", office.organization);
    code(&office.raw("", "DELETE", &path, "", &session), 403, "INSUFFICIENT_ROLE");
    assert_eq!(office.raw("", "PATCH", &key, r#"{"enabled":true}"#, &session).status, 200);
    assert_eq!(office.own("DELETE", &user, "").status, 204);
}

#[test]
fn nobody_rises_above_themselves() {
    let office = Office::open();
    let org = office.organization.clone();
    let project = office.own("POST", "/groups", r#"{"name":"billing"}"#).json()["id"].as_str().unwrap().to_owned();
    let on_project = |role: &str| format!(r#"[{{"groupId":"{project}","roleName":"{role}"}}]"#);
    let admin = office.key(&on_project("GROUP_USER_ADMIN"));
    let chief = office.key(&on_project("GROUP_OWNER"));
    let account = |name: &str, roles: &str| {
        let body = format!(r#"{{"name":"{name}","roles":{roles},"secretExpiresAfterHours":8}}"#);
        office.own("POST", "/serviceAccounts", &body).json()["clientId"].as_str().unwrap().to_owned()
    };
    let (bare, member) = (account("bare", "[]"), account("member", r#"["ORG_MEMBER"]"#));
    let by = |key: &Key, prefix: &str, method: &str, path: &str, body: &str| {
        office.raw(&key.pair, method, &format!("{prefix}{path}"), body, "")
    };
    let lacking = |answer: &crate::stage::Answer| code(answer, 403, "INSUFFICIENT_ROLE");
    let owner = r#"{"roles":["GROUP_OWNER"]}"#;
    for prefix in PREFIXES {
        let keys = format!("/groups/{project}/apiKeys");
        let accounts = format!("/groups/{project}/serviceAccounts");
        // Who manages credentials makes no owners of the project, and touches none.
        lacking(&by(&admin, prefix, "POST", &keys, r#"{"desc":"x","roles":["GROUP_OWNER"]}"#));
        lacking(&by(
            &admin,
            prefix,
            "POST",
            &accounts,
            r#"{"name":"x","roles":["GROUP_OWNER"],"secretExpiresAfterHours":8}"#,
        ));
        lacking(&by(&admin, prefix, "PATCH", &format!("{keys}/{}", admin.id), owner));
        lacking(&by(&admin, prefix, "PATCH", &format!("{keys}/{}", chief.id), r#"{"roles":["GROUP_READ_ONLY"]}"#));
        lacking(&by(&admin, prefix, "DELETE", &format!("{keys}/{}", chief.id), ""));
        let of_chief = format!("/orgs/{org}/apiKeys/{}", chief.id);
        lacking(&by(&admin, prefix, "POST", &format!("{of_chief}/secrets"), ""));
        lacking(&by(&admin, prefix, "POST", &format!("{of_chief}/accessList"), r#"[{"ipAddress":"192.0.2.1"}]"#));
        lacking(&by(&admin, prefix, "PATCH", &of_chief, r#"{"enabled":false}"#));
        lacking(&by(&admin, prefix, "DELETE", &of_chief, ""));
        // A credential that is nobody's yet, or more than a project's, is not taken.
        for client in [&bare, &member] {
            let read_only = r#"{"roles":["GROUP_READ_ONLY"]}"#;
            let taken = by(&admin, prefix, "POST", &format!("{accounts}/{client}:invite"), read_only);
            match client == &bare {
                true => lacking(&taken),
                // It gets a role here, and stays the organization's to manage.
                false => assert_eq!(taken.status, 200, "{}", taken.text()),
            }
            let secrets = format!("{accounts}/{client}/secrets");
            let made = by(&admin, prefix, "POST", &secrets, r#"{"secretExpiresAfterHours":8}"#);
            assert!(matches!(made.status, 403 | 404), "{}", made.text());
        }
        // Projects' people are not the organization's.
        for key in [&admin, &chief] {
            for (path, body) in [
                (format!("/orgs/{org}/apiKeys"), r#"{"desc":"x","roles":["ORG_OWNER"]}"#),
                (
                    format!("/orgs/{org}/serviceAccounts"),
                    r#"{"name":"x","roles":["ORG_OWNER"],"secretExpiresAfterHours":8}"#,
                ),
                (format!("/orgs/{org}/invites"), r#"{"username":"x@example.com","roles":["ORG_OWNER"]}"#),
                ("/orgs".to_owned(), r#"{"name":"mine","apiKey":{"desc":"x"}}"#),
            ] {
                lacking(&by(key, prefix, "POST", &path, body));
            }
        }
    }
    // The organization that a role names is the one of the path, or the role is refused.
    let other = office.call(OWNER, "POST", "/orgs", r#"{"name":"other","apiKey":{"desc":"other"}}"#).json();
    let role = json!([{"orgId": other["id"], "roleName": "ORG_OWNER"}]);
    for (path, body) in [
        ("/apiKeys", json!({"desc": "x", "roles": role})),
        ("/invites", json!({"username": "x@example.com", "roles": role})),
        (&format!("/apiKeys/{}", admin.id), json!({"roles": role})),
    ] {
        let method = if path.len() > 20 { "PATCH" } else { "POST" };
        code(&office.own(method, path, &body.to_string()), 400, "INVALID_ATTRIBUTE");
    }
}

#[test]
fn a_credential_stays_on_its_own_list() {
    let office = Office::open();
    let account = r#"{"name":"a","roles":["ORG_OWNER"],"secretExpiresAfterHours":8}"#;
    let made = office.own("POST", "/serviceAccounts", account).json();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        made["clientId"].as_str().unwrap(),
        made["secrets"][0]["secret"].as_str().unwrap()
    );
    let token =
        office.raw("", "POST", "/api/oauth/token", &form, "Content-Type: application/x-www-form-urlencoded\r\n");
    let bearer = format!("Authorization: Bearer {}\r\n", token.json()["access_token"].as_str().unwrap());
    let basic = {
        use base64::Engine as _;
        format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(OWNER))
    };
    let lists = [
        (format!("/apiKeys/{}/accessList", owner_key(&office)), basic),
        (format!("/serviceAccounts/{}/accessList", made["clientId"].as_str().unwrap()), bearer),
    ];
    for (list, authorization) in &lists {
        let call = |prefix: &str, method: &str, path: &str, body: &str| {
            office.raw("", method, &format!("{prefix}/orgs/{}{path}", office.organization), body, authorization)
        };
        assert_eq!(call("/api/v1", "POST", list, r#"[{"cidrBlock":"127.0.0.0/8"}]"#).status, 200);
        for prefix in PREFIXES {
            let refused = |answer: crate::stage::Answer| {
                code(&answer, 400, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST");
                assert_eq!(answer.json()["parameters"], json!(["127.0.0.1"]));
            };
            // Alone on the list and with another; the switch is off, so that an empty list would admit anybody.
            for others in [false, true] {
                if others {
                    assert_eq!(call(prefix, "POST", list, r#"[{"ipAddress":"192.0.2.1"}]"#).status, 200);
                }
                for query in ["", "?force=true"] {
                    refused(call(prefix, "DELETE", &format!("{list}/127.0.0.0%2F8{query}"), ""));
                    refused(call(prefix, "PUT", &format!("{list}{query}"), r#"[{"ipAddress":"192.0.2.2"}]"#));
                    refused(call(prefix, "PUT", &format!("{list}{query}"), "[]"));
                }
            }
            assert_eq!(call(prefix, "DELETE", &format!("{list}/192.0.2.1"), "").status, 204);
        }
        // Another entry that covers it may take its place.
        assert_eq!(call("/api/v1", "PUT", list, r#"[{"ipAddress":"127.0.0.1"}]"#).status, 200);
        assert_eq!(call("/api/v1", "POST", list, r#"[{"cidrBlock":"127.0.0.0/8"}]"#).status, 200);
        assert_eq!(call("/api/v1", "DELETE", &format!("{list}/127.0.0.1"), "").status, 204);
    }
}

#[test]
fn a_list_that_admits_everybody_is_told_of() {
    let office = Office::open();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    let wide = |office: &Office| super::events(office, "?eventType=API_KEY_ACCESS_LIST_COVERS_EVERYTHING").len();
    let page = office.own("POST", &list, r#"[{"cidrBlock":"0.0.0.0/0"},{"cidrBlock":"203.0.113.0/24"}]"#).json();
    let warned = |at: usize| page["results"][at]["warning"].clone();
    assert_eq!((warned(0), warned(1)), (json!("It admits every IPv4 address."), json!(null)), "{page:#}");
    assert_eq!(wide(&office), 1);
    // It is told once, and again after it was not so.
    assert_eq!(office.own("POST", &list, r#"[{"cidrBlock":"::/0"}]"#).status, 200);
    assert_eq!(wide(&office), 1);
    assert_eq!(office.own("PUT", &list, r#"[{"cidrBlock":"0.0.0.0/1"}]"#).status, 200);
    let halves = office.own("POST", &list, r#"[{"cidrBlock":"128.0.0.0/1"}]"#).json();
    assert!(!halves.to_string().contains("warning"), "{halves:#}");
    assert_eq!(wide(&office), 2);
    let set = r#"{"name":"office","networks":["203.0.113.0/24"]}"#;
    assert_eq!(office.own("POST", "/networkSets", set).status, 201);
    assert_eq!(office.own("PUT", "/networkSets/office", r#"{"networks":["::/0"]}"#).status, 200);
    assert_eq!(super::events(&office, "?eventType=NETWORK_SET_COVERS_EVERYTHING").len(), 1);
    let made = r#"{"name":"a","secretExpiresAfterHours":8}"#;
    let client = office.own("POST", "/serviceAccounts", made).json()["clientId"].as_str().unwrap().to_owned();
    let page = office.own("POST", &format!("/serviceAccounts/{client}/accessList"), r#"[{"cidrBlock":"::/0"}]"#).json();
    assert_eq!(page["results"][0]["warning"], "It admits every IPv6 address.");
    assert_eq!(super::events(&office, "?eventType=SERVICE_ACCOUNT_ACCESS_LIST_COVERS_EVERYTHING").len(), 1);
}

#[test]
fn an_attribute_that_is_there_twice_is_refused() {
    let office = Office::open();
    let key = office.key("[]");
    for prefix in PREFIXES {
        let path = format!("{prefix}/orgs/{}/apiKeys/{}", office.organization, key.id);
        for (method, path, body) in [
            ("PATCH", path.clone(), r#"{"enabled":true,"enabled":false}"#),
            ("PATCH", path.clone(), "{\"enabled\":true,\"en\\u0061bled\":false}"),
            ("POST", format!("{path}/accessList"), r#"[{"ipAddress":"192.0.2.1","ipAddress":"192.0.2.2"}]"#),
        ] {
            let answer = office.raw(OWNER, method, &path, body, "");
            code(&answer, 400, "INVALID_JSON");
            assert!(answer.text().contains("is there twice"), "{}", answer.text());
        }
        let answer = office.raw(OWNER, "POST", &format!("{path}/accessList"), r#"[["192.0.2.1"]]"#, "");
        code(&answer, 400, "INVALID_ATTRIBUTE");
        assert_eq!(answer.json()["badRequestDetail"]["fields"][0]["field"], "[0]", "{}", answer.text());
    }
    let twice = r#"{"organizations":[],"organizations":[]}"#;
    let answer = office.call(OWNER, "POST", "/apply", twice);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(office.own("GET", &format!("/apiKeys/{}", key.id), "").json()["enabled"], true);
}
