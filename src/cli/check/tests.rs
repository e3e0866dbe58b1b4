//! Tests of `cli::check`.

use super::*;

const HEAD: &str = "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: true\n";

#[test]
fn a_directory_is_told_from_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    assert!(is_directory(folder.path()));
    assert!(is_directory(&file("d.yaml", HEAD)));
    assert!(is_directory(&file("d.yaml.gz", "")));
    assert!(is_directory(&file("d.yaml", &format!("\u{feff}{HEAD}"))));
    assert!(is_directory(&file("d.json", "{\n  \"organizations\": []\n}\n")));
    assert!(is_directory(&file("d.json", "{\n  \"limits\": {},\n  \"organizations\": []\n}\n")));
    assert!(!is_directory(&file("c.yaml", "gateway:\n  limits: {}\n")));
    assert!(!is_directory(&file("c.json", "{\"gateway\": {}}\n")));
    assert!(!is_directory(&file("c.yaml", "gateway:\n  routes:\n  - upstream: echo\n    organizations: []\n")));
    assert!(!is_directory(&file("c.yaml", "gateway:\n  routes: []\n")));
}

#[test]
fn a_configuration_is_checked_with_its_directory() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let route = "gateway:\n  routes: [{upstream: echo, organizations: [5f0000000000000000000009]}]\n";
    std::fs::write(&config, format!("{route}directory: {{file: d.yaml}}\n")).unwrap();
    assert!(read(Some(&config), None).problems.has_errors());
    std::fs::write(folder.path().join("d.yaml"), HEAD).unwrap();
    let checked = read(Some(&config), None);
    // `serve` would refuse it too.
    assert!(checked.problems.has_errors());
    let problem = checked.problems.iter().next().unwrap();
    assert_eq!((problem.place.line, problem.place.column), (2, 45), "{problem}");
    assert!(problem.message.contains("does not have organization `5f0000000000000000000009`"));
    assert_eq!(checked.summary(), "1 route, 1 upstream, 1 organization, no credentials");
}

#[test]
fn a_faulty_configuration_and_its_faulty_directory_are_told_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let gateway = "gateway:\n  wrokers: 2\n  drain_timeout: soon\n  routes:\n    - {upstream: echo, organizations: [5f0000000000000000000009, 5f0000000000000000000001]}\n";
    std::fs::write(&config, format!("{gateway}directory: {{file: d.yaml}}\n")).unwrap();
    std::fs::write(
        folder.path().join("d.yaml"),
        format!("{HEAD}  projcts: []\n  network_sets: [{{name: o, networks: [1.2.3]}}]\n"),
    )
    .unwrap();
    let problems = read(Some(&config), None).problems;
    let told: Vec<String> = problems
        .iter()
        .map(|one| format!("{}:{}", one.place.to_string().rsplit('/').next().unwrap(), one.message))
        .collect();
    let parts = [
        "c.yaml:2:3:key `wrokers`",
        "c.yaml:3:18:`soon`",
        "d.yaml:5:3:key `projcts`",
        "d.yaml:6:39:`1.2.3`",
        "c.yaml:5:40:the directory does not have",
    ];
    assert_eq!(told.len(), parts.len(), "{told:#?}");
    for (told, part) in told.iter().zip(parts) {
        assert!(told.starts_with(part), "{told} is not {part}");
    }
    let served = crate::app::prepare(crate::app::Origin::File(config)).unwrap_err();
    let sorted = |problems: &Problems| problems.clone().sorted();
    assert_eq!(sorted(&served), sorted(&problems));
}

#[test]
fn the_comparison_is_told_in_words_and_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let hash = "0f00000000000000000000000000000000000000000000000000000000000001";
    let write = |name: &str, list: &str| {
        let path = folder.path().join(name);
        let key = format!(
            "  api_keys: [{{id: 5f0000000000000000000021, description: nightly, secret_sha256: {hash}, access_list: [{list}]}}]\n"
        );
        std::fs::write(&path, format!("{HEAD}{key}")).unwrap();
        read(None, Some(&path))
    };
    let (old, new) = (write("a.yaml", "10.0.0.0/24"), write("b.yaml", "10.0.0.0/25, 10.1.0.0/16"));
    let compared = compare::Compared::of(&old, &new);
    let text = compared.to_string();
    for part in [
        "API_KEY nightly",
        "newly refused: 10.0.0.128/25",
        "newly allowed: 10.1.0.0/16",
        "newly refused: 1 credential; newly allowed: 1 credential",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let json = serde_json::to_value(&compared).unwrap();
    assert_eq!(json["newly_refuses"], true);
    assert_eq!(json["credentials"][0]["periods"][0]["newly_refused"][0], "10.0.0.128/25");
    let same = compare::Compared::of(&old, &old);
    assert!(!same.refuses_something());
    assert!(same.to_string().contains("no difference"));
}
