//! HTTPS by rustls: the certificate, and a listener that performs handshakes.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;

/// A client that does not complete its handshake in this time is disconnected.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes at once: further clients wait.
const MAX_HANDSHAKES: usize = 256;

/// A certificate and its private key, for HTTPS.
#[derive(Clone)]
pub struct TlsIdentity(Arc<ServerConfig>);

/// Why a certificate cannot be used. It never contains a key.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read as PEM, or has nothing of the kind.
    File {
        /// The file.
        path: PathBuf,
        /// What it must have: a certificate or a private key.
        expected: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// The certificate and the key do not fit, or are of a kind that is not supported.
    Identity(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                path,
                expected,
                source,
            } => write!(
                f,
                "cannot read {expected} in {}: {source}; it must be a PEM file",
                path.display()
            ),
            Self::Identity(error) => write!(
                f,
                "the certificate and the private key cannot be used together: {error}"
            ),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Identity(error) => Some(error),
        }
    }
}

impl TlsIdentity {
    /// Reads PEM files: a certificate, followed by those that issued it, and its private
    /// key (PKCS #8, PKCS #1 or SEC1, not encrypted). They are read once: a new
    /// certificate needs a restart.
    ///
    /// # Errors
    /// [`TlsError`] for files that cannot be read, or do not fit.
    pub fn read(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let failed = |path: &Path, expected| {
            let path = path.to_owned();
            move |source| TlsError::File {
                path,
                expected,
                source,
            }
        };
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .and_then(|chain: Vec<_>| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            });
        let chain = chain.map_err(failed(certificate, "a certificate"))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key, "a private key"))?;
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(TlsError::Identity)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// Accepts connections, and returns those that completed their handshake. A slow client
/// keeps no other from being accepted.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, identity: TlsIdentity) -> Self {
        Self {
            tcp,
            acceptor: TlsAcceptor::from(identity.0),
            handshakes: JoinSet::new(),
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, address) = Listener::accept(&mut self.tcp),
                    if self.handshakes.len() < MAX_HANDSHAKES =>
                {
                    let handshake = self.acceptor.accept(stream);
                    self.handshakes.spawn(async move {
                        // Who does not speak TLS is disconnected, and no fault of ours.
                        let stream = timeout(HANDSHAKE_TIMEOUT, handshake).await.ok()?.ok()?;
                        Some((stream, address))
                    });
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
