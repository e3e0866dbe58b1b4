//! docs/errors.md keeps its word: each code has its section, and the command in it produces exactly this code.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis::problem::Code;

use crate::docs::function_exists;
use crate::programs::{PORTCULLIS, Running, eventually, free_port, output, package, program, serves};

/// What the page says of one code.
#[derive(Debug, Default)]
struct Section {
    text: String,
    command: Option<String>,
}

fn page() -> String {
    std::fs::read_to_string(package().join("docs/errors.md")).unwrap()
}

/// The page of the codes that the admin API alone has.
fn admin_page() -> String {
    std::fs::read_to_string(package().join("docs/errors-admin.md")).unwrap()
}

fn sections(page: &str) -> BTreeMap<String, Section> {
    let mut found = BTreeMap::new();
    for part in page.split("\n## ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap();
        let command = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
        let section = Section { text: text.trim().to_owned(), command: command.map(|text| text.trim().to_owned()) };
        assert!(found.insert(name.trim().to_owned(), section).is_none(), "{name} has two sections");
    }
    found
}

#[test]
fn every_code_has_a_section_and_every_section_a_code() {
    for (sections, is_administrative) in [(sections(&page()), false), (sections(&admin_page()), true)] {
        let codes = Code::ALL.iter().filter(|code| code.is_administrative() == is_administrative);
        let codes: BTreeMap<&str, u16> = codes.map(|code| (code.as_str(), code.status())).collect();
        assert_eq!(sections.keys().map(String::as_str).collect::<Vec<_>>(), codes.keys().copied().collect::<Vec<_>>());
        for (name, section) in &sections {
            assert!(section.text.starts_with(&format!("**{}.** ", codes[name.as_str()])), "{name}: {}", section.text);
            for reader in ["\n- The caller: ", "\n- The operator: "] {
                assert!(section.text.contains(reader), "{name} does not say what{reader}does");
            }
        }
    }
    let sections = sections(&page());
    let without: Vec<&String> =
        sections.iter().filter(|(_, section)| section.command.is_none()).map(|(name, _)| name).collect();
    assert_eq!(without, [""; 0]);
}

#[test]
fn every_command_produces_its_code() {
    program("curl");
    let folder = tempfile::tempdir().unwrap();
    let garbage = answering(b"this is not HTTP\r\n\r\n");
    let slow = answering(b"");
    let gateway = free_port();
    let (unready, alive) = (free_port(), free_port());
    let ports = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{gateway}"))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{unready}"))
            .replace("127.0.0.1:8082", "127.0.0.1:0")
            .replace("127.0.0.1:8083", &format!("127.0.0.1:{alive}"))
            .replace("127.0.0.1:9001", &format!("127.0.0.1:{}", free_port()))
            .replace("127.0.0.1:9002", &format!("127.0.0.1:{garbage}"))
            .replace("127.0.0.1:9003", &format!("127.0.0.1:{slow}"))
    };
    for name in ["portcullis.yaml", "directory.yaml", "endless-directory.yaml"] {
        let text = std::fs::read_to_string(package().join("tests/it/errors_page").join(name)).unwrap();
        std::fs::write(folder.path().join(name), ports(&text)).unwrap();
    }
    let mut serve = Command::new(PORTCULLIS);
    serve
        .args(["serve", "--config", "portcullis.yaml", "--log-level", "error"])
        .current_dir(&folder)
        .stdin(Stdio::null());
    let _running = Running::start(&mut serve);
    serves(gateway, "/");

    let programs = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(PORTCULLIS).parent().unwrap().to_owned();
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&programs))).unwrap();
    for (name, section) in sections(&page()) {
        let command = section.command.unwrap();
        if let Some(test) = command.strip_prefix("cargo test --test it ") {
            // It is run by whoever runs this one.
            assert!(function_exists("tests/it", test), "{name}: there is no test `{test}`");
            continue;
        }
        let code = Code::ALL.iter().find(|code| code.as_str() == name).unwrap();
        let with_status = ports(&command).replace("curl -sS ", "curl -sS -w '\\n%{http_code}' ");
        let output = output(Command::new("bash").args(["-c", &with_status]).env("PATH", &path).current_dir(&folder));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = || format!("{name}: {command}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{}", told()));
        assert_eq!(status, code.status().to_string(), "{}", told());
        if section.text.contains("The answer has no body.") {
            assert_eq!(body, "", "{}", told());
        } else {
            let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{}", told()));
            assert_eq!(body["errorCode"], name.as_str(), "{}", told());
            assert_eq!(body["status"], code.status(), "{}", told());
        }
        eventually(&format!("the line of {name}"), Duration::from_secs(10), || {
            let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap_or_default();
            let last: serde_json::Value =
                serde_json::from_str(log.lines().last().unwrap_or_default()).unwrap_or_default();
            if last["code"] == name.as_str() && last["status"] == code.status() { Ok(()) } else { Err(log) }
        });
    }
}

/// The port of an upstream that answers every connection with these bytes; with none it says nothing for ever.
fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes);
            if bytes.is_empty() {
                open.push(stream);
            }
        }
    });
    port
}
