//! TLS on both sides: certificates from PEM files, replaceable while connections are served.
//!
//! TLS 1.2 and 1.3 only, no early data (threats.md F7), ALPN `h2` and `http/1.1`. Never turns the verification of an upstream off.

mod by_name;
pub mod files;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::by_name::ByName;
use crate::config::settings::{CertificateFiles, ListenTls, UpstreamFiles, UpstreamTls};

/// TLS can't be set up as configured.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum TlsFault {
    #[error("certificate file `{}` can't be read; it must be a PEM file with the chain, leaf first", path.display())]
    Certificate { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("certificate file `{}` holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("private key file `{}` can't be read; it must be a PEM file with a PKCS#8, PKCS#1 or SEC1 key", path.display())]
    PrivateKey { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("certificate `{}` and private key `{}` can't be used together", certificate.display(), private_key.display())]
    Pair { certificate: PathBuf, private_key: PathBuf, source: rustls::Error },
    #[error("certificate file `{}` holds one that can't be an authority", path.display())]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("certificate file `{}` begins with one that is no certificate of a server (X.509 version 3)", path.display())]
    Leaf { path: PathBuf, source: webpki::Error },
    #[error("the certificates of listener {address} were not read before they were needed")]
    Unread { address: SocketAddr },
    #[error("server name `{name}` of an upstream is neither a host name nor an address")]
    ServerName { name: String, source: InvalidDnsNameError },
    #[error("CA file `{}` can't verify clients", path.display())]
    Clients { path: PathBuf, source: VerifierBuilderError },
    #[error("TLS can't be set up")]
    Setup { source: rustls::Error },
}

/// The server side's configuration, taken by each connection and replaceable at any time.
#[derive(Debug)]
pub struct TlsAcceptorSource {
    present: RwLock<Arc<ServerConfig>>,
    http2: bool,
}

/// ALPN (RFC 7301), what is preferred first.
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
const HTTP_2: &[u8] = b"h2";

/// Whether a client and the listener have agreed on HTTP/2.
pub fn speaks_http2<S>(stream: &ServerStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}

/// The name that a client has asked for (SNI), where it has shown a certificate: it was let in for that name.
pub fn verified_for<S>(stream: &ServerStream<S>) -> Option<&str> {
    let connection = stream.get_ref().1;
    connection.server_name().filter(|_| connection.peer_certificates().is_some())
}

/// SHA-256 of the certificate that a client has shown. It was verified by the handshake.
pub fn certificate_sha256<S>(stream: &ServerStream<S>) -> Option<[u8; 32]> {
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first)?;
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf).as_ref().try_into().ok()
}

/// URIs among the subject alternative names of the certificate that a client has shown. It was verified by the handshake.
pub fn san_uris<S>(stream: &ServerStream<S>) -> Box<[Box<str>]> {
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let parsed = leaf.and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
    parsed.iter().flat_map(|parsed| parsed.valid_uri_names()).map(Box::from).collect()
}

impl TlsAcceptorSource {
    /// Publishes the first configuration. Without `http2` it is not offered.
    pub fn new(config: Arc<ServerConfig>, http2: bool) -> Self {
        Self { present: RwLock::new(offering(config, http2)), http2 }
    }

    /// The present configuration. Once per connection, where a handshake costs a thousand times more than the lock.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> std::io::Result<ServerStream<S>> {
        TlsAcceptor::from(self.current()).accept(stream).await
    }

    /// New connections use this one; open ones keep theirs.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = offering(config, self.http2);
    }
}

fn offering(config: Arc<ServerConfig>, http2: bool) -> Arc<ServerConfig> {
    match http2 {
        true => config,
        false => {
            let mut config = Arc::unwrap_or_clone(config);
            config.alpn_protocols.retain(|protocol| protocol != HTTP_2);
            Arc::new(config)
        }
    }
}

/// A client's stream after its handshake.
pub type ServerStream<S> = tokio_rustls::server::TlsStream<S>;
/// A stream to an upstream after its handshake.
pub type ClientStream<S> = tokio_rustls::client::TlsStream<S>;
/// How upstreams are verified.
pub type ClientSide = Arc<ClientConfig>;
/// The name that an upstream's certificate must have.
pub type VerifiedName = ServerName<'static>;

/// Shakes hands with an upstream. `http2` is asked for alone, and has to be agreed on then.
///
/// # Errors
/// The handshake failed, the certificate is not good for the name, or the upstream does not speak HTTP/2.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    config: ClientSide,
    name: VerifiedName,
    http2: bool,
    stream: S,
) -> std::io::Result<ClientStream<S>> {
    let connector = TlsConnector::from(config);
    if !http2 {
        return connector.connect(name, stream).await;
    }
    let stream = connector.with_alpn(vec![HTTP_2.to_vec()]).connect(name, stream).await?;
    match stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
        true => Ok(stream),
        false => {
            Err(std::io::Error::other("it does not agree on HTTP/2 (ALPN `h2`); write `https://` in place of `h2://`"))
        }
    }
}

/// Certificates as their file has them, in its order.
pub type Chain = Vec<CertificateDer<'static>>;

/// Reads certificates and keys of a listener.
///
/// # Errors
/// [`TlsFault`] naming the file.
pub fn server_config(files: &ListenTls) -> Result<(Vec<Chain>, Arc<ServerConfig>), TlsFault> {
    let provider = provider();
    let mut by_name = ByName::default();
    let mut chains = Vec::new();
    for files in &files.certificates {
        let (chain, key) = pair(files)?;
        let certified =
            CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|source| mismatch(files, source))?;
        by_name.add(certified, &files.certificate)?;
        chains.push(chain);
    }
    let verifier = match &files.client_ca {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => {
            let (chain, roots) = authorities(path)?;
            chains.push(chain);
            let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
            built.map_err(|source| TlsFault::Clients { path: path.clone(), source })?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|source| TlsFault::Setup { source })?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(by_name));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    config.max_early_data_size = 0;
    if files.client_ca.is_some() {
        // A session that is resumed asks nobody for a certificate: it would outlive that of its client, and the authority.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|source| TlsFault::Setup { source })?;
    }
    Ok((chains, Arc::new(config)))
}

/// The certificates of a file, each an authority.
fn authorities(path: &Path) -> Result<(Chain, RootCertStore), TlsFault> {
    let chain = certificates(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &chain {
        roots.add(certificate.clone()).map_err(|source| TlsFault::Authority { path: path.to_owned(), source })?;
    }
    Ok((chain, roots))
}

fn mismatch(files: &CertificateFiles, source: rustls::Error) -> TlsFault {
    TlsFault::Pair { certificate: files.certificate.clone(), private_key: files.private_key.clone(), source }
}

/// Certificate and key as their files have them.
fn pair(files: &CertificateFiles) -> Result<(Chain, PrivateKeyDer<'static>), TlsFault> {
    let key = PrivateKeyDer::from_pem_file(&files.private_key)
        .map_err(|source| TlsFault::PrivateKey { path: files.private_key.clone(), source });
    Ok((certificates(&files.certificate)?, key?))
}

/// Reads the files of an upstream, and how it is spoken to by them. It is verified by `ca` alone where there is one, otherwise by
/// the system's roots, and by Mozilla's where the system has none (an image FROM scratch).
///
/// # Errors
/// [`TlsFault`] naming the file.
pub fn client_side(files: &UpstreamFiles) -> Result<(Vec<Chain>, ClientSide), TlsFault> {
    let mut roots = RootCertStore::empty();
    let mut chains = Vec::new();
    match &files.ca {
        Some(path) => {
            let (chain, own) = authorities(path)?;
            roots = own;
            chains.push(chain);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|source| TlsFault::Setup { source })?
        .with_root_certificates(roots);
    let mut config = match &files.certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = pair(files)?;
            chains.push(chain.clone());
            builder.with_client_auth_cert(chain, key).map_err(|source| mismatch(files, source))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((chains, Arc::new(config)))
}

/// The name that an upstream's certificate must have.
///
/// # Errors
/// [`TlsFault::ServerName`] for what is neither a host name nor an address.
pub fn server_name(settings: &UpstreamTls, host: &str) -> Result<VerifiedName, TlsFault> {
    let name = settings.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|source| TlsFault::ServerName { name: name.to_owned(), source })
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn certificates(path: &Path) -> Result<Chain, TlsFault> {
    let fault = |source| TlsFault::Certificate { path: path.to_owned(), source };
    let chain: Chain = CertificateDer::pem_file_iter(path).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)?;
    match chain.is_empty() {
        true => Err(TlsFault::NoCertificate { path: path.to_owned() }),
        false => Ok(chain),
    }
}

#[cfg(test)]
mod tests;
