//! Import and export as streams of lines.

use std::time::Duration;

use memory_server::{Access, ServerOptions, TokenScope, Tokens};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, TestServer};

const IMPORT: &str = "/v1/entities/mira/import";
const EXPORT: &str = "/v1/entities/mira/export";

async fn server() -> TestServer {
    TestServer::start(|_| ServerOptions::new()).await
}

async fn import(server: &TestServer, lines: impl Into<Vec<u8>>) -> Answer {
    let request = server.request("POST", IMPORT);
    let request = request.header("content-type", "application/x-ndjson");
    let sent = request.body(lines.into()).send().await;
    Answer::of(sent.expect("it answers")).await
}

async fn export(server: &TestServer) -> String {
    let response = server.request("GET", EXPORT).send().await;
    let response = response.expect("it answers");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    response.text().await.expect("a whole body")
}

async fn count(server: &TestServer) -> u64 {
    let stats = server.memory.entity_stats("mira").await;
    stats.expect("it is open").memory_count
}

fn days(count: usize) -> String {
    (0..count)
        .map(|day| format!("{{\"content\":\"Day {day} was dry.\"}}\n"))
        .collect()
}

/// Begins an import by hand: a body of `length` bytes, of which `sent` are sent.
async fn begin(server: &TestServer, length: usize, sent: &str) -> TcpStream {
    begin_with(server, "", length, sent).await
}

/// As [`begin`], with a further header.
async fn begin_with(server: &TestServer, header: &str, length: usize, sent: &str) -> TcpStream {
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST {IMPORT} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{header}\
         Content-Type: application/x-ndjson\r\n\r\n{sent}"
    );
    let written = stream.write_all(head.as_bytes()).await;
    written.expect("it is accepted");
    stream
}

/// Repeats a request until it has the status.
async fn until(server: &TestServer, status: u16) -> Answer {
    for _ in 0..2_000 {
        let answer = import(server, "").await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last = import(server, "").await;
    assert_eq!(last.status, status, "after ten seconds");
    last
}

#[tokio::test]
async fn an_export_imports_as_it_was() {
    let server = server().await;
    assert_eq!(export(&server).await, "");
    for _ in 0..2 {
        let body = r#"{"content":"Tam sold me a lame horse.","tags":["market"]}"#;
        let path = "/v1/entities/mira/memories";
        server.post(path, body).await.ok(201);
    }
    server
        .post("/v1/entities/mira/consolidate", "")
        .await
        .ok(200);
    // More than two pages.
    assert_eq!(import(&server, days(300)).await.ok(200)["imported"], 300);
    let exported = export(&server).await;
    assert_eq!(
        exported.lines().count(),
        303,
        "two sources, their summary, 300 days"
    );

    let other = self::server().await;
    let answer = import(&other, exported.clone()).await;
    let expected = json!({
        "imported": 303, "already_there": 0, "refused": 0, "refusals": [], "without_summary": 0,
        "own_links": 0,
    });
    assert_eq!(*answer.ok(200), expected);
    assert_eq!(export(&other).await, exported);

    let tag = other
        .request("GET", EXPORT)
        .send()
        .await
        .expect("it answers");
    let tag = tag.headers()["etag"].clone();
    let again = other
        .request("GET", EXPORT)
        .header("if-none-match", tag)
        .send();
    assert_eq!(again.await.expect("it answers").status(), 304);
}

#[tokio::test]
async fn refused_lines_are_named_and_the_others_are_stored() {
    let server = server().await;
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let long = format!(r#"{{"content":"{}"}}"#, "x".repeat(4 << 20));
    let mut lines = Vec::new();
    for line in [
        r#"{"content":"A secret."}"#,
        "",
        r#"{"content":"A secret.","kind":"dream"}"#,
        r#"{"content":"A secret.","improtance":1}"#,
        r#"{"entity":"tam","content":"A secret."}"#,
        r#"{"entity":"mira","content":"Rain."}"#,
        &format!(r#"{{"id":"{id}","content":"Snow."}}"#),
        &format!(r#"{{"id":"{id}","content":"A secret."}}"#),
        &format!(r#"{{"id":"{id}","content":"Snow."}}"#),
        &long,
        r#"{"content":"A secret."#,
    ] {
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
    lines.extend_from_slice(b"{\"content\":\"\xFF\"}\n{\"content\":\"The last.\"}");
    let answer = import(&server, lines).await;
    let answer = answer.ok(200);
    let counts = ["imported", "already_there", "refused"].map(|key| answer[key].as_u64());
    assert_eq!(counts, [Some(4), Some(1), Some(7)], "{answer}");
    let mut refusals = answer["refusals"].as_array().expect("a list").clone();
    refusals.sort_by_key(|it| it["line"].as_u64());
    let expected = [
        (3, "invalid_input", "dream"),
        (4, "invalid_input", "improtance"),
        (5, "invalid_input", "the path"),
        (8, "conflict", "line 7"),
        (10, "invalid_input", "4194304 bytes"),
        (11, "invalid_input", "EOF"),
        (12, "invalid_input", "UTF-8"),
    ];
    for (refusal, (line, kind, says)) in refusals.iter().zip(expected) {
        assert_eq!(
            (&refusal["line"], &refusal["kind"]),
            (&json!(line), &json!(kind))
        );
        let message = refusal["message"].as_str().expect("a reason");
        assert!(message.contains(says), "{refusal}");
        assert!(!message.contains("secret"), "{refusal}");
    }
    assert_eq!(count(&server).await, 4);

    let answer = import(&server, "no\n".repeat(3_000)).await;
    assert_eq!(answer.ok(200)["refused"], 3_000);
    let refusals = answer.body["refusals"].as_array().map(Vec::len);
    assert_eq!(refusals, Some(1_000), "an answer has a limit");
}

#[tokio::test]
async fn a_repeated_import_adds_nothing() {
    let server = server().await;
    let lines = "{\"content\":\"Rain.\"}\n{\"content\":\"Rain.\"}\n";
    for imported in [2, 0] {
        let answer = import(&server, lines).await;
        assert_eq!(answer.ok(200)["imported"], imported);
        assert_eq!(answer.body["already_there"], 2 - imported);
    }
    let keyed = async |key: &str, lines: &str| {
        let request = server
            .request("POST", IMPORT)
            .header("Idempotency-Key", key);
        let sent = request.body(lines.to_owned()).send().await;
        Answer::of(sent.expect("it answers")).await
    };
    for imported in [2, 0] {
        let answer = keyed("a", lines).await;
        assert_eq!(answer.ok(200)["imported"], imported);
    }
    let other = keyed("a", "{\"content\":\"Snow.\"}\n").await;
    assert_eq!(other.ok(200)["refusals"][0]["kind"], "conflict");
    keyed("", lines).await.problem(400, "invalid_input");
    assert_eq!(count(&server).await, 4);
}

#[tokio::test]
async fn bodies_beyond_their_limit_or_of_another_format_are_problems() {
    let server = TestServer::start(|_| ServerOptions::new().max_import_bytes(20_000)).await;
    let long = import(&server, days(1_000)).await;
    let detail = long.problem(413, "invalid_input");
    assert!(detail.contains("20000 bytes"), "{detail}");
    assert!(detail.contains("equal lines that have no `id`"), "{detail}");
    let imported = long.body["import"]["imported"].as_u64().expect("a count");
    assert_eq!(count(&server).await, imported, "what came before is stored");
    for (body, says) in [
        (&b"\x1F\x8B\x08\0\0\0\0\0\0\0\0\0"[..], "gzip"),
        (&b"\xFF\xFE{\0"[..], "UTF-16"),
        (&b"SQLite format 3\0"[..], "SQLite"),
    ] {
        let refused = import(&server, body).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains(says), "{detail}");
    }
    let request = server
        .request("POST", IMPORT)
        .header("content-type", "text/csv");
    let refused = request.body("a,b").send().await.expect("it answers");
    let refused = Answer::of(refused).await;
    refused.problem(415, "unsupported_media_type");
    let blank = server.post("/v1/entities/%20/import", "").await;
    blank.problem(400, "invalid_input");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_server_that_imports_the_rest() {
    let server = server().await;
    let lines = days(1_000);
    let half = &lines[..lines.len() / 2];
    for _ in 0..3 {
        drop(begin(&server, lines.len(), half).await);
    }
    let answer = import(&server, lines).await;
    let answer = answer.ok(200);
    let there = ["imported", "already_there"].map(|key| answer[key].as_u64().unwrap_or(0));
    assert_eq!(there.iter().sum::<u64>(), 1_000, "{answer}");
    assert_eq!(answer["refused"], 0, "{answer}");
    assert_eq!(count(&server).await, 1_000);

    // A reader that leaves early.
    let mut response = server
        .request("GET", EXPORT)
        .send()
        .await
        .expect("it answers");
    assert!(response.chunk().await.expect("a part").is_some());
    drop(response);
    assert_eq!(export(&server).await.lines().count(), 1_000);
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_what_was_stored() {
    let idle = Duration::from_millis(300);
    let server = TestServer::start(|_| ServerOptions::new().request_timeout(idle)).await;
    let cut = "{\"content\":\"Rain.\"}\n{\"content\":\"Snow.\"}\n{\"content\":\"Cut o";
    let mut stream = begin(&server, 10_000, cut).await;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["kind"], "timeout");
    assert_eq!(problem["import"]["imported"], 2, "{problem}");
    assert_eq!(
        problem["import"]["refused"], 0,
        "a line that was cut off is none: {problem}"
    );
    assert_eq!(count(&server).await, 2);
}

/// The rest alone would take its second "Rain." for the one that is stored.
#[tokio::test]
async fn lines_that_are_sent_again_as_a_problem_advises_are_all_stored() {
    let idle = Duration::from_millis(300);
    let server = TestServer::start(|_| ServerOptions::new().request_timeout(idle)).await;
    let line = "{\"content\":\"Rain.\"}\n";
    let mut stream = begin(&server, 10_000, line).await;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.expect("an answer, then the end");
    assert!(answer.contains("send the same lines again"), "{answer}");
    assert!(!answer.contains("the rest"), "{answer}");
    assert_eq!(count(&server).await, 1);
    let answer = import(&server, line.repeat(2)).await;
    assert_eq!(answer.ok(200)["imported"], 1);
    assert_eq!(answer.body["already_there"], 1);
    assert_eq!(count(&server).await, 2);
}

#[tokio::test]
async fn a_fifth_import_at_once_is_refused_until_one_ends() {
    let server = server().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(begin(&server, 1_000, "{\"content\":\"Rain.\"}\n").await);
    }
    let refused = until(&server, 503).await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Other requests are answered.
    server.get("/v1/entities/mira/memories").await.ok(200);
    drop(open);
    until(&server, 200).await;
}

#[tokio::test]
async fn a_client_that_sends_too_slowly_makes_room_for_others() {
    let server = TestServer::start(|_| {
        let options = ServerOptions::new().request_timeout(Duration::from_secs(1));
        options.min_import_rate(1_000)
    })
    .await;
    let mut slow = begin(&server, 1_000_000, "{\"content\":\"Rain.\"}\n").await;
    let (mut reading, mut writing) = slow.split();
    // A byte now and then, so that it is never idle for long.
    let sending = async {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut answer = String::new();
    let read = tokio::select! {
        read = reading.read_to_string(&mut answer) => read,
        () = sending => reading.read_to_string(&mut answer).await,
    };
    // The rest of what was sent may end the connection.
    let _ = read;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("less than 1000 bytes per second; send the same lines again"),
        "{answer}"
    );
    assert_eq!(count(&server).await, 1, "what came before is stored");
}

/// A server with a token that may write.
async fn server_with_token() -> TestServer {
    let mut token = String::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        let scope = TokenScope {
            entities: "mira".to_owned(),
            access: Access::Write,
        };
        token = Tokens::create(&path, scope).expect("a file").token;
        ServerOptions::new().tokens(Tokens::open(path).expect("it is there"))
    })
    .await;
    server.set_token(&*token);
    server
}

/// Begins an import and changes the file of tokens when it has stored a batch of 256.
async fn change_tokens_while_importing(
    server: &TestServer,
    change: impl FnOnce(String) -> String,
) -> String {
    let token = server.token.as_deref().expect("a token");
    let header = format!("Authorization: Bearer {token}\r\n");
    let before = count(server).await;
    let mut importing = begin_with(server, &header, 1_000_000, &days(256)).await;
    for _ in 0..6_000 {
        if count(server).await == before + 256 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let path = server.folder.path().join("tokens");
    let tokens = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(path, change(tokens)).expect("it is ours");
    // The file is read again within a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    let line = "{\"content\":\"Rain.\"}\n";
    let written = importing.write_all(line.as_bytes()).await;
    written.expect("it is open");
    let mut answer = String::new();
    // The rest of what was sent may end the connection.
    let _ = importing.read_to_string(&mut answer).await;
    assert!(answer.contains("\"imported\":256"), "{answer}");
    answer
}

#[tokio::test]
async fn an_import_and_an_export_end_when_their_token_is_revoked() {
    let server = server_with_token().await;
    let long = "x".repeat(9_000);
    let memory = |day| {
        memory::MemoryBatchItem::new("mira", memory::MemoryKind::World, format!("{day} {long}"))
    };
    for hundred in 0..12 {
        let memories = (0..100).map(|day| memory(hundred * 100 + day));
        let retained = server.memory.retain_batch(memories).await;
        retained.expect("they are retained");
    }
    let mut exporting = server
        .request("GET", EXPORT)
        .send()
        .await
        .expect("it answers");
    assert!(exporting.chunk().await.expect("a part").is_some());
    let answer = change_tokens_while_importing(&server, |_| String::new()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let rest = async {
        while exporting.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(rest.await.is_err(), "it breaks off");
}

#[tokio::test]
async fn an_import_that_ends_with_its_access_says_why() {
    let server = server_with_token().await;
    let reduced = |tokens: String| tokens.replace("\"write\"", "\"read\"");
    let answer = change_tokens_while_importing(&server, reduced).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("no longer allows"), "{answer}");

    // A file that is written in two steps revokes no token.
    let server = server_with_token().await;
    let half = |tokens: String| tokens[..tokens.len() / 2].to_owned();
    let answer = change_tokens_while_importing(&server, half).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("no longer accepted"), "{answer}");
    assert!(answer.contains("cannot read its token file"), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_disconnected() {
    let time = Duration::from_millis(300);
    let server = TestServer::start(|_| ServerOptions::new().request_timeout(time)).await;
    let long = "x".repeat(9_000);
    let memory = |day| {
        memory::MemoryBatchItem::new("mira", memory::MemoryKind::World, format!("{day} {long}"))
    };
    for hundred in 0..12 {
        // Some megabytes: more than the buffers of a connection hold.
        let items = (0..100).map(|day| memory(hundred * 100 + day));
        server
            .memory
            .retain_batch(items)
            .await
            .expect("they are retained");
    }
    let mut stream = TcpStream::connect(server.address())
        .await
        .expect("it listens");
    let request = format!("GET {EXPORT} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    tokio::time::sleep(time * 10).await;
    let mut read = Vec::new();
    // It ends, with an error or early.
    let _ = stream.read_to_end(&mut read).await;
    assert!(read.starts_with(b"HTTP/1.1 200"), "{} bytes", read.len());
    assert!(!read.ends_with(b"0\r\n\r\n"), "{} bytes", read.len());
}

#[tokio::test]
async fn a_token_leaves_an_import_for_others() {
    let mut made = Vec::new();
    let mut server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        for _ in 0..2 {
            let scope = TokenScope {
                entities: String::new(),
                access: Access::Write,
            };
            made.push(Tokens::create(&path, scope).expect("a token").token);
        }
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    let header = format!("Authorization: Bearer {}\r\n", made[0]);
    let mut open = Vec::new();
    for _ in 0..3 {
        let line = "{\"content\":\"Rain.\"}\n";
        open.push(begin_with(&server, &header, 1_000, line).await);
    }
    server.set_token(made[0].as_str());
    let refused = until(&server, 503).await;
    let detail = refused.problem(503, "unavailable");
    assert!(detail.contains("3 imports with this token"), "{detail}");
    server.set_token(made[1].as_str());
    import(&server, "").await.ok(200);
    drop(open);
    server.set_token(made[0].as_str());
    until(&server, 200).await;
}
