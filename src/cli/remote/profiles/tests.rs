//! The file of profiles: what is read of it, what is written, and who may read it.

use super::*;

const FILE: &str = "current: home
profiles:
  - { name: home, api_url: http://127.0.0.1:1, api_key: 'homehome:secret' }
  - { name: work, api_url: https://work.example.com, api_key: 'workwork:secret', ca: /ca.pem, org: 5f0000000000000000000001 }
  - { name: ann, api_url: https://ann.example.com, session: pcl_session_secret, session_ends: '2026-11-24T13:32:36Z', email: ann@example.com }
";

fn parse(text: &str) -> Result<Profiles, ProfilesFault> {
    Profiles::parse(Path::new("profiles.yaml"), text)
}

#[test]
fn what_is_written_is_read_again() {
    let profiles = parse(FILE).ok().unwrap();
    let written = profiles.written();
    assert_eq!(parse(&written).ok().unwrap().written(), written);
    for part in [
        "current: \"home\"",
        "api_key: \"workwork:secret\"",
        "ca: \"/ca.pem\"",
        "org: \"5f0000000000000000000001\"",
        "session: \"pcl_session_secret\"",
        "session_ends: \"2026-11-24T13:32:36Z\"",
        "email: \"ann@example.com\"",
    ] {
        assert!(written.contains(part), "{written}");
    }
    assert_eq!(parse("").ok().unwrap().all.len(), 0);
}

#[test]
fn what_is_shown_has_no_private_key() {
    let profiles = parse(FILE).ok().unwrap();
    for one in &profiles.all {
        let shown = profiles.shown(one).to_string();
        assert!(!shown.contains("secret") && shown.contains(&one.name), "{shown}");
        assert!(one.key.as_ref().is_none_or(|key| shown.contains(key.public())), "{shown}");
        assert_eq!(one.session.is_some(), shown.contains("ann@example.com") && shown.contains("2026-11-24"), "{shown}");
    }
}

#[test]
fn a_faulty_file_is_refused_without_what_it_holds() {
    for (text, told) in [
        ("profiles: secret", "is not a file of profiles: line 1"),
        ("profiles: [{ name: x, api_url: 'https://x', api_key: [secret] }]", "is not a file of profiles: line 1"),
        (
            "profiles: [{ name: x, api_url: 'https://x', api_key: 'x:secret', more: secret }]",
            "is not a file of profiles",
        ),
        (
            "profiles: [{ name: x, api_url: 'https://x', api_key: secret }]",
            "profile `x` in `profiles.yaml`: `api_key` is not",
        ),
        (
            "profiles: [{ name: x, api_url: 'https://x', session: secret }]",
            "profile `x` in `profiles.yaml`: `session` is not",
        ),
        ("profiles: [{ name: 'x y', api_url: 'https://x', api_key: 'x:secret' }]", "profile `x y`"),
        ("profiles: [{ name: x, api_url: secret, api_key: 'x:secret' }]", "an address is like"),
        ("profiles: [{ name: x, api_url: 'https://x', api_key: 'x:secret', org: secret }]", "an id is"),
        (&format!("{FILE}  - {{ name: home, api_url: 'https://x', api_key: 'x:secret' }}"), "two of this name"),
    ] {
        let fault = parse(text).err().unwrap().to_string();
        assert!(fault.contains(told) && !fault.contains("secret"), "{fault}");
    }
    let unknown = parse(FILE).ok().unwrap().named("other").err().unwrap();
    assert_eq!(unknown.way_out().unwrap(), "there are home, work, ann");
    let dangling = parse(&FILE.replace("current: home", "current: gone")).ok().unwrap();
    assert!(matches!(dangling.current(), Err(ProfilesFault::Unknown(..))));
}

#[test]
fn nobody_else_may_read_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/portcullis/profiles.yaml");
    parse(FILE).ok().unwrap().write(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(Profiles::read(&path).ok().unwrap().all.len(), 3);
    for open in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
        let fault = Profiles::read(&path).err().unwrap();
        assert!(fault.to_string().contains(&format!("(mode {open:o})")), "{fault}");
        assert!(fault.way_out().unwrap().starts_with("`chmod 600 "), "{fault}");
    }
    assert_eq!(Profiles::read(&folder.path().join("none.yaml")).ok().unwrap().all.len(), 0);
}
