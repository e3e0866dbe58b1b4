//! People: from the first start over invitations to the last owner, and what a session may do.

use super::code;
use super::office::{OWNER, Office};
use crate::stage::Answer;

const PASSWORD: &str = "a password of the test 4711";

fn session(office: &Office, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let header = format!("Authorization: Bearer {token}\r\n");
    office.raw("", method, &format!("/api/v1{path}"), body, &header)
}

/// Invites somebody by the owner's key, and takes it up. Returns the token of the session and the id of the person.
#[track_caller]
fn person(office: &Office, email: &str, roles: &str) -> (String, String) {
    let invite = office.own("POST", "/invites", &format!(r#"{{"username":"{email}","roles":{roles}}}"#));
    assert_eq!(invite.status, 201, "{}", invite.text());
    let token = invite.json()["token"].as_str().unwrap().to_owned();
    let accept = format!(r#"{{"token":"{token}","password":"{PASSWORD}"}}"#);
    let made = office.call("", "POST", "/auth/accept", &accept);
    assert_eq!(made.status, 201, "{}", made.text());
    code(&office.call("", "POST", "/auth/accept", &accept), 401, "INVITE_TOKEN_INVALID");
    let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
    (text("token"), text("userId"))
}

#[test]
fn a_person_is_invited_signs_in_and_out_and_is_removed() {
    let office = Office::open();
    let (first, id) = person(&office, "Ann@Example.com", r#"["ORG_OWNER"]"#);
    assert!(first.starts_with("pcl_session_"), "a session has a form of its own");
    let users = format!("/orgs/{}/users", office.organization);
    let shown = session(&office, &first, "GET", &format!("{users}/{id}"), "").json();
    assert_eq!(
        (shown["username"].as_str(), shown["roles"][0]["roleName"].as_str()),
        (Some("Ann@Example.com"), Some("ORG_OWNER"))
    );
    let credentials = |password: &str| format!(r#"{{"email":"ann@example.COM","password":"{password}"}}"#);
    code(&office.call("", "POST", "/auth/signin", &credentials("wrong password")), 401, "SIGN_IN_FAILED");
    let unknown = r#"{"email":"nobody@example.com","password":"wrong password"}"#;
    code(&office.call("", "POST", "/auth/signin", unknown), 401, "SIGN_IN_FAILED");
    let signed = office.call("", "POST", "/auth/signin", &credentials(PASSWORD));
    assert_eq!(signed.status, 200, "{}", signed.text());
    let second = signed.json()["token"].as_str().unwrap().to_owned();
    // Another password ends the other sessions and keeps this one.
    let change = |present: &str| format!(r#"{{"currentPassword":"{present}","password":"another password 4712"}}"#);
    code(&session(&office, &second, "POST", "/auth/password", &change("not it at all")), 401, "SIGN_IN_FAILED");
    assert_eq!(session(&office, &second, "POST", "/auth/password", &change(PASSWORD)).status, 204);
    code(&session(&office, &first, "GET", "/orgs", ""), 401, "INVALID_CREDENTIALS");
    code(&office.call("", "POST", "/auth/signin", &credentials(PASSWORD)), 401, "SIGN_IN_FAILED");
    assert_eq!(session(&office, &second, "GET", "/orgs", "").json()["totalCount"], 1);
    let third = office.call("", "POST", "/auth/signin", &credentials("another password 4712")).json();
    let third = third["token"].as_str().unwrap().to_owned();
    assert_eq!(session(&office, &third, "POST", "/auth/signout", "").status, 204);
    code(&session(&office, &third, "GET", "/orgs", ""), 401, "INVALID_CREDENTIALS");
    assert_eq!(session(&office, &second, "POST", "/auth/signoutEverywhere", "").status, 204);
    code(&session(&office, &second, "GET", "/orgs", ""), 401, "INVALID_CREDENTIALS");
    assert_eq!(office.own("DELETE", &format!("/users/{id}"), "").status, 204);
    code(&office.own("GET", &format!("/users/{id}"), ""), 404, "USER_NOT_FOUND");
    let mut told = super::events(&office, "");
    told.reverse();
    let expected = [
        "USER_INVITED",
        "USER_SIGNED_IN",
        "USER_CREATED",
        "USER_SIGN_IN_FAILED",
        "USER_SIGNED_IN",
        "USER_PASSWORD_CHANGED",
        "USER_SIGN_IN_FAILED",
        "USER_SIGNED_IN",
        "USER_SIGNED_OUT",
        "USER_SIGNED_OUT",
        "USER_REMOVED_FROM_ORG",
    ];
    assert_eq!(told[2..], expected);
    // Whoever comes in is the one who did it, and whoever fails to is nobody.
    let by = |name: &str| office.own("GET", &format!("/events?eventType={name}"), "").json()["results"][0].clone();
    for name in ["USER_CREATED", "USER_SIGNED_IN", "USER_SIGNED_OUT"] {
        let event = by(name);
        assert_eq!(
            (event["userId"].as_str(), event["username"].as_str()),
            (Some(&*id), Some("Ann@Example.com")),
            "{name}"
        );
    }
    let failed = by("USER_SIGN_IN_FAILED");
    assert_eq!((&failed["userId"], failed["targetId"].as_str()), (&serde_json::Value::Null, Some(&*id)));
    // Neither passwords nor tokens stand anywhere.
    let log = format!("{:?}", office.served.log());
    let files = ["store.db", "store.db-wal"].map(|name| std::fs::read(office.path(name)).unwrap());
    for secret in [PASSWORD, "another password 4712", &first, &second] {
        let holds = |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!log.contains(secret) && !files.iter().any(holds), "{secret}");
    }
}

#[test]
fn a_session_is_no_credential_and_a_credential_no_person() {
    let office = Office::open();
    let (ann, id) = person(&office, "ann@example.com", r#"["ORG_OWNER"]"#);
    let body = format!(r#"{{"email":"ann@example.com","password":"{PASSWORD}"}}"#);
    code(&office.call(OWNER, "POST", "/auth/signin", &body), 403, "CREDENTIALS_CANNOT_SIGN_IN");
    let key = r#"{"email":"ownerkey","password":"40395d07-a353-4881-853b-43efa41339a1"}"#;
    code(&office.call("", "POST", "/auth/signin", key), 403, "CREDENTIALS_CANNOT_SIGN_IN");
    code(&office.call(OWNER, "POST", "/auth/signout", ""), 403, "SESSION_REQUIRED");
    let both = format!("Authorization: Bearer {ann}\r\nX-API-Key: {}\r\n", OWNER.replacen(':', ".", 1));
    code(&office.raw("", "GET", "/api/v1/orgs", "", &both), 400, "AMBIGUOUS_CREDENTIALS");
    // The gateway knows no sessions.
    let through = office.served.get("/", &[&format!("Authorization: Bearer {ann}")]);
    assert_eq!(through.status, 401);
    // Lists are for credentials: an owner that shut every key out is still let in by a session.
    let settings = format!("/orgs/{}/settings", office.organization);
    let required = r#"{"apiAccessListRequired":true}"#;
    code(&session(&office, &ann, "PATCH", &settings, required), 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(session(&office, &ann, "PATCH", &format!("{settings}?force=true"), required).status, 200);
    code(&office.call(OWNER, "GET", "/orgs", ""), 403, "ORG_REQUIRES_ACCESS_LIST");
    assert_eq!(session(&office, &ann, "PATCH", &settings, r#"{"apiAccessListRequired":false}"#).status, 200);
    let events = format!("/orgs/{}/events?eventType=ORG_PUBLIC_API_ACCESS_LIST_REQUIRED", office.organization);
    let event = session(&office, &ann, "GET", &events, "").json()["results"][0].clone();
    assert_eq!((event["userId"].as_str(), event["username"].as_str()), (Some(&*id), Some("ann@example.com")));
    // Roles, as of credentials.
    let (ben, ben_id) = person(&office, "ben@example.com", r#"["ORG_MEMBER"]"#);
    let users = format!("/orgs/{}/users", office.organization);
    let owner = r#"{"roles":["ORG_OWNER"]}"#;
    code(
        &session(&office, &ben, "PATCH", &format!("{users}/{id}"), r#"{"roles":["ORG_MEMBER"]}"#),
        403,
        "INSUFFICIENT_ROLE",
    );
    code(&session(&office, &ben, "PATCH", &format!("{users}/{ben_id}"), owner), 403, "INSUFFICIENT_ROLE");
    code(
        &session(
            &office,
            &ben,
            "POST",
            &format!("/orgs/{}/invites", office.organization),
            r#"{"username":"c@d","roles":["ORG_OWNER"]}"#,
        ),
        403,
        "INSUFFICIENT_ROLE",
    );
    code(&session(&office, &ann, "DELETE", &format!("{users}/{id}"), ""), 403, "INSUFFICIENT_ROLE");
    // Keys and people count as owners together; the last of both stays.
    let owner_key = office.own("GET", "/apiKeys", "").json()["results"][0]["id"].as_str().unwrap().to_owned();
    let key_path = format!("/orgs/{}/apiKeys/{owner_key}", office.organization);
    assert_eq!(session(&office, &ann, "PATCH", &format!("{users}/{ben_id}"), owner).status, 200);
    assert_eq!(session(&office, &ann, "DELETE", &key_path, "").status, 204);
    assert_eq!(session(&office, &ben, "DELETE", &format!("{users}/{id}"), "").status, 204);
    code(&session(&office, &ann, "GET", "/orgs", ""), 401, "INVALID_CREDENTIALS");
    // Whoever makes an organization owns it.
    let made = session(&office, &ben, "POST", "/orgs", r#"{"name":"second"}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    let second = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(session(&office, &ben, "GET", &format!("/orgs/{second}/users"), "").json()["totalCount"], 1);
}

#[test]
fn attempts_are_counted() {
    let office = Office::open();
    person(&office, "ann@example.com", r#"["ORG_MEMBER"]"#);
    let wrong = r#"{"email":"ann@example.com","password":"wrong password"}"#;
    for _ in 0..10 {
        code(&office.call("", "POST", "/auth/signin", wrong), 401, "SIGN_IN_FAILED");
    }
    let refused = office.call("", "POST", "/auth/signin", wrong);
    code(&refused, 429, "RATE_LIMITED");
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&seconds), "{seconds}");
    // An attacker's attempts leave two events.
    let failures = || super::events(&office, "?eventType=USER_SIGN_IN_FAILED").len();
    // No answer waits for them to be written.
    crate::stage::wait_for("both events", || failures() >= 2);
    assert_eq!(failures(), 2);
    for bad in [r#"{"email":"x","password":"p"}"#, r#"{"email":"ann@example.com"}"#] {
        code(&office.call("", "POST", "/auth/signin", bad), 400, "INVALID_ATTRIBUTE");
    }
}

/// Runs `portcullis users reset-owner` with this password, and returns its exit code and what it said.
fn reset(folder: &std::path::Path, email: &str, password: &str) -> (Option<i32>, String) {
    use std::io::Write as _;
    let mut command = std::process::Command::new(crate::programs::PORTCULLIS);
    command.args(["users", "reset-owner", "--store", "store.db", "--email", email]).current_dir(folder);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_first_owner_signs_up_once_and_is_recovered() {
    use std::os::unix::fs::PermissionsExt as _;
    let office = Office::open_by(&[]);
    let file = office.path("store.db.sign-up-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(token.starts_with("pcl_invite_") && !format!("{:?}", office.served.log()).contains(&token));
    let body = |password: &str| format!(r#"{{"token":"{token}","email":"ann@example.com","password":"{password}"}}"#);
    code(&office.call("", "POST", "/auth/signup", &body("too short")), 400, "INVALID_ATTRIBUTE");
    let made = office.call("", "POST", "/auth/signup", &body(PASSWORD));
    assert_eq!(made.status, 201, "{}", made.text());
    let ann = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(session(&office, &ann, "GET", "/orgs", "").json()["totalCount"], 1);
    code(&office.call("", "POST", "/auth/signup", &body(PASSWORD)), 401, "INVITE_TOKEN_INVALID");
    // Recovery is for whoever has the file, while nothing serves it.
    let (status, said) = reset(office.folder(), "ann@example.com", "a password after recovery");
    assert!(status == Some(1) && said.contains("is served by another process"), "{said}");
    let folder = office.close();
    let (status, said) = reset(folder.path(), "ann@example.com", "short");
    assert!(status == Some(1) && said.contains("12 to 128"), "{said}");
    let (status, said) = reset(folder.path(), "ann@example.com", "a password after recovery");
    assert!(status == Some(0) && !said.contains("after recovery"), "{said}");
    let office = Office::again(folder);
    code(&session(&office, &ann, "GET", "/orgs", ""), 401, "INVALID_CREDENTIALS");
    let body = r#"{"email":"ann@example.com","password":"a password after recovery"}"#;
    let signed = office.call("", "POST", "/auth/signin", body);
    let ann = signed.json()["token"].as_str().unwrap_or_else(|| panic!("{}", signed.text())).to_owned();
    let organization = session(&office, &ann, "GET", "/orgs", "").json()["results"][0]["id"].clone();
    let events = format!("/orgs/{}/events?eventType=USER_OWNER_RESET", organization.as_str().unwrap());
    let event = session(&office, &ann, "GET", &events, "").json()["results"][0].clone();
    assert_eq!(event["actorType"], "SYSTEM", "{event:#}");
}

#[test]
fn an_owner_is_given_by_a_variable() {
    let owner = format!("ann@example.com:{PASSWORD}");
    let office = Office::open_by(&[("PORTCULLIS_BOOTSTRAP_OWNER", &owner)]);
    assert!(!office.path("store.db.sign-up-token").exists() && !office.path("store.db.owner-key").exists());
    let body = format!(r#"{{"email":"ann@example.com","password":"{PASSWORD}"}}"#);
    assert_eq!(office.call("", "POST", "/auth/signin", &body).status, 200);
    assert!(!format!("{:?}", office.served.log()).contains(PASSWORD));
}
