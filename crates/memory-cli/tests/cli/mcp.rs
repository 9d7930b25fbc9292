//! The MCP server as a process: a client of the protocol's own library, what standard
//! output carries, signals.

use std::process::Stdio;

use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, ReadResourceRequestParams, ResourceContents};
use rmcp::service::RunningService;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::test_dir::{TestDir, parse};

/// A client, and the process that it talks to.
struct Session {
    client: RunningService<RoleClient, ()>,
    process: Child,
}

impl Session {
    async fn start(dir: &TestDir, args: &[&str]) -> Self {
        let mut command = tokio::process::Command::from(dir.command(args));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().expect("it starts");
        let input = process.stdin.take().expect("it was piped");
        let output = process.stdout.take().expect("it was piped");
        let client = rmcp::serve_client((), (output, input)).await;
        Self {
            client: client.expect("the handshake"),
            process,
        }
    }

    /// Calls a tool; returns its text, and whether it is an error.
    async fn call(&self, tool: &'static str, arguments: Value) -> (String, bool) {
        let arguments = arguments.as_object().cloned().expect("an object");
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = self.client.call_tool(request).await.expect("an answer");
        let text = result.content[0].as_text().expect("text").text.clone();
        (text, result.is_error == Some(true))
    }

    #[track_caller]
    fn ok((text, is_error): (String, bool)) -> Value {
        assert!(!is_error, "{text}");
        parse(&text)
    }

    #[track_caller]
    fn refused((text, is_error): (String, bool)) -> String {
        assert!(is_error, "{text}");
        text
    }

    /// Leaves; the process must end by itself, in order.
    async fn leave(self) {
        let Self {
            client,
            mut process,
        } = self;
        client.cancel().await.expect("the client ends");
        assert!(process.wait().await.expect("it ends").success());
    }
}

#[tokio::test]
async fn an_agent_remembers_over_standard_input_and_output() {
    let dir = TestDir::new();
    let session = Session::start(&dir, &["mcp", "--entity", "mira"]).await;
    let info = session.client.peer_info().expect("it introduced itself");
    let instructions = info.instructions.as_deref().expect("instructions");
    assert!(
        instructions.contains("Call recall before"),
        "{instructions}"
    );

    let tools = session.client.list_all_tools().await.expect("tools");
    let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
    let expected = [
        "retain",
        "recall",
        "reflect",
        "get",
        "list",
        "update",
        "forget",
        "relate",
        "consolidate",
        "stats",
    ];
    assert_eq!(names, expected);
    let retain = &tools[0].input_schema;
    assert_eq!(
        retain["required"],
        json!(["content"]),
        "one entity is served"
    );

    // Its name was not chosen by the model, so nothing is said of it.
    for (tool, arguments) in [
        ("recall", json!({"text": "A horse?"})),
        ("stats", json!({})),
    ] {
        let nothing = Session::ok(session.call(tool, arguments).await);
        let note = nothing["note"].as_str().expect("a note");
        assert!(note.contains("Nothing has been stored yet"), "{note}");
        assert!(!note.contains("misspelled"), "{note}");
    }

    let horse = json!({
        "content": "Tam sold me a lame horse.",
        "tags": ["market"],
        "entities": {"tam": "seller"},
        "timestamp": "2026-03-01T09:30:00Z",
    });
    let first = Session::ok(session.call("retain", horse).await)["id"].clone();
    let mill = json!({"content": "The mill stands north of the bridge.", "kind": "world"});
    let second = Session::ok(session.call("retain", mill).await)["id"].clone();

    let question = json!({"text": "Who sold me the horse?", "limit": 1});
    let recalled = Session::ok(session.call("recall", question.clone()).await);
    let found = &recalled["memories"][0];
    assert_eq!(found["id"], first);
    assert_eq!(found["content"], "Tam sold me a lame horse.");
    assert_eq!(found["entities"], json!({"tam": "seller"}));
    assert!(found["relevance"].is_number(), "{found}");
    let reflected = Session::ok(session.call("reflect", question).await);
    assert_eq!(reflected["memories"][0]["id"], first);
    let note = reflected["note"].as_str().expect("a note");
    assert!(note.contains("no language model"), "{note}");

    let link = json!({"from": first, "to": second, "relation": "happened at"});
    Session::ok(session.call("relate", link).await);
    let read = Session::ok(session.call("get", json!({"id": second})).await);
    assert_eq!(read["memory"]["kind"], "world");
    assert_eq!(
        read["related"],
        json!([{"direction": "incoming", "relation": "happened at", "id": first}])
    );

    let change = json!({"id": second, "content": "The mill burned down.", "importance": 0.9});
    Session::ok(session.call("update", change).await);
    let page = Session::ok(session.call("list", json!({"limit": 1})).await);
    assert_eq!(page["memories"][0]["content"], "The mill burned down.");
    let rest = json!({"limit": 1, "after": page["next"]});
    let rest = Session::ok(session.call("list", rest).await);
    assert_eq!(rest["memories"][0]["id"], first);
    assert_eq!(rest["next"], Value::Null, "{rest}");

    let merged = Session::ok(session.call("consolidate", json!({})).await);
    assert_eq!(merged["summarized"], 0);
    let gone = Session::ok(session.call("forget", json!({"id": second})).await);
    assert_eq!(gone["forgotten"], json!([second]));
    let stats = Session::ok(session.call("stats", json!({})).await);
    assert_eq!(stats, json!({"memories": 1, "archived": 0}));

    let resources = session.client.list_all_resources().await.expect("a list");
    assert_eq!(resources.len(), 1);
    assert_eq!(resources[0].uri, "memory://entities/mira");
    let request = ReadResourceRequestParams::new("memory://entities/mira");
    let read = session.client.read_resource(request).await;
    let contents = read.expect("a resource").contents;
    let ResourceContents::TextResourceContents { text, .. } = &contents[0] else {
        panic!("not text: {contents:?}");
    };
    assert_eq!(parse(text)["memories"][0]["id"], first);
    session.leave().await;

    // What it wrote is there for the next process.
    let listed = dir.run(&["list", "mira"]).code(0);
    assert!(listed.out.contains("lame horse"), "{listed:?}");
}

#[tokio::test]
async fn errors_tell_a_model_what_to_do() {
    let dir = TestDir::new();
    let session = Session::start(&dir, &["mcp"]).await;
    let tools = session.client.list_all_tools().await.expect("tools");
    assert_eq!(
        tools[0].input_schema["required"],
        json!(["entity", "content"])
    );

    let missing = "0192d3a0-0000-7000-8000-000000000001";
    let cases = [
        ("recall", json!({"text": "x"}), "`entity` is missing"),
        ("recall", json!({"entity": " ", "text": "x"}), "entity"),
        (
            "recall",
            json!({"entity": "mira"}),
            "recall requires `text`",
        ),
        (
            "recall",
            json!({"entity": "mira", "text": "x", "limt": 3}),
            "recall has no argument \"limt\"; it has: as_of, entity, involves,",
        ),
        (
            "recall",
            json!({"entity": "mira", "text": "x", "limit": "many"}),
            "`limit` is not as its schema says: {",
        ),
        (
            "recall",
            json!({"entity": "mira", "text": "x", "since": "yesterday"}),
            "`since` is not as its schema says: {",
        ),
        (
            "recall",
            json!({"entity": "mira", "text": "x", "limit": 0}),
            "it must be from 1 to 1000",
        ),
        (
            "recall",
            json!({"entity": "mira", "text": "x", "max_chars": 10}),
            "`max_chars` is 10; it must be 500 to 1000000",
        ),
        (
            "retain",
            json!({"entity": "mira", "content": " "}),
            "Correct the argument",
        ),
        (
            "get",
            json!({"entity": "mira", "id": missing}),
            "Ids come from recall and list",
        ),
        (
            "update",
            json!({"entity": "mira", "id": missing}),
            "Nothing to change was given",
        ),
        (
            "list",
            json!({"entity": "mira", "after": "x"}),
            "`after` must be `next`",
        ),
    ];
    for (tool, arguments, expected) in cases {
        let text = Session::refused(session.call(tool, arguments.clone()).await);
        assert!(text.contains(expected), "{tool} {arguments}: {text}");
    }
    let unknown = CallToolRequestParams::new("remember");
    let error = session
        .client
        .call_tool(unknown)
        .await
        .expect_err("no such tool");
    assert!(error.to_string().contains("retain, recall"), "{error}");
    let nothing = json!({"entity": "mira", "text": "Who sold me the horse?"});
    let nothing = Session::ok(session.call("recall", nothing).await);
    assert_eq!(nothing["memories"], json!([]));
    assert!(
        nothing["note"]
            .as_str()
            .expect("a note")
            .contains("Do not guess")
    );
    session.leave().await;
}

#[test]
fn standard_output_carries_the_protocol_alone() {
    let dir = TestDir::new();
    let version = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let input = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": version}).to_string(),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
        "this is no message".to_owned(),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string(),
    ];
    let run = dir.run_on(&["mcp"], input.join("\n") + "\n").code(0);
    let messages: Vec<Value> = run.out.lines().map(parse).collect();
    assert!(
        messages.iter().all(|message| message["jsonrpc"] == "2.0"),
        "{run:?}"
    );
    let answer = |id: u64| messages.iter().find(|message| message["id"] == id);
    let introduced = &answer(1).expect("an answer")["result"];
    assert_eq!(introduced["protocolVersion"], "2025-06-18");
    assert_eq!(introduced["serverInfo"]["name"], "memory");
    let tools = &answer(2).expect("an answer")["result"]["tools"];
    assert_eq!(tools.as_array().map(Vec::len), Some(10));

    // A client that leaves at once is no error; one that speaks something else is.
    let silent = dir.run_on(&["mcp"], "").code(0);
    assert_eq!((silent.out.as_str(), silent.err.as_str()), ("", ""));
    let named = dir.run(&["--json", "mcp", "--entity", " "]);
    assert!(named.fails(3, "invalid_input").contains("entity"));
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    let dir = TestDir::new();
    let mut session = Session::start(&dir, &["mcp", "--entity", "mira"]).await;
    Session::ok(session.call("retain", json!({"content": "Rain."})).await);
    let pid = session.process.id().expect("it runs").to_string();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(killed.expect("kill runs").success());
    assert!(session.process.wait().await.expect("it ends").success());
    assert!(dir.run(&["list", "mira"]).code(0).out.contains("Rain."));
}
