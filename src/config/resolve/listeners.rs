//! `gateway.listen`, workers, and `gateway.client_address` (decision.md §3).
//! Never binds an address; whether it can be had is found out at start.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::{Resolve, names, step};
use crate::access::network::{Network, Networks};
use crate::config::document::{Finding, Path, path};
use crate::config::raw::{self, WordOr};
use crate::config::settings::{
    AddressHeader, CertificateFiles, CertifiedProxy, ClientAddressRule, Listen, ListenTls, Sockets,
};

/// More workers than any machine has cores.
const MOST_WORKERS: usize = 4096;

/// Trusted networks wider than these are worth a warning.
const BROAD: (u8, u8) = (8, 32);

impl Resolve<'_> {
    pub(super) fn sockets(&mut self, raw: &raw::Gateway) -> Option<Sockets> {
        let at = path!["gateway", "listen"];
        let faults = self.findings.len();
        let listen: Vec<Listen> = match raw.listen.as_deref() {
            None => {
                let address = SocketAddr::from(([127, 0, 0, 1], 8080));
                vec![Listen { address, tls: None, proxy_protocol: None, http2: false }]
            }
            Some([]) => {
                self.error(at.clone(), "`listen` is empty; name an address such as 127.0.0.1:8080");
                Vec::new()
            }
            Some(listed) => {
                listed.iter().enumerate().filter_map(|(index, one)| self.listen(&step(&at, index), one)).collect()
            }
        };
        // Positions agree with the file only where all of them could be made.
        if self.findings.len() == faults {
            for (index, one) in listen.iter().enumerate() {
                if let Some(first) = listen[..index].iter().position(|other| collide(other.address, one.address)) {
                    let message = format!("`{}` is listened on twice; keep one", one.address);
                    let place = step(&step(&at, first), "address");
                    let finding = Finding::error(step(&step(&at, index), "address"), message);
                    self.findings.push(finding.with_related(place, "the first is here"));
                }
            }
        }
        let workers = self.workers(raw.workers.as_ref());
        let drain_timeout = self.duration(&path!["gateway"], "drain_timeout", raw.drain_timeout.as_ref(), 30);
        let drain_idle = self.duration(&path!["gateway"], "drain_idle", raw.drain_idle.as_ref(), 1);
        Some(Sockets { listen, workers: workers?, drain_timeout: drain_timeout?, drain_idle: drain_idle? })
    }

    fn workers(&mut self, word: Option<&raw::Word>) -> Option<NonZeroUsize> {
        match word.map_or("auto", |word| word.0.as_str()) {
            "auto" => Some(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            text => {
                let count = text.parse::<NonZeroUsize>().ok().filter(|count| count.get() <= MOST_WORKERS);
                if count.is_none() {
                    let message = format!("`{text}` is neither `auto` nor a whole number from 1 to {MOST_WORKERS}");
                    self.error(path!["gateway", "workers"], message);
                }
                count
            }
        }
    }

    fn listen(&mut self, at: &Path, raw: &raw::Listen) -> Option<Listen> {
        let address = self.socket_address(step(at, "address"), &raw.address);
        let tls = match &raw.tls {
            None => Some(None),
            Some(tls) => {
                let place = step(at, "tls");
                let client_ca = self.optional_file(step(&place, "client_ca"), tls.client_ca.as_deref());
                let certificates = self.certificates(&place, tls);
                certificates.zip(client_ca).map(|(certificates, client_ca)| Some(ListenTls { certificates, client_ca }))
            }
        };
        let proxy_protocol = raw.proxy_protocol.as_ref().map(|proxy| {
            let place = step(&step(at, "proxy_protocol"), "trusted");
            if proxy.trusted.is_empty() {
                self.error(
                    place.clone(),
                    "`trusted` is empty, so every connection would be closed; name the load balancers",
                );
            }
            let parse = |(index, word): (usize, &raw::Word)| {
                let network = self.parsed(step(&place, index), Network::from_str(&word.0));
                network.map(|network| (index, network))
            };
            let listed: Vec<_> = proxy.trusted.iter().enumerate().filter_map(parse).collect();
            self.trusted(&place, &listed, None)
        });
        let http2 = raw.http2.map_or(raw.tls.is_some(), |toggle| toggle.0);
        Some(Listen { address: address?, tls: tls?, proxy_protocol, http2 })
    }

    /// One certificate, or several.
    fn certificates(&mut self, at: &Path, raw: &raw::ListenTls) -> Option<Vec<CertificateFiles>> {
        let one = (raw.certificate.as_deref(), raw.private_key.as_deref());
        match (&raw.certificates, one) {
            (None, (Some(certificate), Some(private_key))) => {
                self.certificate(at, certificate, private_key).map(|files| vec![files])
            }
            (Some(several), (None, None)) if !several.is_empty() => {
                let place = step(at, "certificates");
                let mut read = Vec::new();
                for (index, files) in several.iter().enumerate() {
                    read.push(self.certificate(&step(&place, index), &files.certificate, &files.private_key));
                }
                read.into_iter().collect()
            }
            (None, (Some(_), None)) => {
                self.missing(at, "`private_key` is missing; name the file of the certificate's key")
            }
            (None, (None, Some(_))) => self.missing(at, "`certificate` is missing; name the file with the key's chain"),
            _ => self.missing(at, "write either `certificate` and `private_key`, or a list of `certificates`"),
        }
    }

    pub(super) fn missing<T>(&mut self, at: &Path, message: &str) -> Option<T> {
        self.error(at.clone(), message);
        None
    }

    pub(super) fn certificate(&mut self, at: &Path, certificate: &str, private_key: &str) -> Option<CertificateFiles> {
        let certificate = self.readable_file(step(at, "certificate"), certificate);
        let private_key = self.readable_file(step(at, "private_key"), private_key);
        Some(CertificateFiles { certificate: certificate?, private_key: private_key? })
    }

    pub(super) fn socket_address(&mut self, at: Path, text: &str) -> Option<SocketAddr> {
        let parsed = text.parse::<SocketAddr>().ok();
        if parsed.is_none() {
            let message =
                format!("`{text}` is not an IP address with a port; write it like 127.0.0.1:8080 or [::]:8080");
            self.error(at, message);
        }
        parsed
    }

    /// `no_certificate` says why no peer can have shown one, where that is so.
    pub(super) fn client_address(
        &mut self,
        at: Path,
        raw: &raw::ClientAddress,
        no_certificate: Option<&str>,
    ) -> Option<ClientAddressRule> {
        let place = step(&at, "trusted_proxies");
        let (mut listed, mut certified_proxies) = (Vec::new(), Vec::new());
        for (index, proxy) in raw.trusted_proxies.iter().enumerate() {
            let at = step(&place, index);
            match proxy {
                WordOr::Word(word) => {
                    listed.extend(self.parsed(at, Network::from_str(&word.0)).map(|network| (index, network)));
                }
                WordOr::More(proxy) => certified_proxies.extend(self.certified_proxy(&at, proxy, no_certificate)),
            }
        }
        let trusted_proxies = self.trusted(&place, &listed, Some(raw.allow_any_proxy));
        let header = match raw.header.as_ref().map_or("x-forwarded-for", |word| word.0.as_str()) {
            text if text.eq_ignore_ascii_case("x-forwarded-for") => Some(AddressHeader::XForwardedFor),
            text if text.eq_ignore_ascii_case("forwarded") => Some(AddressHeader::Forwarded),
            text => {
                let name = names::address_header(text);
                self.parsed(step(&at, "header"), name).map(AddressHeader::Single)
            }
        };
        // The shape checker has refused 0 where the schema was asked; serde itself takes it.
        let hops = raw.hops.and_then(|hops| NonZeroUsize::new(hops as usize));
        if raw.hops.is_some() && hops.is_none() {
            self.error(
                step(&at, "hops"),
                "`0` proxies can't be in front of trusted proxies; write 1 or more, or take `hops` out",
            );
        }
        if raw.hops.is_some() && raw.trusted_proxies.is_empty() && !self.lost(&place) {
            let finding =
                Finding::error(step(&at, "hops"), "`hops` needs `trusted_proxies`; name the networks of the proxies");
            self.findings.push(finding.at_key());
        }
        if hops.is_some_and(|hops| hops.get() > 1) && matches!(header, Some(AddressHeader::Single(_))) {
            self.error(
                step(&at, "hops"),
                "a single-valued header names one address, so `hops` can only be 1; take it out",
            );
        }
        Some(ClientAddressRule { trusted_proxies, certified_proxies, header: header?, hops })
    }

    /// Its network may be as wide as it likes: it is the certificate that says who may choose an address.
    fn certified_proxy(
        &mut self,
        at: &Path,
        raw: &raw::CertifiedProxy,
        no_certificate: Option<&str>,
    ) -> Option<CertifiedProxy> {
        let network = self.parsed(step(at, "cidr"), Network::from_str(&raw.cidr.0));
        let place = step(at, "san_uri");
        let san_uri = self.parsed(place.clone(), names::uri(&raw.san_uri));
        if let Some(why) = no_certificate {
            let finding = Finding::error(place, format!("no certificate can have this name, since {why}")).at_key();
            self.findings.push(finding);
            return None;
        }
        Some(CertifiedProxy { network: network?, san_uri: san_uri?.into() })
    }

    /// The set of these networks, each with its place in the list. `allow_any` is `None` where nothing can allow that they cover
    /// everything.
    fn trusted(&mut self, place: &Path, listed: &[(usize, Network)], allow_any: Option<bool>) -> Networks {
        let trusted: Networks = listed.iter().map(|(_, network)| *network).collect();
        if trusted.covers_a_family() && allow_any != Some(true) {
            let way_out = match allow_any {
                Some(_) => "name the proxies' own networks, or write `allow_any_proxy: true`",
                None => "name the load balancers' own networks",
            };
            let message = "these networks cover a whole address family, so that anybody could choose their own address";
            self.findings.push(Finding::error(place.clone(), message).at_key().with_help(way_out));
            return trusted;
        }
        for (index, network) in listed {
            let most = if network.address().is_ipv4() { BROAD.0 } else { BROAD.1 };
            if network.prefix_len() < most {
                let message =
                    format!("trusted network `{network}` is broad: whoever is in it can choose the client address");
                self.findings.push(Finding::warning(step(place, *index), message));
            }
        }
        trusted
    }
}

/// Whether both can't be listened on at once: the same port, and the same address or all addresses.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    let same_family = one.is_ipv4() == other.is_ipv4();
    same_port && (one.ip() == other.ip() || same_family && (one.ip().is_unspecified() || other.ip().is_unspecified()))
}
