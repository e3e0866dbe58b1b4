//! Signing in by a provider of OpenID Connect that others have made: npm's oidc-provider (`tests/clients/oidc-provider.mjs`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use crate::admin::office::{CONFIGURATION, Office};
use crate::console::visitor::{PASSWORD, Visitor};
use crate::programs::{Running, package, program};
use crate::stage::{Answer, Client};

const SESSION: &str = "__Host-portcullis-session";
const TICKET: &str = "__Host-portcullis-ticket";

/// A provider, which ends with the test.
pub struct Provider {
    process: Running,
    told: BufReader<ChildStdout>,
    pub issuer: String,
    folder: tempfile::TempDir,
}

impl Provider {
    /// One that tells addresses in ID tokens, or only where it is asked for them.
    pub fn start(in_id_token: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "a secret: of the test/4711\n").unwrap();
        let mut command = Command::new(program("oidc-provider-node"));
        command.arg(package().join("tests/clients/oidc-provider.mjs"));
        if in_id_token {
            command.env("IN_ID_TOKEN", "yes");
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Running::start(piped);
        let told = BufReader::new(process.child().stdout.take().unwrap());
        let mut provider = Self { process, told, issuer: String::new(), folder };
        provider.issuer = provider.line();
        provider
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the provider has ended");
        line.trim().to_owned()
    }

    /// What a console says to know it.
    pub fn configured(&self, client: &str, more: &str) -> String {
        let secret = match client {
            "public" => String::new(),
            _ => format!("client_secret_file: \"{}\",", self.folder.path().join("secret").display()),
        };
        let issuer = &self.issuer;
        let own = format!("{{ issuer: \"{issuer}\", client_id: {client}, {secret} called: Example, {more} }}");
        CONFIGURATION.replace("admin: {", &format!("admin: {{ single_sign_on: {own},"))
    }

    /// Has it know a console.
    pub fn knows(&mut self, office: &Office) {
        let stdin = self.process.child().stdin.as_mut().unwrap();
        writeln!(stdin, "http://{}/sign-in/provider/return", office.admin()).unwrap();
        // What it has to say of its settings comes before.
        while self.line() != "ready" {}
    }

    fn get(&self, path: &str, cookies: &mut BTreeMap<String, String>) -> Answer {
        let host = self.issuer.strip_prefix("http://").unwrap();
        let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let head = format!("Host: {host}\r\nConnection: close\r\nCookie: {}\r\n", sent.join("; "));
        let answer = Client::connect(host.parse().unwrap()).send(format!("GET {path} HTTP/1.1\r\n{head}\r\n"));
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// Who signs in next.
    pub fn account(&self, name: &str) {
        assert_eq!(self.get(&format!("/as/{name}"), &mut BTreeMap::new()).status, 200);
    }

    /// Goes where the console sent somebody, and tells where the provider sends them back to.
    fn visited(&self, address: &str) -> String {
        let mut cookies = BTreeMap::new();
        let mut address = address.to_owned();
        loop {
            let path = match address.strip_prefix(&self.issuer) {
                Some(path) => path.to_owned(),
                None if address.starts_with('/') => address,
                None => return address.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap(),
            };
            let answer = self.get(&path, &mut cookies);
            let next = answer.header("location").unwrap_or_else(|| panic!("{path}: {}", answer.text()));
            address = next.to_owned();
        }
    }
}

/// Where the console sends a visitor.
fn left(visitor: &mut Visitor<'_>, next: &str) -> String {
    let answer = visitor.request("GET", &format!("/sign-in/provider?next={next}"), "", "");
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// A visitor who went to the provider and came back.
fn returned<'o>(office: &'o Office, provider: &Provider, account: &str) -> (Visitor<'o>, Answer) {
    provider.account(account);
    let mut visitor = Visitor::new(office);
    let address = left(&mut visitor, "");
    let answer = visitor.request("GET", &provider.visited(&address), "", "");
    (visitor, answer)
}

#[track_caller]
fn refused(visitor: &Visitor<'_>, answer: &Answer, status: u16, says: &str) {
    let text = answer.text();
    assert!(answer.status == status && text.contains(says), "{} {text}", answer.status);
    assert!(text.contains("<h1>Sign in</h1>"), "{text}");
    assert!(!visitor.cookies.contains_key(SESSION) && !visitor.cookies.contains_key(TICKET), "{:?}", visitor.cookies);
}

#[test]
fn somebody_who_is_here_signs_in_by_the_provider() {
    for (client, in_id_token) in [("console", false), ("console", true), ("public", false)] {
        let mut provider = Provider::start(in_id_token);
        let office = Office::open_with(&provider.configured(client, ""));
        provider.knows(&office);
        drop(Visitor::owner(&office));
        let mut ann = Visitor::new(&office);
        assert!(ann.look("/sign-in?next=%2Forgs%2Fnew").contains("Sign in with Example"));
        assert!(ann.page.contains("href=\"/sign-in/provider?next=%2Forgs%2Fnew\""), "{}", ann.page);
        let address = left(&mut ann, "%2Forgs%2Fnew");
        for part in ["response_type=code", "scope=openid+email", "code_challenge_method=S256", "nonce=", "state="] {
            assert!(address.contains(part), "{address}");
        }
        assert!(!ann.cookies.contains_key(SESSION));
        let back = ann.request("GET", &provider.visited(&address), "", "");
        assert_eq!((back.status, back.header("location")), (303, Some("/orgs/new")), "{}", back.text());
        assert!(!ann.cookies.contains_key(TICKET));
        assert!(ann.look("/account").contains("owner@example.com"));
        let events = office.own("GET", "/events?eventType=USER_SIGNED_IN", "").json();
        assert_eq!(events["totalCount"], 2, "{events:#}");
        ann.done("/sign-out", &[]);
        assert!(ann.look("/account").contains("<h1>Sign in</h1>"));
    }
}

#[test]
fn whoever_is_invited_needs_no_token_and_no_password() {
    let mut provider = Provider::start(false);
    let office = Office::open_with(&provider.configured("console", ""));
    provider.knows(&office);
    let invite = r#"{"username":"ben@example.com","roles":["ORG_READ_ONLY"]}"#;
    assert_eq!(office.own("POST", "/invites", invite).status, 201);
    let (mut ben, back) = returned(&office, &provider, "ben");
    assert_eq!((back.status, back.header("location")), (303, Some("/home")), "{}", back.text());
    assert!(ben.look("/account").contains("Ben@Example.com"));
    let users = office.own("GET", "/users", "").json();
    assert_eq!((&users["totalCount"], &users["results"][0]["username"]), (&1.into(), &"Ben@Example.com".into()));
    assert_eq!(office.own("GET", "/invites", "").json().to_string().matches("ben@").count(), 0);
    // There is no password that would do.
    let mut other = Visitor::new(&office);
    other.look("/sign-in");
    assert_eq!(other.send("/sign-in", &[("email", "ben@example.com"), ("password", PASSWORD)]).status, 401);
    let (_, again) = returned(&office, &provider, "ben");
    assert_eq!(again.status, 303, "{}", again.text());
    assert_eq!(office.own("GET", "/users", "").json()["totalCount"], 1);
}

#[test]
fn whoever_is_named_by_the_settings_comes_in_and_nobody_else() {
    let mut provider = Provider::start(false);
    let office = Office::open_with(&provider.configured("console", ""));
    let (organization, folder) = (office.organization.clone(), office.close());
    let serve = |provider: &mut Provider, folder: tempfile::TempDir, domain: &str| {
        let newcomers =
            format!("newcomers: {{ domains: [{domain}], organization: {organization}, roles: [ORG_MEMBER] }}");
        std::fs::write(folder.path().join("portcullis.yaml"), provider.configured("console", &newcomers)).unwrap();
        let office = Office::again(folder);
        provider.knows(&office);
        office
    };
    let office = serve(&mut provider, folder, "example");
    let (visitor, back) = returned(&office, &provider, "cleo");
    refused(&visitor, &back, 401, "Nobody with the address cleo@new.example is here");
    let office = serve(&mut provider, office.close(), "New.Example");
    let (mut cleo, back) = returned(&office, &provider, "cleo");
    assert_eq!(back.status, 303, "{}", back.text());
    assert!(cleo.look("/account").contains("cleo@new.example"));
    let (visitor, back) = returned(&office, &provider, "nobody");
    refused(&visitor, &back, 401, "Ask an owner for an invitation");
}

/// threats.md H14.
#[test]
fn h14_only_the_answer_to_ones_own_sign_in_is_taken() {
    let mut provider = Provider::start(false);
    let office = Office::open_with(&provider.configured("console", ""));
    provider.knows(&office);
    drop(Visitor::owner(&office));
    provider.account("ann");
    let begun = |change: &dyn Fn(String) -> String| {
        let mut ann = Visitor::new(&office);
        let address = change(left(&mut ann, ""));
        let back = provider.visited(&address);
        (ann, back)
    };
    let same = |address: String| address;
    let altered = |address: &str, name: &str| {
        let (before, after) = address.split_once(&format!("{name}=")).unwrap();
        let rest = after.split_once('&').map_or(String::new(), |(_, rest)| format!("&{rest}"));
        format!("{before}{name}=another{rest}")
    };

    let (mut ann, back) = begun(&same);
    let answer = ann.request("GET", &altered(&back, "state"), "", "");
    refused(&ann, &answer, 401, "not begun in this browser");

    // Somebody else's browser has another ticket, or none.
    let (_, back) = begun(&same);
    let mut other = Visitor::new(&office);
    let answer = other.request("GET", &back, "", "");
    refused(&other, &answer, 401, "not begun in this browser");
    left(&mut other, "");
    let answer = other.request("GET", &back, "", "");
    refused(&other, &answer, 401, "not begun in this browser");

    // A code that was used, by whoever kept everything.
    let (mut ann, back) = begun(&same);
    let ticket = ann.cookies[TICKET].clone();
    assert_eq!(ann.request("GET", &back, "", "").status, 303);
    let mut again = Visitor::new(&office);
    again.cookies.insert(TICKET.into(), ticket);
    let answer = again.request("GET", &back, "", "");
    refused(&again, &answer, 401, "used already");

    // An answer to a question that was altered on its way.
    let (mut ann, back) = begun(&|address| altered(&address, "nonce"));
    let answer = ann.request("GET", &back, "", "");
    refused(&ann, &answer, 401, "no answer of the provider to this sign-in");

    // The code of one sign-in in the answer to another: PKCE is not its own.
    let (mut ann, back) = begun(&same);
    let (_, other) = begun(&same);
    let code = |back: &str| back.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned();
    let answer = ann.request("GET", &back.replace(&code(&back), &code(&other)), "", "");
    refused(&ann, &answer, 401, "used already or is too old");

    // An answer in the name of another provider, or of none.
    for iss in ["&iss=https%3A%2F%2Fevil.example", ""] {
        let (mut ann, back) = begun(&same);
        let (before, _) = back.split_once("&iss=").expect("the provider names itself");
        let answer = ann.request("GET", &format!("{before}{iss}"), "", "");
        refused(&ann, &answer, 401, "no answer of the provider");
    }
    assert_eq!(office.own("GET", "/users", "").json()["totalCount"], 1);
}

/// threats.md H14.
#[test]
fn h14_an_address_counts_where_the_provider_says_that_it_is_theirs() {
    let mut provider = Provider::start(false);
    let office = Office::open_with(&provider.configured("console", ""));
    provider.knows(&office);
    drop(Visitor::owner(&office));
    for (account, says) in [
        ("unverified", "does not say that the email address is yours"),
        ("nobody", "Nobody with the address nobody@example.com is here"),
        ("mailless", "tells no email address"),
        ("refuses", "The provider did not sign you in."),
    ] {
        let (visitor, back) = returned(&office, &provider, account);
        refused(&visitor, &back, 401, says);
    }
    let failed = || office.own("GET", "/events?eventType=USER_SIGN_IN_FAILED", "").json()["totalCount"] == 1;
    crate::stage::wait_for("the event", failed);
}

#[test]
fn who_tries_too_often_by_the_provider_has_to_wait() {
    let mut provider = Provider::start(false);
    let office = Office::open_with(&provider.configured("console", ""));
    provider.knows(&office);
    let mut ann = Visitor::new(&office);
    let address = left(&mut ann, "");
    let state = address.split_once("state=").unwrap().1.split('&').next().unwrap();
    let back = format!("/sign-in/provider/return?code=guessed&state={state}&iss={}", provider.issuer);
    let ticket = ann.cookies[TICKET].clone();
    let mut statuses = Vec::new();
    for _ in 0..31 {
        ann.cookies.insert(TICKET.into(), ticket.clone());
        statuses.push(ann.request("GET", &back, "", "").status);
    }
    assert_eq!((statuses[0], statuses[29], statuses[30]), (401, 401, 429));
}

#[test]
fn a_provider_that_is_away_or_another_is_told_to_the_operator() {
    let mut provider = Provider::start(false);
    let known = provider.configured("console", "");
    unavailable(&Office::open_with(&known.replace(&provider.issuer, "http://127.0.0.1:9")), "out of reach");
    unavailable(&Office::open_with(&known), "only 200 is taken");
    let office = Office::open_with(&known.replace("issuer: \"http://127.0.0.1", "issuer: \"http://localhost"));
    provider.knows(&office);
    unavailable(&office, "calls itself");
    let none = Office::open();
    drop(Visitor::owner(&none));
    assert_eq!(Visitor::new(&none).request("GET", "/sign-in/provider", "", "").status, 404);
    assert!(!Visitor::new(&none).look("/sign-in").contains("/sign-in/provider"));
}

fn unavailable(office: &Office, logged: &str) {
    drop(Visitor::owner(office));
    let mut ann = Visitor::new(office);
    let answer = ann.request("GET", "/sign-in/provider", "", "");
    refused(&ann, &answer, 503, "SIGN_ON_UNAVAILABLE");
    // Whoever has a password still gets in.
    ann.look("/sign-in");
    assert_eq!(ann.send("/sign-in", &[("email", "owner@example.com"), ("password", PASSWORD)]).status, 303);
    let told = office.served.log().iter().any(|line| line.to_string().contains(logged));
    assert!(told, "{logged}: {:#?}", office.served.log());
}

/// The file has to be there from the beginning.
#[test]
fn a_secret_that_is_missing_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let lacking = "single_sign_on: { issuer: \"https://login.example.com\", client_id: a, client_secret_file: none }";
    let text = CONFIGURATION.replace("admin: {", &format!("admin: {{ {lacking},"));
    let file = folder.path().join("portcullis.yaml");
    std::fs::write(&file, text).unwrap();
    let told = checked(&file);
    assert!(told.contains("none") && told.contains("client_secret_file"), "{told}");
}

fn checked(file: &Path) -> String {
    let mut command = Command::new(crate::programs::PORTCULLIS);
    let output = crate::programs::output(command.args(["check", "--config"]).arg(file));
    assert_eq!(output.status.code(), Some(78));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
