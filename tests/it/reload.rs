//! Hot swap: whatever way a file gets a new state, it is taken whole or refused whole.

mod watched;

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::served::Served;
use crate::stage::{
    ACME, KEY, KEY_OPEN, KEY_WITHOUT_LIST, OPEN, Setting, Stage, Upstream, directory, sha256, wait_for,
};

const REFUSALS: &str = "portcullis_directory_reload_failures_total";
const CONFIGURATION_REFUSALS: &str = "portcullis_configuration_reload_failures_total";
const CURRENT: &str = "portcullis_directory_current";
const REVISION: &str = "portcullis_snapshot_revision";

fn header(key: &str) -> String {
    format!("X-API-Key: {key}")
}

/// Status and code that a key gets.
fn outcome(stage: &Stage, key: &str) -> (u16, String) {
    stage.get("/", &[&header(key)]).outcome()
}

fn not_listed() -> (u16, String) {
    (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into())
}

/// The usual directory without this machine on the list of `KEY`.
fn narrower() -> String {
    let narrower = directory().replace(", 127.0.0.1]", "]");
    assert_ne!(narrower, directory());
    narrower
}

#[test]
fn a_rename_and_a_write_in_place_are_both_seen() {
    let stage = Stage::new();
    assert_eq!(outcome(&stage, KEY).0, 200);
    stage.replace("directory.yaml", narrower());
    stage.wait_for_revision(2.0);
    assert_eq!(outcome(&stage, KEY), not_listed());
    std::fs::write(stage.path("directory.yaml"), directory()).unwrap();
    stage.wait_for_revision(3.0);
    assert_eq!(outcome(&stage, KEY).0, 200);
    assert_eq!(stage.metric(REFUSALS), 0.0);
}

/// An editor that removes the file first, and one that writes it bit by bit.
#[test]
fn a_file_that_is_away_or_empty_for_a_moment_takes_nobodys_access() {
    let stage = Stage::new();
    std::fs::remove_file(stage.path("directory.yaml")).unwrap();
    wait_for("the missing file is told", || stage.metric(REFUSALS) == 1.0);
    assert_eq!(outcome(&stage, KEY).0, 200);
    std::fs::write(stage.path("directory.yaml"), "\n").unwrap();
    wait_for("the empty file is told", || stage.metric(REFUSALS) == 2.0);
    assert_eq!(outcome(&stage, KEY).0, 200);
    std::fs::write(stage.path("directory.yaml"), narrower()).unwrap();
    stage.wait_for_revision(2.0);
    assert_eq!((outcome(&stage, KEY), stage.metric(CURRENT)), (not_listed(), 1.0));
}

#[test]
fn a_packed_directory_is_swapped() {
    let packed = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let stage = Setting::new().directory_at("d.yaml.gz").file("d.yaml.gz", packed(&directory())).set();
    assert_eq!(outcome(&stage, KEY).0, 200);
    let half = packed(&narrower());
    stage.replace("d.yaml.gz", &half[..half.len() / 2]);
    wait_for("half of it is refused", || stage.metric(REFUSALS) == 1.0);
    assert_eq!(outcome(&stage, KEY).0, 200);
    stage.replace("d.yaml.gz", packed(&narrower()));
    stage.wait_for_revision(2.0);
    assert_eq!(outcome(&stage, KEY), not_listed());
}

#[test]
fn the_files_of_a_folder_are_one_directory() {
    let whole = directory();
    let (acme, open) = whole.split_at(whole.find(&format!("  - id: {OPEN}")).unwrap());
    let open = format!("organizations:\n{open}");
    let stage = Setting::new().directory_at("d").file("d/10-acme.yaml", acme).file("d/20-open.yml", &open).set();
    assert_eq!((outcome(&stage, KEY).0, outcome(&stage, KEY_OPEN).0), (200, 200));
    std::fs::remove_file(stage.path("d/20-open.yml")).unwrap();
    stage.wait_for_revision(2.0);
    assert_eq!((outcome(&stage, KEY).0, outcome(&stage, KEY_OPEN).0), (200, 401));
    stage.replace("d/30-back.yaml", &open);
    stage.wait_for_revision(3.0);
    assert_eq!((outcome(&stage, KEY).0, outcome(&stage, KEY_OPEN).0), (200, 200));
    // The same organization twice is a fault of the whole, whichever file has it.
    stage.replace("d/40-twice.yaml", &open);
    wait_for("a refusal", || stage.metric(REFUSALS) == 1.0);
    assert_eq!((outcome(&stage, KEY).0, stage.metric(REVISION)), (200, 3.0));
}

#[test]
fn list_files_count_as_the_directory() {
    let with_file = directory().replace("127.0.0.1]", "{ file: lists/office.txt }]");
    let stage = Setting::new().directory(&with_file).file("lists/office.txt", "127.0.0.1\n").set();
    assert_eq!(outcome(&stage, KEY).0, 200);
    stage.replace("lists/office.txt", "198.51.100.0/24 # moved\n");
    stage.wait_for_revision(2.0);
    assert_eq!(outcome(&stage, KEY), not_listed());
    // A list that is empty, or gone, is not "from anywhere".
    stage.replace("lists/office.txt", "# nobody\n");
    wait_for("a refusal", || stage.metric(REFUSALS) == 1.0);
    std::fs::remove_file(stage.path("lists/office.txt")).unwrap();
    wait_for("a refusal", || stage.metric(REFUSALS) == 2.0);
    assert_eq!(outcome(&stage, KEY), not_listed());
    stage.replace("lists/office.txt", "127.0.0.0/8\n");
    stage.wait_for_revision(3.0);
    assert_eq!(outcome(&stage, KEY).0, 200);
}

/// What a refused directory looked for is watched for too, in folders that are not there yet as well: it serves when it comes,
/// and not only at the look that needs no event.
#[test]
fn a_list_file_that_comes_after_the_directory_that_names_it_completes_it() {
    let stage = Stage::new();
    stage.replace("directory.yaml", directory().replace("127.0.0.1]", "{ file: lists/new/office.txt }]"));
    wait_for("a refusal", || stage.metric(REFUSALS) == 1.0);
    std::fs::create_dir_all(stage.path("lists/new")).unwrap();
    std::fs::write(stage.path("lists/new/office.txt"), "127.0.0.0/8\n").unwrap();
    stage.wait_for_revision(2.0);
    assert_eq!((outcome(&stage, KEY).0, stage.metric(CURRENT)), (200, 1.0));
}

/// threats.md L2, each fault by itself: the whole is refused, also the good change beside it.
#[test]
fn a_faulty_directory_is_refused_whole_and_told_once() {
    let stage = Stage::new();
    let duplicate = format!("mcpvrzod\n        secret_sha256: {}", sha256(KEY_OPEN));
    let faults: &[(&str, &dyn Fn(String) -> String)] = &[
        ("host bits", &|text| text.replace("192.0.2.0/24", "192.0.2.1/24")),
        ("no network", &|text| text.replace("192.0.2.0/24", "192.0.2.0/33")),
        ("two credentials with one secret", &|text| {
            text.replace(&format!("mcpvrzod\n        secret_sha256: {}", sha256(KEY)), &duplicate)
        }),
        ("a key of a mapping twice", &|text| text.replace("    name: acme\n", "    name: acme\n    name: acme\n")),
        ("no YAML", &|text| text + "  - {\n"),
        ("a tab", &|text| text.replace("    name: acme", "\tname: acme")),
        ("an unknown setting", &|text| text.replace("    name: acme\n", "    name: acme\n    colour: red\n")),
        ("everybody where lists are required", &|text| text.replace("192.0.2.0/24", "0.0.0.0/0")),
        ("the switch is left out", &|text| text.replace("    require_access_list: true\n", "")),
    ];
    for (count, (what, make)) in (1..).zip(faults) {
        let text = make(narrower());
        assert_ne!(text, narrower(), "{what}");
        stage.replace("directory.yaml", &text);
        wait_for(what, || stage.metric(REFUSALS) == f64::from(count));
        assert_eq!(stage.metric(CURRENT), 0.0, "{what}");
        assert_eq!(stage.metric(REVISION), 1.0, "{what}");
        assert_eq!(outcome(&stage, KEY).0, 200, "{what}");
    }
    // Back to what serves: nothing new, and nothing wrong any more.
    stage.replace("directory.yaml", directory());
    wait_for("the state that serves", || stage.metric(CURRENT) == 1.0);
    assert_eq!(stage.metric(REVISION), 1.0);
    stage.replace("directory.yaml", narrower());
    stage.wait_for_revision(2.0);
    assert_eq!(outcome(&stage, KEY), not_listed());
    assert_eq!(stage.metric(REFUSALS), faults.len() as f64);
}

fn wait_for_configuration(stage: &Stage, count: f64) {
    wait_for("the configuration", || stage.metric("portcullis_configuration_applied_total") >= count);
}

#[test]
fn routes_upstreams_and_trusted_proxies_reload() {
    let stage = Stage::new();
    let other = Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother".to_vec());
    let mut kept = stage.connect();
    let request = format!("GET /new HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n{}\r\n\r\n", header(KEY));
    assert_eq!(kept.send(&request).text(), "hello");

    let text = stage.configuration().replace(&stage.upstream.address().to_string(), &other.address().to_string());
    stage.replace("portcullis.yaml", &text);
    wait_for_configuration(&stage, 2.0);
    assert_eq!(kept.send(&request).text(), "other", "a kept connection too");

    let text = text.replace("gateway:\n", "gateway:\n  client_address: { trusted_proxies: [127.0.0.1] }\n");
    stage.replace("portcullis.yaml", &text);
    wait_for_configuration(&stage, 3.0);
    assert_eq!(kept.send(&request).status, 200);
    assert_eq!(other.nth(2).header("x-portcullis-client-address"), Some("192.0.2.9"));

    stage.replace("portcullis.yaml", text.replace("path: /,", "path: /old,"));
    wait_for_configuration(&stage, 4.0);
    assert_eq!(kept.send(&request).outcome(), (404, "ROUTE_NOT_FOUND".into()));
}

#[test]
fn a_faulty_configuration_stays_out_and_a_good_directory_does_not_wait_for_it() {
    let stage = Stage::new();
    for (count, fault) in (1..).zip(["upstream: nowhere", "upstream: [", "upstrem: api"]) {
        stage.replace("portcullis.yaml", stage.configuration().replace("upstream: api", fault));
        wait_for(fault, || stage.metric(CONFIGURATION_REFUSALS) == f64::from(count));
        assert_eq!(outcome(&stage, KEY).0, 200, "{fault}");
    }
    // Nothing that is wrong there keeps a key alive that was taken away here.
    stage.replace("directory.yaml", narrower());
    stage.wait_for_revision(2.0);
    assert_eq!(outcome(&stage, KEY), not_listed());
    // A CA file that can't be read is a fault like any other.
    let with_ca = stage.configuration().replace("endpoints: [", "tls: { ca: missing.pem }, endpoints: [");
    assert_ne!(with_ca, stage.configuration());
    stage.replace("portcullis.yaml", with_ca);
    wait_for("the missing CA file", || stage.metric(CONFIGURATION_REFUSALS) == 4.0);
    assert_eq!((stage.metric(CURRENT), stage.metric(REFUSALS)), (1.0, 0.0));
}

/// The configuration names an organization that the directory does not have yet, and the other way round.
#[test]
fn what_refers_to_each_other_may_arrive_one_after_the_other() {
    let new = "5f0000000000000000000007";
    let stage = Stage::new();
    let naming = stage.configuration().replace("upstream: api }", &format!("upstream: api, organizations: [{new}] }}"));
    assert_ne!(naming, stage.configuration());
    stage.replace("portcullis.yaml", &naming);
    wait_for("the configuration waits", || stage.metric(CONFIGURATION_REFUSALS) == 1.0);
    assert_eq!(outcome(&stage, KEY).0, 200);
    // A directory without it is taken meanwhile, and the refusal is not counted again.
    stage.replace("directory.yaml", narrower());
    stage.wait_for_revision(2.0);
    assert_eq!(stage.metric(CONFIGURATION_REFUSALS), 1.0);
    // Then both are there, and are taken in one step.
    let with_new = directory().replace(OPEN, new);
    stage.replace("directory.yaml", &with_new);
    stage.wait_for_revision(3.0);
    wait_for_configuration(&stage, 2.0);
    assert_eq!(outcome(&stage, KEY_OPEN).0, 200);
    assert_eq!(outcome(&stage, KEY), (403, "ORG_NOT_ALLOWED_ON_ROUTE".into()));
    // The way back: the organization goes first, which is refused until no route names it.
    stage.replace("directory.yaml", directory());
    wait_for("the directory waits", || stage.metric(REFUSALS) == 1.0);
    assert_eq!((stage.metric(CURRENT), stage.metric(REVISION)), (0.0, 3.0));
    stage.replace("portcullis.yaml", stage.configuration());
    stage.wait_for_revision(4.0);
    assert_eq!((outcome(&stage, KEY).0, stage.metric(CURRENT)), (200, 1.0));
}

/// The layout that the kubelet makes of a ConfigMap, and the way in which it changes it.
#[test]
fn a_config_map_is_swapped_by_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |version: &str, routes: &str, directory: &str| {
        let at = folder.path().join(version);
        std::fs::create_dir(&at).unwrap();
        let configuration = format!(
            "gateway:\n  listen: [{{ address: \"127.0.0.1:0\" }}]\n  workers: 1\n  routes: {routes}\n  upstreams: {{ api: {{ endpoints: [\"echo:\"] }} }}\n\
             directory: {{ file: directory.yaml }}\ntelemetry: {{ listen: \"127.0.0.1:0\", access_log: {{ to: off }} }}\n"
        );
        std::fs::write(at.join("portcullis.yaml"), configuration).unwrap();
        std::fs::write(at.join("directory.yaml"), directory).unwrap();
        symlink(version, folder.path().join("..data_tmp")).unwrap();
        std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    };
    let unmount = |version: &str| std::fs::remove_dir_all(folder.path().join(version)).unwrap();
    mount("..2026_11_23_1", "[{ path: /, upstream: api }]", &directory());
    for name in ["portcullis.yaml", "directory.yaml"] {
        symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
    }
    let served = Served::start(folder.path(), "portcullis.yaml");
    assert_eq!(served.get("/", &[&header(KEY)]).status, 200);

    mount("..2026_11_23_2", "[{ path: /, upstream: api }]", &narrower());
    unmount("..2026_11_23_1");
    wait_for("the second", || served.get("/", &[&header(KEY)]).outcome() == not_listed());

    mount("..2026_11_23_3", &format!("[{{ path: /, upstream: api, organizations: [{ACME}] }}]"), &directory());
    unmount("..2026_11_23_2");
    wait_for("the third", || served.get("/", &[&header(KEY)]).status == 200);
    assert_eq!(served.get("/", &[&header(KEY_OPEN)]).outcome(), (403, "ORG_NOT_ALLOWED_ON_ROUTE".into()));

    mount("..2026_11_23_4", "[{ path: /, upstream: api }]", &directory().replace("192.0.2.0/24", "192.0.2.1/24"));
    unmount("..2026_11_23_3");
    let place =
        |line: &serde_json::Value| line["place"].as_str().is_some_and(|place| place.ends_with("directory.yaml:11:23"));
    wait_for("the fault, with its place", || served.log_has(place));
    assert_eq!(served.get("/", &[&header(KEY_WITHOUT_LIST)]).outcome(), (403, "ORG_REQUIRES_ACCESS_LIST".into()));
    assert_eq!(served.get("/", &[&header(KEY)]).status, 200);
}
