//! The memory that open connections take, and clients that are slow.

use std::fs;
use std::time::Duration;

use memory_server::ServerOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{Answer, TestServer};

const CONNECTIONS: u64 = 200;

/// How long a test waits for what must come soon.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A connection with its buffers takes a fifth of this, a copy of all routes four times as
/// much.
const MAX_KIB_EACH: u64 = 200;

#[tokio::test]
async fn a_connection_has_no_copy_of_the_routes() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    server.get("/health/live").await.ok(204);
    let before = resident_kib();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(server.address()).await;
        let mut connection = connection.expect("it listens");
        let request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
        connection.write_all(request).await.expect("it is sent");
        let mut answer = [0; 12];
        let read = connection.read_exact(&mut answer).await;
        read.expect("it answers");
        assert_eq!(&answer, b"HTTP/1.1 204");
        connections.push(connection);
    }
    let each = resident_kib().saturating_sub(before) / CONNECTIONS;
    assert!(each < MAX_KIB_EACH, "{each} KiB for each connection");
}

#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let time = Duration::from_millis(300);
    let server = TestServer::start(|_| ServerOptions::new().request_timeout(time)).await;
    let answered = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for sent in [
        "",
        "GET /health/li",
        "GET / HTTP/1.1\r\nHost: local",
        answered,
    ] {
        let connection = TcpStream::connect(server.address()).await;
        let mut connection = connection.expect("it listens");
        let written = connection.write_all(sent.as_bytes()).await;
        written.expect("it is sent");
        let mut answer = Vec::new();
        let closed = timeout(MAX_WAIT, connection.read_to_end(&mut answer)).await;
        let closed = closed.expect("the server closes it");
        closed.expect("in order");
        let is_answered = answer.starts_with(b"HTTP/1.1 204");
        assert_eq!(is_answered, sent == answered, "{sent:?}");
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_cut_off() {
    let limit = Duration::from_secs(2);
    let server = TestServer::start(|_| ServerOptions::new().request_timeout(limit)).await;
    // More than a send buffer and a receive buffer take at once.
    let mut lines = String::new();
    for number in 0..900 {
        let content = format!("{number} {}", "rain ".repeat(1_900));
        lines.push_str(&format!("{{\"content\":\"{content}\"}}\n"));
    }
    let path = "/v1/entities/mira/import";
    let imported = server.request("POST", path).body(lines);
    let imported = Answer::of(imported.send().await.expect("it answers")).await;
    assert_eq!(imported.ok(200)["imported"], 900);

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a size");
    let connection = socket.connect(server.address()).await;
    let mut connection = connection.expect("it listens");
    let request = "GET /v1/entities/mira/export HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let written = connection.write_all(request.as_bytes()).await;
    written.expect("it is sent");
    // 160 KB a second: a third of the send buffer would take longer than the limit.
    let mut part = vec![0; 16 << 10];
    let started = Instant::now();
    while started.elapsed() < limit * 4 {
        connection.read_exact(&mut part).await.expect("it is sent");
        sleep(Duration::from_millis(100)).await;
    }
    let mut end = Vec::new();
    while !end.ends_with(b"\r\n0\r\n\r\n") {
        let read = timeout(MAX_WAIT, connection.read(&mut part)).await;
        let read = read.expect("it goes on").expect("it is sent");
        assert!(read > 0, "the answer breaks off");
        end.extend_from_slice(&part[..read]);
    }
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a number")
}
