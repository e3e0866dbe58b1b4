//! The bench's job on Pingora, as small as it can be: key, last address of `X-Forwarded-For`, that key's own networks.
//!
//!     pingora-minimal PORT UPSTREAM-PORT FILE
//!
//! FILE has a key and one network (the first three octets of a /24) a line. There are no limits, no metrics and no log.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Gateway {
    upstream: (Ipv4Addr, u16),
    /// Sorted networks by key.
    lists: HashMap<Vec<u8>, Vec<[u8; 3]>>,
}

impl Gateway {
    fn allows(&self, request: &RequestHeader) -> bool {
        let key = request.headers.get("x-api-key").and_then(|key| self.lists.get(key.as_bytes()));
        let chain = request.headers.get("x-forwarded-for").and_then(|chain| chain.to_str().ok());
        let last = chain.and_then(|chain| chain.rsplit(',').next()?.trim().parse::<Ipv4Addr>().ok());
        let (Some(networks), Some(address)) = (key, last) else { return false };
        let [one, two, three, _] = address.octets();
        networks.binary_search(&[one, two, three]).is_ok()
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> Result<bool> {
        if self.allows(session.req_header()) {
            return Ok(false);
        }
        session.respond_error(403).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn upstream_request_filter(&self, _: &mut Session, request: &mut RequestHeader, (): &mut ()) -> Result<()> {
        request.remove_header("x-api-key");
        let chain = request.headers.get("x-forwarded-for").and_then(|chain| chain.to_str().ok()).unwrap_or_default();
        let chain = format!("{chain}, 127.0.0.1");
        request.insert_header("x-forwarded-for", chain)?;
        request.insert_header("x-forwarded-proto", "http")?;
        if let Some(host) = request.headers.get(http::header::HOST).cloned() {
            request.insert_header("x-forwarded-host", host)?;
        }
        Ok(())
    }
}

fn main() {
    let [port, upstream, file] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("three arguments");
    let mut lists: HashMap<Vec<u8>, Vec<[u8; 3]>> = HashMap::new();
    for line in std::fs::read_to_string(file).expect("a file of keys").lines() {
        let (key, network) = line.split_once(' ').expect("a key and a network");
        let address: Ipv4Addr = format!("{network}.0").parse().expect("three octets");
        let [one, two, three, _] = address.octets();
        lists.entry(key.as_bytes().to_vec()).or_default().push([one, two, three]);
    }
    lists.values_mut().for_each(|networks| networks.sort_unstable());
    let settings = ServerConf { threads: 1, upstream_keepalive_pool_size: 256, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let gateway = Gateway { upstream: (Ipv4Addr::LOCALHOST, upstream.parse().expect("a port")), lists };
    let mut service = http_proxy_service(&server.configuration, gateway);
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
