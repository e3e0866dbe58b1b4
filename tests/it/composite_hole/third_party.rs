//! The same forged key sent to nginx, to HAProxy and to the gateway, all from an address that is not listed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::programs::{PORTCULLIS, Running, curl, free_port, nginx, program, serves, succeed};

/// The key may be used from 198.51.100.0/24 alone; every request of these tests comes from 127.0.0.1.
const KEY: &str = "c1f0a9d2b3e4857690817263544536271";
const FORGED: &str = "c1f0a9d2b3e4857690817263544536271@198.51.100.7";

fn status(port: u16, key: &str) -> Result<u16, String> {
    curl(None, &["-H", &format!("x-api-key: {key}"), &format!("http://127.0.0.1:{port}/")]).map(|(status, _)| status)
}

/// A server that knows one key and its network, and what it takes to keep it running.
struct Server {
    port: u16,
    _running: Running,
    _folder: TempDir,
}

fn start(text: &str, start: impl FnOnce(&Path, &str) -> Running) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let text = text.replace("PORT", &port.to_string()).replace("KEY", KEY);
    let running = start(folder.path(), &text.replace("FOLDER", folder.path().to_str().unwrap()));
    serves(port, "/");
    Server { port, _running: running, _folder: folder }
}

/// What starts a program with its configuration in a file.
fn reading(command: impl FnOnce(&Path) -> Command) -> impl FnOnce(&Path, &str) -> Running {
    move |folder, text| {
        let path = folder.join("server.conf");
        fs::write(&path, text).unwrap();
        Running::start(command(&path).stdout(Stdio::null()).stderr(Stdio::null()))
    }
}

#[test]
fn nginx_map_lets_the_caller_choose_its_address() {
    let text = r#"
  map "$http_x_api_key@$remote_addr" $listed {
    default 0;
    "~^KEY@198\.51\.100\." 1;
  }
  server {
    listen 127.0.0.1:PORT;
    location / {
      if ($listed = 0) { return 403; }
      return 200 "in";
    }
  }
"#;
    let server = start(text, nginx);
    assert_eq!(status(server.port, KEY), Ok(403), "the key alone is refused here");
    assert_eq!(status(server.port, FORGED), Ok(200), "the hole is closed? Then README has to say so");
}

#[test]
fn haproxy_prefix_lets_the_caller_choose_its_address() {
    let text = r#"
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend api
  bind 127.0.0.1:PORT
  http-request set-var-fmt(txn.caller) "%[req.hdr(x-api-key)]@%[src]"
  acl listed var(txn.caller) -m beg KEY@198.51.100.
  http-request deny deny_status 403 unless listed
  http-request return status 200 content-type text/plain string in
"#;
    let haproxy = |path: &Path| {
        let mut command = Command::new(program("haproxy"));
        command.arg("-db").arg("-f").arg(path);
        command
    };
    let server = start(text, reading(haproxy));
    assert_eq!(status(server.port, KEY), Ok(403), "the key alone is refused here");
    assert_eq!(status(server.port, FORGED), Ok(200), "the hole is closed? Then README has to say so");
}

#[test]
fn the_gateway_refuses_the_same() {
    let digest = succeed(Command::new("sh").args(["-c", &format!("printf %s {KEY} | sha256sum")]));
    let digest = digest.split_whitespace().next().unwrap();
    let text = "gateway:\n  listen: [{ address: 127.0.0.1:PORT }]\n  credentials: { headers: [x-api-key] }\n  \
                routes: [{ path: /, upstream: api }]\n  upstreams: { api: { endpoints: [\"echo:\"] } }\n\
                directory: { file: FOLDER/directory.yaml }\ntelemetry: { listen: 127.0.0.1:0 }\n";
    let directory = |address: &str| {
        format!(
            "organizations:\n  - id: 5f0000000000000000000001\n    name: acme\n    require_access_list: true\n    \
             api_keys:\n      - id: 5f0000000000000000000021\n        description: export\n        \
             secret_sha256: {digest}\n        access_list: [{address}]\n"
        )
    };
    let gateway = |address: &str| {
        let directory = directory(address);
        let serve = |path: &Path| {
            fs::write(path.with_file_name("directory.yaml"), directory).unwrap();
            let mut command = Command::new(PORTCULLIS);
            command.arg("serve").arg("--config").arg(path);
            command
        };
        start(text, reading(serve))
    };
    let elsewhere = gateway("198.51.100.0/24");
    assert_eq!(status(elsewhere.port, KEY), Ok(403));
    assert_eq!(status(elsewhere.port, FORGED), Ok(401), "another string is another key");
    let here = gateway("127.0.0.1");
    assert_eq!(status(here.port, KEY), Ok(200), "the control: it is the address that was refused");
}
