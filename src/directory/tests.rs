//! Tests of `directory`.

use std::io::Write;
use std::path::Path;

use super::*;
use crate::access::credential::AccessListMode;
use crate::config::diagnostic::Severity;
use crate::config::tests::{documented, keys};
use crate::live::fingerprint;

const HEAD: &str = "organizations:\n  - id: 5f0000000000000000000001\n    name: acme\n    require_access_list: true\n";
const HASH: &str = "0f00000000000000000000000000000000000000000000000000000000000001";

/// An organization with one API key that has these further keys, from line 8 on.
fn with_key(further: &str) -> String {
    format!("{HEAD}    api_keys:\n      - id: 5f0000000000000000000021\n        secret_sha256: {HASH}\n{further}")
}

fn read(text: &str) -> Result<(Directory, Problems), Problems> {
    parse("d.yaml", text, Path::new("/nonexistent"))
}

#[track_caller]
fn refused(text: &str, place: &str, part: &str) {
    let problems = match read(text) {
        Ok(_) => panic!("taken:\n{text}"),
        Err(problems) => problems,
    };
    let found =
        problems.iter().any(|one| one.place.to_string() == format!("d.yaml:{place}") && one.to_string().contains(part));
    assert!(
        found,
        "no `{part}` at {place} among:
{problems}
of:
{text}"
    );
}

#[test]
fn each_fault_is_refused_at_its_place() {
    let account = |claims: &str| {
        let id = "pcl_sa_id_5f0000000000000000000032";
        format!("{HEAD}    service_accounts:\n      - {{client_id: {id}, name: b, {claims}}}")
    };
    let cases = [
        ("organisations: []".to_owned(), "1:1", "did you mean `organizations`?"),
        ("limits: {entries_per_list: 0}".to_owned(), "1:28", "between 1 and 100000"),
        ("limits: {entries_per_list: 100001}".to_owned(), "1:28", "between 1 and 100000"),
        ("organizations:\n  - {id: 5f, name: a, require_access_list: true}".to_owned(), "2:10", "24 hexadecimal"),
        ("organizations:\n  - {id: 5f0000000000000000000001, name: a}".to_owned(), "2:5", "no `require_access_list`"),
        (
            "organizations:\n  - {id: 5f0000000000000000000001, require_access_list: true}".to_owned(),
            "2:5",
            "no `name`",
        ),
        (
            "organizations:\n  - {id: 5f0000000000000000000001, name: a, require_access_list: yes}".to_owned(),
            "2:66",
            "`report`",
        ),
        (format!("{HEAD}  - id: 5f0000000000000000000001"), "5:9", "twice in this file"),
        (format!("{HEAD}    projects: [{{id: 5f0000000000000000000001, name: x}}]"), "5:21", "is there twice"),
        (
            format!(
                "{HEAD}    projects: [{{id: 5f0000000000000000000011, name: x}}, {{id: 5f0000000000000000000012, name: x}}]"
            ),
            "5:94",
            "two projects `x`",
        ),
        (
            format!("{HEAD}    network_sets: [{{name: o, networks: [10.0.0.1/8]}}]"),
            "5:41",
            "did you mean `10.0.0.0/8`?",
        ),
        (
            format!("{HEAD}    network_sets: [{{name: o, networks: []}}, {{name: o, networks: []}}]"),
            "5:52",
            "two network sets `o`",
        ),
        (with_key("        public_key: abc"), "8:21", "8 lowercase letters"),
        (with_key("        expires_at: tomorrow"), "8:21", "is not a time"),
        (with_key("        roles: [ORG_KING]"), "8:17", "is unknown"),
        (with_key("        roles: [GROUP_OWNER]"), "8:17", "write `PROJECT:GROUP_OWNER`"),
        (with_key("        roles: ['billing:GROUP_OWNER']"), "8:17", "names a project"),
        (with_key("        roles: ['billing:ORG_OWNER']"), "8:17", "is none of a project"),
        (with_key("        roles: ['app:a b']"), "8:17", "letters, digits"),
        (with_key("        roles: [ORG_OWNER, ORG_OWNER]"), "8:28", "is there twice"),
        (with_key("        enabled: maybe"), "8:18", "`maybe` is not `true` or `false`"),
        (with_key("        enforcement: none"), "8:22", "`none` is not one of `enforce`, `report`"),
        (with_key("        access_list: [10.0.0.5/8]"), "8:23", "did you mean `10.0.0.0/8`?"),
        (with_key("        access_list: [010.0.0.1]"), "8:23", "is not an IP address or network"),
        (with_key("        access_list: [10.1]"), "8:23", "is not an IP address or network"),
        (with_key("        access_list: [0x0a000001]"), "8:23", "is not an IP address or network"),
        (with_key("        access_list: [167772161]"), "8:23", "is not an IP address or network"),
        (with_key("        access_list: [10.0.0.1, 10.0.0.1/32]"), "8:33", "twice"),
        (with_key("        access_list: ['::ffff:10.0.0.1', 10.0.0.1]"), "8:42", "twice"),
        (with_key("        access_list: [0.0.0.0/0]"), "8:22", "every address of a family"),
        (with_key("        access_list: ['::/0']"), "8:22", "every address of a family"),
        (with_key("        access_list: [0.0.0.0/1, 128.0.0.0/1]"), "8:22", "every address of a family"),
        (
            with_key("        access_list: [0.0.0.0/1, 128.0.0.0/2, 192.0.0.0/3, 224.0.0.0/3]"),
            "8:22",
            "every address of a family",
        ),
        (with_key("        access_list: [{comment: x}]"), "8:23", "exactly one of"),
        (with_key("        access_list: [{cidr: 10.0.0.1, set: x}]"), "8:23", "exactly one of"),
        (with_key("        access_list: [{cidr: 10.0.0.1, expires_at: never}]"), "8:52", "is not a time"),
        (with_key("        access_list: [{cdir: 10.0.0.1}]"), "8:24", "did you mean `cidr`?"),
        (with_key("        access_list: [{set: office}]"), "8:29", "no network set `office`; it has none"),
        (with_key("        access_list: [{file: ../secret}]"), "8:30", "without `..`"),
        (with_key("        access_list: [{file: /etc/passwd}]"), "8:30", "without `..`"),
        (with_key("        access_list: [{file: none.txt}]"), "8:30", "can't be read"),
        (with_key("        access_list: [[10.0.0.1]]"), "8:23", ""),
        (with_key("        digest: {realm: P}"), "8:17", "neither `sha256` nor `md5`"),
        (with_key("        digest: {realm: P, md5: abc}"), "8:33", "32 hexadecimal"),
        (with_key("        digest: [{realm: P, md5: abc}]"), "8:34", "32 hexadecimal"),
        (with_key(&format!("        digest: {{realm: P, sha256: {HASH}}}")), "8:17", "needs `public_key`"),
        (with_key("        digest: []"), "8:17", "one pair of HA1s, or two"),
        (with_key("        digest: abc"), "8:17", ""),
        (with_key("        digest: {realm: 'a:b', sha256: abc}"), "8:25", "without quotes"),
        (with_key("      - {id: 5f0000000000000000000021, secret_sha256: ab}"), "8:14", "is there twice"),
        (
            with_key(&format!("      - {{id: 5f0000000000000000000022, secret_sha256: {HASH}}}")),
            "8:55",
            "secret is there twice",
        ),
        (
            with_key(&format!("      - {{id: 5f0000000000000000000022, secret_sha256: [{HASH}]}}")),
            "8:55",
            "secret is there twice",
        ),
        (with_key("      - {id: 5f0000000000000000000022, secret_sha256: []}"), "8:55", "one secret, or two"),
        (with_key("      - {id: 5f0000000000000000000022, secret_sha256: abc}"), "8:55", "64 hexadecimal"),
        (with_key("      - {id: 5f0000000000000000000022}"), "8:9", "key `secret_sha256` is missing"),
        (
            format!("{HEAD}    service_accounts:\n      - {{client_id: x, name: b, token: {{issuer: i, subject: s}}}}"),
            "6:21",
            "pcl_sa_id_",
        ),
        (
            format!("{HEAD}    service_accounts:\n      - {{client_id: pcl_sa_id_5f0000000000000000000032, name: b}}"),
            "6:9",
            "neither `token`, `certificate` nor `secrets`",
        ),
        (
            format!(
                "{HEAD}    service_accounts:\n      - {{client_id: pcl_sa_id_5f0000000000000000000032, name: b, secrets: [{{sha256: abc, expires_at: 2027-01-01T00:00:00Z}}]}}"
            ),
            "6:85",
            "64 hexadecimal",
        ),
        (
            format!(
                "{HEAD}    service_accounts:\n      - {{client_id: pcl_sa_id_5f0000000000000000000032, name: b, secrets: [{{sha256: {HASH}, expires_at: soon}}]}}"
            ),
            "6:163",
            "is not a time",
        ),
        (
            format!(
                "{HEAD}    service_accounts:\n      - {{client_id: pcl_sa_id_5f0000000000000000000032, name: b, token: {{issuer: '', subject: s}}}}"
            ),
            "6:82",
            "`issuer` is empty",
        ),
        (account("certificate: {}"), "6:79", "by `san_uri` or by `sha256`"),
        (account(&format!("certificate: {{san_uri: 'a:b', sha256: {HASH}}}")), "6:79", "write one of them"),
        (account("certificate: {san_uri: 'a b'}"), "6:89", "no URI"),
        (account("certificate: {sha256: abc}"), "6:88", "64 hexadecimal"),
        (
            account("certificate: {san_uri: 'a:b'}")
                + "\n      - {client_id: pcl_sa_id_5f0000000000000000000033, name: c, certificate: {san_uri: 'a:b'}}",
            "7:79",
            "this certificate is there twice",
        ),
        (
            format!(
                "{HEAD}    service_accounts:\n      - {{client_id: pcl_sa_id_5f0000000000000000000032, name: b, token: {{issuer: i, subject: s}}}}\n      - {{client_id: pcl_sa_id_5f0000000000000000000033, name: c, token: {{issuer: i, subject: s}}}}"
            ),
            "7:73",
            "are there twice",
        ),
    ];
    for (text, place, part) in cases {
        refused(&text, place, part);
    }
}

#[test]
fn two_of_a_kind_name_both_places_and_no_secret() {
    let text = with_key(&format!("      - {{id: 5f0000000000000000000022, secret_sha256: {HASH}}}"));
    let problems = read(&text).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.related.as_ref().unwrap().place.to_string(), "d.yaml:7:24");
    let told = format!("{problems}{}{}", problems.render(false), serde_json::to_string(&problems).unwrap());
    assert!(!told.contains(HASH), "{told}");
}

#[test]
fn a_private_key_in_the_wrong_place_is_not_repeated() {
    let key = "40395d07-a353-4881-853b-43efa41339a1";
    for text in [
        with_key(&format!("        public_key: {key}")),
        with_key(&format!("        private_key: {key}")),
        format!("{HEAD}    api_keys:\n      - id: 5f0000000000000000000021\n        secret_sha256:\n          - {key}"),
        format!("{HEAD}    api_keys:\n      - id: 5f0000000000000000000021\n        secret_sha256: hunter2"),
        with_key("        digest: {realm: hunter2, md5: hunter2}").replace("realm: hunter2", "realm: P"),
    ] {
        let problems = read(&text).unwrap_err();
        let told = format!("{problems}\n{}", problems.render(false));
        assert!(!told.contains("40395d07") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn all_faults_come_at_once() {
    let text = with_key("        public_key: A\n        roles: [X]\n        access_list: [1.2.3.4/8, 1.2.3]");
    let places: Vec<_> = read(&text).unwrap_err().iter().map(|one| (one.place.line, one.place.column)).collect();
    assert_eq!(places, [(8, 21), (9, 17), (10, 23), (10, 34)]);
}

#[test]
fn a_list_for_everybody_is_a_warning_where_lists_are_optional() {
    for switch in ["false", "report"] {
        let text = with_key("        access_list: [0.0.0.0/0]")
            .replace("require_access_list: true", &format!("require_access_list: {switch}"));
        let (_, warnings) = read(&text).unwrap();
        assert_eq!(
            warnings.iter().map(|one| (one.severity, one.place.line)).collect::<Vec<_>>(),
            [(Severity::Warning, 8)]
        );
    }
}

#[test]
fn the_shipped_directory_is_good_and_compiles() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/directory.yaml");
    let loaded = load(&path, &LoadOptions::default()).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let snapshot = loaded.directory.compile(7).unwrap();
    assert_eq!((snapshot.revision(), snapshot.len()), (7, 4));
    let key = snapshot.find(&fingerprint::of_key(DEMONSTRATION_KEYS[0].0.as_bytes())).unwrap();
    assert_eq!(&*key.grants().roles, "5f0000000000000000000011:GROUP_OWNER,ORG_MEMBER");
    assert_eq!(&*key.grants().projects, "5f0000000000000000000011");
    let account = fingerprint::of_subject("https://kubernetes.default.svc", "system:serviceaccount:jobs:batch");
    assert!(snapshot.find(&account).is_some());
}

#[test]
fn every_key_is_documented_and_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = documented(&std::fs::read_to_string(root.join("docs/reference/directory-file.md")).unwrap());
    let missing: Vec<String> = keys(&schema()).into_iter().filter(|key| !documented.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_demonstration_compiles() {
    let directory = demonstration();
    let snapshot = directory.compile(1).unwrap();
    assert_eq!(snapshot.len(), 4);
    for (key, _) in DEMONSTRATION_KEYS {
        assert!(snapshot.find(&fingerprint::of_key(key.as_bytes())).is_some());
    }
}

#[test]
fn hashes_are_read_in_either_case_and_two_at_once() {
    let other = HASH.replace("0f", "1A");
    let text = with_key("").replace(HASH, &format!("[{HASH}, {other}]"));
    let (directory, _) = read(&text).unwrap();
    let (_, credential) = directory.credentials().next().unwrap();
    assert_eq!(credential.fingerprints.len(), 2);
    assert_eq!(credential.fingerprints[1].0[0], 0x1a);
}

#[test]
fn ids_that_yaml_takes_for_numbers_stay_ids() {
    for id in ["500000000000000000000001", "5e0000000000000000000001"] {
        let (directory, _) = read(&HEAD.replace("5f0000000000000000000001", id)).unwrap();
        assert_eq!(directory.organizations[0].id.to_string(), id);
    }
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn packed(text: &str) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text.as_bytes()).unwrap();
    to.finish().unwrap()
}

#[test]
fn a_folder_is_merged_and_an_organization_continued() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", HEAD);
    let more = "organizations:\n  - id: 5f0000000000000000000001\n    api_keys:\n      - {id: 5f0000000000000000000021, secret_sha256: HASH, access_list: [{set: office}, {file: lists/p.txt}]}\n";
    write(folder.path(), "b.yaml.gz", packed(&more.replace("HASH", HASH)));
    let sets = "organizations:\n  - {id: 5f0000000000000000000001, name: acme, network_sets: [{name: office, networks: [10.0.0.0/8]}]}\n";
    write(folder.path(), "c.yml", sets);
    write(folder.path(), "lists/p.txt", "# partner\r\n203.0.113.0/24 # all\r\n\r\n  2001:db8::1\r\n");
    write(folder.path(), ".hidden.yaml", "nonsense: 1");
    write(folder.path(), "README.md", "no directory");
    let Examined { loaded, files, .. } = examine(folder.path(), &LoadOptions::default());
    let loaded = loaded.unwrap();
    let organization = &loaded.directory.organizations[0];
    assert_eq!((organization.network_sets.len(), organization.credentials[0].access_list.len()), (1, 3));
    assert_eq!(organization.mode, AccessListMode::Required);
    let names: Vec<_> =
        files.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect();
    assert_eq!(names, ["a.yaml", "b.yaml.gz", "c.yml", "lists/p.txt"]);
    let again = load(folder.path(), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.digest, again.digest);
    write(folder.path(), "lists/p.txt", "203.0.113.0/24\n");
    assert_ne!(load(folder.path(), &LoadOptions::default()).unwrap().digest, loaded.digest);
}

#[test]
fn a_network_set_takes_a_list_that_a_provider_publishes() {
    let folder = tempfile::tempdir().unwrap();
    let set = |from: &str| {
        write(folder.path(), "a.yaml", format!("{HEAD}    network_sets:\n      - {{name: edge, {from}}}\n"))
    };
    let load = || load(folder.path(), &LoadOptions::default());
    let aws = |cdn: &str| {
        format!(
            "{{\"prefixes\": [{{\"ip_prefix\": \"{cdn}\", \"service\": \"CDN\", \"region\": \"x\"}}, \
             {{\"ip_prefix\": \"192.0.2.0/24\", \"service\": \"EC2\", \"region\": \"x\"}}], \"ipv6_prefixes\": []}}"
        )
    };
    write(folder.path(), "lists/aws.json", aws("203.0.113.0/24"));
    set("from: {file: lists/aws.json, services: [CDN]}");
    let loaded = load().unwrap();
    let networks = |loaded: &Loaded| loaded.directory.organizations[0].network_sets[0].networks.clone();
    assert_eq!(networks(&loaded), ["203.0.113.0/24".parse().unwrap()]);
    // Another list is another directory, and the file is watched with the others.
    write(folder.path(), "lists/aws.json", aws("198.51.100.0/24"));
    let again = load().unwrap();
    assert!(again.digest != loaded.digest && networks(&again) == ["198.51.100.0/24".parse().unwrap()]);
    let Examined { files, .. } = examine(folder.path(), &LoadOptions::default());
    assert!(files.iter().any(|file| file.ends_with("lists/aws.json")));
    for (from, part) in [
        ("from: {file: lists/aws.json, services: [S3]}", "no service `S3`"),
        ("from: {file: lists/aws.json, form: xml}", "`xml` is none of aws, google"),
        ("from: {file: lists/aws.json, form: plain}", "is not an IP address"),
        ("from: {file: lists/none.json}", "can't be read"),
        ("from: {file: ../aws.json}", "without `..`"),
        ("from: {form: aws}", "key `file` is missing"),
        ("from: lists/aws.json", "expected a mapping"),
        ("networks: [10.0.0.0/8], from: {file: lists/aws.json}", "take one out"),
        ("owner: net", "`networks: []` admits nobody"),
    ] {
        set(from);
        let problems = load().unwrap_err();
        assert!(problems.iter().any(|one| one.to_string().contains(part)), "{from}: {problems}");
    }
    for (source, part) in [
        ("source: {url: 'https://a.example/x'}", "write `networks: []`"),
        ("networks: [], source: {url: 'http://a.example/x'}", "use https"),
        ("networks: [], source: {url: 'https://a.example/x', file: x}", "keep one of both"),
        ("networks: [], source: {file: ../x}", "such as partner/edge.txt"),
        ("networks: [], source: {file: x, form: xml}", "it is none of aws, google"),
        ("networks: [], source: {file: x, every: 1s}", "write 1m or more"),
        ("networks: [], source: {every: 1h}", "a source has a `url` or a `file`"),
        ("networks: [], source: {file: x, hourly: true}", "hourly"),
        ("from: {file: lists/aws.json}, source: {file: x}", "and not `from`; take it out"),
    ] {
        set(source);
        let problems = load().unwrap_err();
        assert!(problems.len() == 1 && problems.to_string().contains(part), "{source}: {problems}");
        assert!(problems.iter().all(|one| one.place.line == 6), "{problems}");
    }
    // Where it is served, it holds what is written, and whoever serves it is told.
    set("networks: [10.0.0.0/8], source: {url: 'https://a.example/x'}");
    assert!(load().unwrap().warnings.is_empty());
    let served = examine(folder.path(), &LoadOptions::default()).loaded.unwrap();
    assert_eq!(networks(&served), ["10.0.0.0/8".parse().unwrap()]);
    let warning = served.warnings.iter().next().unwrap();
    assert!(warning.place.line == 6 && warning.message.contains("network set `edge` has a `source`"), "{warning}");
    // What comes from elsewhere reads no file here.
    let alone = format!("{HEAD}    network_sets: [{{name: edge, from: {{file: lists/aws.json}}}}]\n");
    assert!(parse_alone("body", &alone).unwrap_err().to_string().contains("can't be named here"));
}

#[test]
fn files_that_disagree_are_refused_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", with_key(""));
    let other = format!(
        "limits: {{entries_per_list: 5}}\n{}",
        with_key("").replace("true", "false").replace("name: acme", "name: other")
    );
    write(folder.path(), "b.yaml", other);
    let problems = load(folder.path(), &LoadOptions::default()).unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .map(|one| {
            let name =
                |place: &crate::config::diagnostic::Place| place.to_string().rsplit('/').next().unwrap().to_owned();
            let related = one.related.as_ref().map(|related| name(&related.place)).unwrap_or_default();
            format!("{} {related}", name(&one.place))
        })
        .collect();
    assert_eq!(
        told,
        ["b.yaml:4:11 a.yaml:3:11", "b.yaml:5:26 a.yaml:4:26", "b.yaml:7:13 a.yaml:6:13", "b.yaml:8:24 a.yaml:7:24"]
    );
}

#[test]
fn a_mounted_config_map_is_read_behind_its_link() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "..2026_1/d.yaml", HEAD);
    std::os::unix::fs::symlink("..2026_1", folder.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/d.yaml", folder.path().join("d.yaml")).unwrap();
    assert_eq!(load(folder.path(), &LoadOptions::default()).unwrap().directory.organizations.len(), 1);
    assert_eq!(load(&folder.path().join("d.yaml"), &LoadOptions::default()).unwrap().directory.organizations.len(), 1);
}

#[test]
fn faults_of_list_files_name_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.yaml");
    write(folder.path(), "d.yaml", with_key("        access_list: [{file: p.txt}]"));
    for (text, place, part) in [
        ("10.0.0.1\n  10.0.0.1/8 # x\n", "p.txt:2:3", "did you mean `10.0.0.0/8`?"),
        ("10.0.0.1\n10.0.0.1/32\n", "p.txt:2:1", "in line 1 already"),
        ("# nothing\n", "p.txt", "names no network"),
    ] {
        write(folder.path(), "p.txt", text);
        let problems = load(&path, &LoadOptions::default()).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert!(problem.place.to_string().ends_with(place) && problem.to_string().contains(part), "{problems}");
    }
}

#[test]
fn files_that_cannot_be_taken_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let told =
        |name: &str, largest: u64| load(&folder.path().join(name), &LoadOptions { largest }).unwrap_err().to_string();
    assert!(told("missing.yaml", 1 << 20).contains("can't be read"));
    assert!(told("", 1 << 20).contains("holds no file"));
    write(folder.path(), "latin.yaml", b"a: b\nc: \xe9\n");
    assert!(told("latin.yaml", 1 << 20).contains("not UTF-8 in line 2"));
    write(folder.path(), "bomb.yaml.gz", packed(&" ".repeat(1 << 20)));
    assert!(told("bomb.yaml.gz", 1 << 16).contains("larger than it may be"));
    write(folder.path(), "broken.yaml.gz", "no gzip");
    assert!(told("broken.yaml.gz", 1 << 20).contains("can't be read"));
    write(folder.path(), "large.yaml", "# comment\n".repeat(10_000));
    assert!(told("large.yaml", 1 << 16).contains("larger than it may be"));
}

#[test]
fn lists_have_a_limit_that_can_be_raised() {
    let entries: Vec<String> = (0..=200).map(|last| format!("10.0.0.{last}")).collect();
    let text = with_key(&format!("        access_list: [{}]", entries.join(", ")));
    refused(&text, "8:22", "201 entries, more than the 200");
    assert!(read(&format!("limits: {{entries_per_list: 201}}\n{text}")).is_ok());
}

/// Place and message of everything that is told about a text, in order.
#[track_caller]
fn told(text: &str, expected: &[(&str, &str)]) {
    let problems = read(text).map(|_| ()).unwrap_err();
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{problems}\nof:\n{text}");
    for (found, (place, part)) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("d.yaml:{place}:")) && found.contains(part), "no `{part}` in {found}");
    }
}

#[test]
fn faults_of_shape_and_of_value_come_at_once() {
    told(
        &with_key(
            "        enabled: maybe\n        rolls: []\n        expires_at: soon\n        access_list: [[10.0.0.1], 10.0.0.5/8, {cdir: 1.1.1.1}]\n      - secret_sha256: 5\n",
        ),
        &[
            ("8:18", "`maybe`"),
            ("9:9", "did you mean `roles`?"),
            ("10:21", "is not a time"),
            ("11:23", ""),
            ("11:35", "did you mean `10.0.0.0/8`?"),
            ("11:48", "did you mean `cidr`?"),
            ("12:9", "`id` is missing"),
            ("12:24", "64 hexadecimal"),
        ],
    );
}

#[test]
fn what_only_follows_from_a_fault_of_shape_is_held_back() {
    let head = |switch: &str| HEAD.replace("require_access_list: true", switch);
    let key = |list: &str| {
        format!("    api_keys: [{{id: 5f0000000000000000000021, secret_sha256: {HASH}, access_list: [{list}]}}]\n")
    };
    let everybody = key("0.0.0.0/0");
    let sets = format!("    network_sts: [{{name: office, networks: []}}]\n{}", key("{set: office}"));
    for (text, expected) in [
        (head("require_access_lst: true"), vec![("4:5", "`require_access_list`?")]),
        (
            format!("{}{everybody}", head("require_access_list: yes")),
            vec![("4:26", "`true`"), ("5:", "admits every address")],
        ),
        (format!("{HEAD}{sets}"), vec![("5:5", "`network_sets`?")]),
        (
            format!("organizations:\n  - nmae: acme\n    require_access_list: true\n{}", key("10.0.0.1/8")),
            vec![("2:5", "`id` is missing"), ("2:5", "`name`?"), ("4:", "`10.0.0.0/8`?")],
        ),
        (with_key("        digest: {realm: P, md55: a}\n        public_key: abcdefgh"), vec![("8:28", "`md5`?")]),
    ] {
        let problems = read(&text).map(|_| ()).unwrap_err();
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{problems}\nof:\n{text}");
        for (found, (place, part)) in found.iter().zip(expected) {
            assert!(found.starts_with(&format!("d.yaml:{place}")) && found.contains(part), "no `{part}` in {found}");
        }
    }
}

#[test]
fn a_file_that_is_no_yaml_does_not_hide_the_faults_of_others() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "organizations: [");
    write(folder.path(), "b.yaml", with_key("        access_list: [{set: office}, 1.2.3]"));
    let problems = load(folder.path(), &LoadOptions::default()).unwrap_err();
    let places: Vec<String> =
        problems.iter().map(|one| one.place.to_string().rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(places.len(), 2, "{problems}");
    assert!(places[0].starts_with("a.yaml:") && places[1] == "b.yaml:8:38", "{places:?}");
}

#[test]
fn ha1s_become_a_user_of_digest() {
    let ha1 = |digit: char| digit.to_string().repeat(64);
    let md5 = |digit: char| digit.to_string().repeat(32);
    for (digest, secrets) in [
        (format!("{{realm: P, sha256: \"{}\"}}", ha1('1')), vec![(Some(0x11), None)]),
        (format!("{{realm: P, md5: {}}}", md5('2')), vec![(None, Some(0x22))]),
        (
            format!("[{{realm: P, sha256: \"{}\", md5: {}}}, {{realm: P, md5: {}}}]", ha1('a'), md5('b'), md5('C')),
            vec![(Some(0xaa), Some(0xbb)), (None, Some(0xcc))],
        ),
    ] {
        let text = with_key(&format!("        public_key: mcpvrzod\n        digest: {digest}"));
        let (directory, _) = read(&text).unwrap();
        let snapshot = directory.compile(1).unwrap();
        let holder = snapshot.find_digest_user(&fingerprint::of_digest_user([&b"mcpv"[..], b"rzod"])).unwrap();
        assert_eq!(holder.credential().id().to_string(), "5f0000000000000000000021");
        let seen: Vec<_> = holder
            .secrets()
            .iter()
            .map(|secret| {
                assert_eq!(&*secret.realm, "P");
                (secret.sha256.map(|ha1| ha1[31]), secret.md5.map(|ha1| ha1[15]))
            })
            .collect();
        assert_eq!(seen, secrets);
    }
    let (directory, _) = read(&with_key("        public_key: mcpvrzod")).unwrap();
    assert!(directory.compile(1).unwrap().digest_users().next().is_none());
}
