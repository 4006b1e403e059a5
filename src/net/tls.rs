//! TLS by BCP 195 (PS3.15 B.12: RFC 8996 and RFC 9325): versions 1.2 and 1.3, ephemeral key exchange, authenticated
//! encryption, nothing older and no way down from it.
//!
//! Certificates, keys and authorities are PEM files, read whole when the settings are made: a file that is missing or
//! does not fit is an error then, not at the first connection. New settings take new files; what is open goes on with
//! the old ones. Revocation lists are not consulted.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, Error as RustlsError, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::stream::Stream;

/// The versions that are spoken, the preferred one first.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
/// The protocol's name in the handshake (RFC 7301, registered by IANA). A peer that names none is served all the same.
const ALPN: &[u8] = b"dicom";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {reason}", .file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file has nothing of what it should have.
    #[error("{} holds no {what} in PEM form", .file.display())]
    Nothing {
        /// Which.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate of an authority is no such certificate.
    #[error("{} holds a certificate that cannot be an authority's: {source}", .file.display())]
    Authority {
        /// Which.
        file: PathBuf,
        /// Why.
        source: RustlsError,
    },
    /// Certificate and key are not a pair, or of a kind that is not supported.
    #[error("{} and {} cannot be used together: {source}", .certificate.display(), .key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: RustlsError,
    },
    /// The authorities cannot verify anyone.
    #[error("the authorities of {} cannot be used: {source}", .file.display())]
    Verifier {
        /// Which.
        file: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The name that a peer's certificate is to have.
    #[error("\"{0}\" is neither a host name nor an address")]
    Name(String),
    /// The library refuses what BCP 195 asks for.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] RustlsError),
}

/// Our own certificate chain and its key.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// PEM file of the chain, our own certificate first.
    pub certificate: &'a Path,
    /// PEM file of the key.
    pub key: &'a Path,
}

/// TLS for connections that others open. Two are equal when they are the same one.
#[derive(Clone)]
pub struct TlsServer(Arc<ServerConfig>);

/// TLS for connections that we open. Two are equal when they are the same one.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    /// What the peer's certificate has to say, where that is not the host of its address.
    name: Option<ServerName<'static>>,
}

impl TlsServer {
    /// Reads the files. With authorities, only clients with a certificate of one of them get through.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit.
    pub fn load(identity: Identity<'_>, client_authorities: Option<&Path>) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(VERSIONS)?;
        let builder = match client_authorities {
            Some(file) => {
                let roots = Arc::new(authorities(file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|source| TlsError::Verifier { file: file.to_owned(), source })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = identity.read()?;
        let mut config = builder.with_single_cert(chain, key).map_err(|source| identity.no_pair(source))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Takes a connection through the handshake.
    ///
    /// # Errors
    /// When the connection ends or the client does not get through.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<Stream> {
        let stream = TlsAcceptor::from(Arc::clone(&self.0)).accept(stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl TlsClient {
    /// Reads the files. `name` is what the peer's certificate has to be made out to, where that is not the host that we
    /// connect to.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit.
    pub fn load(
        server_authorities: &Path,
        identity: Option<Identity<'_>>,
        name: Option<&str>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let roots = Arc::new(authorities(server_authorities)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|source| TlsError::Verifier { file: server_authorities.to_owned(), source })?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)?
            .with_webpki_verifier(verifier);
        let mut config = match identity {
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|source| identity.no_pair(source))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let name = name.map(|name| server_name(name).ok_or_else(|| TlsError::Name(name.to_owned()))).transpose()?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// The same without the protocol's name in the handshake: for other protocols than DICOM.
    #[must_use]
    pub fn for_another_protocol(&self) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols.clear();
        Self { config: Arc::new(config), name: self.name.clone() }
    }

    /// Takes a connection to this `host:port` through the handshake.
    ///
    /// # Errors
    /// When the connection ends or the server is not the one that it should be.
    pub async fn connect(&self, stream: TcpStream, address: &str) -> std::io::Result<Stream> {
        let of_address = || {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            server_name(host).ok_or_else(|| std::io::Error::other("the address names no host"))
        };
        let name = self.name.clone().map_or_else(of_address, Ok)?;
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl PartialEq for TlsServer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TlsServer {}

impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.name == other.name
    }
}

impl Eq for TlsClient {}

/// Without the key that is in it.
impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsServer")
    }
}

/// Without the key that is in it.
impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Identity<'_> {
    fn read(self) -> Result<ChainAndKey, TlsError> {
        let chain = certificates(self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(self.key).map_err(|error| match error {
            PemError::NoItemsFound => TlsError::Nothing { file: self.key.to_owned(), what: "private key" },
            error => unreadable(self.key, &error),
        })?;
        Ok((chain, key))
    }

    fn no_pair(self, source: RustlsError) -> TlsError {
        TlsError::Pair { certificate: self.certificate.to_owned(), key: self.key.to_owned(), source }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(TlsError::Nothing { file: file.to_owned(), what: "certificate" }),
        Ok(chain) => Ok(chain),
        Err(error) => Err(unreadable(file, &error)),
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|source| TlsError::Authority { file: file.to_owned(), source })?;
    }
    Ok(roots)
}

/// The error's own text repeats pieces of the file: of a key that must not be.
fn unreadable(file: &Path, error: &PemError) -> TlsError {
    let reason = match error {
        PemError::Io(error) => error.to_string(),
        _ => "its PEM form is broken".to_owned(),
    };
    TlsError::Read { file: file.to_owned(), reason }
}

/// A host name, or an address with or without the brackets of IPv6.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => Some(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(host.to_owned()).ok(),
    }
}

/// Its cipher suites are those that RFC 9325 4.2 recommends: ECDHE with AES-GCM or ChaCha20-Poly1305.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The names of the cipher suites that are offered.
#[must_use]
pub fn cipher_suites() -> Vec<String> {
    provider().cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_host_or_its_address() {
        for (host, expected) in [("pacs.hospital", "pacs.hospital"), ("10.1.0.5", "10.1.0.5"), ("[::1]", "::1")] {
            assert_eq!(server_name(host).unwrap().to_str(), expected);
        }
        assert!(server_name("pa cs").is_none());
        assert!(server_name("").is_none());
    }

    #[test]
    fn only_versions_and_suites_of_bcp_195_are_offered() {
        let suites = provider().cipher_suites.clone();
        assert!(!suites.is_empty());
        for suite in suites {
            let name = format!("{:?}", suite.suite());
            let sealed = name.contains("GCM") || name.contains("POLY1305");
            assert!(sealed && (name.starts_with("TLS13") || name.contains("ECDHE")), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name_and_without_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("empty.pem"), "").unwrap();
        std::fs::write(path("broken.pem"), "-----BEGIN PRIVATE KEY-----\nSECRET!\n-----END PRIVATE KEY-----\n")
            .unwrap();
        let load = |certificate: &str, key: &str| {
            let (certificate, key) = (path(certificate), path(key));
            TlsServer::load(Identity { certificate: &certificate, key: &key }, None).unwrap_err().to_string()
        };
        assert!(load("missing.pem", "missing.pem").contains("missing.pem cannot be read"));
        assert!(load("empty.pem", "empty.pem").contains("empty.pem holds no certificate"));
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path("cert.pem"), own.cert.pem()).unwrap();
        assert!(load("cert.pem", "empty.pem").contains("empty.pem holds no private key"));
        let broken = load("cert.pem", "broken.pem");
        assert!(broken.contains("broken.pem cannot be read") && !broken.contains("SECRET"), "{broken}");
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path("key.pem"), other.signing_key.serialize_pem()).unwrap();
        assert!(load("cert.pem", "key.pem").contains("cannot be used together"));
    }
}
