//! The certificate of HTTPS, read again when its files change.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::file_state::FileState;

/// How often the files are looked at: a new certificate is used at most this much, and the
/// time to read it, after it is there.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A certificate and its private key, for HTTPS. Clones share the certificate.
///
/// A running server looks at the files each second and presents a new certificate to new
/// connections; those in progress stay. Files that cannot be used are logged, and the
/// certificate before them stays.
#[derive(Clone)]
pub struct TlsIdentity {
    pub(crate) config: Arc<ServerConfig>,
    certificate: Arc<Certificate>,
}

/// Why a certificate cannot be used. It never contains a key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as PEM, or has nothing of the kind.
    #[error("cannot read {expected} in {}: {source}; it must be a PEM file", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it must have: a certificate or a private key.
        expected: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The certificate and the key do not fit, or are of a kind that is not supported.
    #[error("the certificate and the private key cannot be used together: {0}")]
    Identity(#[source] rustls::Error),
}

impl TlsIdentity {
    /// Reads PEM files: a certificate, followed by those that issued it, and its private
    /// key (PKCS #8, PKCS #1 or SEC1, not encrypted).
    ///
    /// # Errors
    /// [`TlsError`] for files that cannot be read, or do not fit.
    pub fn read(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
        };
        let provider = Arc::new(ring::default_provider());
        let read_at = files.state();
        let certificate = Arc::new(Certificate {
            current: RwLock::new((read_at, files.read(&provider)?)),
            files,
            provider: Arc::clone(&provider),
        });
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Identity)?;
        let resolver = Arc::clone(&certificate);
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            certificate,
        })
    }

    /// Reads the files now, for a caller that does not want to wait until a running server
    /// looks at them. New connections get what they have; those in progress stay.
    ///
    /// It reads two small files, and is not for an async worker.
    ///
    /// # Errors
    /// As [`read`](Self::read); the certificate before it stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.certificate.reload()
    }

    /// Reads the files whenever they change.
    pub(crate) async fn watch(self) -> Infallible {
        let mut failure = None;
        loop {
            sleep(CHECK_INTERVAL).await;
            let certificate = Arc::clone(&self.certificate);
            let check = spawn_blocking(move || certificate.check(failure));
            failure = check.await.ok().flatten();
        }
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// What is presented, and where it is from.
struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    /// The state of the files before they were read, and what they had.
    current: RwLock<(State, Arc<CertifiedKey>)>,
}

/// States of the files that could not be used, and at how many checks in sequence.
#[derive(Debug, Clone, Copy)]
struct Failure {
    state: State,
    checks: u32,
}

impl Certificate {
    fn reload(&self) -> Result<(), TlsError> {
        let state = self.files.state();
        let key = self.files.read(&self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (state, key);
        Ok(())
    }

    /// Reads the files if they changed. `before` is what the check before returned: files
    /// that cannot be used are logged when they are so for the second time, as the two are
    /// not replaced in the same moment, and not again until they change.
    fn check(&self, before: Option<Failure>) -> Option<Failure> {
        let state = self.files.state();
        if self.read_current().0 == state {
            return None;
        }
        let Err(error) = self.reload() else {
            tracing::info!("new connections get the new certificate");
            return None;
        };
        let before = before.filter(|failure| failure.state == state);
        let checks = before.map_or(1, |failure| failure.checks.saturating_add(1));
        if checks == 2 {
            tracing::warn!(%error, "the new certificate is not used; the one before it stays");
        }
        Some(Failure { state, checks })
    }

    fn read_current(&self) -> (State, Arc<CertifiedKey>) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read_current().1)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The states of both files.
type State = [Option<FileState>; 2];

/// What is wrong with a file. The error of the parser has lines of it, which may be those of
/// a key.
fn without_content(error: pem::Error) -> io::Error {
    let what = match error {
        pem::Error::Io(error) => return error,
        pem::Error::MissingSectionEnd { .. } => {
            "a section has no END line, which must be a line of its own"
        }
        pem::Error::IllegalSectionStart { .. } => {
            "a BEGIN line is malformed; it must be a line of its own"
        }
        pem::Error::Base64Decode(_) => "a section is not in base64",
        pem::Error::NoItemsFound => "there is none",
        _ => "it is malformed",
    };
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Files {
    fn state(&self) -> State {
        [&self.certificate, &self.key].map(|path| FileState::of(path))
    }

    fn read(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
        let failed = |path: &Path, expected| {
            let path = path.to_owned();
            move |error| TlsError::File {
                path,
                expected,
                source: without_content(error),
            }
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .and_then(|chain: Vec<_>| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            });
        let chain = chain.map_err(failed(&self.certificate, "a certificate"))?;
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(failed(&self.key, "a private key"))?;
        let certified = CertifiedKey::from_der(chain, key, provider);
        certified.map(Arc::new).map_err(TlsError::Identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_nothing_of_a_key() {
        let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
        for (before, after) in [
            (
                "-----BEGIN PRIVATE KEY-----\\n",
                "\\n-----END PRIVATE KEY-----\\n",
            ),
            (
                "-----BEGIN PRIVATE KEY----- ",
                " -----END PRIVATE KEY-----\n",
            ),
            ("-----BEGIN PRIVATE KEY-----\n", "\n"),
            (
                "-----BEGIN PRIVATE KEY-----\n!",
                "\n-----END PRIVATE KEY-----\n",
            ),
            ("", ""),
        ] {
            let text = format!("{before}{secret}{after}");
            let error = PrivateKeyDer::from_pem_slice(text.as_bytes()).expect_err(before);
            let error = without_content(error);
            let shown = format!("{error} {error:?}");
            let bytes = format!("{:?}", &secret.as_bytes()[20..30]);
            let bytes = bytes.trim_matches(['[', ']']);
            assert!(!shown.contains(bytes), "{shown}");
            assert!(!shown.contains(&secret[20..30]), "{shown}");
            assert!(shown.len() < 200, "{shown}");
        }
    }
}
