//! Compressed answers.

use memory_server::ServerOptions;
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::harness::TestServer;

async fn get(server: &TestServer, path: &str, encodings: &str) -> Response {
    let request = server.request("GET", path);
    let sent = request.header("accept-encoding", encodings).send().await;
    sent.expect("it answers")
}

fn encoding(headers: &HeaderMap) -> Option<&str> {
    headers.get("content-encoding")?.to_str().ok()
}

#[tokio::test]
async fn long_answers_are_compressed_for_clients_that_ask_for_gzip() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let lines = (0..300).map(|day| format!("{{\"content\":\"Day {day} was dry.\"}}\n"));
    let lines: String = lines.collect();
    let imported = server.post("/v1/entities/mira/import", &lines).await;
    assert_eq!(imported.ok(200)["imported"], 300);
    // A page is of a known length, an export is a stream.
    for path in ["/memories?limit=300", "/export"] {
        let path = format!("/v1/entities/mira{path}");
        let plain = get(&server, &path, "identity").await;
        assert_eq!(encoding(plain.headers()), None, "{path}");
        let plain = plain.bytes().await.expect("a whole body");
        for encodings in ["gzip", "br, zstd, gzip;q=0.5, deflate"] {
            let compressed = get(&server, &path, encodings).await;
            let headers = compressed.headers().clone();
            assert_eq!(encoding(&headers), Some("gzip"), "{path} {encodings}");
            assert_eq!(headers["vary"], "accept-encoding");
            assert!(headers.contains_key("etag"), "{headers:?}");
            let bytes = compressed.bytes().await.expect("a whole body");
            assert!(
                bytes.len() < plain.len() / 3,
                "{path}: {} bytes",
                bytes.len()
            );
            assert!(bytes.starts_with(b"\x1F\x8B"));
            // The end has the length of the whole text (RFC 1952).
            let (_, end) = bytes.split_at(bytes.len() - 4);
            let length = u32::from_le_bytes(end.try_into().expect("four bytes"));
            assert_eq!(length as usize, plain.len(), "{path}");
        }
        // The server has no other encoding.
        let other = get(&server, &path, "br, zstd, deflate").await;
        assert_eq!(encoding(other.headers()), None, "{path}");
        assert_eq!(other.bytes().await.expect("a whole body"), plain);
    }
    // What is short would become longer.
    let short = server.request("POST", "/v1/entities/mira/count");
    let short = short.header("accept-encoding", "gzip").send().await;
    let short = short.expect("it answers");
    assert_eq!(encoding(short.headers()), None);
    assert_eq!(
        short.text().await.expect("a whole body"),
        r#"{"count":300}"#
    );
    let unchanged = get(&server, "/health/live", "gzip").await;
    assert_eq!(
        (unchanged.status().as_u16(), encoding(unchanged.headers())),
        (204, None)
    );
}
