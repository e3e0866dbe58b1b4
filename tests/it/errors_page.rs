//! docs/errors.md keeps its word: each code has its section, and the command in it produces exactly this code.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis::problem::Code;

use crate::programs::{PORTCULLIS, Running, eventually, free_port, output, package, program};

/// What the page says of one code.
#[derive(Debug, Default)]
struct Section {
    text: String,
    command: Option<String>,
}

fn page() -> String {
    std::fs::read_to_string(package().join("docs/errors.md")).unwrap()
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
    let sections = sections(&page());
    let codes: BTreeMap<&str, u16> = Code::ALL.iter().map(|code| (code.as_str(), code.status())).collect();
    assert_eq!(sections.keys().map(String::as_str).collect::<Vec<_>>(), codes.keys().copied().collect::<Vec<_>>());
    for (name, section) in &sections {
        assert!(section.text.starts_with(&format!("**{}.** ", codes[name.as_str()])), "{name}: {}", section.text);
        for reader in ["\n- The caller: ", "\n- The operator: "] {
            assert!(section.text.contains(reader), "{name} does not say what{reader}does");
        }
    }
    let without: Vec<&String> =
        sections.iter().filter(|(_, section)| section.command.is_none()).map(|(name, _)| name).collect();
    assert_eq!(without, ["INTERNAL_ERROR", "NOT_READY"]);
}

#[test]
fn every_command_produces_its_code() {
    program("curl");
    let folder = tempfile::tempdir().unwrap();
    let garbage = answering(b"this is not HTTP\r\n\r\n");
    let slow = answering(b"");
    let gateway = free_port();
    let ports = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{gateway}"))
            .replace("127.0.0.1:8082", "127.0.0.1:0")
            .replace("127.0.0.1:9001", &format!("127.0.0.1:{}", free_port()))
            .replace("127.0.0.1:9002", &format!("127.0.0.1:{garbage}"))
            .replace("127.0.0.1:9003", &format!("127.0.0.1:{slow}"))
    };
    for name in ["portcullis.yaml", "directory.yaml"] {
        let text = std::fs::read_to_string(package().join("tests/it/errors_page").join(name)).unwrap();
        std::fs::write(folder.path().join(name), ports(&text)).unwrap();
    }
    let mut serve = Command::new(PORTCULLIS);
    serve
        .args(["serve", "--config", "portcullis.yaml", "--log-level", "error"])
        .current_dir(&folder)
        .stdin(Stdio::null());
    let _running = Running::start(&mut serve);
    eventually("the gateway listens", Duration::from_secs(20), || std::net::TcpStream::connect(("127.0.0.1", gateway)));

    for (name, section) in sections(&page()) {
        let Some(command) = section.command else { continue };
        let code = Code::ALL.iter().find(|code| code.as_str() == name).unwrap();
        let with_status = ports(&command).replace("curl ", "curl -w '\\n%{http_code}' ");
        let output = output(Command::new("bash").args(["-c", &with_status]));
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
