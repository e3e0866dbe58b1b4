//! People at the command line: signing up, in and out, and what a profile calls with.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Ran, Remote, results};
use crate::admin::office::{OWNER, Office};

const PASSWORD: &str = "a password of the test 4711";

impl Remote {
    fn url(&self) -> String {
        format!("http://{}", self.office.admin())
    }

    /// A file beside the profiles.
    fn place(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    /// Invites somebody, who signs up by the profile of their name.
    #[track_caller]
    pub(super) fn person(&self, name: &str, roles: &str) {
        let invite = self.json(&format!("invites create {name}@example.com {roles}"));
        self.place("invite", invite["token"].as_str().unwrap());
        let login = format!("login --invite-file invite --profile {name} --api-url {}", self.url());
        self.plain(&login, &format!("{PASSWORD}\n")).code(0);
    }

    fn profiles(&self) -> String {
        std::fs::read_to_string(self.home.path().join(".config/portcullis/profiles.yaml")).unwrap()
    }

    /// The token that a profile holds.
    #[track_caller]
    fn token(&self, profile: &str) -> String {
        let file = self.profiles();
        let part = file.split("- name: ").find(|part| part.starts_with(&format!("\"{profile}\""))).unwrap();
        part.split("session: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// What the API says to a token.
    fn lives(&self, token: &str) -> bool {
        self.office.raw("", "GET", "/api/v1/orgs", "", &format!("Authorization: Bearer {token}\r\n")).status == 200
    }
}

/// Neither a password nor a token is printed.
#[track_caller]
fn hides(ran: Ran) -> Ran {
    for secret in [PASSWORD, "pcl_session_", "another password 4712"] {
        assert!(!ran.1.contains(secret) && !ran.2.contains(secret), "{}{}", ran.1, ran.2);
    }
    ran
}

#[test]
fn a_person_signs_up_in_and_out() {
    let remote = Remote::new();
    let url = remote.url();
    remote.person("ann", "--role ORG_OWNER");
    // The first profile is the current one.
    assert!(remote.plain("orgs list", "").code(0).1.contains("acme"));
    let file = remote.home.path().join(".config/portcullis/profiles.yaml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!remote.profiles().contains(PASSWORD));
    // It is she who does things.
    remote.plain("projects create billing", "").code(0);
    assert_eq!(results(&remote.json("events list --type GROUP_CREATED"))[0]["username"], "ann@example.com");
    let shown: Value = serde_json::from_str(&hides(remote.plain("profiles show -o json", "").code(0)).1).unwrap();
    assert_eq!((&shown["username"], shown.get("publicKey")), (&"ann@example.com".into(), None));
    // Signing in anew ends the session that was kept before; whoever it is is known.
    let first = remote.token("ann");
    hides(remote.plain("login", "not the password\n"))
        .refused(1, &["401 SIGN_IN_FAILED", "`portcullis invites create`"]);
    assert_eq!(remote.token("ann"), first, "nothing is forgotten for a wrong password");
    let told = hides(remote.plain("login", &format!("{PASSWORD}\n")).code(0));
    assert!(
        told.1.contains("signed in     ann@example.com\n") && told.1.contains("name          ann*\n"),
        "{}",
        told.1
    );
    let second = remote.token("ann");
    assert!(second != first && remote.lives(&second) && !remote.lives(&first));
    let out = hides(remote.plain("logout", "").code(0)).1;
    assert_eq!(out, "ann@example.com is signed out of profile `ann`\n");
    assert!(!remote.lives(&second) && !remote.profiles().contains("pcl_session_"));
    let neither = ["profile `ann` has neither a session nor a key", "`portcullis login --profile ann` signs in"];
    remote.plain("orgs list", "").refused(78, &neither);
    assert_eq!(remote.plain("logout", "").code(0).1, "nobody is signed in by profile `ann`\n");
    // From a file, and into a profile that is not there yet.
    remote.place("password", &format!("{PASSWORD}\nmore\n"));
    let login = format!("login --profile other --api-url {url} --email ANN@example.com");
    let told = hides(remote.plain(&format!("{login} --password-file password"), "").code(0));
    assert!(told.2.contains("another profile is the current one"), "{}", told.2);
    assert!(remote.plain("orgs list --profile other", "").code(0).1.contains("acme"));
    // All sessions, on whichever machine.
    remote.plain("login --profile ann --password-file -", PASSWORD).code(0);
    let elsewhere = remote.token("ann");
    remote.plain("logout --profile other --everywhere", "").code(0);
    assert!(!remote.lives(&elsewhere));
    remote.plain("orgs list", "").refused(1, &["401 INVALID_CREDENTIALS", "= help: `portcullis login --profile ann`"]);
    assert_eq!(remote.plain("logout", "").code(0).1, "the session of profile `ann` was over already\n");
}

/// From `login` to `logout` a profile calls by its session, and otherwise by its key.
#[test]
fn a_session_beats_the_key_of_its_profile() {
    let remote = Remote::new();
    let url = remote.url();
    remote.plain(&format!("profiles set work --api-url {url}"), OWNER).code(0);
    let invite = remote.json("invites create ben@example.com --role ORG_READ_ONLY");
    remote.place("invite", invite["token"].as_str().unwrap());
    remote.plain("login --invite-file invite", &format!("{PASSWORD}\n")).code(0);
    let as_ben = "users update ID --role ORG_GROUP_CREATOR";
    remote.plain("projects create billing", "").refused(1, &["403 INSUFFICIENT_ROLE", as_ben]);
    // A new key leaves the session alone, and says so.
    let told = remote.plain(&format!("profiles set work --api-url {url}"), OWNER).code(0).1;
    assert!(told.contains("with key ownerkey after `portcullis logout --profile work`"), "{told}");
    remote.plain("projects create billing", "").refused(1, &["403 INSUFFICIENT_ROLE"]);
    // One that is over is no reason to act as somebody else.
    let out = format!("Authorization: Bearer {}\r\n", remote.token("work"));
    assert_eq!(remote.office.raw("", "POST", "/api/v1/auth/signout", "", &out).status, 204);
    remote.plain("projects create billing", "").refused(1, &["401", "`portcullis login --profile work`"]);
    remote.plain("logout", "").code(0);
    remote.plain("projects create billing", "").code(0);
    // A key that is named beats both.
    remote.plain("login", &format!("{PASSWORD}\n")).code(0);
    remote.plain(&format!("projects create other --api-url {url} --key {OWNER}"), "").code(0);
    let deleted = remote.plain("profiles delete work", "").code(0).1;
    assert!(deleted.contains("its session and its key still work, the session until 20"), "{deleted}");
}

#[test]
fn a_session_comes_from_a_variable_too() {
    let remote = Remote::new();
    remote.person("ann", "--role ORG_MEMBER");
    let token = remote.token("ann");
    let run = |variables: &[(&str, &str)]| {
        let mut command = remote.command("orgs list");
        command.env("HOME", "/nowhere").env("PORTCULLIS_API_URL", remote.url()).envs(variables.iter().copied());
        Ran::of(&mut command, "")
    };
    let session = ("PORTCULLIS_API_SESSION", token.as_str());
    assert!(run(&[session]).code(0).1.contains("acme"));
    run(&[session, ("PORTCULLIS_API_KEY", OWNER)]).refused(78, &["are both set", "unset the other"]);
    run(&[("PORTCULLIS_API_SESSION", OWNER)]).refused(78, &["holds no token of a session"]);
    remote.plain("logout", "").code(0);
    run(&[session]).refused(1, &["401 INVALID_CREDENTIALS", "PORTCULLIS_API_SESSION holds a session that is over"]);
    // Whoever signs in while a variable decides is told.
    let mut command = remote.command("login");
    command.env("PORTCULLIS_API_KEY", OWNER);
    let told = Ran::of(&mut command, &format!("{PASSWORD}\n")).code(0).2;
    assert!(told.contains("PORTCULLIS_API_KEY is set, and beats the current profile"), "{told}");
}

#[test]
fn a_password_is_changed_by_who_knows_it() {
    let remote = Remote::new();
    remote.person("ann", "--role ORG_MEMBER");
    let change = |input: &str| hides(remote.plain("password", input));
    change("not the password\nanother password 4712\n").refused(1, &["401 SIGN_IN_FAILED: The present password"]);
    change(&format!("{PASSWORD}\nshort\n")).refused(1, &["400 INVALID_ATTRIBUTE", "12 to 128 characters"]);
    change(&format!("{PASSWORD}\n")).refused(78, &["standard input holds no password"]);
    change(&format!("{PASSWORD}\nanother password 4712\n")).code(0);
    // This session goes on.
    remote.plain("orgs list", "").code(0);
    remote.plain("login", &format!("{PASSWORD}\n")).refused(1, &["401 SIGN_IN_FAILED"]);
    remote.plain("login", "another password 4712\n").code(0);
    remote.run("password").refused(78, &["only a person has a password", "`portcullis login`"]);
}

#[test]
fn the_first_owner_signs_up_at_the_command_line() {
    let remote = Remote { office: Office::open_by(&[]), home: tempfile::tempdir().unwrap() };
    let token = remote.office.path("store.db.sign-up-token").display().to_string();
    let login = format!("login --url {} --invite-file {token}", remote.url());
    remote.plain(&login, &format!("{PASSWORD}\n")).refused(1, &["`email`: the first owner has to name one"]);
    hides(remote.plain(&format!("{login} --email ann@example.com"), &format!("{PASSWORD}\n")).code(0));
    assert!(remote.plain("profiles list", "").code(0).1.contains("default*"));
    // A person owns what they make, and needs no key for it; who wants one names it.
    let made = remote.plain("orgs create second", "").code(0);
    assert!(!made.1.contains("private key") && made.2.is_empty(), "{}{}", made.1, made.2);
    assert!(remote.plain("orgs create third --owner-key boss", "").code(0).1.contains("private key"));
    let many = "the caller sees more than one organization; name one by `--org` (`portcullis orgs list`)";
    remote.plain("orgs show", "").refused(64, &[many]);
    let organizations: Value = serde_json::from_str(&remote.plain("orgs list -o json", "").code(0).1).unwrap();
    let second = results(&organizations).iter().find(|one| one["name"] == "second").unwrap()["id"].as_str().unwrap();
    remote.plain(&format!("login --org {second}"), &format!("{PASSWORD}\n")).code(0);
    assert!(remote.plain("orgs show", "").code(0).1.contains("second"));
}

#[test]
fn what_keeps_somebody_from_signing_in_or_out_is_told() {
    let mut remote = Remote::new();
    let url = remote.url();
    let login = format!("login --api-url {url}");
    remote.plain(&login, "").refused(64, &["name the person by `--email`"]);
    remote.plain(&format!("{login} --email a@example.com"), "").refused(78, &["standard input holds no password"]);
    let nowhere = format!("{login} --email a@example.com --password-file nowhere");
    remote.plain(&nowhere, "").refused(78, &["the password can't be read from `nowhere`"]);
    let key = format!("{login} --email ownerkey");
    remote
        .plain(&key, "x\n")
        .refused(1, &["403 CREDENTIALS_CANNOT_SIGN_IN", "`portcullis profiles set NAME` keeps it"]);
    remote.plain("login --api-url http://192.0.2.1 --email a@b.c", "x\n").refused(1, &["in clear", "https"]);
    remote.plain("logout", "").refused(78, &["there is no profile `current`", "so does `portcullis login`"]);
    // A password is no argument, and one in the place of something else is not repeated.
    for wrong in [format!("login {PASSWORD}"), "login --password=secret-4711".into(), "logout secret-4711".into()] {
        let ran = remote.plain(&wrong, "").code(64);
        assert!(!ran.2.contains("4711"), "{}", ran.2);
    }
    remote.person("ann", "--role ORG_MEMBER");
    let other = "profile `ann` is for http";
    remote.plain("login --api-url https://o.example.com", "x\n").refused(78, &[other, "under another name"]);
    // Where nobody can be asked, the session is kept, so that it can be ended later.
    remote.office.served.signal("TERM");
    remote.office.served.ended();
    let told = remote.plain("logout", "");
    told.refused(1, &["can't be asked", "still in profile `ann`", "`portcullis logout --profile ann --forget`"]);
    assert!(remote.profiles().contains("pcl_session_"));
    let forgotten = remote.plain("logout --forget", "").code(0).1;
    assert!(
        forgotten.contains("is forgotten; it ends by itself, at 20") && !remote.profiles().contains("pcl_session_")
    );
}
