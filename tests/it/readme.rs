//! README keeps its word: what it tells the reader to run is run, and what it promises is compared.
//!
//! Blocks are found by their fence: ` ```sh test ` holds commands, ` ```yaml NAME ` a file to write.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::programs::{PORTCULLIS, Running, free_port, output, package, serves, succeed};

fn readme() -> String {
    fs::read_to_string(package().join("README.md")).unwrap()
}

/// The blocks whose fence says `info`.
fn blocks(text: &str, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    let mut wanted = false;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => {
                wanted = fence.trim() == info;
                open = Some(String::new());
            }
            (Some(block), Some(_)) => {
                if wanted {
                    found.push(std::mem::take(block));
                }
                open = None;
            }
            (Some(block), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// `curl` lines, each with the status that the comment behind it or the line before it promises; 200 where none is named.
fn curls_and_promises(text: &str) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    let mut before = "";
    for line in text.lines().map(str::trim) {
        if line.starts_with("curl ") {
            let (command, comment) = line.rsplit_once(" # ").unwrap_or((line, before));
            found.push((command.to_owned(), status_in(comment).unwrap_or(200)));
            before = "";
        } else if !line.is_empty() {
            before = line;
        }
    }
    found
}

fn status_in(words: &str) -> Option<u16> {
    words
        .split_whitespace()
        .map(|word| word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()))
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok())
        .find(|status| (200..600).contains(status))
}

fn status_of(line: &str) -> u16 {
    let output = output(Command::new("sh").args(["-c", &format!("{line} -s -S -o /dev/null -w '%{{http_code}}'")]));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_else(|_| panic!("{line}: {output:?}"))
}

#[test]
fn its_two_commands_are_there() {
    let commands: Vec<String> = blocks(&readme(), "sh test")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(commands, ["./deploy/quickstart", "./tests/run"]);
    for script in
        ["deploy/quickstart", "deploy/image", "deploy/optimized", "tests/run", "tests/install/packages", ".ci/run"]
    {
        let path = package().join(script);
        assert_ne!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0, "{script} can't be executed");
        succeed(Command::new("sh").arg("-n").arg(&path));
    }
    // It would call itself; that it says what it does is all that can be asked for here.
    let help = succeed(Command::new("./tests/run").arg("--help").current_dir(package()));
    assert!(help.contains("--quick"), "{help}");
    assert_eq!(output(Command::new("./tests/run").arg("--nonsense").current_dir(package())).status.code(), Some(64));
}

/// The lines that the demo prints do what it says beside them.
#[test]
fn the_quickstart_shows_what_it_promises() {
    let mut command = Command::new("./deploy/quickstart");
    command.current_dir(package()).stdout(Stdio::piped()).stderr(Stdio::inherit()).stdin(Stdio::null());
    let mut demo = Running::start(&mut command);
    let printed = demo.child().stdout.take().unwrap();
    let (send, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });

    // The first line waits for the build; behind the last one the demo is silent.
    let mut text = lines.recv_timeout(Duration::from_secs(900)).expect("the demo prints something");
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(2)) {
        text.push('\n');
        text.push_str(&line);
    }
    let curls = curls_and_promises(&text);
    for wanted in [200, 401, 403] {
        assert!(curls.iter().any(|(_, promise)| *promise == wanted), "{wanted} is shown:\n{text}");
    }
    for (line, promise) in &curls {
        assert_eq!(status_of(line), *promise, "{line}");
    }
    drop(lines);
    drop(demo);
    reader.join().unwrap();
}

/// The configuration, the directory and the calls that README shows, with free ports in the place of its own.
#[test]
fn its_example_works() {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let api_port = api.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in api.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nhi\n");
        }
    });
    let gateway = free_port();
    let ports = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{gateway}"))
            .replace("127.0.0.1:3000", &format!("127.0.0.1:{api_port}"))
            .replace("127.0.0.1:8082", "127.0.0.1:0")
    };
    let text = readme();
    let folder = tempfile::tempdir().unwrap();
    for name in ["portcullis.yaml", "directory.yaml"] {
        let found = blocks(&text, &format!("yaml {name}"));
        assert_eq!(found.len(), 1, "{name}");
        fs::write(folder.path().join(name), ports(&found[0])).unwrap();
    }
    let portcullis = |verb: &str| {
        let mut command = Command::new(PORTCULLIS);
        command.args([verb, "--config", "portcullis.yaml"]).current_dir(folder.path()).stdout(Stdio::null());
        command
    };
    succeed(&mut portcullis("check"));
    let _running = Running::start(&mut portcullis("serve"));
    serves(gateway, "/");

    let calls = blocks(&text, "sh example").concat();
    let curls = curls_and_promises(&ports(&calls));
    assert!(curls.len() >= 3, "{calls}");
    for (line, promise) in &curls {
        assert_eq!(status_of(line), *promise, "{line}");
    }
}

#[test]
fn blocks_and_promises_are_read_as_meant() {
    let text = "a\n```sh test\nx\n```\n```sh\ny\n```\n```sh test\nz\n```\n";
    assert_eq!(blocks(text, "sh test"), ["x\n", "z\n"]);
    let text = "on port 40123\n# allowed: 203.0.113.9\n  curl -H 'a: b' http://x:8080/\n\n# refused, 403 X: no\n\ncurl y\n\
                curl z # → 401";
    let wanted = [("curl -H 'a: b' http://x:8080/", 200), ("curl y", 403), ("curl z", 401)];
    assert_eq!(curls_and_promises(text), wanted.map(|(line, status)| (line.to_owned(), status)));
}
