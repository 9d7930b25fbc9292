//! TLS: the pinned server has none, so a proxy in front of it ends the encryption.

use std::path::PathBuf;
use std::sync::Arc;

use memory_core::{ErrorKind, SharedCache, SharedGroup, SharedKey};
use memory_valkey::ValkeyCache;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::conformance::assert_conformant;
use crate::process::ValkeyProcess;

/// Forwards what arrives with TLS to a socket. Returns the port, and the
/// certificate.
async fn start_proxy(socket: PathBuf) -> (u16, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((incoming, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                let mut incoming = acceptor.accept(incoming).await?;
                let mut outgoing = UnixStream::connect(socket).await?;
                tokio::io::copy_bidirectional(&mut incoming, &mut outgoing).await
            });
        }
    });
    (port, cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_conforms_and_its_certificate_is_checked() {
    let server = ValkeyProcess::start();
    let (port, pem) = start_proxy(server.socket()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let file = file.display();
    assert_conformant(&format!("valkeys://localhost:{port}?cacert={file}")).await;

    let key = SharedKey::new(SharedGroup([1; 16]), [2; 16]);
    for url in [
        // Not signed by anybody whom the system trusts.
        format!("valkeys://localhost:{port}"),
        // Not for this name.
        format!("valkeys://127.0.0.1:{port}?cacert={file}"),
        // No TLS.
        format!("valkey://localhost:{port}"),
    ] {
        let cache = ValkeyCache::open(&url).unwrap();
        let refused = cache.get_many(&[key]).await.unwrap_err();
        assert_ne!(refused.kind(), ErrorKind::Closed, "{url}: {refused}");
    }
}
