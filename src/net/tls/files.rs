//! The files that TLS is spoken with, read and judged together: certificates of listeners, authorities of upstreams.
//!
//! Never publishes anything. What an earlier reading found as well stays the very same value, so that who serves by it sees
//! that there is no news.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;

use super::{Chain, ClientSide, TlsFault};
use crate::config::settings::{Gateway, ListenTls, Sockets, UpstreamFiles};

/// A file that can't be used, and what needs it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FileFault {
    #[error("listener {address}")]
    Listener { address: SocketAddr, source: TlsFault },
    #[error("upstream `{name}`")]
    Upstream { name: Arc<str>, source: TlsFault },
}

/// What was read of a file, and what it is used as.
#[derive(Debug)]
struct Used<C> {
    chains: Vec<Chain>,
    config: Arc<C>,
}

impl<C> Clone for Used<C> {
    fn clone(&self) -> Self {
        Self { chains: self.chains.clone(), config: Arc::clone(&self.config) }
    }
}

impl<C> Used<C> {
    /// The same value as before where the certificates are: a key is as good as another for one certificate.
    fn or_before(self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if before.chains == self.chains => before.clone(),
            _ => self,
        }
    }
}

/// Certificates of listeners.
#[derive(Debug, Clone, Default)]
pub struct Certificates(Vec<(ListenTls, Used<ServerConfig>)>);

/// Authorities that upstreams are verified by, and certificates that they are shown.
#[derive(Debug, Clone, Default)]
pub struct Authorities(HashMap<UpstreamFiles, Used<rustls::ClientConfig>>);

/// Both.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Of the listeners.
    pub certificates: Certificates,
    /// Of the upstreams.
    pub authorities: Authorities,
}

impl TlsFiles {
    /// Whether another reading found the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.certificates.is_same(&other.certificates) && self.authorities.is_same(&other.authorities)
    }
}

impl Certificates {
    /// Reads certificates and keys of the listeners.
    ///
    /// # Errors
    /// Every listener whose pair can't be used.
    pub fn read(sockets: &Sockets, before: &Self) -> Result<Self, Vec<FileFault>> {
        let (mut read, mut faults) = (Vec::new(), Vec::new());
        for listen in &sockets.listen {
            let Some(files) = &listen.tls else { continue };
            match super::server_config(files) {
                Ok((chains, config)) => {
                    let before = before.used(files);
                    let config = match before {
                        Some(before) => with_tickets_of(config, &before.config),
                        None => config,
                    };
                    read.push((files.clone(), Used { chains, config }.or_before(before)));
                }
                Err(source) => faults.push(FileFault::Listener { address: listen.address, source }),
            }
        }
        if faults.is_empty() { Ok(Self(read)) } else { Err(faults) }
    }

    fn used(&self, files: &ListenTls) -> Option<&Used<ServerConfig>> {
        self.0.iter().find(|(known, _)| known == files).map(|(_, used)| used)
    }

    /// What a listener with these files uses, where they were read.
    pub fn of(&self, files: &ListenTls) -> Option<Arc<ServerConfig>> {
        self.used(files).map(|used| Arc::clone(&used.config))
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |(files, used): &(ListenTls, Used<ServerConfig>)| {
            other.used(files).is_some_and(|other| Arc::ptr_eq(&used.config, &other.config))
        };
        self.0.len() == other.0.len() && self.0.iter().all(same)
    }
}

/// Clients resume their sessions where a certificate was renewed: what their tickets are sealed with stays. It changes by itself
/// every few hours, and nobody else has it.
fn with_tickets_of(mut config: Arc<ServerConfig>, before: &ServerConfig) -> Arc<ServerConfig> {
    // Where clients show certificates there are none, before and now.
    Arc::make_mut(&mut config).ticketer = Arc::clone(&before.ticketer);
    config
}

impl Authorities {
    /// Reads the files of the upstreams. The system's authorities by themselves are not among them.
    ///
    /// # Errors
    /// Every upstream whose file can't be used.
    pub fn read(gateway: &Gateway, before: &Self) -> Result<Self, Vec<FileFault>> {
        let (mut read, mut faults) = (HashMap::new(), Vec::new());
        for upstream in &gateway.upstreams {
            let files = &upstream.tls.files;
            if files.is_empty() {
                continue;
            }
            match super::client_side(files) {
                Ok((chains, config)) => {
                    read.insert(files.clone(), Used { chains, config }.or_before(before.0.get(files)));
                }
                Err(source) => faults.push(FileFault::Upstream { name: Arc::clone(&upstream.name), source }),
            }
        }
        if faults.is_empty() { Ok(Self(read)) } else { Err(faults) }
    }

    /// How upstreams with these files are spoken to, where they were read.
    pub fn of(&self, files: &UpstreamFiles) -> Option<ClientSide> {
        self.0.get(files).map(|used| Arc::clone(&used.config))
    }

    /// Whether another reading found something else in a file of this one.
    pub fn differs(&self, other: &Self) -> bool {
        self.0
            .iter()
            .any(|(files, used)| other.0.get(files).is_some_and(|known| !Arc::ptr_eq(&used.config, &known.config)))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.keys().all(|files| other.0.contains_key(files)) && !self.differs(other)
    }
}
