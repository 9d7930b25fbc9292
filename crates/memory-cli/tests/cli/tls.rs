//! The server as a process that speaks HTTPS.

use crate::test_dir::TestDir;

#[cfg(feature = "serve-tls")]
#[test]
fn serves_https_with_the_certificate_and_the_key() {
    use reqwest::{Certificate, Client};

    use crate::serving::Serving;

    let dir = TestDir::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    dir.write("cert.pem", made.cert.pem());
    dir.write("key.pem", made.signing_key.serialize_pem());

    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let options = [&["--listen", "127.0.0.1:0"], files.as_slice()].concat();
    let mut server = Serving::start(&dir, &options);
    let port = server.address.strip_prefix("https://127.0.0.1:");
    let port = port.expect("the scheme is printed").to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let trusted = Certificate::from_pem(made.cert.pem().as_bytes()).expect("PEM");
        let client = Client::builder().tls_certs_only([trusted]).build();
        let client = client.expect("a client");
        let url = |scheme: &str| format!("{scheme}://localhost:{port}/v1/entities/mira/memories");
        let retained = client
            .post(url("https"))
            .body(r#"{"content":"Tam sold me a lame horse."}"#)
            .send();
        assert_eq!(retained.await.expect("it answers").status(), 201);
        let plain = client.get(url("http")).send().await;
        assert!(plain.is_err(), "{plain:?}");
    });
    assert!(server.end("TERM").success());
    let listed = dir.run(&["list", "mira"]).code(0);
    assert!(listed.out.contains("lame horse"), "{listed:?}");

    for (certificate, key, named) in [
        ("key.pem", "cert.pem", "key.pem"),
        ("cert.pem", "missing.pem", "missing.pem"),
    ] {
        let args = [
            "--json",
            "serve",
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ];
        let message = dir.run(&args).fails(2, "configuration");
        assert!(message.contains(named), "{message}");
    }
}

#[cfg(not(feature = "serve-tls"))]
#[test]
fn a_build_without_https_says_so() {
    let dir = TestDir::new();
    let args = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let run = dir.run(&[&["--json", "serve"], args.as_slice()].concat());
    assert!(run.fails(2, "unsupported").contains("serve-tls"));
}

#[test]
fn a_certificate_needs_its_key() {
    let dir = TestDir::new();
    for (given, missing) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        let run = dir.run(&["serve", given, "file.pem"]).code(2);
        assert!(run.err.contains(missing), "{run:?}");
    }
}
