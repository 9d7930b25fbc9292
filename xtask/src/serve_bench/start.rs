//! How soon a new process answers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::BenchError;
use super::results::Start;
use super::server::{Client, ENTITY, MemoryCommand, Server, parse};
use crate::error::TaskError;
use crate::shell;

/// Starts `memory serve` and `memory mcp` so many times on a database, and asks a question.
pub(super) fn measure(
    memory: &MemoryCommand,
    database: &Path,
    question: &str,
    runs: usize,
) -> Result<Vec<Start>, TaskError> {
    let serve = median("memory serve", runs, || serve(memory, database, question))?;
    let mcp = median("memory mcp", runs, || mcp(memory, database, question))?;
    Ok(vec![serve, mcp])
}

/// Until it was ready, and until a question was answered.
type Times = (Duration, Duration);

fn median(
    command: &str,
    runs: usize,
    run: impl Fn() -> Result<Times, TaskError>,
) -> Result<Start, TaskError> {
    let (mut ready, mut recalled) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let times = run()?;
        ready.push(times.0.as_secs_f64());
        recalled.push(times.1.as_secs_f64());
    }
    let middle = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds.get(runs / 2).copied().unwrap_or_default()
    };
    Ok(Start {
        command: command.to_owned(),
        runs,
        ready: middle(ready),
        recalled: middle(recalled),
    })
}

fn serve(memory: &MemoryCommand, database: &Path, question: &str) -> Result<Times, TaskError> {
    // The token is made before.
    let started = Instant::now();
    let server = Server::start(memory, database)?;
    let before = started.elapsed() - server.ready;
    let path = Client::entity_path("recall");
    server.client.post(&path, &json!({"text": question}))?;
    Ok((server.ready, started.elapsed() - before))
}

fn mcp(memory: &MemoryCommand, database: &Path, question: &str) -> Result<Times, TaskError> {
    let mut command = memory.on(database);
    command.args(["mcp", "--entity", ENTITY]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let started = Instant::now();
    let mut process = command.spawn().map_err(shell::start_failed(&command))?;
    let times = converse(&mut process, question, started);
    // It ends when its input is closed, at the latest when it is killed.
    let _ = process.kill();
    let _ = process.wait();
    times
}

/// Initializes the protocol, and calls the tool `recall`.
fn converse(process: &mut Child, question: &str, started: Instant) -> Result<Times, TaskError> {
    let stdin = process.stdin.take();
    let stdout = process.stdout.take();
    let (mut stdin, stdout) = stdin.zip(stdout).ok_or(BenchError::NotReady)?;
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let mut send = |message: Value| {
        // Where the process has ended, it does not answer either.
        let _ = writeln!(stdin, "{message}");
    };
    let mut answer = || {
        let line = lines.next().ok_or(BenchError::NotReady)?;
        let answer = parse("mcp", &line)?;
        let text = answer["result"].to_string();
        match answer["result"]["isError"] == true || text == "null" {
            true => Err(BenchError::Tool { answer: line }.into()),
            false => Ok::<_, TaskError>(()),
        }
    };
    send(
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "serve-bench", "version": "0"}
        }}),
    );
    answer()?;
    let ready = started.elapsed();
    send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    send(
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "recall", "arguments": {"text": question}
        }}),
    );
    answer()?;
    Ok((ready, started.elapsed()))
}
