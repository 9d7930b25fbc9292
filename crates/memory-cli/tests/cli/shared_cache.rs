//! The command with a shared cache on a real server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::process::ValkeyProcess;
use crate::test_dir::{Run, TestDir};

/// Bytes of what is under a removed key.
const REMOVAL_BYTES: u64 = 17;

/// A call may take longer than its budget on a busy machine, which shares nothing then:
/// something must be shared in one of so many runs.
const RUNS: usize = 20;

fn run(dir: &TestDir, server: &ValkeyProcess, arguments: &[&str]) -> Run {
    let url = server.url("namespace=cli");
    dir.run(&[&["--json", "--shared-cache", &url], arguments].concat())
}

/// The bytes of each value on the server.
fn sizes(server: &ValkeyProcess) -> Vec<u64> {
    let keys: Vec<String> = server.run(&["KEYS", "*"]);
    let sizes = keys.iter().map(|key| server.run(&["STRLEN", key]));
    sizes.collect()
}

#[test]
fn vectors_are_shared_until_they_are_forgotten() {
    let (dir, server) = (TestDir::new(), ValkeyProcess::start());
    for number in 0..RUNS {
        let text = format!("Rain fell for {number} days.");
        let retained = run(&dir, &server, &["retain", "mira", &text]).code(0);
        if sizes(&server).iter().all(|&size| size == REMOVAL_BYTES) {
            continue;
        }
        let id = retained.json()["id"].as_str().expect("an id").to_owned();
        run(&dir, &server, &["forget", "mira", &id]).code(0);
        if sizes(&server).iter().all(|&size| size == REMOVAL_BYTES) {
            return;
        }
        let _: String = server.run(&["FLUSHALL"]);
    }
    panic!("nothing was shared and then removed in {RUNS} runs");
}

#[test]
fn serve_shares_vectors() {
    let (dir, server) = (TestDir::new(), ValkeyProcess::start());
    let url = server.url("namespace=cli");
    let mut serve = dir.command(&["serve", "--listen", "127.0.0.1:0"]);
    let serve = serve.env("MEMORY_SHARED_CACHE", &url);
    let mut serve = serve.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let stdout = serve.stdout.take().expect("it was piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on http://");
    let address = address.expect("an address");
    let is_shared = (0..RUNS).any(|number| {
        let body = format!("{{\"content\":\"Rain fell for {number} days.\"}}");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = format!(
            "POST /v1/entities/mira/memories HTTP/1.1\r\nhost: {address}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        !sizes(&server).is_empty()
    });
    let pid = serve.id().to_string();
    let signaled = std::process::Command::new("kill").arg(&pid).status();
    assert!(signaled.expect("it runs").success());
    assert!(serve.wait().expect("it ends").success());
    assert!(is_shared, "nothing was shared in {RUNS} requests");
}

#[test]
fn the_doctor_says_whether_the_server_answers() {
    let (dir, mut server) = (TestDir::new(), ValkeyProcess::start());
    dir.run(&["migrate"]).code(0);
    let part = |run: &Run| {
        let report = run.json();
        let parts = report["parts"].as_array().expect("a list of parts");
        let part = parts.iter().find(|part| part["part"] == "shared cache");
        part.expect("a part").clone()
    };
    let doctor = run(&dir, &server, &["doctor"]).code(0);
    let healthy = part(&doctor);
    assert_eq!(healthy["healthy"], true, "{healthy}");
    let detail = healthy["detail"].as_str().expect("a text");
    assert!(detail.starts_with("Valkey answers in "), "{detail}");
    assert!(sizes(&server).is_empty(), "it writes nothing");

    dir.write("memory.toml", "shared_cache_budget = '1 ns'\n");
    let doctor = run(&dir, &server, &["--config", "memory.toml", "doctor"]).code(7);
    let detail = part(&doctor)["detail"].to_string();
    assert!(detail.contains("given up after 1ns"), "{detail}");

    server.kill();
    let url = server.url("user=app&pass=hunter2");
    let doctor = dir.run(&["--json", "--shared-cache", &url, "doctor"]);
    let doctor = doctor.code(7);
    assert_eq!(part(&doctor)["healthy"], false, "{doctor:?}");
    assert!(part(&doctor)["fix"].is_string(), "{doctor:?}");
    assert!(!format!("{doctor:?}").contains("hunter2"), "{doctor:?}");
    // Other commands do not fail.
    run(&dir, &server, &["retain", "mira", "Rain."]).code(0);
}
