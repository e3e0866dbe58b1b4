//! Reading and receiving what is to be added: every fault with its line, no key in clear, nothing taken by half.

use std::io::Cursor;

use super::*;
use crate::access::credential::AccessListMode;
use crate::directory::model::Project;

const SECRET: &str = "0f00000000000000000000000000000000000000000000000000000000000000";

fn set(name: &str) -> NetworkSet {
    let networks = vec!["198.51.100.0/24".parse().unwrap()];
    NetworkSet { name: name.into(), networks, owner: Some("net".into()), comment: None, source: None }
}

fn there() -> Vec<Organization> {
    let of = |last: u8, name: &str| Organization {
        id: Id::from_bytes([0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
        name: name.into(),
        mode: AccessListMode::Required,
        secret_hours: None,
        projects: vec![Project {
            id: Id::from_bytes([0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, last]),
            name: "billing".into(),
        }],
        network_sets: ["office", "other"].map(set).into(),
        credentials: Vec::new(),
    };
    vec![of(1, "acme"), of(2, "twice"), of(3, "twice")]
}

fn hash(key: &str) -> Result<HashedKey, String> {
    match key.contains("weak") {
        true => Err("the key could be guessed".into()),
        false => Ok(HashedKey {
            public_key: key.split_once('.').map(|(public, _)| public.to_owned()),
            secret_sha256: SECRET.to_owned(),
            digest: None,
        }),
    }
}

fn read(text: &str, there: &[Organization]) -> Result<Bulk, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.csv");
    std::fs::write(&path, text).unwrap();
    let shown = |problems: Problems| {
        let line = |one: &Problem| format!("{}: {}", one.place.line, one.message);
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    Table::open(&path).and_then(|table| table.read(there, &hash)).map(|(bulk, _)| bulk).map_err(shown)
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let told = read(text, &there()).err().unwrap_or_default();
    assert_eq!(told.lines().count(), expected.len(), "{told}");
    for (line, part) in told.lines().zip(expected) {
        assert!(line.starts_with(part), "`{part}` does not begin: {line}");
    }
}

#[test]
fn a_row_is_a_key_with_all_that_the_columns_say() {
    let text = format!(
        "\u{feff}organization, id,description,public_key,secret_sha256,roles,networks,expires_at,enabled,enforcement\r\n\
         acme,5f0000000000000000000021,\"one, \"\"two\"\"\",mcpvrzod,{SECRET};{},billing:GROUP_OWNER; app:x,\
         203.0.113.9 2001:db8::/32;10.0.0.0/8,2027-06-01T00:00:00Z,FALSE,report\r\n",
        SECRET.replace("0f", "1f")
    );
    let bulk = read(&text, &there()).unwrap();
    let [organization] = bulk.directory.organizations.as_slice() else { panic!("{bulk:?}") };
    let [key] = organization.credentials.as_slice() else { panic!("{organization:?}") };
    assert_eq!((organization.id, &*organization.name), (there()[0].id, "acme"));
    assert_eq!((&*key.name, key.public_key.as_deref()), ("one, \"two\"", Some("mcpvrzod")));
    assert_eq!((key.fingerprints.len(), key.roles.len(), key.access_list.len()), (2, 2, 3));
    assert_eq!((key.enabled, key.expires_at.to_string()), (false, "2027-06-01T00:00:00Z".into()));
    assert!(!bulk.is_drawn(key.id));
}

#[test]
fn a_row_may_refer_to_network_sets_and_brings_no_others() {
    let text = format!("organization,secret_sha256,networks\nacme,{SECRET},set:office;10.0.0.0/8\n");
    let bulk = read(&text, &there()).unwrap();
    let [organization] = bulk.directory.organizations.as_slice() else { panic!("{bulk:?}") };
    assert_eq!(organization.network_sets, [set("office")]);
    let list: Vec<String> = organization.list(&organization.credentials[0]).keys().map(ToString::to_string).collect();
    assert_eq!(list, ["10.0.0.0/8", "set:office"]);
    // Every fault is told, also behind a row that is lost.
    let lost = format!("{text}nobody,{SECRET},\n").replace("set:office", "set:nowhere");
    refused(&lost, &["2: `networks`: ", "3: there is no organization `nobody`"]);
}

#[test]
fn a_table_tells_whose_keys_it_holds() {
    let named = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.csv");
        std::fs::write(&path, text).unwrap();
        let mut named: Vec<String> = Table::open(&path).unwrap().organizations()?.into_iter().collect();
        named.sort_unstable();
        Some(named)
    };
    let both = Some(vec!["acme".to_owned(), "one, two".to_owned()]);
    assert_eq!(named("\u{feff}key, organization\nx,acme\ntoo,many,cells\ny,\"one, two\"\nz,acme\n"), both);
    for some_without in ["key\nx\n", "key,organization\nx,acme\ny,\n", ""] {
        assert_eq!(named(some_without), None, "{some_without}");
    }
}

#[test]
fn an_organization_need_not_be_named_where_there_is_one_and_an_id_is_drawn() {
    let bulk = read("public_key,private_key\nmcpvrzod,40395d07\n", &there()[..1]).unwrap();
    let key = &bulk.directory.organizations[0].credentials[0];
    assert!(bulk.is_drawn(key.id));
    assert_eq!(key.fingerprints.len(), 1);
}

#[test]
fn every_row_at_fault_is_named_by_its_line_and_no_key_is_repeated() {
    let text = "organization,public_key,private_key,key,networks,expires_at,enabled\n\
                nobody,mcpvrzod,private,,,,\n\
                twice,mcpvrzoe,private,,,,\n\
                acme,mcpvrzof,weak-private,,,,\n\
                acme,,private,,,,\n\
                acme,,,,,,\n\
                acme,mcpvrzog,private,mcpvrzog.private,,,\n\
                acme,mcpvrzoh,private,,10.0.0.5/8,tomorrow,maybe\n\
                acme,too,few\n";
    let expected = [
        "2: there is no organization `nobody`",
        "3: several organizations are called `twice`",
        "4: the key could be guessed",
        "5: `private_key` needs `public_key`",
        "6: nothing proves this key",
        "7: a key is proven by one of",
        "8: `enabled` is `true` or `false`",
        "8: `expires_at`: `tomorrow` is not a time",
        "8: `networks`: network `10.0.0.5/8` has host bits set",
        "9: the row has 3 cells and the first line 7",
    ];
    refused(text, &expected);
    assert!(!read(text, &there()).unwrap_err().contains("private-"));
}

#[test]
fn a_header_that_can_not_be_used_is_told_alone() {
    refused("", &["1: the first line names the columns"]);
    refused("public_key;secret_sha256\n", &["1: the first line names the columns, separated by commas"]);
    refused(
        "secret_sha256,colour,id,id\nx,y,z,z\n",
        &["1: column `colour` is unknown", "1: column `id` is there twice"],
    );
    refused("organization,description\nacme,x\n", &["1: no column says what proves a key"]);
    refused("private_key,organization\nx,acme\n", &["1: `private_key` needs `public_key`"]);
}

fn received(text: &str) -> Result<Bulk, ReceiveFault> {
    receive(Cursor::new(text.as_bytes().to_vec()))
}

#[test]
fn lines_say_what_the_file_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.yaml");
    let text = format!(
        "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: report\n  \
         projects: [{{ id: 5f0000000000000000000011, name: billing }}]\n  api_keys:\n  - id: 5f0000000000000000000021\n    \
         public_key: mcpvrzod\n    secret_sha256: ['{SECRET}', '{}']\n    enabled: false\n    enforcement: report\n    \
         digest: {{ realm: R, sha256: '{SECRET}', md5: '{}', secret: 2 }}\n    roles: ['billing:GROUP_OWNER', 'app:x']\n    \
         access_list: [10.0.0.0/8, {{ cidr: '2001:db8::/32', comment: 'a\n      b', expires_at: 2027-01-01T00:00:00Z }}]\n",
        SECRET.replace("0f", "1f"),
        &SECRET[..32]
    );
    std::fs::write(&path, text).unwrap();
    let (bulk, _) = load(&path).unwrap();
    let organization = &bulk.directory.organizations[0];
    let key = &organization.credentials[0];
    let lines =
        [bulk.line_of_organization(organization), bulk.line_of_credential(organization, key).unwrap(), String::new()]
            .join("\n");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let again = received(&lines).unwrap();
    assert_eq!(format!("{:?}", again.directory.organizations), format!("{:?}", bulk.directory.organizations));
    assert_eq!(again.directory.organizations[0].credentials[0].digest, key.digest);
    assert_eq!(key.digest_of, [1]);
    let order: Vec<Id> = again.in_order().collect();
    assert_eq!(order, [organization.id, key.id]);
    assert_eq!(again.problem(key.id, "x").place.line, 2);
}

#[test]
fn lines_are_judged_again_and_name_no_file_of_this_machine() {
    let organization = r#"{"organization":{"id":"5f0000000000000000000001","name":"acme","require_access_list":true}}"#;
    let key =
        |rest: &str| format!(r#"{{"api_key":{{"id":"5f0000000000000000000021","secret_sha256":"{SECRET}"{rest}}}}}"#);
    let faulty = |text: &str| match received(text) {
        Err(ReceiveFault::Faulty { problems, .. }) => problems.to_string(),
        other => panic!("{other:?}"),
    };
    let told = faulty(&format!("{}\n{organization}\n", key("")));
    assert!(told.starts_with("line:1:1: what belongs to an organization comes after it"), "{told}");
    let told = faulty(&format!("{organization}\n{}\n", key(r#","access_list":[{"file":"Cargo.toml"}]"#)));
    assert!(told.contains("line:2:1: `access_list`: a list file can't be named here"), "{told}");
    let told = faulty(&format!("{organization}\n{}\n{}\n", key(""), key("")));
    assert!(told.contains("is there twice"), "{told}");
    let told = faulty(&format!("{organization}\nmy-secret-key\n"));
    assert!(
        told.contains("line:2:1: this is no object of an import: it is no JSON from") && !told.contains("my-secret"),
        "{told}"
    );
    // No value gets into an attribute whose name was never said, nor is one of two chosen.
    let listed = r#"{"organization":["5f0000000000000000000001","acme",true]}"#;
    for line in [listed, r#"{"api_key":{"my-secret-key":1}}"#] {
        let told = faulty(&format!("{organization}\n{line}\n"));
        assert!(
            told.contains("line:2:1: this is no object of an import: it has not") && !told.contains("my-secret"),
            "{told}"
        );
    }
    let told = faulty(&format!("{organization}\n{}\n", key(r#","enabled":false,"enabled":true"#)));
    assert!(told.contains("line:2:1: this is no object of an import: an attribute is there twice"), "{told}");
    let told = faulty(&format!("{organization}\n{}\n", key(r#","access_list":["0.0.0.0/0"]"#)));
    assert!(told.contains("admits every address"), "{told}");
    assert!(received("").unwrap().directory.organizations.is_empty());
}

#[test]
fn what_a_store_has_no_place_for_is_refused_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.yaml");
    let check = |rest: &str, expected: &str| {
        let head = "organizations:\n- id: 5f0000000000000000000001\n  name: acme\n  require_access_list: false\n";
        std::fs::write(&path, format!("{head}{rest}")).unwrap();
        let told = load(&path).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    };
    let key = |rest: &str| {
        format!(
            "  api_keys:\n  - {{ id: 5f0000000000000000000021, public_key: mcpvrzod, secret_sha256: '{SECRET}', {rest} }}\n"
        )
    };
    check(&key(&format!("digest: {{ realm: R, sha256: '{SECRET}' }}")), "keeps both HA1s");
    let md5 = &SECRET[..32];
    let one = format!("{{ realm: R, sha256: '{SECRET}', md5: '{md5}' }}");
    check(&key(&format!("digest: [{one}, {one}]")), "more HA1s than secrets");
    let named = one.replace(" }", ", secret: 2 }");
    check(&key(&format!("digest: {named}")), "`secret` is the number of a hash");
}
