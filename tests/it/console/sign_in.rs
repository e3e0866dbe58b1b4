//! Signing up, in and out, and what must not work on the way.

use super::visitor::{PASSWORD, Visitor, encoded};
use crate::admin::office::{CONFIGURATION, OWNER, Office};

const SESSION: &str = "__Host-portcullis-session";

#[test]
fn the_first_owner_signs_up_and_out_and_in() {
    let office = Office::open_by(&[]);
    let token = std::fs::read_to_string(office.path("store.db.sign-up-token")).unwrap();
    let mut ann = Visitor::new(&office);
    assert!(ann.look("/").contains("<h1>Sign up as the first owner</h1>"), "there is nobody yet who could sign in");
    ann.look("/sign-up");
    let wrong = [("token", token.trim()), ("email", "ann@example.com"), ("password", PASSWORD), ("again", "another")];
    let refused = ann.send("/sign-up", &wrong);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("not the same as the password") && refused.text().contains("ann@example.com"));
    let right = [("token", token.trim()), ("email", "ann@example.com"), ("password", PASSWORD), ("again", PASSWORD)];
    assert!(ann.done("/sign-up", &right).contains("<h1>API keys</h1>"));
    assert!(ann.page.contains("ann@example.com") && ann.page.contains(">main</a>"));
    let before = ann.cookies[SESSION].clone();
    assert!(ann.done("/sign-out", &[]).contains("You are signed out."));
    assert!(!ann.cookies.contains_key(SESSION));
    // What was signed out is of no use to anybody who kept it.
    ann.cookies.insert(SESSION.into(), before);
    assert!(ann.look("/orgs/new").contains("<h1>Sign in</h1>"));
    let next = "/orgs/new";
    let form = [("email", "Ann@Example.com"), ("password", PASSWORD), ("next", next)];
    assert!(ann.done("/sign-in", &form).contains("<h1>New organization</h1>"), "back where they wanted to go");
    // One-time is once.
    let mut other = Visitor::new(&office);
    other.look("/sign-up");
    let again = other.send("/sign-up", &right);
    assert_eq!(again.status, 401);
    assert!(again.text().contains("INVITE_TOKEN_INVALID"));
}

/// threats.md H12.
#[test]
fn h12_a_session_is_a_new_one_in_a_cookie_that_no_script_and_no_other_host_has() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    let given = ann.cookies[SESSION].clone();
    ann.look("/account");
    ann.done("/sign-out", &[]);
    // An attacker plants a session of their choice; signing in takes none of it over.
    let planted = format!("pcl_session_{}", "a".repeat(43));
    ann.cookies.insert(SESSION.into(), planted.clone());
    ann.look("/sign-in");
    let signed = ann.send("/sign-in", &[("email", "owner@example.com"), ("password", PASSWORD)]);
    assert_eq!(signed.status, 303);
    let cookie =
        signed.headers.iter().find(|(name, value)| name == "set-cookie" && value.starts_with(SESSION)).unwrap();
    for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.1.contains(part), "{}", cookie.1);
    }
    assert!(!cookie.1.contains("Domain"));
    let now = &ann.cookies[SESSION];
    assert!(*now != given && *now != planted);
    // Where a browser goes afterwards is a page of this console.
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"] {
        let form = [("email", "owner@example.com"), ("password", PASSWORD), ("next", next)];
        ann.look("/sign-in");
        assert_eq!(ann.send("/sign-in", &form).header("location"), Some("/home"), "{next}");
    }
}

/// threats.md H12.
#[test]
fn h12_every_session_ends_at_once_where_it_is_asked_for() {
    let office = Office::open();
    let mut first = Visitor::owner(&office);
    let mut second = Visitor::new(&office);
    second.look("/sign-in");
    second.done("/sign-in", &[("email", "owner@example.com"), ("password", PASSWORD)]);
    first.look("/account");
    first.done("/sign-out-everywhere", &[]);
    assert!(second.look("/account").contains("<h1>Sign in</h1>"));
}

/// threats.md H12.
#[test]
fn h12_a_form_that_another_page_sends_changes_nothing() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    ann.look("/orgs/new");
    let token = ann.token();
    let mut ben = Visitor::with_roles(&office, "ben@example.com", r#"["ORG_OWNER"]"#);
    ben.look("/orgs/new");
    let of_another = ben.token();
    let body = |token: &str| encoded(&[("name", "stolen"), ("form", token)]);
    let cases = [
        (body(&token), "Sec-Fetch-Site: cross-site\r\n"),
        (body(&token), "Sec-Fetch-Site: same-site\r\n"),
        (body(&token), "Origin: https://evil.example\r\n"),
        (body(&token), "Origin: null\r\n"),
        (body(""), "Sec-Fetch-Site: same-origin\r\n"),
        (body(&of_another), "Sec-Fetch-Site: same-origin\r\n"),
        (encoded(&[("name", "stolen")]), ""),
    ];
    for (body, headers) in cases {
        let refused = ann.request("POST", "/orgs/new", &body, headers);
        assert_eq!(refused.status, 403, "{body} {headers}");
        assert!(refused.text().contains("CROSS_SITE_REQUEST"));
    }
    let json = "Content-Type: text/plain\r\nSec-Fetch-Site: same-origin\r\n";
    let mut plain = Visitor::new(&office);
    plain.look("/sign-in");
    assert_eq!(office.raw("", "POST", "/sign-in", &body(&plain.token()), json).status, 415);
    // A sign-in is no exception: nobody is signed in as somebody else.
    let refused = plain.request("POST", "/sign-in", &encoded(&[("email", "a@b"), ("password", "x")]), "");
    assert_eq!(refused.status, 403);
    assert!(!ann.look("/").contains("stolen"));
    // The cookie alone opens nothing of the API.
    assert_eq!(ann.request("GET", "/api/v1/orgs", "", "").status, 401);
}

/// threats.md H12.
#[test]
fn h12_no_page_may_be_framed_or_load_from_elsewhere() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    for path in [
        "/",
        "/sign-in",
        "/account",
        "/orgs/new",
        "/orgs/5f0000000000000000000000",
        "/assets/console.css",
        "/assets/none",
    ] {
        let answer = ann.request("GET", path, "", "");
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        assert!(
            policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        for elsewhere in ["http://", "https://", "style=\"", "onclick"] {
            let text = answer.text();
            assert!(path.starts_with("/assets") || !text.contains(elsewhere), "{path} has {elsewhere}: {text}");
        }
    }
}

#[test]
fn a_credential_can_not_sign_in_and_is_told_so() {
    let office = Office::open();
    let mut key = Visitor::new(&office);
    for name in ["ownerkey", "pcl_sa_id_5f0000000000000000000032"] {
        key.look("/sign-in");
        let refused = key.send("/sign-in", &[("email", name), ("password", "40395d07-a353-4881-853b-43efa41339a1")]);
        assert_eq!(refused.status, 403);
        assert!(
            refused.text().contains("API keys and service accounts can&#39;t sign in")
                || refused.text().contains("can’t sign in")
        );
    }
    let token = key.token();
    let form = encoded(&[("email", "a@b"), ("password", "x"), ("form", &token)]);
    let header = format!("X-API-Key: {}\r\n", OWNER.replacen(':', ".", 1));
    let refused = key.request("POST", "/sign-in", &form, &header);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("CREDENTIALS_CANNOT_SIGN_IN"));
    // Nor does a credential open a page.
    assert_eq!(office.raw(OWNER, "GET", "/", "", "").status, 303);
}

#[test]
fn who_tries_too_often_has_to_wait() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    ann.look("/account");
    ann.done("/sign-out", &[]);
    let form = [("email", "owner@example.com"), ("password", "not the password")];
    let mut statuses = Vec::new();
    for _ in 0..11 {
        ann.look("/sign-in");
        statuses.push(ann.send("/sign-in", &form).status);
    }
    assert_eq!((statuses[0], statuses[10]), (401, 429));
}

#[test]
fn a_password_is_changed_where_the_present_one_is_known() {
    let office = Office::open();
    let mut ann = Visitor::owner(&office);
    ann.look("/account");
    let new = "another password 4712";
    let refused = ann.send("/account/password", &[("present", "wrong"), ("password", new), ("again", new)]);
    assert_eq!(refused.status, 401);
    let page = ann.done("/account/password", &[("present", PASSWORD), ("password", new), ("again", new)]);
    assert!(page.contains("Your password is changed"));
}

#[test]
fn where_the_directory_is_a_file_the_console_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("directory.yaml"), "organizations: []\n").unwrap();
    let file = CONFIGURATION.replace("directory: { sqlite: store.db }", "directory: { file: directory.yaml }");
    std::fs::write(folder.path().join("portcullis.yaml"), file).unwrap();
    let office = Office::again(folder);
    let page = office.raw("", "GET", "/", "", "");
    assert_eq!(page.status, 409);
    assert!(page.text().contains("The directory comes from"), "{}", page.text());
}
