//! The command with a shared cache on a real server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::ValkeyProcess;
use crate::serving::Serving;
use crate::test_dir::{Run, TestDir};

/// Bytes of what is under a removed key.
const REMOVAL_BYTES: u64 = 17;

/// How long something to be shared is waited for.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// A folder with settings in which a call of the shared cache may take as long as it does on
/// a busy machine. With the default budget, of 5 ms, a late answer opens the circuit breaker,
/// whose pauses grow to seconds: then nothing is shared in any number of quick requests.
fn dir_with_a_generous_budget() -> TestDir {
    let dir = TestDir::new();
    dir.write("generous.toml", "shared_cache_budget = '30 s'\n");
    dir
}

fn run(dir: &TestDir, server: &ValkeyProcess, arguments: &[&str]) -> Run {
    let url = server.url("namespace=cli");
    dir.run(&[&["--json", "--shared-cache", &url], arguments].concat())
}

/// Calls `attempt` with 0, 1 and so on until it succeeds.
#[track_caller]
fn repeat_until(what: &str, mut attempt: impl FnMut(usize) -> bool) {
    let start = Instant::now();
    let mut number = 0;
    while !attempt(number) {
        assert!(start.elapsed() < MAX_WAIT, "{what} after {number} attempts");
        number += 1;
        thread::sleep(Duration::from_millis(50));
    }
}

/// The bytes of each value on the server.
fn sizes(server: &ValkeyProcess) -> Vec<u64> {
    let keys: Vec<String> = server.run(&["KEYS", "*"]);
    let sizes = keys.iter().map(|key| server.run(&["STRLEN", key]));
    sizes.collect()
}

#[test]
fn vectors_are_shared_until_they_are_forgotten() {
    let (dir, server) = (dir_with_a_generous_budget(), ValkeyProcess::start());
    let run = |arguments: &[&str]| {
        let arguments = [&["--config", "generous.toml"], arguments].concat();
        run(&dir, &server, &arguments).code(0)
    };
    let is_without_vectors = || sizes(&server).iter().all(|&size| size == REMOVAL_BYTES);
    repeat_until("nothing was shared and then removed", |number| {
        let text = format!("Rain fell for {number} days.");
        let retained = run(&["retain", "mira", &text]);
        if is_without_vectors() {
            return false;
        }
        let id = retained.json()["id"].as_str().expect("an id").to_owned();
        run(&["forget", "mira", &id]);
        if is_without_vectors() {
            return true;
        }
        let _: String = server.run(&["FLUSHALL"]);
        false
    });
}

#[test]
fn serve_shares_vectors() {
    let (dir, server) = (dir_with_a_generous_budget(), ValkeyProcess::start());
    let url = server.url("namespace=cli");
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let mut serve = dir.command(&[&["--config", "generous.toml"], &listen[..]].concat());
    serve.env("MEMORY_SHARED_CACHE", &url);
    let mut serve = Serving::run(serve);
    let address = serve.address.strip_prefix("http://");
    let address = address.expect("an address").to_owned();
    repeat_until("nothing was shared", |number| {
        let body = format!("{{\"content\":\"Rain fell for {number} days.\"}}");
        let mut stream = TcpStream::connect(&address).expect("it listens");
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
    assert!(serve.end("TERM").success());
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
