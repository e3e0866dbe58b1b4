//! The same forged key sent to nginx, to HAProxy and to the gateway, all from an address that is not listed.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::programs::{PORTCULLIS, Running, curl, free_port, program, serves, succeed};

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

fn start(text: &str, command: impl FnOnce(&std::path::Path, u16) -> Command) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let path = folder.path().join("server.conf");
    let text = text.replace("PORT", &port.to_string()).replace("KEY", KEY);
    fs::write(&path, text.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
    let running = Running::start(command(&path, port).stdout(Stdio::null()).stderr(Stdio::null()));
    serves(port, "/");
    Server { port, _running: running, _folder: folder }
}

#[test]
fn nginx_map_lets_the_caller_choose_its_address() {
    let text = r#"
daemon off; master_process off; pid FOLDER/pid; error_log FOLDER/error.log;
events {}
http {
  access_log off;
  client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f;
  uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
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
}
"#;
    let server = start(text, |path, _| {
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(path.parent().unwrap()).arg("-e").arg(path.with_extension("log")).arg("-c").arg(path);
        command
    });
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
    let server = start(text, |path, _| {
        let mut command = Command::new(program("haproxy"));
        command.arg("-db").arg("-f").arg(path);
        command
    });
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
        start(text, move |path, _| {
            fs::write(path.with_file_name("directory.yaml"), directory).unwrap();
            let mut command = Command::new(PORTCULLIS);
            command.arg("serve").arg("--config").arg(path);
            command
        })
    };
    let elsewhere = gateway("198.51.100.0/24");
    assert_eq!(status(elsewhere.port, KEY), Ok(403));
    assert_eq!(status(elsewhere.port, FORGED), Ok(401), "another string is another key");
    let here = gateway("127.0.0.1");
    assert_eq!(status(here.port, KEY), Ok(200), "the control: it is the address that was refused");
}
