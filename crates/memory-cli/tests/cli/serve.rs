//! The server as a process: tokens, requests, signals.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Client;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::serving::Serving;
use crate::test_dir::{Run, TestDir, parse};

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

    let options = ["--listen", "127.0.0.1:0", "--tokens", "tokens"];
    let mut server = Serving::start(&dir, &options);
    let address = server.address.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let client = client();
        let url = format!("{address}/v1/entities/mira/memories");
        let retain = |token: &str| {
            let body = r#"{"content":"Tam sold me a lame horse."}"#;
            client.post(&url).bearer_auth(token).body(body).send()
        };
        assert_eq!(retain("wrong").await.expect("an answer").status(), 401);
        assert_eq!(retain(&token).await.expect("an answer").status(), 201);
    });
    assert!(server.end("TERM").success());
    let listed = dir.run(&["list", "mira"]).code(0);
    assert!(listed.out.contains("lame horse"), "{listed:?}");
}

/// Waits for something that must come soon.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    const DEADLINE: Duration = Duration::from_secs(30);
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

fn client() -> Client {
    // The client wants one, also for plain HTTP; a second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// Clients of the restart test, and what each of them writes.
const WRITERS: usize = 4;
const WRITES: usize = 50;

#[test]
fn a_restart_loses_no_acknowledged_write_and_repeats_none() {
    for signal in ["TERM", "KILL"] {
        let dir = TestDir::new();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let listen = free.local_addr().expect("an address").to_string();
        drop(free);
        let mut server = Serving::start(&dir, &["--listen", &listen]);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (client, written) = (client(), Arc::new(AtomicUsize::new(0)));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let url = format!("{}/v1/entities/mira/memories", server.address);
                runtime.spawn(write(client.clone(), url, writer, Arc::clone(&written)))
            })
            .collect();
        wait_until("the clients wrote", || {
            written.load(Ordering::Relaxed) >= WRITES
        });
        assert_eq!(server.end(signal).success(), signal == "TERM");
        assert!(written.load(Ordering::Relaxed) < WRITERS * WRITES);
        let mut server = Serving::start(&dir, &["--listen", &listen]);
        for writer in writers {
            runtime.block_on(writer).expect("it wrote all");
        }
        assert!(server.end("TERM").success());
        let listed = dir.run(&["--json", "list", "mira", "--limit", "1000"]);
        let listed = listed.code(0).json();
        let listed = listed["memories"].as_array().expect("a page");
        let contents: BTreeSet<_> = listed
            .iter()
            .map(|it| it["memory"]["content"].as_str())
            .collect();
        let counts = (listed.len(), contents.len());
        assert_eq!(counts, (WRITERS * WRITES, WRITERS * WRITES), "{signal}");
    }
}

/// Writes memories one by one; repeats each, with its key, until it is acknowledged.
async fn write(client: Client, url: String, writer: usize, written: Arc<AtomicUsize>) {
    const TRIES: usize = 1_000;
    for day in 0..WRITES {
        let body = format!(r#"{{"content":"Writer {writer}, day {day}."}}"#);
        let mut tries = 0;
        loop {
            let request = client.post(&url).body(body.clone());
            let request = request.header("Idempotency-Key", format!("{writer}-{day}"));
            let sent = request.send().await;
            if sent.is_ok_and(|answer| answer.status() == 201) {
                break;
            }
            tries += 1;
            assert!(tries < TRIES, "the server does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_port_that_is_taken_is_refused_before_the_model_is_loaded() {
    let dir = TestDir::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()));
    let (_listener, listen) = taken.expect("an address");
    let mut command = dir.command(&["--json", "serve", "--listen", &listen]);
    // There is no model, which would be the error otherwise.
    command.env("MEMORY_CACHE_DIR", dir.path("nothing"));
    let message = Run::of(command.output().expect("it runs")).fails(1, "io");
    assert!(
        message.contains(&listen) && message.contains("--listen"),
        "{message}"
    );
    assert_eq!(dir.names(), [""; 0], "nothing was created");

    // A label has at most 63 characters, so that no resolver is asked for one of these.
    let host = format!("{}.test", "n".repeat(64));
    let unknown = dir.run(&["--json", "serve", "--listen", &format!("{host}:1")]);
    let message = unknown.fails(2, "configuration");
    assert!(message.contains(&host), "{message}");
    let message = dir
        .run(&["--json", "serve", "--listen", "7070"])
        .fails(2, "usage");
    assert!(message.contains("127.0.0.1:7070"), "{message}");
}

#[test]
fn a_host_may_be_a_name_and_a_second_signal_ends_the_server_at_once() {
    let dir = TestDir::new();
    let mut command = dir.command(&[
        "--json",
        "serve",
        "--listen",
        "localhost:0",
        "--drain-timeout",
        "600",
    ]);
    let log = File::create(dir.path("log")).expect("the folder can be written");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
    stdout.read_line(&mut line).expect("a line");
    let started = parse(&line);
    let listening = started["listening"].as_str().expect("an address");
    assert_eq!(started["url"], format!("http://{listening}"));

    // A request whose body does not end.
    let mut client = TcpStream::connect(listening).expect("it accepts");
    let head = "POST /v1/entities/mira/memories HTTP/1.1\r\nHost: localhost\r\n\
                Content-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).expect("it reads");
    // It is answered when the body is read, so the request is in progress.
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 100");
    let interrupt = || {
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
        assert!(sent.expect("it runs").success());
    };
    interrupt();
    wait_until("the first signal", || dir.read("log").contains("SIGINT"));
    interrupt();
    let mut status = None;
    wait_until("the second signal", || {
        status = child.try_wait().expect("it was started");
        status.is_some()
    });
    let log = dir.read("log");
    assert_eq!(status.and_then(|it| it.code()), Some(130), "{log}");
    assert!(
        log.contains("requests in progress were not answered"),
        "{log}"
    );
}

#[test]
fn a_signal_ends_a_server_that_waits_for_statements() {
    let dir = TestDir::new();
    dir.run(&["migrate"]).code(0);
    let mut command = dir.command(&["serve", "--listen", "127.0.0.1:0", "--drain-timeout", "0"]);
    let log = File::create(dir.path("log")).expect("the folder can be written");
    command.stderr(log);
    let mut server = Serving::run(command);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    // Nobody can write for now.
    let options = SqliteConnectOptions::new().filename(dir.path("memory.db"));
    let mut lock = runtime.block_on(options.connect()).expect("it is there");
    let begin = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock);
    runtime.block_on(begin).expect("nobody else writes");
    let url = format!("{}/v1/entities/mira/memories", server.address);
    let request = client().post(url).body(r#"{"content":"Rain."}"#);
    let request = runtime.spawn(request.send());
    thread::sleep(Duration::from_millis(1_500));
    server.signal("TERM");
    wait_until("requests are cut off", || {
        dir.read("log").contains("still in progress")
    });
    thread::sleep(Duration::from_millis(200));
    assert_eq!(server.end("TERM").code(), Some(143), "{}", dir.read("log"));
    assert!(
        dir.read("log")
            .contains("while the database was being closed"),
        "{}",
        dir.read("log")
    );
    drop((request, lock));
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

#[test]
fn warnings_are_on_standard_error() {
    let dir = TestDir::new();
    let made = dir.run(&["--json", "token", "tokens"]).code(0).json();
    let token = made["token"].as_str().expect("a token");
    let mut command = dir.command(&["serve", "--listen", "127.0.0.1:0", "--tokens", "tokens"]);
    let log = File::create(dir.path("log")).expect("the folder can be written");
    command.stderr(log);
    let mut server = Serving::run(command);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (client, url) = (client(), format!("{}/v1/entities", server.address));
    let status = || {
        let sent = client.get(&url).bearer_auth(token).send();
        runtime.block_on(sent).expect("it answers").status()
    };
    assert_eq!(status(), 200);
    assert_eq!(dir.read("log"), "");
    dir.write("tokens", "no token\n");
    // The file is looked at each second.
    wait_until("no token is accepted", || status() == 401);
    let log = dir.read("log");
    assert!(
        log.contains("ERROR memory_server::tokens: no token is accepted"),
        "{log}"
    );
    assert!(!log.contains(token), "{log}");
    assert!(server.end("TERM").success());
}
