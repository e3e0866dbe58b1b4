//! The console in a real Chromium (`tests/clients/console.js`), and with a provider of others.

mod single_sign_on;

use std::process::Command;

use single_sign_on::Provider;

use crate::admin::office::Office;
use crate::programs::{package, program, succeed};

#[test]
fn chromium_finds_its_way_and_nothing_to_complain_of() {
    let chromium = program("chromium");
    let mut provider = Provider::start(false);
    let configured = provider.configured("console", "");
    let lists = tempfile::tempdir().unwrap();
    std::fs::write(lists.path().join("edge.txt"), "192.0.2.0/24\n").unwrap();
    let feeds = format!("feeds: {{ allow_files: \"{}\" }}\n", lists.path().display());
    let configured = configured.replace("admin: {", "admin: { usage_interval: 50ms,");
    let office = Office::begun_by_nobody(&format!("{configured}{feeds}"));
    provider.knows(&office);
    provider.account("first");
    let token = std::fs::read_to_string(office.path("store.db.sign-up-token")).unwrap();
    let shots = package().join("target/console");
    std::fs::create_dir_all(&shots).unwrap();
    let mut command = Command::new(program("browser-node"));
    command.arg(package().join("tests/clients/console.js")).env("CHROMIUM", chromium);
    command.args([format!("http://{}", office.admin()), format!("http://{}", office.served.gateway())]);
    let told = succeed(command.arg(token.trim()).arg(shots));
    assert_eq!(told.lines().count(), 8, "{told}");
}
