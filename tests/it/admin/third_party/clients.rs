//! Clients that were written for MongoDB Atlas manage organizations here, by nothing but another address.

use std::process::Command;

use crate::admin::office::{OWNER, Office};
use crate::programs::{package, program, succeed};

/// What an administrator of such clients configures: Digest, with MD5.
const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 1
  credentials: { digest: { realm: Portcullis, algorithms: [MD5] } }
directory: { sqlite: store.db }
admin: { listen: \"127.0.0.1:0\" }
telemetry: { listen: \"127.0.0.1:0\" }
";

/// What a client prints about an organization with a project, and a key with a list.
fn told(interpreter: &str, script: &str) -> String {
    let office = Office::open_with(CONFIGURATION);
    assert_eq!(office.own("POST", "/groups", r#"{"name":"billing"}"#).status, 201);
    let key = office.key(r#"["ORG_READ_ONLY"]"#);
    let list = format!("/apiKeys/{}/accessList", key.id);
    assert_eq!(office.own("POST", &list, r#"[{"cidrBlock":"203.0.113.0/24"}]"#).status, 200);
    let (public, private) = OWNER.split_once(':').unwrap();
    let mut command = Command::new(program(interpreter));
    command.arg(package().join("tests/clients").join(script));
    command.args([&format!("http://{}", office.admin()), public, private, &office.organization, &key.id]);
    succeed(&mut command)
}

#[test]
fn mongodb_atlas_api_client() {
    assert_eq!(
        told("atlas-node", "mongodb-atlas-api-client.js"),
        "organizations acme acme
projects billing billing
list 203.0.113.0/24
created 192.0.2.7/32,198.51.100.0/24,203.0.113.0/24 3
entry 192.0.2.7 192.0.2.7/32 0
network office
pages 192.0.2.7/32,198.51.100.0/24,203.0.113.0/24
deleted true 198.51.100.0/24,203.0.113.0/24
missing API_KEY_ACCESS_LIST_NOT_FOUND
refused BAD_ACCESS_LIST_ADD_REQUEST
event API_KEY_ACCESS_LIST_ENTRY_DELETED 192.0.2.7/32
"
    );
}

#[test]
fn atlasapi() {
    assert_eq!(
        told("atlas-python", "atlasapi.py"),
        "organizations acme
organization acme
projects billing
projects billing
key True a key ORG_READ_ONLY ********-
keys first owner a key
list 203.0.113.0/24
created 192.0.2.8/32,203.0.113.0/24
entry 192.0.2.8 desk 0 None
deleted {'deleted': True} 203.0.113.0/24
refused ErrAtlasNotFound
refused ErrAtlasBadRequest
"
    );
}
