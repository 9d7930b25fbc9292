//! `memory serve` as a process, and a client for it.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use memory_assets::CACHE_ENV;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use super::BenchError;
use crate::error::TaskError;
use crate::shell;

/// The entity whose memories are read and asked about.
pub(super) const ENTITY: &str = "bench";

/// The command `memory`, with the environment reduced to the cache folder.
pub(super) struct MemoryCommand {
    pub(super) path: PathBuf,
    pub(super) cache: PathBuf,
}

impl MemoryCommand {
    pub(super) fn on(&self, database: &Path) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("MEMORY_") {
                command.env_remove(name);
            }
        }
        command.env(CACHE_ENV, &self.cache);
        command.arg("--db").arg(database);
        command
    }

    /// A token for everything; the file of tokens is in the folder of the database.
    fn token(&self, database: &Path) -> Result<String, TaskError> {
        let mut token = self.on(database);
        token.args(["--json", "token"]).arg(tokens(database));
        token.args(["--access", "write"]);
        let made: Value = parse("token", &shell::read_stdout(&mut token)?)?;
        Ok(made["token"].as_str().unwrap_or_default().to_owned())
    }
}

fn tokens(database: &Path) -> PathBuf {
    database.with_file_name("tokens")
}

/// Resident memory in KiB.
pub(super) struct Resident {
    pub(super) now: u64,
    /// Since the start of the process.
    pub(super) peak: u64,
}

/// A server on loopback with a token. Dropping it kills the process.
pub(super) struct Server {
    process: Child,
    /// It must not be closed before the process ends.
    _stdout: BufReader<ChildStdout>,
    pub(super) client: Client,
    /// From its start until it listened.
    pub(super) ready: Duration,
}

impl Server {
    /// Starts it on a free port.
    pub(super) fn start(memory: &MemoryCommand, database: &Path) -> Result<Self, TaskError> {
        let token = memory.token(database)?;
        Self::start_on(memory, database, "127.0.0.1:0", token)
    }

    /// Starts it on the address of a former one, with its token.
    pub(super) fn restart(
        memory: &MemoryCommand,
        database: &Path,
        former: &Client,
    ) -> Result<Self, TaskError> {
        let address = former.url.trim_start_matches("http://");
        Self::start_on(memory, database, address, former.token.clone())
    }

    fn start_on(
        memory: &MemoryCommand,
        database: &Path,
        listen: &str,
        token: String,
    ) -> Result<Self, TaskError> {
        let mut command = memory.on(database);
        command.args(["serve", "--listen", listen, "--tokens"]);
        command.arg(tokens(database)).stdout(Stdio::piped());
        let start = Instant::now();
        let mut process = command.spawn().map_err(shell::start_failed(&command))?;
        let stdout = process.stdout.take().ok_or(BenchError::NotReady)?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        // At an error the line is empty, and there is no address.
        let _ = stdout.read_line(&mut line);
        let ready = start.elapsed();
        let url = line.trim().strip_prefix("listening on ");
        let url = url.ok_or(BenchError::NotReady)?.to_owned();
        Ok(Self {
            process,
            _stdout: stdout,
            client: Client::new(url, token),
            ready,
        })
    }

    pub(super) fn resident(&self) -> Result<Resident, TaskError> {
        resident(self.process.id())
    }

    /// Kills it with `SIGKILL`.
    pub(super) fn kill(mut self) -> Result<(), TaskError> {
        let failed = |source| TaskError::Start {
            command: "kill".to_owned(),
            source,
        };
        self.process.kill().map_err(failed)?;
        self.process.wait().map(drop).map_err(failed)
    }
}

/// Resident memory of a process.
pub(super) fn resident(id: u32) -> Result<Resident, TaskError> {
    let status = shell::read_text(&PathBuf::from(format!("/proc/{id}/status")))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Ok(Resident {
        now: field("VmRSS:"),
        peak: field("VmHWM:"),
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends requests with a token. Clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    /// Without a path.
    pub(super) url: String,
    pub(super) token: String,
}

impl Client {
    fn new(url: String, token: String) -> Self {
        let config = Agent::config_builder().http_status_as_error(false);
        let config = config.max_idle_connections_per_host(100);
        Self {
            agent: config.build().new_agent(),
            url,
            token,
        }
    }

    /// The path of something of the entity.
    pub(super) fn entity_path(path: &str) -> String {
        format!("/v1/entities/{ENTITY}/{path}")
    }

    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(super) fn get(&self, path: &str) -> Result<String, TaskError> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request.header("Authorization", self.authorization());
        text(path, request.call())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, TaskError> {
        parse(path, &self.post_with_key(path, body, None)?)
    }

    /// Like [`Self::post`], with an idempotency key; returns the text.
    pub(super) fn post_with_key(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<String, TaskError> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let mut request = request
            .header("Authorization", self.authorization())
            .content_type("application/json");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        text(path, request.send(body.to_string()))
    }

    /// Sends a file of JSON lines.
    pub(super) fn import(&self, file: &Path) -> Result<Value, TaskError> {
        let path = Self::entity_path("import");
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request
            .header("Authorization", self.authorization())
            .content_type("application/x-ndjson");
        let file = File::open(file).map_err(|source| TaskError::Read {
            path: file.to_owned(),
            source,
        })?;
        parse(&path, &text(&path, request.send(file))?)
    }

    /// Reads the export of the entity to its end; returns its bytes.
    pub(super) fn drain_export(&self) -> Result<u64, TaskError> {
        let path = Self::entity_path("export");
        let request = self.agent.get(format!("{}{path}", self.url));
        let sent = request.header("Authorization", self.authorization()).call();
        let body = checked(&path, sent)?.into_body().into_with_config();
        let mut reader = body.limit(u64::MAX).reader();
        let read = io::copy(&mut reader, &mut io::sink());
        read.map_err(|source| {
            let source = Box::new(source.into());
            BenchError::Request { path, source }.into()
        })
    }

    /// The lines of the export of the entity.
    pub(super) fn export(&self) -> Result<Vec<Value>, TaskError> {
        let path = Self::entity_path("export");
        let text = self.get(&path)?;
        text.lines().map(|line| parse(&path, line)).collect()
    }

    /// The number of the operations of this name, and the seconds that they took.
    pub(super) fn operations(&self, name: &str) -> Result<(f64, f64), TaskError> {
        let metrics = self.get("/metrics")?;
        let value = |suffix: &str| metric(&metrics, &operation_metric(suffix, name));
        Ok((value("count"), value("sum")))
    }
}

fn operation_metric(suffix: &str, name: &str) -> String {
    format!("memory_operation_duration_{suffix}{{operation=\"{name}\"}}")
}

/// The value of a metric in Prometheus text, 0 if it is not there.
fn metric(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|value| value.trim().parse().ok());
    value.unwrap_or(0.0)
}

/// The response, if it is a success.
fn checked(
    path: &str,
    sent: Result<Response<ureq::Body>, ureq::Error>,
) -> Result<Response<ureq::Body>, TaskError> {
    let path = path.to_owned();
    let mut response = match sent {
        Ok(response) => response,
        Err(source) => {
            let source = Box::new(source);
            return Err(BenchError::Request { path, source }.into());
        }
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let detail = response.body_mut().read_to_string().unwrap_or_default();
    let status = status.as_u16();
    Err(BenchError::Refused {
        path,
        status,
        detail,
    }
    .into())
}

fn text(path: &str, sent: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, TaskError> {
    let body = checked(path, sent)?.into_body().into_with_config();
    body.limit(u64::MAX).read_to_string().map_err(|source| {
        let (path, source) = (path.to_owned(), Box::new(source));
        BenchError::Request { path, source }.into()
    })
}

/// Parses an answer to `what`.
pub(super) fn parse(what: &str, text: &str) -> Result<Value, TaskError> {
    serde_json::from_str(text).map_err(|source| {
        let what = what.to_owned();
        BenchError::Answer { what, source }.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_label() {
        let text = "# TYPE memory_operation_duration histogram\n\
                    memory_operation_duration_sum{operation=\"recall\"} 7\n\
                    memory_operation_duration_sum{operation=\"recall_report\"} 0.25\n";
        let name = operation_metric("sum", "recall_report");
        assert!((metric(text, &name) - 0.25).abs() < 1e-9);
        assert!(metric(text, "missing").abs() < 1e-9);
    }

    #[test]
    fn resident_memory_of_this_process_is_read() {
        let resident = resident(std::process::id()).unwrap();
        assert!(resident.now > 0 && resident.peak >= resident.now);
    }
}
