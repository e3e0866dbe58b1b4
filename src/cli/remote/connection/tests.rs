//! Which address and which key are meant, by every way to say so.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    connection: ConnectionArgs,
}

const FILE: &str = "current: home
profiles:
  - { name: home, api_url: http://127.0.0.1:1, api_key: homehome:h, org: 5f0000000000000000000001 }
  - { name: work, api_url: https://work.example.com, api_key: workwork:w, ca: /ca.pem }
  - { name: both, api_url: https://both.example.com, api_key: bothboth:b, session: pcl_session_b, session_ends: 2020-01-01T00:00:00Z }
  - { name: ann, api_url: https://ann.example.com, session: pcl_session_a, email: ann@example.com }
  - { name: none, api_url: https://none.example.com, email: ann@example.com }
";

/// Address and user, or what is wrong.
fn resolved(arguments: &str, variables: &[(&str, &str)], file: &str) -> Result<(String, String), String> {
    let arguments = Arguments::parse_from(std::iter::once("x").chain(arguments.split_whitespace())).connection;
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let connection = arguments.resolve(variable, || Profiles::parse(Path::new("profiles.yaml"), file));
    let shown = |secret: Option<Secret>| match secret {
        Some(Secret::Key(pair)) => pair.basic().to_owned(),
        Some(Secret::Session(token)) => token.bearer().to_owned(),
        None => "nobody".to_owned(),
    };
    connection.map(|one| (one.url.to_string(), shown(one.secret))).map_err(|fault| fault.to_string())
}

#[track_caller]
fn check(arguments: &str, variables: &[(&str, &str)], expected: (&str, &str)) {
    let expected = (expected.0.to_owned(), expected.1.to_owned());
    assert_eq!(resolved(arguments, variables, FILE), Ok(expected), "{arguments} {variables:?}");
}

#[track_caller]
fn refused(arguments: &str, variables: &[(&str, &str)], file: &str, expected: &str) {
    let fault = resolved(arguments, variables, file).unwrap_err();
    assert!(fault.contains(expected) && !fault.contains("secret"), "{fault}");
}

#[test]
fn an_option_beats_a_named_profile_beats_variables_beat_the_current_profile() {
    let variables = [(URL_VARIABLE, "https://env.example.com/"), (KEY_VARIABLE, "enviroms:e")];
    check("", &[], ("http://127.0.0.1:1", "homehome:h"));
    check("", &variables, ("https://env.example.com", "enviroms:e"));
    check("", &variables[1..], (DEFAULT_URL, "enviroms:e"));
    check("--profile work", &variables, ("https://work.example.com", "workwork:w"));
    check("--profile work --key optional.o", &variables, ("https://work.example.com", "optional:o"));
    check(
        "--api-url https://OPT.example.com:1/x/ --key optional:o",
        &variables,
        ("https://opt.example.com:1/x", "optional:o"),
    );
    check("--api-url https://opt.example.com/api/v1", &variables, ("https://opt.example.com", "enviroms:e"));
    check("--api-url http://127.0.0.1:1/", &[], ("http://127.0.0.1:1", "homehome:h"));
}

#[test]
fn the_key_of_a_profile_goes_nowhere_else() {
    let elsewhere = "profile `home` is for http://127.0.0.1:1; its key is not sent to https://opt.example.com";
    refused("--api-url https://opt.example.com", &[], FILE, elsewhere);
    refused("", &[(URL_VARIABLE, "https://opt.example.com")], FILE, elsewhere);
    refused("--profile work --api-url http://127.0.0.1:1", &[], FILE, "profile `work` is for https://work.example.com");
    let arguments =
        Arguments::parse_from(["x", "--profile", "home", "--api-url", "https://o.example.com", "--key", "k:k"]);
    let profiles = || Profiles::parse(Path::new("profiles.yaml"), FILE);
    let connection = arguments.connection.resolve(|_| None, profiles).ok().unwrap();
    assert_eq!(connection.organization, None, "the organization of another API");
}

#[test]
fn what_is_missing_or_wrong_is_told_without_the_key() {
    refused("", &[], "profiles: []", "there is no key or session to call http://127.0.0.1:8081 with");
    refused("--profile other", &[], FILE, "there is no profile `other`");
    refused("--key secret", &[], FILE, "`--key` holds no key");
    refused("", &[(KEY_VARIABLE, "secret secret")], FILE, "PORTCULLIS_API_KEY holds no key");
    refused(
        "",
        &[(URL_VARIABLE, "https://u:secret@example.com"), (KEY_VARIABLE, "k:k")],
        FILE,
        "an address holds no key",
    );
    refused("--key-file /nowhere/key", &[], FILE, "the key can't be read from `/nowhere/");
}

#[test]
fn an_address_is_one_of_an_api() {
    for text in ["127.0.0.1:8081", "ftp://example.com", "http://", "https://example.com/?x=1", "/api"] {
        assert!(text.parse::<Url>().is_err(), "{text}");
    }
}

/// A session is used from `login` to `logout`, over or not: nobody calls by a key without having said so.
#[test]
fn the_session_of_a_profile_beats_its_key() {
    check("--profile both", &[], ("https://both.example.com", "pcl_session_b"));
    check("--profile both --key optional:o", &[], ("https://both.example.com", "optional:o"));
    check("--profile ann", &[(KEY_VARIABLE, "enviroms:e")], ("https://ann.example.com", "pcl_session_a"));
    refused("--profile none", &[], FILE, "profile `none` has neither a session nor a key");
    let elsewhere = "profile `ann` is for https://ann.example.com; its session is not sent to https://o.example.com";
    refused("--profile ann --api-url https://o.example.com", &[], FILE, elsewhere);
}

#[test]
fn a_variable_holds_a_session_or_a_key_and_not_both() {
    let session = [(SESSION_VARIABLE, "pcl_session_e")];
    check("", &session, (DEFAULT_URL, "pcl_session_e"));
    check("--key optional:o", &session, (DEFAULT_URL, "optional:o"));
    check("--profile work", &session, ("https://work.example.com", "workwork:w"));
    let both = [session[0], (KEY_VARIABLE, "enviroms:e")];
    refused("", &both, FILE, "PORTCULLIS_API_KEY and PORTCULLIS_API_SESSION are both set");
    check("--key optional:o", &both, (DEFAULT_URL, "optional:o"));
    for wrong in ["secret", "pcl_session_", "pcl_session_secret secret"] {
        refused("", &[(SESSION_VARIABLE, wrong)], FILE, "PORTCULLIS_API_SESSION holds no token of a session");
    }
}
