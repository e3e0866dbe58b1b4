//! The access log's file from outside: whoever rotates it renames it and sends SIGHUP.

use std::path::Path;

use crate::served::Served;
use crate::stage::{KEY_OPEN, directory, wait_for};

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn a_renamed_file_is_let_go_of_at_sighup_and_no_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("directory.yaml"), directory()).unwrap();
    let configuration = "gateway: { listen: [{ address: \"127.0.0.1:0\" }], workers: 1 }
directory: { file: directory.yaml }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: file, file: access.log } }
";
    std::fs::write(at("portcullis.yaml"), configuration).unwrap();
    let mut served = Served::start(folder.path(), "portcullis.yaml");
    let get = |served: &Served| assert_eq!(served.get("/", &[&format!("X-API-Key: {KEY_OPEN}")]).status, 200);
    get(&served);
    wait_for("the first line", || lines(&at("access.log")) == 1);
    std::fs::rename(at("access.log"), at("access.log.1")).unwrap();
    // Until it is told, it goes on in the file that it has.
    get(&served);
    wait_for("the second line", || lines(&at("access.log.1")) == 2);
    served.signal("HUP");
    wait_for("a new file", || at("access.log").exists());
    get(&served);
    wait_for("the third line", || lines(&at("access.log")) == 1);
    assert_eq!(lines(&at("access.log.1")), 2);
    // A folder that is gone is told, and lines go on to the file that is open.
    std::fs::rename(at("access.log"), at("access.log.2")).unwrap();
    std::fs::create_dir(at("access.log")).unwrap();
    served.signal("HUP");
    wait_for("the warning", || {
        served.log_has(|line| line["message"].as_str().is_some_and(|text| text.contains("can't be opened")))
    });
    get(&served);
    wait_for("the fourth line", || lines(&at("access.log.2")) == 2);
}
