//! The server as a process: tokens, requests, signals.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::test_dir::TestDir;

#[test]
fn serves_with_tokens_until_a_signal() {
    let dir = TestDir::new();
    let made = dir
        .run(&[
            "--json",
            "token",
            "tokens",
            "--entities",
            "mi",
            "--access",
            "write",
        ])
        .code(0)
        .json();
    let token = made["token"].as_str().expect("a token").to_owned();
    assert!(!dir.read("tokens").contains(&token), "the file has a hash");

    let mut server = dir.command(&["serve", "--listen", "127.0.0.1:0", "--tokens", "tokens"]);
    let mut server = server.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let stdout = server.stdout.take().expect("it was piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line
        .trim()
        .strip_prefix("listening on ")
        .expect("an address");

    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let client = reqwest::Client::new();
        let url = format!("{address}/v1/entities/mira/memories");
        let retain = |token: &str| {
            let body = r#"{"content":"Tam sold me a lame horse."}"#;
            client.post(&url).bearer_auth(token).body(body).send()
        };
        assert_eq!(retain("wrong").await.expect("an answer").status(), 401);
        assert_eq!(retain(&token).await.expect("an answer").status(), 201);
    });
    let pid = server.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(killed.expect("it runs").success());
    assert!(server.wait().expect("it ends").success());
    let listed = dir.run(&["list", "mira"]).code(0);
    assert!(listed.out.contains("lame horse"), "{listed:?}");
}

#[test]
fn refuses_to_serve_other_machines_without_tokens() {
    let dir = TestDir::new();
    let run = dir.run(&["--json", "serve", "--listen", "0.0.0.0:0"]);
    assert!(
        run.fails(2, "configuration")
            .contains("memory token makes one")
    );
    let run = dir.run(&["--json", "serve", "--tokens", "missing"]);
    assert!(run.fails(2, "configuration").contains("missing"));
}
