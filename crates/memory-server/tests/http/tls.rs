//! HTTPS, also while other clients do not speak TLS, and while the certificate is replaced.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use memory::MemorySystem;
use memory_server::{Server, ServerError, ServerOptions, TlsError, TlsIdentity};
use memory_testkit::HashEmbedder;
use reqwest::{Certificate, Client};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Writes a new certificate for `localhost` and its key; returns a client that trusts no
/// other one.
fn write_certificate(folder: &Path) -> Client {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    fs::write(folder.join("cert.pem"), made.cert.pem()).expect("it is written");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("it is written");
    let trusted = Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM");
    client_that_trusts([trusted])
}

fn client_that_trusts(trusted: impl IntoIterator<Item = Certificate>) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().tls_certs_only(trusted).build();
    client.expect("a client")
}

/// A server that is stopped by a message.
struct TlsServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServerError>>,
}

impl TlsServer {
    async fn start(identity: TlsIdentity) -> Self {
        let memory = MemorySystem::builder()
            .url("sqlite::memory:")
            .embedder(HashEmbedder::new());
        let memory = memory.build().await.expect("a database");
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let options = ServerOptions::new().tls(identity);
        let server = Server::bind(loopback, memory, options).await;
        let server = server.expect("a free port");
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            serving,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    async fn end(self) {
        self.stop.send(()).expect("it runs");
        let ended = self.serving.await.expect("no panic");
        ended.expect("it ends in order");
    }
}

#[tokio::test]
async fn requests_are_answered_over_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let client = write_certificate(folder.path());
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));

    let swapped = TlsIdentity::read(&key, &certificate).expect_err("the wrong files");
    assert!(matches!(swapped, TlsError::File { .. }), "{swapped}");
    let missing = TlsIdentity::read("missing.pem", &key).expect_err("no file");
    assert!(missing.to_string().contains("missing.pem"), "{missing}");
    let other = rcgen::KeyPair::generate().expect("a key");
    let other_key = folder.path().join("other.pem");
    fs::write(&other_key, other.serialize_pem()).expect("it is written");
    let other = TlsIdentity::read(&certificate, &other_key).expect_err("another key");
    assert!(matches!(other, TlsError::Identity(_)), "{other}");

    let identity = TlsIdentity::read(&certificate, &key).expect("the right files");
    let server = TlsServer::start(identity).await;

    // Neither keeps the server from accepting others.
    let silent = TcpStream::connect(server.address).await;
    let silent = silent.expect("it listens");
    let mut plain = TcpStream::connect(server.address)
        .await
        .expect("it listens");
    let request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    plain.write_all(request).await.expect("it is sent");

    let url = server.url("/v1/entities/mira/memories");
    let posted = client
        .post(&url)
        .body(r#"{"content":"Rain."}"#)
        .send()
        .await;
    assert_eq!(posted.expect("it answers").status(), 201);
    let listed = client.get(&url).send().await.expect("it answers");
    assert!(listed.text().await.expect("a body").contains("Rain."));
    let refused = client_that_trusts([]).get(&url).send().await;
    assert!(refused.is_err(), "{refused:?}");

    drop((silent, plain, client));
    server.end().await;
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_bad_one_is_not() {
    /// How long a busy machine may take to look at the files.
    const MAX_WAIT: Duration = Duration::from_secs(60);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let client = write_certificate(folder.path());
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let identity = TlsIdentity::read(&certificate, &key).expect("the right files");
    let server = TlsServer::start(identity.clone()).await;
    let url = server.url("/health/live");
    let is_answered = async |client: &Client| {
        let answer = client.get(&url).send().await;
        answer.is_ok_and(|answer| answer.status() == 204)
    };
    assert!(is_answered(&client).await);

    // Files that do not fit, and one that is no certificate.
    let pem = fs::read(&certificate).expect("it is there");
    let later = tempfile::tempdir().expect("a temporary folder");
    let later_client = write_certificate(later.path());
    let later_file = |name: &str| fs::read(later.path().join(name)).expect("it is there");
    let broken = b"no certificate".to_vec();
    for bad in [&later_file("cert.pem"), &broken] {
        fs::write(&certificate, bad).expect("it is written");
        let refused = identity.reload().expect_err("it cannot be used");
        assert!(!refused.to_string().contains("BEGIN"), "{refused}");
        let old_client = client_that_trusts([Certificate::from_pem(&pem).expect("PEM")]);
        assert!(is_answered(&old_client).await, "the one before it stays");
    }

    // The server sees it by itself.
    fs::write(&key, later_file("key.pem")).expect("it is written");
    fs::write(&certificate, later_file("cert.pem")).expect("it is written");
    let start = Instant::now();
    while !is_answered(&later_client).await {
        assert!(start.elapsed() < MAX_WAIT, "it is not presented");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let old_client = client_that_trusts([Certificate::from_pem(&pem).expect("PEM")]);
    assert!(!is_answered(&old_client).await, "the old one is gone");
    // This one does not trust the new certificate: its connection was not closed.
    assert!(is_answered(&client).await);

    drop((client, later_client, old_client));
    server.end().await;
}
