//! The command line as its user has it: arguments, standard input, both outputs, exit codes.

mod plan;
mod shape;
mod told;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::programs::{PORTCULLIS, package};
use crate::served::Served;
use crate::stage::{KEY, KEY_WITHOUT_LIST, directory, sha256, wait_for};

/// The credential of [`KEY`].
const CREDENTIAL: &str = "5f0000000000000000000021";

const CONFIGURATION: &str = "gateway:
  client_address: { trusted_proxies: [127.0.0.1] }
  routes: [{ path: /, upstream: echo }]
  upstreams: { echo: { endpoints: [\"echo:\"] } }
directory: { file: directory.yaml }
";

/// A folder with files to work on.
struct Folder(tempfile::TempDir);

/// What a run leaves: exit code, standard output, standard error.
struct Ran(Option<i32>, String, String);

impl Folder {
    /// A good configuration and its directory.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("portcullis.yaml", CONFIGURATION);
        folder.write("directory.yaml", directory());
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// `portcullis ARGUMENTS` in this folder; arguments are separated by blanks.
    fn run(&self, arguments: &str) -> Ran {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>(), "", &[])
    }

    fn run_with(&self, arguments: &[&str], input: &str, environment: &[(&str, OsString)]) -> Ran {
        let mut command = Command::new(PORTCULLIS);
        command.args(arguments).current_dir(self.0.path()).envs(environment.iter().cloned());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran(status.code(), text(stdout), text(stderr))
    }
}

impl Ran {
    #[track_caller]
    fn code(self, expected: i32) -> Self {
        assert_eq!(self.0, Some(expected), "{}\n{}", self.1, self.2);
        self
    }

    /// Standard output as JSON, with nothing beside it.
    #[track_caller]
    fn json(&self) -> Value {
        assert!(self.2.is_empty(), "{}", self.2);
        serde_json::from_str(&self.1).unwrap_or_else(|fault| panic!("{fault}: {}", self.1))
    }
}

/// Asserts that a text has all of these in it.
#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn check_says_what_is_good() {
    let folder = Folder::new();
    for arguments in ["check portcullis.yaml", "check --config portcullis.yaml"] {
        let ran = folder.run(arguments).code(0);
        assert_eq!(ran.1, "good: 1 route, 1 upstream, 2 organizations, 5 credentials; no warnings\n");
        assert!(ran.2.is_empty());
    }
    assert_eq!(folder.run("check directory.yaml").code(0).1, "good: 2 organizations, 5 credentials; no warnings\n");
    let answer = folder.run("check portcullis.yaml --output json").code(0).json();
    assert_eq!(answer, serde_json::json!({ "ok": true, "problems": [] }));
}

#[test]
fn check_names_every_fault_of_both_files_in_one_run() {
    let folder = Folder::new();
    folder
        .write("portcullis.yaml", CONFIGURATION.replace("127.0.0.1]", "10.0.0.5/8]").replace("upstreams", "upstrems"));
    folder.write("directory.yaml", directory().replace("192.0.2.0/24", "192.0.2.1/24"));
    let ran = folder.run("check --config portcullis.yaml").code(78);
    assert!(ran.1.is_empty(), "{}", ran.1);
    has(
        &ran.2,
        &["portcullis.yaml:2:39", "did you mean `10.0.0.0/8`?", "portcullis.yaml:4:3", "did you mean `upstreams`?"],
    );
    has(&ran.2, &["directory.yaml:11:23", "did you mean `192.0.2.0/24`?", "refused: 3 errors, no warnings"]);
    let answer = folder.run("check portcullis.yaml -o json").code(78).json();
    let lines: Vec<_> = answer["problems"].as_array().unwrap().iter().map(|one| one["line"].as_u64()).collect();
    assert_eq!((answer["ok"].as_bool(), lines), (Some(false), vec![Some(2), Some(4), Some(11)]));
}

#[test]
fn a_file_without_a_directory_means_a_store_beside_it() {
    let folder = Folder::new();
    folder.write("portcullis.yaml", "gateway:\n  workers: 1\n");
    has(&folder.run("check portcullis.yaml").code(0).1, &["good: 1 route, 1 upstream"]);
    has(
        &folder.run("explain --config portcullis.yaml --peer 127.0.0.1").code(1).2,
        &["portcullis.db` yet", "portcullis serve"],
    );
    // Nothing that only looks makes one.
    assert!(!folder.0.path().join("portcullis.db").exists());
    folder.write(
        "portcullis.db",
        "something else that is no database, long enough to have a head of one hundred bytes, which SQLite reads",
    );
    let listen = |name: &'static str, value: &str| (name, OsString::from(value));
    let ports = [
        listen("PORTCULLIS__GATEWAY__LISTEN", "[{ address: \"127.0.0.1:0\" }]"),
        listen("PORTCULLIS__ADMIN__LISTEN", "127.0.0.1:0"),
        listen("PORTCULLIS__TELEMETRY__LISTEN", "127.0.0.1:0"),
    ];
    for arguments in [["serve", "--config", "portcullis.yaml"], ["check", "--config", "portcullis.yaml"]] {
        has(
            &folder.run_with(&arguments, "", &ports).code(78).2,
            &["portcullis.db", "the store is damaged", "restore a copy"],
        );
    }
}

#[test]
fn check_judges_the_files_that_a_configuration_names_as_a_start_does() {
    let folder = Folder::new();
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("tls.crt", pair().cert.pem());
    folder.write("tls.key", pair().signing_key.serialize_pem());
    folder.write("ca.crt", "no certificate");
    folder.write("keys.json", "{}");
    let issuer = "{ issuer: a, audience: b, jwks_file: keys.json, algorithms: [RS256], \
                  organizations: [5f0000000000000000000001] }";
    let gateway = format!(
        "gateway:\n  listen: [{{ address: \"127.0.0.1:0\", tls: {{ certificate: tls.crt, private_key: tls.key }} }}]\n  \
         credentials: {{ issuers: [{issuer}] }}\n"
    );
    let with_ca = CONFIGURATION.replace("\"echo:\"]", "\"https://127.0.0.1:1\"], tls: { ca: ca.crt }");
    folder.write("portcullis.yaml", with_ca.replace("gateway:\n", &gateway));
    for arguments in ["check portcullis.yaml", "serve --config portcullis.yaml"] {
        let told = folder.run(arguments).code(78).2;
        has(
            &told,
            &[
                "tls.crt` and private key `",
                "can't be used together",
                "upstream `echo`",
                "ca.crt` holds no certificate",
            ],
        );
        has(&told, &["the key set of issuer `a` is refused"]);
    }
    let explained = folder.run("explain --config portcullis.yaml --peer 127.0.0.1").code(78);
    has(&explained.2, &["the key set of issuer `a` is refused"]);
}

#[test]
fn check_against_says_who_would_newly_be_refused_or_allowed() {
    let folder = Folder::new();
    folder.write("new.yaml", directory().replace("192.0.2.0/24,", "192.0.2.0/25, 198.51.100.7,"));
    for old in ["directory.yaml", "portcullis.yaml", "--config portcullis.yaml"] {
        let ran = folder.run(&format!("check {old} --against new.yaml")).code(2);
        has(&ran.1, &[CREDENTIAL, "newly refused: 192.0.2.128/25", "newly allowed: 198.51.100.7/32"]);
        has(&ran.1, &["newly refused: 1 credential; newly allowed: 1 credential\n"]);
    }
    let answer = folder.run("check directory.yaml --against new.yaml --output json").code(2).json();
    assert_eq!(answer["newly_refuses"], true);
    let one = &answer["credentials"][0];
    assert_eq!(
        (one["id"].as_str(), &one["periods"][0]["newly_refused"][0]),
        (Some(CREDENTIAL), &"192.0.2.128/25".into())
    );
    // Nobody is refused, so that a script may go on.
    folder.write("new.yaml", directory().replace("192.0.2.0/24", "192.0.2.0/23"));
    has(&folder.run("check directory.yaml --against new.yaml").code(0).1, &["newly allowed: 192.0.3.0/24"]);
    has(&folder.run("check directory.yaml --against directory.yaml").code(0).1, &["no difference"]);
    folder.write("new.yaml", directory().replace("192.0.2.0/24", "192.0.2.1/24"));
    has(&folder.run("check directory.yaml --against new.yaml").code(78).2, &["new.yaml:11:23"]);
}

#[test]
fn check_against_says_whose_certificates_clients_have_to_show() {
    let folder = Folder::new();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("tls.key", pair.signing_key.serialize_pem());
    for name in ["tls.crt", "one.crt", "two.crt"] {
        folder.write(name, pair.cert.pem());
    }
    for (name, more) in [("none", ""), ("one", ", client_ca: one.crt"), ("two", ", client_ca: two.crt")] {
        let tls = format!("tls: {{ certificate: tls.crt, private_key: tls.key{more} }}");
        let gateway = format!("gateway:\n  listen: [{{ address: \"127.0.0.1:8443\", {tls} }}]\n");
        folder.write(&format!("{name}.yaml"), CONFIGURATION.replace("gateway:\n", &gateway));
    }
    let told = |old: &str, new: &str| folder.run(&format!("check {old}.yaml --against {new}.yaml")).code(2).1;
    has(&told("none", "one"), &["listener 127.0.0.1:8443 asks clients for a certificate"]);
    has(&told("one", "none"), &["asks clients for no certificate; proxies known by theirs are believed there no more"]);
    has(&told("one", "two"), &["asks for client certificates of another `client_ca`"]);
    folder.run("check one.yaml --against one.yaml").code(0);
}

#[test]
fn explain_shows_an_allowed_request_step_by_step() {
    let folder = Folder::new();
    let asked = ["explain", "-c", "portcullis.yaml", "--peer", "127.0.0.1", "--header", "X-Forwarded-For: 192.0.2.9"];
    let with_key = [&asked[..], &["--key", "-"]].concat();
    let ran = folder.run_with(&with_key, &format!("{KEY}\n"), &[]).code(0);
    has(&ran.1, &["peer            127.0.0.1 is a trusted proxy", "client address  192.0.2.9, from header"]);
    has(&ran.1, &["entry 192.0.2.0/24 admits the address", "outcome         allow\n", "upstream        echo"]);
    assert!(!ran.1.contains(KEY) && ran.2.is_empty(), "{}", ran.2);
    let report = folder.run_with(&[&with_key[..], &["--output", "json"]].concat(), KEY, &[]).code(0).json();
    assert_eq!((&report["outcome"], &report["code"]), (&"allow".into(), &Value::Null));
    assert_eq!((&report["client_address"], &report["credential"]), (&"192.0.2.9".into(), &CREDENTIAL.into()));
    assert_eq!(report["steps"][0]["step"], "peer");
}

#[test]
fn explain_says_why_a_request_is_refused_and_what_helps() {
    let folder = Folder::new();
    // Whoever is no trusted proxy may say what it likes.
    let forged = ["--peer", "198.51.100.7", "--header", "X-Forwarded-For: 192.0.2.9", "--credential", CREDENTIAL];
    let explain = ["explain", "--config", "portcullis.yaml"];
    let ran = folder.run_with(&[&explain[..], &forged].concat(), "", &[]).code(2);
    has(&ran.1, &["198.51.100.7 is not a trusted proxy", "outcome         deny 403 IP_ADDRESS_NOT_ON_ACCESS_LIST"]);
    has(&ran.1, &["fix             add 198.51.100.7/32", "`x-forwarded-for` was not read", "no secret was checked"]);
    let report = folder.run_with(&[&explain[..], &forged, &["--output", "json"]].concat(), "", &[]).code(2).json();
    assert_eq!((&report["status"], &report["code"]), (&403.into(), &"IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
    let ran = folder.run("explain --config portcullis.yaml --peer 192.0.2.9").code(2);
    has(&ran.1, &["outcome         deny 401 CREDENTIALS_REQUIRED", "send a credential: a key in `x-api-key`"]);
    let bare = format!("explain --config portcullis.yaml --peer 192.0.2.9 --key {KEY_WITHOUT_LIST}");
    has(&folder.run(&bare).code(2).1, &["deny 403 ORG_REQUIRES_ACCESS_LIST"]);
    // What is wrong with a file is told in the form that was asked for.
    folder.write("directory.yaml", "organizations: 5\n");
    let answer = folder.run("explain --config portcullis.yaml --peer ::1 --output json").code(78).json();
    assert_eq!((&answer["ok"], &answer["problems"][0]["line"]), (&false.into(), &1.into()));
}

#[test]
fn hash_turns_keys_into_what_a_file_holds() {
    let folder = Folder::new();
    let hash = |arguments: &[&str], input: &str| folder.run_with(&[&["hash"], arguments].concat(), input, &[]);
    assert_eq!(hash(&[], KEY).code(0).1, format!("{}\n", sha256(KEY)));
    assert_eq!(hash(&[], &format!("{KEY}\r\n")).code(0).1, format!("{}\n", sha256(KEY)));
    let both = format!("{KEY}\n{KEY_WITHOUT_LIST}\n");
    assert_eq!(hash(&["--batch"], &both).code(0).1, format!("{}\n{}\n", sha256(KEY), sha256(KEY_WITHOUT_LIST)));
    let answer = hash(&["--output", "json"], KEY).code(0).json();
    assert_eq!((&answer["public_key"], &answer["secret_sha256"]), (&KEY[..8].into(), &sha256(KEY).into()));
    let answer = hash(&["--batch", "--output", "json"], &both).code(0).json();
    assert_eq!(answer.as_array().map(Vec::len), Some(2));
}

#[test]
fn hash_refuses_what_is_no_key_and_repeats_none() {
    let folder = Folder::new();
    let weak = "passwordpassword";
    for (arguments, input, told) in [
        (&[][..], weak, "line 1: the key could be guessed"),
        (&["--batch"], &format!("{KEY}\n{weak}\n"), "line 2: the key could be guessed"),
        (&[], &format!("{KEY}\n{KEY_WITHOUT_LIST}\n"), "use `--batch`"),
        (&[], "short", "16 to 512 visible ASCII characters"),
        (&[], &format!("\u{feff}{KEY}"), "visible ASCII"),
        (&[], "", "standard input has no key"),
    ] {
        let ran = folder.run_with(&[&["hash"], arguments].concat(), input, &[]).code(1);
        has(&ran.2, &[told]);
        assert!(ran.1.is_empty() && !ran.2.contains(weak) && !ran.2.contains(KEY), "{}{}", ran.1, ran.2);
    }
    assert_eq!(folder.run_with(&["hash", "--weak"], weak, &[]).code(0).1, format!("{}\n", sha256(weak)));
    // A key among the arguments is not taken, and not repeated either.
    let ran = folder.run(&format!("hash {KEY}")).code(64);
    assert!(!ran.2.contains(KEY), "{}", ran.2);
}

#[test]
fn schemas_describe_what_is_shipped() {
    let folder = Folder::new();
    for (format, files) in [
        ("config", &["config/portcullis.yaml", "deploy/container/portcullis.yaml"][..]),
        ("directory", &["config/directory.yaml"]),
    ] {
        let schema = folder.run(&format!("schema {format}")).code(0).json();
        for file in files {
            let text = std::fs::read_to_string(package().join(file)).unwrap();
            let document: Value = serde_yaml::from_str(&text).unwrap();
            assert_eq!(shape::faults(&schema, &document), Vec::<String>::new(), "{file}");
        }
        // And would notice.
        let wrong = serde_json::json!({ "gateway": { "workrs": 2 }, "organizations": 5 });
        assert_ne!(shape::faults(&schema, &wrong), Vec::<String>::new());
    }
    assert_eq!(folder.run("schema").code(0).1, folder.run("schema config").code(0).1);
    folder.run("schema everything").code(64);
}

#[test]
fn completions_know_every_command() {
    let folder = Folder::new();
    let commands = [
        "serve",
        "demo",
        "check",
        "explain",
        "hash",
        "schema",
        "openapi",
        "ranges",
        "orgs",
        "settings",
        "projects",
        "api-keys",
        "access-lists",
        "events",
        "login",
        "logout",
        "password",
        "profiles",
        "completions",
        "man",
    ];
    for (shell, start) in
        [("bash", "_portcullis()"), ("zsh", "#compdef portcullis"), ("fish", "complete -c portcullis")]
    {
        let script = folder.run(&format!("completions {shell}")).code(0).1;
        has(&script, &[start]);
        has(&script, &commands);
        folder.write(shell, script);
    }
    let parsed = Command::new("bash").arg("-n").arg(folder.0.path().join("bash")).output().unwrap();
    assert!(parsed.status.success(), "{parsed:?}");
    folder.run("completions cmd").code(64);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = Folder::new();
    has(&folder.run("man").code(0).1, &[".TH portcullis 1", ".SH SYNOPSIS", "portcullis\\-check(1)"]);
    std::fs::create_dir(folder.0.path().join("pages")).unwrap();
    assert!(folder.run("man --out pages").code(0).1.is_empty());
    for command in ["", "-serve", "-check", "-explain", "-hash", "-access-lists-create", "-api-keys-secrets-add"] {
        let page = std::fs::read_to_string(folder.0.path().join(format!("pages/portcullis{command}.1"))).unwrap();
        has(&page, &[&format!(".TH portcullis{command} 1")]);
    }
    folder.run("man --out new/pages").code(0);
    assert!(folder.0.path().join("new/pages/portcullis-check.1").exists());
    has(&folder.run("man --out portcullis.yaml").code(1).2, &["`portcullis.yaml`", "must be a folder"]);
}

#[test]
fn the_reference_lists_every_command() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.path().join("pages")).unwrap();
    folder.run("man --out pages").code(0);
    let reference = std::fs::read_to_string(package().join("docs/reference/cli.md")).unwrap();
    let pages = std::fs::read_dir(folder.0.path().join("pages")).unwrap();
    let mut names: Vec<String> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let is_leaf = |name: &&String| {
        let below = name.replace(".1", "-");
        !names.iter().any(|other| other.starts_with(&below)) && !name.contains("-help")
    };
    let leaves: Vec<&String> = names.iter().filter(is_leaf).collect();
    assert!(leaves.len() > 40, "{leaves:?}");
    for page in leaves {
        let words = page.trim_start_matches("portcullis-").trim_end_matches(".1");
        // From the inside out: the words of a group have hyphens of their own.
        let nested = ["api-keys secrets", "service-accounts secrets", "service-accounts tokens"];
        let groups = ["api-keys", "service-accounts", "access-lists", "network-sets"];
        let group = nested.iter().chain(&groups).find(|group| words.starts_with(&group.replace(' ', "-")));
        let command = match group {
            Some(group) => words.replacen(&format!("{}-", group.replace(' ', "-")), &format!("{group} "), 1),
            None => words.replacen('-', " ", 1),
        };
        let told = [format!("`{command}`"), format!("`{command} ")];
        assert!(told.iter().any(|told| reference.contains(told)), "cli.md has no `{command}`");
    }
}

#[test]
fn wrong_usage_is_64_and_help_is_no_mistake() {
    let folder = Folder::new();
    for arguments in ["", "--nonsense", "frobnicate", "serve --nonsense", "check", "explain", "serve --log-level loud"]
    {
        let ran = folder.run(arguments).code(64);
        assert!(ran.1.is_empty() && !ran.2.is_empty(), "{arguments}: {}", ran.1);
    }
    for arguments in ["--help", "--version", "check --help", "help explain"] {
        let ran = folder.run(arguments).code(0);
        assert!(ran.2.is_empty() && ran.1.contains("portcullis"), "{arguments}: {}{}", ran.1, ran.2);
    }
}

#[test]
fn a_configuration_that_is_not_there_is_78_and_named() {
    let folder = Folder::new();
    let named = ["missing.yaml", "the configuration can't be read: No such file or directory"];
    for arguments in ["serve --config missing.yaml", "check missing.yaml", "explain -c missing.yaml --peer ::1"] {
        has(&folder.run(arguments).code(78).2, &named);
    }
    let by_variable = folder.run_with(&["serve"], "", &[("PORTCULLIS_CONFIG", "missing.yaml".into())]);
    has(&by_variable.code(78).2, &named);
    has(&folder.run("check portcullis.yaml --against missing.yaml").code(78).2, &named);
}

#[test]
fn a_byte_order_mark_and_json_are_read_like_anything_else() {
    let folder = Folder::new();
    folder.write("portcullis.yaml", format!("\u{feff}{CONFIGURATION}"));
    folder.write("directory.yaml", format!("\u{feff}{}", directory()));
    folder.run("check portcullis.yaml").code(0);
    // The file's first line says what it is.
    assert_eq!(folder.run("check directory.yaml").code(0).1, "good: 2 organizations, 5 credentials; no warnings\n");
    let json: Value = serde_yaml::from_str(&directory()).unwrap();
    folder.write("directory.json", format!("{json:#}"));
    assert_eq!(folder.run("check directory.json").code(0).1, "good: 2 organizations, 5 credentials; no warnings\n");
}

#[test]
fn variables_override_and_what_only_looks_like_one_is_refused() {
    let folder = Folder::new();
    let check = |name: &str, value: OsString| folder.run_with(&["check", "portcullis.yaml"], "", &[(name, value)]);
    check("PORTCULLIS__GATEWAY__WORKERS", "2".into()).code(0);
    has(&check("PORTCULLIS__GATEWAY__WORKERS", "many".into()).code(78).2, &["PORTCULLIS__GATEWAY__WORKERS", "`many`"]);
    let not_text = OsString::from_vec(b"caf\xe9".to_vec());
    has(
        &check("PORTCULLIS__GATEWAY__CREDENTIALS__REALM", not_text).code(78).2,
        &["CREDENTIALS__REALM", "is not UTF-8"],
    );
    let nearly = check("PORTCULLIS_GATEWAY_CLIENT_ADDRESS_TRUSTED_PROXIES", "[]".into()).code(78);
    has(&nearly.2, &["did you mean `PORTCULLIS__GATEWAY__CLIENT_ADDRESS__TRUSTED_PROXIES`?"]);
    let served = [("PORTCULLIS_TELEMETRY_LISTEN", "127.0.0.1:0".into())];
    has(&folder.run_with(&["serve"], "", &served).code(78).2, &["did you mean `PORTCULLIS__TELEMETRY__LISTEN`?"]);
    // What Kubernetes tells of a Service that is called like this is not meant for us.
    check("PORTCULLIS_GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080".into()).code(0);
    check("PORTCULLIS_VERSION", "3".into()).code(0);
}

/// What nobody configured begins a store, whose first key lies in a file that only its owner may read.
#[test]
fn serve_without_a_file_begins_a_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let mut command = Command::new(PORTCULLIS);
    command.arg("serve").current_dir(folder.0.path());
    command.env("PORTCULLIS__TELEMETRY__LISTEN", "127.0.0.1:0").env("PORTCULLIS__ADMIN__LISTEN", "127.0.0.1:0");
    command.env("PORTCULLIS__GATEWAY__LISTEN", "[{ address: \"127.0.0.1:0\" }]");
    let mut served = Served::watch(&mut command);
    let has_directory = |line: &Value| line["revision"].is_number();
    wait_for("the directory", || served.log_has(has_directory));
    let file = folder.0.path().join("portcullis.db.owner-key");
    let key = std::fs::read_to_string(&file).unwrap().trim().replace(':', ".");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!format!("{:?}", served.log()).contains(&key[9..]), "the log holds the key");
    assert_eq!(served.get("/", &[&format!("X-API-Key: {key}")]).status, 200);
    let [(demonstration, _), ..] = portcullis::directory::DEMONSTRATION_KEYS;
    assert_eq!(served.get("/", &[&format!("X-API-Key: {demonstration}")]).status, 401);
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
}
