//! What is noticed at once, however the folder is called: without its event a change waits for the look that needs none,
//! which comes after longer than these tests wait.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::{header, narrower, not_listed};
use crate::served::Served;
use crate::stage::{KEY, KEY_OPEN, OPEN, directory, wait_for};

/// A gateway in a folder of its own, by relative paths alone.
fn serve(folder: &Path, directory_at: &str) -> Served {
    let configuration = format!(
        "gateway:\n  listen: [{{ address: \"127.0.0.1:0\" }}]\n  workers: 1\n  limits: {{ failed_attempts: off }}\n  \
         routes: [{{ path: /, upstream: api }}]\n  \
         upstreams: {{ api: {{ endpoints: [\"echo:\"] }} }}\ndirectory: {{ file: {directory_at} }}\n\
         telemetry: {{ listen: \"127.0.0.1:0\", access_log: {{ to: off }} }}\n"
    );
    std::fs::write(folder.join("portcullis.yaml"), configuration).unwrap();
    let served = Served::start(folder, "portcullis.yaml");
    // Its first look tells what is watched.
    wait_for("the first directory", || served.get("/", &[&header(KEY)]).status == 200);
    served
}

/// The organizations of the usual directory, each as a directory of its own.
fn halves() -> (String, String) {
    let whole = directory();
    let (acme, open) = whole.split_at(whole.find(&format!("  - id: {OPEN}")).unwrap());
    (acme.to_owned(), format!("organizations:\n{open}"))
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_new_file_in_a_folder_of_a_relative_name() {
    let folder = tempfile::tempdir().unwrap();
    let (acme, open) = halves();
    write(folder.path(), "d/10-acme.yaml", &acme);
    let served = serve(folder.path(), "d");
    for name in ["d/20-open.yaml", "d/30-open.yaml", "d/40-open.yml"] {
        assert_eq!(served.get("/", &[&header(KEY_OPEN)]).status, 401);
        write(folder.path(), name, &open);
        wait_for("the new file", || served.get("/", &[&header(KEY_OPEN)]).status == 200);
        std::fs::remove_file(folder.path().join(name)).unwrap();
        wait_for("its end", || served.get("/", &[&header(KEY_OPEN)]).status == 401);
    }
}

/// A folder that was emptied, moved away or made again, perhaps under the same number, is the one to look at.
#[test]
fn a_folder_that_was_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (acme, open) = halves();
    write(folder.path(), "d/10-acme.yaml", &acme);
    let served = serve(folder.path(), "d");
    let good = || served.get("/", &[&header(KEY_OPEN)]).status == 200;
    for _ in 0..3 {
        std::fs::remove_dir_all(folder.path().join("d")).unwrap();
        write(folder.path(), "d/10-acme.yaml", &acme);
        write(folder.path(), "d/20-open.yaml", &open);
        wait_for("the new folder", good);
        std::fs::remove_file(folder.path().join("d/20-open.yaml")).unwrap();
        wait_for("a change in it", || !good());
        std::fs::rename(folder.path().join("d"), folder.path().join("away")).unwrap();
        wait_for("the fault", || served.metric("portcullis_directory_current") == 0.0);
        std::fs::rename(folder.path().join("away"), folder.path().join("d")).unwrap();
        wait_for("its return", || served.metric("portcullis_directory_current") == 1.0);
        write(folder.path(), "d/20-open.yaml", &open);
        wait_for("a change in the folder that came back", good);
    }
}

/// Releases of which a link names the present one, and a link that leads to a link.
#[test]
fn a_link_above_the_directory_and_one_behind_another() {
    let folder = tempfile::tempdir().unwrap();
    let point = |name: &str, target: &str| {
        let aside = folder.path().join("aside");
        symlink(target, &aside).unwrap();
        std::fs::rename(aside, folder.path().join(name)).unwrap();
    };
    write(folder.path(), "1/d/all.yaml", &directory());
    write(folder.path(), "2/d/all.yaml", &narrower());
    write(folder.path(), "deep/here", "");
    point("deep/present", "../1");
    point("current", "deep/present");
    let served = serve(folder.path(), "current/d");
    let refused = || served.get("/", &[&header(KEY)]).outcome() == not_listed();
    point("deep/present", "../2");
    wait_for("the link behind the link", refused);
    point("current", "1");
    wait_for("the link", || !refused());
    point("current", "2");
    wait_for("the link again", refused);
}
