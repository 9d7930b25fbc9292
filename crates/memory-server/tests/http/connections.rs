//! The memory that open connections take.

use std::fs;

use memory_server::ServerOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::TestServer;

const CONNECTIONS: u64 = 200;

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

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a number")
}
