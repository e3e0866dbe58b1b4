//! Tokens of service accounts, end to end: got, used, revoked, forged; and what is told to whoever is no client.

mod gateway;
mod open;
mod third_party;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::admin::accounts::{account, client_id};
use crate::admin::office::{OWNER, Office};
use crate::stage::{Answer, Client, wait_for};
use crate::tokens::forge::{BASE64, Forge, hs256, unsigned};

/// More than one client ever asks for here.
const EAGER: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 2
  limits: { failed_attempts: off }
  drain_timeout: 1s
  drain_idle: 10ms
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\", tokens: { per_minute: 1000 } }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";

/// Where the endpoints are.
const PATHS: [&str; 4] =
    ["/api/oauth/token", "/api/oauth/revoke", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"];

/// A service account with a secret.
pub struct Account {
    pub id: String,
    pub secret: String,
    pub secret_id: String,
}

impl Account {
    #[track_caller]
    pub fn new(office: &Office, roles: &str) -> Self {
        let made = account(office, &format!(r#"{{"name":"batch","roles":{roles},"secretExpiresAfterHours":8}}"#));
        let text = |name: &str| made["secrets"][0][name].as_str().unwrap().to_owned();
        Self { id: client_id(&made), secret: text("secret"), secret_id: text("id") }
    }

    fn basic(&self) -> String {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.id, self.secret));
        format!("Authorization: Basic {pair}\r\n")
    }

    #[track_caller]
    pub fn token(&self, office: &Office) -> String {
        let answer = form(office, "/api/oauth/token", &self.basic(), "grant_type=client_credentials");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn revoke(&self, office: &Office, token: &str) {
        let answer = form(office, "/api/oauth/revoke", &self.basic(), &format!("token={token}"));
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    }
}

fn form(office: &Office, path: &str, headers: &str, body: &str) -> Answer {
    office.raw("", "POST", path, body, &format!("{headers}Content-Type: application/x-www-form-urlencoded\r\n"))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// What the gateway answers to a token.
fn through(office: &Office, token: &str) -> (u16, String) {
    office.served.get("/", &[&bearer(token)]).outcome()
}

fn refused() -> (u16, String) {
    (401, "INVALID_CREDENTIALS".into())
}

fn decoded(token: &str, part: usize) -> Value {
    serde_json::from_slice(&BASE64.decode(token.split('.').nth(part).unwrap()).unwrap()).unwrap()
}

#[test]
fn a_token_is_got_and_used_on_both_listeners() {
    let office = Office::open();
    let batch = Account::new(&office, r#"["ORG_READ_ONLY","app:reader"]"#);
    let by_form = format!("grant_type=client_credentials&client_id={}&client_secret={}", batch.id, batch.secret);
    for (headers, body) in [(batch.basic(), "grant_type=client_credentials".to_owned()), (String::new(), by_form)] {
        let answer = form(&office, "/api/oauth/token", &headers, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
        let (told, token) = (answer.json(), answer.json()["access_token"].as_str().unwrap().to_owned());
        assert_eq!((told["token_type"].as_str(), told["expires_in"].as_i64()), (Some("Bearer"), Some(3600)));
        let passed = office.served.get("/", &[&bearer(&token)]);
        assert_eq!(passed.status, 200, "{}", passed.text());
        let seen = passed.text().to_lowercase();
        let bare = &batch.id["pcl_sa_id_".len()..];
        assert!(seen.contains("service_account") && seen.contains(bare) && seen.contains("app:reader"), "{seen}");
        assert!(!passed.text().contains(&token), "the token reached the upstream");
        let admin = office.raw("", "GET", "/api/v1/orgs", "", &format!("{}\r\n", bearer(&token)));
        assert_eq!((admin.status, admin.json()["totalCount"].as_u64()), (200, Some(1)), "{}", admin.text());
        let denied = office.raw("", "POST", "/api/v1/orgs", r#"{"name":"x"}"#, &format!("{}\r\n", bearer(&token)));
        assert_eq!(denied.json()["errorCode"], "INSUFFICIENT_ROLE");
    }
    // What anybody can read of it, and verify.
    let token = batch.token(&office);
    let (header, claims) = (decoded(&token, 0), decoded(&token, 1));
    let metadata = office.raw("", "GET", "/.well-known/oauth-authorization-server", "", "").json();
    let issuer = format!("http://{}", office.admin());
    assert_eq!((metadata["issuer"].as_str(), claims["iss"].as_str()), (Some(issuer.as_str()), Some(issuer.as_str())));
    assert_eq!(metadata["token_endpoint"], format!("{issuer}/api/oauth/token"));
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some(&*batch.id), Some(&*batch.id)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("at+jwt")));
    let keys = office.raw("", "GET", "/.well-known/jwks.json", "", "").json();
    assert_eq!((keys["keys"][0]["kid"].clone(), keys["keys"][0].get("d")), (header["kid"].clone(), None));
    let shown = office.own("GET", &format!("/serviceAccounts/{}", batch.id), "").json();
    assert!(shown["secrets"][0]["lastUsedAt"].is_string(), "{shown:#}");
    // No secret of it anywhere.
    let log = std::fs::read_to_string(office.path("access.log")).unwrap();
    assert!(!log.contains(&token) && !log.contains(&batch.secret));
    assert!(office.served.log().iter().all(|line| !line.to_string().contains(&batch.secret)));
}

#[test]
fn a_list_asks_about_using_a_token_and_not_about_getting_one() {
    let office = Office::open();
    let batch = Account::new(&office, r#"["ORG_READ_ONLY"]"#);
    let token = batch.token(&office);
    assert_eq!(through(&office, &token).0, 200);
    let list = format!("/serviceAccounts/{}/accessList", batch.id);
    assert_eq!(office.own("POST", &format!("{list}?force=true"), r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status, 200);
    let off = (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".to_owned());
    assert_eq!(through(&office, &token), off);
    let admin = office.raw("", "GET", "/api/v1/orgs", "", &format!("{}\r\n", bearer(&token)));
    assert_eq!(admin.json()["parameters"], json!(["127.0.0.1"]));
    let another = batch.token(&office);
    assert_eq!(through(&office, &another), off);
    batch.revoke(&office, &another);
    assert_eq!(through(&office, &another), refused());
    assert_eq!(office.own("PUT", &list, r#"[{"cidrBlock":"127.0.0.0/8"}]"#).status, 200);
    assert_eq!(through(&office, &token).0, 200);
    // A token is a credential: its own list guards it.
    let own = Account::new(&office, r#"["ORG_OWNER"]"#);
    let line = format!("{}\r\n", bearer(&own.token(&office)));
    let path = format!("/api/v1/orgs/{}/serviceAccounts/{}/accessList", office.organization, own.id);
    let shut_out = office.raw("", "POST", &path, r#"[{"ipAddress":"192.0.2.1"}]"#, &line);
    assert_eq!((shut_out.status, shut_out.json()["errorCode"].as_str()), (409, Some("CHANGE_EXCLUDES_CALLER")));
    let event = office.raw("", "POST", &path, r#"[{"ipAddress":"127.0.0.1"}]"#, &line);
    assert_eq!(event.status, 200, "{}", event.text());
    let told = office.own("GET", "/events?eventType=SERVICE_ACCOUNT_ACCESS_LIST_ENTRY_ADDED", "").json();
    assert_eq!(told["results"][0]["clientId"].as_str(), Some(own.id.as_str()));
}

/// 200 means enforced: the next request on a new and on a kept connection of every worker.
#[test]
fn a_revoked_token_is_refused_on_every_worker_at_once() {
    let office = Office::open_with(EAGER);
    let batch = Account::new(&office, "[]");
    let mut kept: Vec<Client> = (0..16).map(|_| Client::connect(office.served.gateway())).collect();
    for _ in 0..25 {
        let (token, other) = (batch.token(&office), batch.token(&office));
        let ask = |client: &mut Client, token: &str| {
            client.send(format!("GET / HTTP/1.1\r\nHost: api.example.com\r\n{}\r\n\r\n", bearer(token))).outcome()
        };
        for client in &mut kept {
            assert_eq!(ask(client, &token).0, 200);
        }
        batch.revoke(&office, &token);
        for client in &mut kept {
            assert_eq!(ask(client, &token), refused());
            assert_eq!(ask(client, &other).0, 200);
        }
        assert_eq!(through(&office, &token), refused());
        let admin = office.raw("", "GET", "/api/v1/orgs", "", &format!("{}\r\n", bearer(&token)));
        assert_eq!(admin.status, 401);
        batch.revoke(&office, &other);
    }
    let told = office.own("GET", "/events?eventType=SERVICE_ACCOUNT_TOKEN_REVOKED", "").json();
    assert_eq!(told["totalCount"], 50);
    assert_eq!(told["results"][0]["clientId"].as_str(), Some(batch.id.as_str()));
}

#[test]
fn all_tokens_of_an_account_are_seen_and_revoked_at_once() {
    let office = Office::open();
    let (batch, other) = (Account::new(&office, "[]"), Account::new(&office, r#"["ORG_READ_ONLY"]"#));
    let (first, second, kept) = (batch.token(&office), batch.token(&office), other.token(&office));
    let tokens = format!("/serviceAccounts/{}/tokens", batch.id);
    let shown = office.own("GET", &tokens, "").json();
    assert_eq!(shown["totalCount"], 2, "{shown:#}");
    let is_of = |token: &str| {
        let claims = decoded(token, 1);
        let all = shown["results"].as_array().unwrap().iter();
        let one = all.clone().find(|one| one["id"] == claims["jti"]).unwrap_or_else(|| panic!("{shown:#}"));
        let seconds = |name: &str| one[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!(one["secretId"].as_str(), Some(batch.secret_id.as_str()));
        assert_eq!(
            (seconds("issuedAt"), seconds("expiresAt")),
            (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap())
        );
    };
    is_of(&first);
    is_of(&second);
    assert!(!shown.to_string().contains(&first[first.len() - 20..]), "{shown:#}");
    assert_eq!(
        office.own("GET", &format!("{tokens}?itemsPerPage=1"), "").json()["results"].as_array().unwrap().len(),
        1
    );
    // Whoever may look may not revoke.
    let path = format!("/api/v1/orgs/{}{tokens}", office.organization);
    let by_reader = |method: &str| office.raw("", method, &path, "", &format!("{}\r\n", bearer(&kept)));
    assert_eq!((by_reader("GET").status, by_reader("DELETE").status), (200, 403));
    assert_eq!(through(&office, &first).0, 200);
    assert_eq!(office.own("DELETE", &tokens, "").status, 204);
    assert_eq!((through(&office, &first), through(&office, &second)), (refused(), refused()));
    assert_eq!(through(&office, &kept).0, 200);
    assert_eq!(office.own("GET", &tokens, "").json()["totalCount"], 0);
    let told = office.own("GET", "/events?eventType=SERVICE_ACCOUNT_TOKEN_REVOKED", "").json();
    assert_eq!(told["totalCount"], 2, "{told:#}");
    // Nothing to revoke is nothing to record; and whoever has the secret gets another one.
    let revision = office.own("DELETE", &tokens, "").header("x-portcullis-revision").map(str::to_owned);
    assert_eq!(office.own("DELETE", &tokens, "").header("x-portcullis-revision").map(str::to_owned), revision);
    assert_eq!(through(&office, &batch.token(&office)).0, 200);
}

#[test]
fn tokens_end_with_what_they_came_from() {
    let office = Office::open_with(EAGER);
    let batch = Account::new(&office, "[]");
    let path = format!("/serviceAccounts/{}", batch.id);
    let first = batch.token(&office);
    let second = office.own("POST", &format!("{path}/secrets"), r#"{"secretExpiresAfterHours":8}"#).json();
    let text = |name: &str| second[name].as_str().unwrap().to_owned();
    let renewed = Account { id: batch.id.clone(), secret: text("secret"), secret_id: text("id") };
    let other = renewed.token(&office);
    assert_eq!((through(&office, &first).0, through(&office, &other).0), (200, 200));
    // The secret.
    assert_eq!(office.own("DELETE", &format!("{path}/secrets/{}", batch.secret_id), "").status, 204);
    assert_eq!((through(&office, &first), through(&office, &other).0), (refused(), 200));
    // The account, switched off and on again.
    office.own("PATCH", &path, r#"{"enabled":false}"#);
    assert_eq!(through(&office, &other), refused());
    let answer = form(&office, "/api/oauth/token", &renewed.basic(), "grant_type=client_credentials");
    assert_eq!(answer.json()["error"], "invalid_client");
    office.own("PATCH", &path, r#"{"enabled":true}"#);
    assert_eq!(through(&office, &other).0, 200);
    let gone = renewed.token(&office);
    renewed.revoke(&office, &gone);
    assert_eq!(through(&office, &gone), refused());
    // And with the account.
    let last = renewed.token(&office);
    assert_eq!(through(&office, &last).0, 200);
    assert_eq!(office.own("DELETE", &path, "").status, 204);
    assert_eq!(through(&office, &last), refused());
}

/// threats.md H9, for tokens of our own.
#[test]
fn forged_tokens_prove_nothing() {
    let office = Office::open();
    let batch = Account::new(&office, r#"["ORG_OWNER"]"#);
    let token = batch.token(&office);
    let (header, claims) = (decoded(&token, 0), decoded(&token, 1));
    let (mine, kid) = (Forge::p256(), header["kid"].as_str().unwrap());
    let key = office.raw("", "GET", "/.well-known/jwks.json", "", "").json()["keys"][0].clone();
    let part = |name: &str| BASE64.decode(key[name].as_str().unwrap()).unwrap();
    let public = [&[4][..], &part("x"), &part("y")].concat();
    let with = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        claims
    };
    let signature = token.rsplit_once('.').unwrap().1;
    let altered = |claims: &Value| format!("{}.{signature}", unsigned(&header, claims));
    let none = json!({"alg": "none", "typ": "at+jwt"});
    let hs = json!({"alg": "HS256", "kid": kid, "typ": "at+jwt"});
    let traversal = json!({"alg": "ES256", "kid": "../../etc/passwd", "typ": "at+jwt"});
    let mut forged = vec![
        format!("{}.", unsigned(&none, &claims)),
        format!("{}.AA", unsigned(&none, &claims)),
        hs256(&hs, &claims, &public),
        hs256(&hs, &claims, key.to_string().as_bytes()),
        mine.signed(&header, &claims),
        mine.signed(&traversal, &claims),
        mine.token("x", &claims),
        altered(&with("exp", json!(9_999_999_999_i64))),
        altered(&with("sub", json!("pcl_sa_id_5f0000000000000000000001"))),
        altered(&with("jti", json!("00000000000000000000000000000000"))),
        format!("{}x", token),
        format!("{token}.{token}"),
        token.replace('.', ""),
        token.split('.').take(2).collect::<Vec<_>>().join("."),
        "x".repeat(16 * 1024 + 1),
    ];
    // A signature of the same bytes in another spelling is another text.
    let mut padded = token.clone();
    padded.push('=');
    forged.push(padded);
    for one in forged {
        let found = through(&office, &one);
        assert!(found == refused() || found.0 == 400, "{found:?}: {one}");
        let admin = office.raw("", "GET", "/api/v1/orgs", "", &format!("{}\r\n", bearer(&one)));
        assert!(matches!(admin.status, 400 | 401), "{}", admin.text());
    }
    assert_eq!(through(&office, &token).0, 200);
}

/// threats.md H7: unknown, wrong, another's, disabled and expired clients hear one and the same.
#[test]
fn whoever_is_no_client_learns_nothing() {
    let office = Office::open_with(EAGER);
    let (batch, other, off) = (Account::new(&office, "[]"), Account::new(&office, "[]"), Account::new(&office, "[]"));
    office.own("PATCH", &format!("/serviceAccounts/{}", off.id), r#"{"enabled":false}"#);
    let account = |id: &str, secret: &str| Account { id: id.into(), secret: secret.into(), secret_id: String::new() };
    let strangers = [
        account("pcl_sa_id_5f0000000000000000000001", &batch.secret),
        account("pcl_sa_id_5f0000000000000000000001", "pcl_sa_sk_0000000000000000000000000000000000000000"),
        account(&batch.id, "pcl_sa_sk_0000000000000000000000000000000000000000"),
        account(&batch.id, &other.secret),
        account(&batch.id, &other.id),
        account("nobody", "nothing"),
        account("ownerkey", OWNER.split_once(':').unwrap().1),
        account(&off.id, &off.secret),
    ];
    for path in ["/api/oauth/token", "/api/oauth/revoke"] {
        let told = strangers.iter().map(|one| {
            let answer = form(&office, path, &one.basic(), "grant_type=client_credentials&token=x");
            let challenge = answer.header("www-authenticate").map(str::to_owned);
            (answer.status, challenge, answer.text(), answer.header("content-length").map(str::to_owned))
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told[0].0, 401);
        assert!(told[0].1.as_deref().unwrap().starts_with("Basic ") && told[0].2.contains("\"invalid_client\""));
        assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
    }
}

#[test]
fn a_refused_client_is_an_event_of_the_account_that_it_named() {
    let office = Office::open_with(EAGER);
    let account = Account::new(&office, "[]");
    let events = || office.own("GET", "/events?eventType=SERVICE_ACCOUNT_TOKEN_REFUSED", "").json();
    let wrong = |id: &str| {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret=pcl_sa_sk_{}", "x".repeat(40));
        assert_eq!(form(&office, "/api/oauth/token", "", &body).status, 401);
    };
    // One that nobody has is nobody's event.
    wrong(&format!("pcl_sa_id_{}", "0".repeat(24)));
    for _ in 0..5 {
        wrong(&account.id);
    }
    // No answer waits for it to be written.
    wait_for("the event", || events()["totalCount"] != 0);
    assert_eq!(form(&office, "/api/oauth/revoke", &account.basic(), "token=x").status, 200);
    let told = events();
    assert_eq!(told["totalCount"], 1, "{told:#}");
    let event = &told["results"][0];
    assert_eq!((&event["remoteAddress"], event.get("userId")), (&json!("127.0.0.1"), None), "{event:#}");
    assert!(event.to_string().contains(&account.id), "{event:#}");
    assert!(!event.to_string().contains("xxxx"), "{event:#}");
}

#[test]
fn the_document_tells_the_endpoints() {
    let office = Office::open_with(EAGER);
    let document = office.raw("", "GET", "/api/v1/openapi.json", "", "").json();
    for (path, method) in [
        ("/api/oauth/token", "post"),
        ("/api/oauth/revoke", "post"),
        ("/.well-known/jwks.json", "get"),
        ("/.well-known/oauth-authorization-server", "get"),
    ] {
        let item = &document["paths"][path];
        assert_eq!(item["servers"][0]["url"], "/", "{path}");
        let answer = office.raw("", &method.to_uppercase(), path, "", "");
        assert!(item[method]["responses"][answer.status.to_string()].is_object(), "{path}: {}", answer.status);
        assert!(office.raw("", "GET", "/api/v1/docs", "", "").text().contains(path), "{path}");
    }
}

#[test]
fn faulty_requests_are_told_what_the_standard_says() {
    let office = Office::open_with(EAGER);
    let batch = Account::new(&office, "[]");
    let (basic, form_type) = (batch.basic(), "Content-Type: application/x-www-form-urlencoded\r\n");
    let by_form = format!("grant_type=client_credentials&client_id={}&client_secret={}", batch.id, batch.secret);
    let grant = "grant_type=client_credentials";
    let json_type = "Content-Type: application/json\r\n";
    let other_id = format!("{grant}&client_id=pcl_sa_id_5f0000000000000000000001");
    let same_id = format!("{grant}&client_id={}", batch.id);
    for (headers, body, status, error) in [
        (format!("{basic}{form_type}"), "x=y", 400, "invalid_request"),
        (format!("{basic}{form_type}"), "grant_type=password", 400, "unsupported_grant_type"),
        (
            format!("{basic}{form_type}"),
            "grant_type=client_credentials&grant_type=client_credentials",
            400,
            "invalid_request",
        ),
        (format!("{basic}{form_type}"), "grant_type=client_credentials&scope=all", 400, "invalid_scope"),
        (format!("{basic}{form_type}"), "grant_type=client_credentials&scope=", 200, ""),
        (format!("{basic}{form_type}"), &by_form, 400, "invalid_request"),
        (format!("{basic}{form_type}"), &other_id, 400, "invalid_request"),
        (format!("{basic}{form_type}"), &same_id, 200, ""),
        (form_type.to_owned(), grant, 401, "invalid_client"),
        (format!("Authorization: Bearer x\r\n{form_type}"), grant, 401, "invalid_client"),
        (format!("{basic}{basic}{form_type}"), grant, 401, "invalid_client"),
        (format!("{basic}{json_type}"), "{}", 400, "invalid_request"),
    ] {
        let answer = office.raw("", "POST", "/api/oauth/token", body, &headers);
        assert_eq!((answer.status, answer.json()["error"].as_str().unwrap_or_default()), (status, error), "{body}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let query = form(&office, "/api/oauth/token?grant_type=client_credentials", &basic, grant);
    assert_eq!((query.status, query.json()["error"].as_str()), (400, Some("invalid_request")));
    let large = format!("{grant}&x={}", "y".repeat(40 * 1024));
    assert_eq!(form(&office, "/api/oauth/token", &basic, &large).status, 413);
    for (method, path, allowed) in [
        ("GET", "/api/oauth/token", "POST"),
        ("DELETE", "/api/oauth/revoke", "POST"),
        ("POST", "/.well-known/jwks.json", "GET, HEAD"),
    ] {
        let answer = office.raw("", method, path, "", "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    assert_eq!(form(&office, "/api/oauth/revoke", &basic, "x=y").json()["error"], "invalid_request");
    // What is no token of this client is left alone, and nobody is told.
    let (own, stranger) = (batch.token(&office), Account::new(&office, "[]"));
    for token in ["x", "a.b.c", &own] {
        stranger.revoke(&office, token);
    }
    assert_eq!(through(&office, &own).0, 200);
    // On the gateway these paths are paths like any other.
    for path in ["/api/oauth/token", "/.well-known/jwks.json"] {
        assert_eq!(office.served.get(path, &[]).outcome(), (401, "CREDENTIALS_REQUIRED".into()));
    }
}

#[test]
fn a_client_asks_ten_times_a_minute_and_has_a_hundred_tokens() {
    let office = Office::open();
    let (batch, other) = (Account::new(&office, "[]"), Account::new(&office, "[]"));
    let wrong = Account { id: batch.id.clone(), secret: "pcl_sa_sk_x".into(), secret_id: String::new() };
    let ask = |one: &Account| form(&office, "/api/oauth/token", &one.basic(), "grant_type=client_credentials");
    let token = batch.token(&office);
    for _ in 0..9 {
        assert_eq!(ask(&wrong).status, 401);
    }
    for one in [&batch, &wrong] {
        let late = ask(one);
        assert_eq!((late.status, late.json()["errorCode"].as_str()), (429, Some("RATE_LIMITED")));
        assert!((1..=60).contains(&late.header("retry-after").unwrap().parse::<u32>().unwrap()));
    }
    assert_eq!(ask(&other).status, 200);
    // Whoever has a token goes on using it, and can give it back.
    assert_eq!(through(&office, &token).0, 200);
    batch.revoke(&office, &token);
    assert_eq!(through(&office, &token), refused());

    let office = Office::open_with(EAGER);
    let batch = Account::new(&office, "[]");
    let tokens: Vec<String> = (0..100).map(|_| batch.token(&office)).collect();
    let full = form(&office, "/api/oauth/token", &batch.basic(), "grant_type=client_credentials");
    assert_eq!((full.status, full.json()["error"].as_str()), (429, Some("temporarily_unavailable")));
    assert!(full.header("retry-after").unwrap().parse::<u32>().unwrap() > 3000);
    batch.revoke(&office, &tokens[0]);
    batch.token(&office);
}

#[test]
fn where_bearer_is_off_a_token_belongs_to_the_upstream() {
    let configuration = EAGER.replace("  workers: 2\n", "  workers: 1\n  credentials: { bearer: off }\n");
    let office = Office::open_with(&configuration);
    let token = Account::new(&office, "[]").token(&office);
    assert_eq!(through(&office, &token), (401, "CREDENTIALS_REQUIRED".into()));
    let key = office.key("[]");
    let passed = office.served.get("/", &[&key.header(), &bearer(&token)]);
    assert!(passed.status == 200 && passed.text().contains(&token), "{}", passed.text());
}

#[test]
fn the_issuer_is_what_is_configured() {
    let configuration = EAGER.replace("per_minute", "issuer: \"https://admin.example.com\", per_minute");
    let office = Office::open_with(&configuration);
    let batch = Account::new(&office, "[]");
    let (token, gone) = (batch.token(&office), batch.token(&office));
    batch.revoke(&office, &gone);
    assert_eq!(decoded(&token, 1)["iss"], "https://admin.example.com");
    assert_eq!(through(&office, &token).0, 200);
    let metadata = office.raw("", "GET", "/.well-known/oauth-authorization-server", "", "").json();
    assert_eq!(metadata["revocation_endpoint"], "https://admin.example.com/api/oauth/revoke");
    // A restart ends nothing that was signed in the same name, and revives nothing.
    let office = office.reopen("TERM");
    assert_eq!((through(&office, &token).0, through(&office, &gone)), (200, refused()));
}
