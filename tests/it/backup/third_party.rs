//! With SQLite's own shell, by the very commands of the guide: a gateway that is restored from a copy enforces exactly what was
//! enforced at the copy's revision.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::admin::office::{Key, OWNER, Office};
use crate::guides::blocks;
use crate::programs::{PORTCULLIS, output, package, program};
use crate::served::Served;
use crate::stage::wait_for;

const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 1
  drain_timeout: 1s
  limits: { failed_attempts: off }
directory: { sqlite: portcullis.db }
admin: { listen: \"127.0.0.1:0\", api_keys_per_organization: 5000 }
telemetry: { listen: \"127.0.0.1:0\", access_log: { to: off } }
";

/// Keys that one writer changes in turn.
const EACH: usize = 3;

const PRIVATE: &str = "40395d07-a353-4881-853b-43efa4133901";

/// A table of as many keys that may come from here, whose names begin like this.
fn table(begin: &str, count: usize) -> String {
    let letter = |digit: char| char::from(b'a' + u8::try_from(digit.to_digit(10).unwrap()).unwrap());
    let name = |number: usize| format!("{begin}{}", format!("{number:04}").chars().map(letter).collect::<String>());
    let rows = (0..count).map(|number| format!("{},{PRIVATE},127.0.0.0/8;10.0.{}.0/24\n", name(number), number % 256));
    format!("public_key,private_key,networks\n{}", rows.collect::<String>())
}

/// What was answered to the writers: the revision, which key, and what the gateway says to it from then on.
struct Answered<'a> {
    office: &'a Office,
    keys: &'a [Key],
    all: Mutex<Vec<(u64, usize, u16)>>,
    is_over: AtomicBool,
}

impl Answered<'_> {
    /// Changes keys in turn until it is over: the first writer whether they are enabled, the second their lists.
    fn write(&self, writer: usize) {
        for turn in 0.. {
            let (key, admits) = (writer * EACH + turn % EACH, turn / EACH % 2 == 1);
            let path = format!("/apiKeys/{}", self.keys[key].id);
            let (answer, refusal) = match writer {
                0 => (self.office.own("PATCH", &path, &format!("{{\"enabled\":{admits}}}")), 401),
                _ => {
                    let list = if admits { "127.0.0.0/8" } else { "203.0.113.0/24" };
                    let body = format!("[{{\"cidrBlock\":\"{list}\"}}]");
                    (self.office.own("PUT", &format!("{path}/accessList?force=true"), &body), 403)
                }
            };
            assert_eq!(answer.status, 200, "{}", answer.text());
            let revision = answer.header("x-portcullis-revision").unwrap().parse().unwrap();
            self.all.lock().unwrap().push((revision, key, if admits { 200 } else { refusal }));
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// The newest revision that was answered.
    fn newest(&self) -> u64 {
        self.all.lock().unwrap().iter().map(|(revision, ..)| *revision).max().unwrap_or_default()
    }

    fn has(&self, revision: u64) -> bool {
        self.all.lock().unwrap().iter().any(|(one, ..)| *one == revision)
    }

    /// What every key was told at a revision.
    fn at(&self, revision: u64) -> Vec<u16> {
        let mut told = vec![200; self.keys.len()];
        let mut all = self.all.lock().unwrap().clone();
        all.sort_unstable();
        for (_, key, status) in all.into_iter().filter(|(one, ..)| *one <= revision) {
            told[key] = status;
        }
        told
    }

    fn told(&self, by: &Served) -> Vec<u16> {
        self.keys.iter().map(|key| by.get("/", &[&key.header()]).status).collect()
    }
}

/// Runs commands of the guide in a folder, on the day that the guide has. Returns what they print. A copy that never ends
/// fails.
fn sh(folder: &Path, commands: &str) -> String {
    let script = format!("set -e; date() {{ echo 2026-11-24; }}; systemctl() {{ :; }}\n{commands}");
    let done = output(Command::new("timeout").args(["60", "sh", "-c", &script]).current_dir(folder));
    assert!(done.status.success(), "{commands}: {done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// `portcullis ARGUMENTS` in a folder, against this office. Returns what it prints.
fn portcullis(office: &Office, arguments: &str) -> String {
    let mut command = Command::new(PORTCULLIS);
    command.args(arguments.split(' ')).current_dir(office.folder()).env("HOME", office.folder());
    command.env("PORTCULLIS_API_URL", format!("http://{}", office.admin())).env("PORTCULLIS_API_KEY", OWNER);
    let done = output(&mut command);
    assert!(done.status.success(), "{arguments}: {done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn what_is_copied_under_load_is_enforced_as_it_was_at_its_revision() {
    program("sqlite3");
    let guide = std::fs::read_to_string(package().join("docs/guides/backup.md")).unwrap();
    let shown = blocks(&guide);
    let block = |has: &str| {
        let is_it = |(fence, body): &&(&str, String)| *fence == "sh" && body.contains(has);
        shown.iter().find(is_it).unwrap_or_else(|| panic!("the guide has no `{has}`")).1.clone()
    };
    let (vacuum, backup, restore) = (block("VACUUM INTO"), block(".backup"), block("systemctl"));
    assert!(restore.starts_with("systemctl stop") && restore.trim_end().ends_with("systemctl start portcullis"));
    let office = Office::open_with(CONFIGURATION);
    let keys: Vec<Key> = (0..2 * EACH).map(|_| office.key("[]")).collect();
    // More pages than SQLite copies in one step.
    std::fs::write(office.path("many.csv"), table("many", 2000)).unwrap();
    portcullis(&office, "import many.csv");
    let answered =
        Answered { office: &office, keys: &keys, all: Mutex::new(Vec::new()), is_over: AtomicBool::new(false) };
    let mut exported = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let answered = &answered;
            scope.spawn(move || answered.write(writer));
        }
        // Whatever fails below must not leave the writers behind.
        let over = Over(&answered.is_over);
        wait_for("every key to be changed", || answered.all.lock().unwrap().len() >= 4 * EACH);
        for (copy, commands) in [&vacuum, &backup, &vacuum, &backup].into_iter().enumerate() {
            let begin = answered.newest();
            let printed = sh(office.folder(), commands);
            assert!(printed.trim_end().ends_with("ok"), "{printed}");
            let file = office.path("portcullis-2026-11-24.db");
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{commands}");
            std::fs::rename(file, office.path(&format!("copy{copy}.db"))).unwrap();
            wait_for("changes during and after the copy", || answered.newest() >= begin + 4);
        }
        for _ in 0..2 {
            let begin = answered.newest();
            let text = portcullis(&office, "export portcullis.db");
            // Of each writer one change may be made and not answered yet.
            exported.push((text, begin..=answered.newest() + 2));
        }
        std::fs::write(office.path("more.csv"), table("more", 20)).unwrap();
        portcullis(&office, "import more.csv");
        for row in table("more", 20).lines().skip(1) {
            let public = &row[..8];
            assert_eq!(office.served.get("/", &[&format!("X-API-Key: {public}.{PRIVATE}")]).status, 200, "{public}");
        }
        drop(over);
    });
    assert_eq!(answered.told(&office.served), answered.at(answered.newest()), "what was answered is what is enforced");
    // Files that were exported are served.
    let elsewhere = tempfile::tempdir().unwrap();
    let configuration = CONFIGURATION.replace("sqlite: portcullis.db", "file: directory.yaml");
    let configuration: String =
        configuration.lines().filter(|line| !line.starts_with("admin")).map(|line| format!("{line}\n")).collect();
    std::fs::write(elsewhere.path().join("portcullis.yaml"), configuration).unwrap();
    for (text, revisions) in exported {
        std::fs::write(elsewhere.path().join("directory.yaml"), text).unwrap();
        let told = answered.told(&Served::start(elsewhere.path(), "portcullis.yaml"));
        assert!(revisions.clone().any(|one| answered.at(one) == told), "{told:?} at none of {revisions:?}");
    }
    // Copies are restored from.
    let all = answered.all.into_inner().unwrap();
    let mut folder = office.close();
    for copy in 0..4 {
        let file = folder.path().join(format!("copy{copy}.db"));
        let revision: u64 = sh(folder.path(), &format!("sqlite3 {} 'SELECT number FROM revision'", file.display()))
            .trim()
            .parse()
            .unwrap();
        std::fs::rename(file, folder.path().join("portcullis-2026-11-24.db")).unwrap();
        sh(folder.path(), &restore);
        let office = Office::again(folder);
        let answered =
            Answered { office: &office, keys: &keys, all: Mutex::new(all.clone()), is_over: AtomicBool::new(true) };
        assert!(answered.has(revision), "revision {revision} was answered to nobody");
        assert_eq!(answered.told(&office.served), answered.at(revision), "copy {copy} of revision {revision}");
        // It goes on from there.
        assert_eq!(office.own("POST", "/groups", r#"{"name":"after"}"#).status, 201);
        folder = office.close();
    }
}

/// Tells the writers that it is over, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
