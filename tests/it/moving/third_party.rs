//! The same requests, decided by the program that is moved from and by the gateway on what was imported.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{fixture, gateway, holds_none, import, lets_in, lost};
use crate::programs::{Running, free_port, nginx, program, serves, succeed};
use crate::stage::Client;

/// Addresses on both sides of every border in the files, of both families.
const ADDRESSES: [&str; 64] = [
    "9.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "10.1.0.0",
    "10.1.2.3",
    "10.1.255.255",
    "10.2.0.0",
    "10.10.0.1",
    "10.65.255.255",
    "10.66.0.0",
    "10.66.5.255",
    "10.66.6.0",
    "10.66.6.255",
    "10.66.7.0",
    "10.66.255.255",
    "10.67.0.0",
    "10.255.255.255",
    "11.0.0.0",
    "127.0.0.2",
    "172.15.255.255",
    "172.16.0.0",
    "172.16.255.255",
    "172.17.0.0",
    "172.160.0.1",
    "192.0.2.1",
    "192.167.255.255",
    "192.168.0.0",
    "192.168.0.255",
    "192.168.1.0",
    "192.168.1.255",
    "192.168.2.0",
    "192.168.10.1",
    "192.168.255.255",
    "192.169.0.0",
    "198.51.99.255",
    "198.51.100.0",
    "198.51.100.7",
    "198.51.100.63",
    "198.51.100.64",
    "198.51.100.65",
    "198.51.100.66",
    "198.51.100.67",
    "198.51.100.71",
    "198.51.100.72",
    "198.51.100.95",
    "198.51.100.96",
    "198.51.100.255",
    "198.51.101.0",
    "203.0.113.8",
    "203.0.113.9",
    "203.0.113.90",
    "203.0.113.10",
    "2001:db7:ffff::1",
    "2001:db8::",
    "2001:db8::1",
    "2001:db8:1::7",
    "2001:db8:1::8",
    "2001:db8:1:2:3:4:5:6",
    "2001:db8:66::1",
    "2001:db8:67::",
    "2001:db8:bad::1",
    "2001:db8:bae::",
    "2001:db9::",
    "::1:2",
];

/// Whether another program lets a request in.
fn asks(program: SocketAddr, key: &str, address: &str) -> bool {
    let request = format!(
        "GET /v1/x HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nX-API-Key: {key}\r\nX-Forwarded-For: {address}\r\n\r\n"
    );
    let status = Client::connect(program).send(request).status;
    assert!(matches!(status, 200 | 400 | 401 | 403), "{status}");
    status == 200
}

/// Asks both about every key and address; the differences that are meant are given.
#[track_caller]
fn compare(program: SocketAddr, directory: &Path, keys: &[String], known: &dyn Fn(&str, IpAddr) -> bool) {
    let gateway = gateway(directory, "x-api-key");
    let (mut asked, mut admitted, mut differences) = (0, 0, Vec::new());
    for key in keys {
        for address in ADDRESSES {
            let (theirs, ours) = (asks(program, key, address), lets_in(&gateway, "x-api-key", key, address));
            asked += 1;
            admitted += usize::from(ours);
            if theirs != ours && !(theirs && known(key, address.parse().unwrap())) {
                differences.push((key.clone(), address, theirs, ours));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(asked >= 1000 && admitted > 200 && admitted < asked - 200, "{admitted} of {asked}");
}

/// The keys of a file, and two that nobody knows.
fn keys(folder: &Path) -> Vec<String> {
    let text =
        fs::read_to_string(folder.join(if folder.ends_with("nginx") { "keys.map" } else { "keys.lst" })).unwrap();
    let known = text.lines().filter(|line| !line.starts_with('#'));
    let known = known.map(|line| line.split_whitespace().next().unwrap().trim_matches('"').to_owned());
    known.chain(["stranger-0123456789abcdef01234567".to_owned(), "short".to_owned()]).collect()
}

#[test]
fn nginx_and_what_was_imported_from_it_decide_alike() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("directory");
    let (code, told) = import(&["nginx", &fixture("nginx/nginx.conf")], &to);
    assert_eq!(code, 2);
    let expected = [(11, "narrower"), (19, "narrower"), (52, "missing")];
    assert_eq!(lost(&told), expected.map(|(line, effect)| (line, effect.to_owned())), "{told:#}");
    let keys = keys(Path::new(&fixture("nginx")));
    holds_none(&to, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let port = free_port();
    let text = fs::read_to_string(fixture("nginx/nginx.conf")).unwrap();
    let http = text.split_once("http {").unwrap().1.rsplit_once('}').unwrap().0;
    let http = http.replace("include mime.types;", "").replace("8080", &port.to_string());
    let _nginx = nginx(folder.path(), &http.replace("/etc/nginx", &fixture("nginx")));
    serves(port, "/");
    compare(([127, 0, 0, 1], port).into(), &to, &keys, &|_, _| false);
}

#[test]
fn haproxy_and_what_was_imported_from_it_decide_alike() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("directory");
    let (code, told) = import(&["haproxy", &fixture("haproxy/haproxy.cfg")], &to);
    assert_eq!(code, 2);
    let expected = [(13, "leftOut"), (14, "missing")];
    assert_eq!(lost(&told), expected.map(|(line, effect)| (line, effect.to_owned())), "{told:#}");
    let keys = keys(Path::new(&fixture("haproxy")));
    holds_none(&to, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let port = free_port();
    let text = fs::read_to_string(fixture("haproxy/haproxy.cfg")).unwrap();
    let text = text.replace("8080", &port.to_string()).replace("/etc/haproxy", &fixture("haproxy"));
    let path = folder.path().join("haproxy.cfg");
    fs::write(&path, text).unwrap();
    let _haproxy = Running::start(
        Command::new(program("haproxy")).arg("-db").arg("-f").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()),
    );
    serves(port, "/");
    // A list holds for every route: what one backend refuses is refused on the other.
    let bad: portcullis::access::network::Network = "2001:db8:bad::/48".parse().unwrap();
    compare(([127, 0, 0, 1], port).into(), &to, &keys, &|_, address| bad.contains(address));
}

/// The policy of the manifests as Envoy itself is told it: keys by `api_key_auth`, then who is refused, then who is let in.
const ENVOY: &str = r#"
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: api
          use_remote_address: true
          xff_num_trusted_hops: 1
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: { status: 200 } }] }
          http_filters:
          - name: keys
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth
              credentials: [KEYS]
              key_sources: [{ header: x-api-key }]
              forwarding: { header: x-client-id }
          - name: refused
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules: { action: DENY, policies: { guests: { permissions: [{ any: true }], principals: [GUESTS] } } }
          - name: let-in
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  office: { permissions: [{ any: true }], principals: [OFFICE] }
                  edges:
                    permissions: [{ any: true }]
                    principals: [{ and_ids: { ids: [{ or_ids: { ids: [EDGES] } }, { or_ids: { ids: [CLIENT(edge1), CLIENT(edge2)] } }] } }]
                  travelling: { permissions: [{ any: true }], principals: [CLIENT(mobile)] }
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
"#;

#[test]
fn envoy_and_what_was_imported_from_its_gateway_decide_alike() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("directory");
    let (code, told) = import(&["envoy-gateway", &fixture("envoy-gateway/manifests.yaml")], &to);
    assert_eq!((code, lost(&told)), (0, Vec::new()), "{told:#}");
    let text = fs::read_to_string(fixture("envoy-gateway/manifests.yaml")).unwrap();
    let data = text.split_once("  data:\n").unwrap().1.lines().take_while(|line| line.starts_with("    "));
    let clients: Vec<(String, String)> = data
        .map(|line| {
            let (client, key) = line.trim().split_once(": ").unwrap();
            let decoded = succeed(Command::new("sh").args(["-c", &format!("printf %s '{key}' | base64 -d")]));
            (client.to_owned(), decoded)
        })
        .collect();
    let port = free_port();
    let range = |text: &str| {
        let one = |network: &str| {
            let (address, length) = network.split_once('/').unwrap();
            format!("{{ remote_ip: {{ address_prefix: \"{address}\", prefix_len: {length} }} }}")
        };
        text.split(' ').map(one).collect::<Vec<_>>().join(", ")
    };
    let client = |name: &str| format!("{{ header: {{ name: x-client-id, string_match: {{ exact: {name} }} }} }}");
    let credentials = clients.iter().map(|(client, key)| format!("{{ client: {client}, key: {key} }}"));
    let text = ENVOY
        .replace("PORT", &port.to_string())
        .replace("GUESTS", &range("10.66.0.0/16 2001:db8:66::/48 198.51.100.66/32"))
        .replace("OFFICE", &range("10.0.0.0/8 192.168.0.0/16 2001:db8::/32"))
        .replace("EDGES", &range("198.51.100.0/24 203.0.113.9/32"))
        .replace("KEYS", &credentials.collect::<Vec<_>>().join(", "));
    let text = ["edge1", "edge2", "mobile"]
        .iter()
        .fold(text, |text, name| text.replace(&format!("CLIENT({name})"), &client(name)));
    let path = folder.path().join("envoy.yaml");
    fs::write(&path, text).unwrap();
    let mut command = Command::new(program("envoy"));
    command.args(["--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c"]).arg(&path);
    let _envoy = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    serves(port, "/");
    let mut keys: Vec<String> = clients.into_iter().map(|(_, key)| key).collect();
    holds_none(&to, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    keys.extend(["stranger-0123456789abcdef01234567".to_owned(), "short".to_owned()]);
    compare(([127, 0, 0, 1], port).into(), &to, &keys, &|_, _| false);
}
