//! Loads by wrk, which takes little of the machine that the server runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::BenchError;
use super::results::Load;
use super::server::{Client, parse};
use crate::error::TaskError;
use crate::{debian, shell};

/// What wrk runs.
const SCRIPT: &str = "benches/http/load.lua";

/// A request is counted as failed after this time.
const TIMEOUT: &str = "30s";

#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    /// `{N}` becomes a number that no other request has.
    pub(super) body: Option<Value>,
}

impl Request {
    pub(super) fn get(path: String) -> Self {
        Self {
            method: "GET",
            path,
            body: None,
        }
    }

    pub(super) fn post(path: String, body: Value) -> Self {
        Self {
            method: "POST",
            path,
            body: Some(body),
        }
    }
}

pub(super) struct Wrk {
    program: PathBuf,
    /// The file with the requests.
    requests: PathBuf,
}

impl Wrk {
    /// The program, which writes into the folder.
    pub(super) fn new(folder: &Path) -> Result<Self, TaskError> {
        Ok(Self {
            program: debian::wrk()?,
            requests: folder.join("requests.tsv"),
        })
    }

    /// Sends the requests in order, again and again, by so many connections.
    pub(super) fn run(
        &self,
        client: &Client,
        requests: &[Request],
        connections: u32,
        duration: Duration,
    ) -> Result<Load, TaskError> {
        let mut lines = String::new();
        for Request { method, path, body } in requests {
            let body = body.as_ref().map(Value::to_string).unwrap_or_default();
            lines.push_str(&format!("{method}\t{path}\t{body}\n"));
        }
        fs::write(&self.requests, lines).map_err(|source| TaskError::Write {
            path: self.requests.clone(),
            source,
        })?;
        let mut wrk = Command::new(&self.program);
        wrk.args(["--threads", "1", "--timeout", TIMEOUT])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &format!("{}s", duration.as_secs())])
            .args([
                "--header",
                &format!("Authorization: {}", client.authorization()),
            ])
            .arg("--script")
            .arg(shell::root().join(SCRIPT))
            .args([&client.url, "--"])
            .arg(&self.requests);
        let output = shell::read_stdout(&mut wrk)?;
        let summary = output.lines().find(|line| line.starts_with('{'));
        load(summary.ok_or(BenchError::NoSummary)?, connections)
    }
}

/// What the script printed.
fn load(summary: &str, connections: u32) -> Result<Load, TaskError> {
    let summary = parse("wrk", summary)?;
    let number = |name: &str| summary[name].as_f64().unwrap_or_default();
    let count = |name: &str| {
        let count = summary[name].as_u64().unwrap_or_default();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let seconds = |name: &str| number(name) / 1e6;
    Ok(Load {
        connections,
        requests: count("requests"),
        failed: count("failed"),
        seconds: seconds("micros"),
        p50: seconds("p50"),
        p99: seconds("p99"),
        max: seconds("max"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_the_script_is_read() {
        let summary =
            r#"{"requests":20,"micros":2000000,"failed":1,"p50":150,"p99":900,"max":1000}"#;
        let load = load(summary, 2).unwrap();
        assert_eq!((load.requests, load.failed), (20, 1));
        assert!((load.per_second() - 10.0).abs() < 1e-9);
        assert!((load.mean() - 0.2).abs() < 1e-9);
        assert!((load.p50 - 150e-6).abs() < 1e-12);
    }
}
