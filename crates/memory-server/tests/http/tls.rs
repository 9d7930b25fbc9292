//! HTTPS, also while other clients do not speak TLS.

use std::fs;

use memory::MemorySystem;
use memory_server::{Server, ServerOptions, TlsError, TlsIdentity};
use memory_testkit::HashEmbedder;
use reqwest::{Certificate, Client};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

#[tokio::test]
async fn requests_are_answered_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&certificate, made.cert.pem()).expect("it is written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("it is written");

    let swapped = TlsIdentity::read(&key, &certificate).expect_err("the wrong files");
    assert!(matches!(swapped, TlsError::File { .. }), "{swapped}");
    let missing = TlsIdentity::read("missing.pem", &key).expect_err("no file");
    assert!(missing.to_string().contains("missing.pem"), "{missing}");
    let other = rcgen::KeyPair::generate().expect("a key");
    let other_key = folder.path().join("other.pem");
    fs::write(&other_key, other.serialize_pem()).expect("it is written");
    let other = TlsIdentity::read(&certificate, &other_key).expect_err("another key");
    assert!(matches!(other, TlsError::Identity(_)), "{other}");

    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(HashEmbedder::new());
    let memory = memory.build().await.expect("a database");
    let identity = TlsIdentity::read(&certificate, &key).expect("the right files");
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let options = ServerOptions::new().tls(identity);
    let server = Server::bind(loopback, memory, options).await;
    let server = server.expect("a free port");
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));

    // Neither keeps the server from accepting others.
    let silent = TcpStream::connect(address).await.expect("it listens");
    let mut plain = TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    plain.write_all(request).await.expect("it is sent");

    let trusted = Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM");
    let client = Client::builder().tls_certs_only([trusted]).build();
    let client = client.expect("a client");
    let url = format!(
        "https://localhost:{}/v1/entities/mira/memories",
        address.port()
    );
    let posted = client
        .post(&url)
        .body(r#"{"content":"Rain."}"#)
        .send()
        .await;
    assert_eq!(posted.expect("it answers").status(), 201);
    let listed = client.get(&url).send().await.expect("it answers");
    assert!(listed.text().await.expect("a body").contains("Rain."));
    let distrusting = Client::builder().tls_certs_only([]).build();
    let refused = distrusting.expect("a client").get(&url).send().await;
    assert!(refused.is_err(), "{refused:?}");

    drop((silent, plain, client));
    stop.send(()).expect("it runs");
    serving.await.expect("no panic").expect("it ends in order");
}
