//! HTTPS against a local server with a generated certificate.
//!
//! The platform decides which certificates are trusted. On Linux an environment
//! variable overrides them, and is read once per process. So each case runs in a
//! process of its own, which is this program again.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[cfg(target_os = "linux")]
mod linux {
    use std::convert::Infallible;
    use std::error::Error;
    use std::fs;
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::Full;
    use hyper::Response;
    use hyper::body::Bytes;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use memory_core::LanguageModel;
    use memory_openai::{OpenAi, OpenAiError, OpenAiOptions};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// Set in the processes that run one case.
    const URL: &str = "MEMORY_OPENAI_TEST_URL";
    const ANSWER: &str = r#"{"choices": [{"message": {"content": "Tam."}}]}"#;

    #[tokio::main]
    pub(super) async fn main() {
        match std::env::var(URL) {
            Ok(url) => println!("{}", outcome(&url).await),
            Err(_) => run().await,
        }
    }

    /// The outcome of a call in one word.
    async fn outcome(url: &str) -> String {
        let options = OpenAiOptions::new("mira-7b").base_url(url).retries(0);
        match OpenAi::new(options).unwrap().complete("Who?").await {
            Ok(answer) => answer,
            Err(error) => match error.source().unwrap().downcast_ref() {
                Some(OpenAiError::Unreachable(_)) => "unreachable".to_owned(),
                _ => panic!("{error:?}"),
            },
        }
    }

    async fn run() {
        let folder = tempfile::tempdir().unwrap();
        let trusted = Authority::new();
        let untrusted = Authority::new();
        let requests = Arc::new(AtomicUsize::new(0));
        let address = serve(trusted.server_config("localhost"), Arc::clone(&requests)).await;
        let port = address.port();

        let trusted = trusted.file(folder.path(), "trusted.pem");
        let untrusted = untrusted.file(folder.path(), "untrusted.pem");
        let localhost = format!("https://localhost:{port}/v1");
        let by_address = format!("https://127.0.0.1:{port}/v1");
        for (case, url, roots, expected) in [
            ("a trusted endpoint", &localhost, &trusted, "Tam."),
            (
                "an untrusted endpoint",
                &localhost,
                &untrusted,
                "unreachable",
            ),
            ("a wrong host name", &by_address, &trusted, "unreachable"),
        ] {
            assert_eq!(ask(url.clone(), roots.clone()).await, expected, "{case}");
            println!("https: {case} ... ok");
        }
        // Endpoints that failed the verification received nothing.
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    }

    /// Calls the endpoint in a process that trusts these roots and no others.
    async fn ask(url: String, roots: PathBuf) -> String {
        let ask = move || {
            Command::new(std::env::current_exe().unwrap())
                .env(URL, url)
                .env("SSL_CERT_FILE", roots)
                .env_remove("SSL_CERT_DIR")
                .output()
                .unwrap()
        };
        let output = tokio::task::spawn_blocking(ask).await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Answers clients that accept the certificate.
    async fn serve(tls: ServerConfig, requests: Arc<AtomicUsize>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let Ok(connection) = acceptor.accept(connection).await else {
                    continue;
                };
                let requests = Arc::clone(&requests);
                let answer = service_fn(move |_| {
                    requests.fetch_add(1, Ordering::Relaxed);
                    let body = Full::new(Bytes::from_static(ANSWER.as_bytes()));
                    async { Ok::<_, Infallible>(Response::new(body)) }
                });
                // It ends when the client disconnects.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), answer)
                    .await;
            }
        });
        address
    }

    /// A certificate authority.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            let issuer = Issuer::new(params, key);
            Self { issuer, pem }
        }

        fn file(&self, folder: &Path, name: &str) -> PathBuf {
            let path = folder.join(name);
            fs::write(&path, &self.pem).unwrap();
            path
        }

        /// The TLS configuration of a server with a certificate for `name`.
        fn server_config(&self, name: &str) -> ServerConfig {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            let chain = vec![CertificateDer::from(certificate.der().to_vec())];
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap()
        }
    }
}

fn main() {
    // Runners that start a process per test ask for the list first.
    let has = |argument: &str| std::env::args().any(|other| other == argument);
    if has("--list") {
        if !has("--ignored") {
            println!("trusted_certificates: test");
        }
        return;
    }
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    println!("https: skipped, because trusted certificates cannot be set on this platform");
}
