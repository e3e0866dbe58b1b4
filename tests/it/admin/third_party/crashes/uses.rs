//! Killed while what was counted is written, and while the store is closed after that, as an orderly stop does both: of one
//! writing everything is there or nothing, and nothing else is touched.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use super::{Office, Template, alike, held, moments, output, sqlite};
use crate::programs::program;

/// All that is counted but for the times.
fn counted(store: &Path) -> String {
    let uses = "SELECT credential, network, count, last_used_address FROM entry_use ORDER BY 1, 2";
    let last = "SELECT credential, last_used_address, denied_code, denied_address FROM credential_use ORDER BY 1";
    let addresses = "SELECT credential, address, place FROM recent_address ORDER BY 1, 2";
    let traffic = "SELECT credential, network, outcome, code, route, count FROM traffic ORDER BY 1, 2, 3, 4, 5";
    [uses, last, addresses, traffic].map(|query| sqlite(store, query)).join("\n\n")
}

/// What is written at the stop: uses of two keys, and a denial.
fn use_keys(template: &Template, office: &Office) {
    for (header, status) in [("{listed key}", 200), ("{open key}", 200), ("{listed key}", 200), ("{by set key}", 200)] {
        assert_eq!(office.served.get("/", &[&template.filled(header)]).status, status);
    }
}

#[test]
fn l10_a_writing_of_uses_is_whole_or_absent() {
    program("strace");
    let template = Template::new();
    let store = template.folder.path().join("store.db");
    let (before, known) = (counted(&store), alike(&template.held, &template.held));
    let mut office = template.served();
    use_keys(&template, &office);
    let (mut tracer, calls) = office.counted("pwrite64,fdatasync,fsync");
    office.served.signal("TERM");
    assert!(office.served.ended().success());
    let _ = tracer.child().wait();
    let calls = calls.join().unwrap();
    let after = counted(&office.path("store.db"));
    assert_ne!(after, before, "nothing was counted");
    for call in ["pwrite64", "fdatasync", "fsync"] {
        let count = calls.matches(&format!("{call}(")).count();
        let mut deaths = 0;
        for at in moments(false, count) {
            let what = format!("killed at {call} {at} of {count}");
            let mut office = template.served();
            use_keys(&template, &office);
            let mut tracer = office.injected(call, at);
            office.served.signal("TERM");
            let ended = office.served.ended();
            let _ = output(Command::new("kill").arg(tracer.child().id().to_string()));
            let _ = tracer.child().wait();
            assert!(ended.signal() == Some(9) || ended.success() && count - at < 8, "{what}: {ended}");
            deaths += usize::from(!ended.success());
            let store = office.path("store.db");
            assert_eq!(sqlite(&store, "PRAGMA integrity_check"), "ok", "{what}");
            let found = counted(&store);
            assert!(found == after || found == before, "{what}: neither whole nor absent: {found}");
            assert_eq!(alike(&held(&store), &template.held), known, "{what}: something else was changed");
            let count = sqlite(&store, "SELECT coalesce(sum(count), 0) FROM entry_use WHERE network = '127.0.0.0/8'");
            let office = office.revived();
            let shown = template.filled("/apiKeys/{listed}/accessList/127.0.0.0%2F8");
            assert_eq!(office.own("GET", &shown, "").json()["count"].to_string(), count, "{what}");
        }
        assert!(deaths > 0 || count == 0, "no {call} killed it");
    }
}
