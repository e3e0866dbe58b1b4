//! The token endpoints on the gateway's own listener.

use serde_json::Value;

use super::{Account, bearer};
use crate::admin::office::Office;
use crate::stage::{Answer, Client, wait_for};

const BOTH: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 2
  drain_timeout: 1s
  drain_idle: 10ms
  client_address: { trusted_proxies: [127.0.0.0/8], header: cf-connecting-ip }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\", tokens: { per_minute: 3, on_gateway: true, issuer: \"https://api.example.com\" } }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";

fn ask(office: &Office, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    Client::connect(office.served.gateway()).send(format!(
        "{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn from(address: &str) -> String {
    format!("CF-Connecting-IP: {address}\r\n")
}

#[test]
fn a_token_is_got_used_and_revoked_at_the_gateway() {
    let office = Office::open_with(BOTH);
    let account = Account::new(&office, "[]");
    let headers = format!("{FORM}{}{}", account.basic(), from("203.0.113.9"));
    let told = ask(&office, "POST", "/api/oauth/token", &headers, "grant_type=client_credentials");
    assert_eq!((told.status, told.header("cache-control")), (200, Some("no-store")), "{}", told.text());
    let token = told.json()["access_token"].as_str().unwrap().to_owned();
    let use_it = || ask(&office, "GET", "/", &format!("{}\r\n{}", bearer(&token), from("203.0.113.9")), "").outcome();
    assert_eq!(use_it().0, 200);
    let revoked = ask(&office, "POST", "/api/oauth/revoke", &headers, &format!("token={token}"));
    assert_eq!((revoked.status, revoked.text().as_str()), (200, ""));
    assert_eq!(use_it(), (401, "INVALID_CREDENTIALS".into()));
    let metadata = ask(&office, "GET", "/.well-known/oauth-authorization-server", &from("203.0.113.9"), "").json();
    assert_eq!(metadata["token_endpoint"], "https://api.example.com/api/oauth/token");
    let keys = ask(&office, "GET", "/.well-known/jwks.json", &from("203.0.113.9"), "").json();
    assert_eq!(keys["keys"][0]["alg"], "ES256");
    // The list of an account is asked about the use of a token alone; the address is the client's and not the proxy's.
    let wrong = |address: &str| {
        let body = format!("grant_type=client_credentials&client_id={}&client_secret=wrong", account.id);
        ask(&office, "POST", "/api/oauth/token", &format!("{FORM}{}", from(address)), &body)
    };
    for _ in 0..3 {
        assert_eq!(wrong("198.51.100.1").json()["error"], "invalid_client");
    }
    assert_eq!((wrong("198.51.100.1").status, wrong("198.51.100.2").status), (429, 401));
    // Each has its line, with its code.
    let lines = || -> Vec<Value> {
        let log = std::fs::read_to_string(office.path("access.log")).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let of = |status: u16, path: &str| {
        lines().into_iter().find(|line| line["status"] == status && line["path"] == path).unwrap_or_default()
    };
    wait_for("the lines", || lines().len() >= 11);
    let good = of(200, "/api/oauth/token");
    assert_eq!((&good["outcome"], &good["client.address"]), (&"allow".into(), &"203.0.113.9".into()), "{good}");
    let bad = of(401, "/api/oauth/token");
    assert_eq!((&bad["outcome"], &bad["code"]), (&"deny".into(), &"INVALID_CREDENTIALS".into()), "{bad}");
    let limited = of(429, "/api/oauth/token");
    assert_eq!((&limited["outcome"], &limited["code"]), (&"deny".into(), &"RATE_LIMITED".into()), "{limited}");
    let log = std::fs::read_to_string(office.path("access.log")).unwrap();
    assert!(!log.contains(&account.secret) && !log.contains(&token), "{log}");
}

#[test]
fn only_the_very_paths_are_answered_and_only_where_it_was_asked_for() {
    let office = Office::open_with(BOTH);
    let here = from("203.0.113.9");
    for path in ["/api/oauth/token/", "/api/oauth/Token", "//api/oauth/token", "/api/oauth/%74oken", "/api/oauth", "/"]
    {
        let told = ask(&office, "POST", path, &here, "").outcome();
        assert!(matches!(told.0, 400 | 401), "{path}: {told:?}");
        assert!(matches!(told.1.as_str(), "CREDENTIALS_REQUIRED" | "AMBIGUOUS_PATH"), "{path}: {told:?}");
    }
    assert_eq!(ask(&office, "DELETE", "/api/oauth/token", &here, "").header("allow"), Some("POST"));
    // Where no address can be derived nobody is counted, and nobody gets in.
    assert_eq!(
        ask(&office, "POST", "/api/oauth/token", FORM, "a=b").outcome(),
        (403, "CLIENT_ADDRESS_UNRESOLVED".into())
    );
    let large = "a".repeat(33 * 1024);
    let told = ask(&office, "POST", "/api/oauth/token", &format!("{FORM}{here}"), &large).outcome();
    assert_eq!(told, (413, "CONTENT_TOO_LARGE".into()));
    let twice = format!("{FORM}{here}Host: b\r\n");
    assert_eq!(ask(&office, "POST", "/api/oauth/token", &twice, "").outcome(), (400, "MALFORMED_REQUEST".into()));
    drop(office);
    let office = Office::open();
    for path in crate::oauth::PATHS {
        assert_eq!(ask(&office, "GET", path, "", "").outcome(), (401, "CREDENTIALS_REQUIRED".into()), "{path}");
    }
}

#[test]
fn a_route_that_would_be_shadowed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |routes: &str, directory: &str| {
        let text = format!(
            "gateway:\n  routes: [{routes}]\n  upstreams: {{ a: {{ endpoints: [\"http://127.0.0.1:9\"] }} }}\n\
             directory: {directory}\nadmin: {{ tokens: {{ on_gateway: true }} }}\n"
        );
        std::fs::write(folder.path().join("portcullis.yaml"), text).unwrap();
        let mut command = std::process::Command::new(crate::programs::PORTCULLIS);
        let output = command.args(["check", "portcullis.yaml"]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    let store = "{ sqlite: s.db }";
    for path in ["/api", "/api/oauth", "/api/oauth/token", "/.well-known"] {
        let (code, said) = check(&format!("{{ path: {path}, upstream: a }}, {{ upstream: a }}"), store);
        assert!(code == Some(78) && said.contains("is answered by the gateway itself"), "{path}: {code:?} {said}");
    }
    for path in ["/api/oauth/tokens", "/apis", "/v1"] {
        let (_, said) = check(&format!("{{ path: {path}, upstream: a }}, {{ upstream: a }}"), store);
        assert!(!said.contains("is answered by the gateway itself"), "{path}: {said}");
    }
    let (code, said) = check("{ upstream: a }", "{ demonstration: true }");
    assert!(code == Some(78) && said.contains("tokens are made from a store"), "{said}");
}
