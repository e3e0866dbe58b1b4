//! The guides keep their word: the commands that they show are run, and print what is printed there.
//!
//! A ` ```yaml NAME ` block is a file beside the README's own, a ` ```console ` block commands after `$ ` with their output.

mod switch_on;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::admin::office::{CONFIGURATION, OWNER, Office};
use crate::programs::{PORTCULLIS, output, package};
use crate::stage::sha256;

/// The README's key, which the guides never print.
const KEY: &str = "export-4f9d2c7ab81e6035d9c4f7a2";

/// Blocks of a text with their fences' words, in order.
pub fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut parts = text.split("```");
    parts.next();
    let mut found = Vec::new();
    while let Some(block) = parts.next() {
        let (fence, body) = block.split_once('\n').unwrap_or((block, ""));
        found.push((fence, body.to_owned()));
        parts.next();
    }
    found
}

fn write_files(text: &str, folder: &Path) {
    for (fence, body) in blocks(text) {
        if let Some(name) = fence.strip_prefix("yaml ") {
            fs::write(folder.join(name), body).unwrap();
        }
    }
}

/// Runs the commands of a guide, and returns how many there were.
fn follow(guide: &str) -> usize {
    follow_with(guide, &[], str::to_owned)
}

/// The same with variables; both texts are compared after `alike`.
fn follow_with(guide: &str, variables: &[(&str, String)], alike: fn(&str) -> String) -> usize {
    let folder = tempfile::tempdir().unwrap();
    write_files(&fs::read_to_string(package().join("README.md")).unwrap(), folder.path());
    let guide = Guide { path: guide, folder: folder.path(), variables, alike };
    guide.follow(|command, run| run(command))
}

/// A guide whose commands are run.
struct Guide<'g> {
    path: &'g str,
    /// Where they are run.
    folder: &'g Path,
    variables: &'g [(&'g str, String)],
    /// What both texts are compared after.
    alike: fn(&str) -> String,
}

impl Guide<'_> {
    /// Runs the commands, each of them by `each`, which may do something before and after it, and returns how many there were.
    fn follow(&self, mut each: impl FnMut(&str, &dyn Fn(&str))) -> usize {
        let text = fs::read_to_string(package().join(self.path)).unwrap();
        write_files(&text, self.folder);
        let lines = text.lines().count();
        assert!(lines <= 120, "{} has {lines} lines, more than 120", self.path);
        let mut count = 0;
        for (_, body) in blocks(&text).iter().filter(|(fence, _)| *fence == "console") {
            for shown in body.strip_prefix("$ ").expect("a command comes first").split("\n$ ") {
                let (command, expected) = shown.split_once('\n').unwrap_or((shown, ""));
                each(command, &|command| self.run(command, expected));
                count += 1;
            }
        }
        count
    }

    fn run(&self, command: &str, expected: &str) {
        // Both outputs in the order in which they are written.
        let script = format!("exec 2>&1; portcullis() {{ '{PORTCULLIS}' \"$@\"; }}; {command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(self.folder).env("KEY", KEY);
        let ran = output(shell.envs(self.variables.iter().map(|(name, value)| (name, value))));
        let printed = String::from_utf8(ran.stdout).unwrap();
        let (printed, expected) = ((self.alike)(printed.trim_end()), (self.alike)(expected.trim_end()));
        assert_eq!(printed, expected, "{}: $ {command}", self.path);
    }
}

#[test]
fn the_guide_to_check_shows_what_is_printed() {
    assert_eq!(follow("docs/guides/check.md"), 5);
}

#[test]
fn the_guide_to_plan_shows_what_is_printed() {
    assert_eq!(follow("docs/guides/plan.md"), 4);
}

#[test]
fn the_guide_to_explain_shows_what_is_printed() {
    assert_eq!(follow("docs/guides/explain.md"), 5);
}

#[test]
fn the_guide_to_reload_shows_what_is_printed() {
    assert_eq!(follow("docs/guides/reload.md"), 4);
}

/// Ids, times and keys, which are others each time.
fn without_chance(text: &str) -> String {
    let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let word = |word: &str| {
        let (stem, blanks) = word.split_at(word.trim_end_matches('\n').len());
        let is_uuid = stem.len() == 36 && stem.split('-').count() == 5 && is_hex(&stem.replace('-', ""));
        let is_time = stem.len() == 20 && stem.starts_with("20") && stem.ends_with('Z');
        let is_public = stem.len() == 8 && stem.bytes().all(|byte| byte.is_ascii_lowercase());
        let kind = match stem {
            _ if stem.len() == 24 && is_hex(stem) => "ID",
            _ if is_uuid => "PRIVATE",
            _ if stem.starts_with("pcl_sa_id_") && stem.len() == 34 => "CLIENT",
            _ if stem.starts_with("pcl_sa_sk_") && stem.len() == 50 => "SECRET",
            _ if is_time => "TIME",
            _ if is_public => "PUBLIC",
            stem => stem,
        };
        format!("{kind}{blanks}")
    };
    text.split_inclusive('\n').map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_guide_to_import_shows_what_is_printed() {
    assert_eq!(follow("docs/guides/import.md"), 7);
}

#[test]
fn the_guides_to_moving_in_show_what_is_printed() {
    assert_eq!(follow("docs/guides/moving-from-kong.md"), 4);
    assert_eq!(follow("docs/guides/moving-from-apisix.md"), 3);
    assert_eq!(follow("docs/guides/moving-from-nginx.md"), 3);
    assert_eq!(follow("docs/guides/moving-from-haproxy.md"), 3);
    assert_eq!(follow("docs/guides/moving-from-envoy-gateway.md"), 3);
}

#[test]
fn the_guide_to_backup_shows_what_is_printed() {
    assert_eq!(follow("docs/guides/backup.md"), 5);
}

#[test]
fn the_guide_to_manage_shows_what_is_printed() {
    let office = Office::open();
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("HOME", office.folder().display().to_string()),
    ];
    assert_eq!(follow_with("docs/guides/manage.md", &variables, without_chance), 14);
}

#[test]
fn the_guide_to_network_sets_shows_what_is_printed() {
    let office = Office::open();
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("HOME", office.folder().display().to_string()),
    ];
    assert_eq!(follow_with("docs/guides/network-sets.md", &variables, without_chance), 11);
}

#[test]
fn the_guide_to_network_feeds_shows_what_is_printed() {
    let lists = tempfile::tempdir().unwrap();
    let feeds = format!("feeds: {{ allow_files: \"{}\" }}\n", lists.path().display());
    let office = Office::open_with(&format!("{CONFIGURATION}{feeds}"));
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("HOME", office.folder().display().to_string()),
        ("LISTS", lists.path().display().to_string()),
    ];
    assert_eq!(follow_with("docs/guides/network-feeds.md", &variables, without_chance), 7);
}

#[test]
fn the_guide_to_service_accounts_shows_what_is_printed() {
    let office = Office::open();
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("GATEWAY", format!("http://{}", office.served.gateway())),
        ("HOME", office.folder().display().to_string()),
    ];
    assert_eq!(follow_with("docs/guides/service-accounts.md", &variables, without_chance), 18);
}

#[test]
fn the_guide_to_receipts_shows_what_is_printed() {
    let office = Office::open();
    let body = r#"{"desc":"partner","accessList":[{"cidrBlock":"203.0.113.0/24"}]}"#;
    let partner = crate::admin::office::Key::of(&office.own("POST", "/apiKeys", body).json());
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("PORTCULLIS_CONFIG", office.path("portcullis.yaml").display().to_string()),
        ("KEY", partner.pair.replacen(':', ".", 1)),
        ("GATEWAY", format!("http://{}", office.served.gateway())),
        ("HOME", office.folder().display().to_string()),
    ];
    assert_eq!(follow_with("docs/guides/receipts.md", &variables, without_chance), 4);
}

#[test]
fn the_guide_to_declare_shows_what_is_printed() {
    let office = Office::open();
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("HOME", office.folder().display().to_string()),
    ];
    assert_eq!(follow_with("docs/guides/declare.md", &variables, without_chance), 7);
}

#[test]
fn the_guide_to_looking_before_a_change_shows_what_is_printed() {
    let office = Office::open_with(CONFIGURATION);
    let key = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a2";
    let document = serde_json::json!({"organizations": [{
        "id": office.organization, "name": "acme", "require_access_list": false,
        "api_keys": [{
            "id": "5f0000000000000000000021", "description": "nightly export", "public_key": "mcpvrzod",
            "secret_sha256": sha256(key),
        }],
    }]});
    assert_eq!(office.call(OWNER, "POST", "/apply", &document.to_string()).status, 200);
    assert_eq!(office.served.get("/", &[&format!("X-API-Key: {key}")]).status, 200);
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("PORTCULLIS_API_URL", format!("http://{}", office.admin())),
        ("PORTCULLIS_API_KEY", OWNER.to_owned()),
        ("HOME", folder.path().display().to_string()),
    ];
    // How often the owner has called by then is a matter of chance.
    let alike = |text: &str| {
        let text = without_chance(text);
        match text.contains("of 2 credentials") {
            true => "newly refused: some".to_owned(),
            false => text,
        }
    };
    assert_eq!(follow_with("docs/guides/rehearse.md", &variables, alike), 5);
}

#[test]
fn the_guide_to_people_shows_what_is_printed() {
    let password = "a password of the guide";
    let office = Office::open_by(&[("PORTCULLIS_BOOTSTRAP_OWNER", &format!("ann@example.com:{password}"))]);
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("password"), format!("{password}\n")).unwrap();
    let variables = [
        ("ADMIN", format!("http://{}", office.admin())),
        ("HOME", home.path().display().to_string()),
        ("XDG_CONFIG_HOME", String::new()),
    ];
    let alike = |text: &str| {
        let address = |word: &str| if word.starts_with("http://127.0.0.1:") { "URL" } else { word }.to_owned();
        without_chance(text)
            .lines()
            .map(|line| line.split(' ').map(address).collect::<Vec<_>>().join(" ") + "\n")
            .collect()
    };
    assert_eq!(follow_with("docs/guides/people.md", &variables, alike), 5);
}
