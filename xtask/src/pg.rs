//! `cargo xtask pg`: a private PostgreSQL with pgvector, for tests and manual
//! queries. It listens only on a socket in a private folder, not on a port.

mod data_dir;
mod pgbouncer;
mod server;
mod standby;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Subcommand;
use memory_assets::cache_dir;

pub(crate) use data_dir::create as create_data_dir;
pub(crate) use server::{Lifetime, Server, fetch, make_executable};

use crate::error::TaskError;
use crate::shell;

/// The variable with the URL of the test server, with a superuser role.
pub(crate) const URL_ENV: &str = "MEMORY_TEST_PG";
/// The variable with the URL of an existing server to use instead.
pub(crate) const OWN_URL_ENV: &str = "DATABASE_URL";

/// The variable with the folder of PgBouncer for tests.
const PGBOUNCER_ENV: &str = "MEMORY_TEST_PGBOUNCER";

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start a server in the background and print its URL
    Start,
    /// Stop that server and remove its data
    Stop,
    /// Open psql on that server
    Psql {
        /// Passed on to psql
        #[arg(last = true)]
        extra: Vec<OsString>,
    },
    /// Run a command with a private server, and stop the server afterward
    Run {
        /// The command; MEMORY_TEST_PG is set to the server's URL
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

pub(crate) fn run(action: Action) -> Result<(), TaskError> {
    match action {
        Action::Start => start(),
        Action::Stop => stop(),
        Action::Psql { extra } => psql(&extra),
        Action::Run { command } => {
            let mut words = command.into_iter();
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words);
            with_server(&mut command)
        }
    }
}

/// Runs a command with [`URL_ENV`] set: to the value of `DATABASE_URL`, or to a
/// private server that is stopped afterward, even if the command fails.
pub(crate) fn with_server(command: &mut Command) -> Result<(), TaskError> {
    with_server_and_limit(command, Duration::MAX)
}

/// Like [`with_server`], but stops the command after `limit`.
pub(crate) fn with_server_and_limit(
    command: &mut Command,
    limit: Duration,
) -> Result<(), TaskError> {
    with_server_in(URL_ENV, command, limit)
}

/// Like [`with_server`], but sets another variable to the URL.
pub(crate) fn with_server_in(
    variable: &str,
    command: &mut Command,
    limit: Duration,
) -> Result<(), TaskError> {
    if let Some(url) = std::env::var_os(OWN_URL_ENV).filter(|url| !url.is_empty()) {
        command.env(variable, url);
        if let Some(folder) =
            configured_pgbouncer().or_else(|| fetched_pgbouncer(&cache_dir().ok()?))
        {
            command.env(PGBOUNCER_ENV, folder);
        }
        return shell::run_with_limit(command, limit);
    }
    let server = start_server(Lifetime::Parent)?;
    command.env(variable, server.url());
    if let Some(folder) = configured_pgbouncer().or_else(|| server.pgbouncer()) {
        command.env(PGBOUNCER_ENV, folder);
    }
    let outcome = shell::run_with_limit(command, limit);
    server.stop()?;
    outcome
}

fn start() -> Result<(), TaskError> {
    if let Some(dir) = running_data_dir() {
        let server = Server::at(dir);
        println!("already running: {}", server.url());
        return Ok(());
    }
    let server = start_server(Lifetime::UntilStopped)?;
    let state_file = state_file();
    if let Some(folder) = state_file.parent() {
        fs::create_dir_all(folder).map_err(PgError::disk("create", folder))?;
    }
    fs::write(&state_file, server.dir().to_string_lossy().as_bytes())
        .map_err(PgError::disk("write", &state_file))?;
    println!("export {URL_ENV}='{}'", server.url());
    if let Some(folder) = server.pgbouncer() {
        println!("export {PGBOUNCER_ENV}='{}'", folder.display());
    }
    server.detach();
    Ok(())
}

/// The folder of a PgBouncer that the caller provides.
fn configured_pgbouncer() -> Option<PathBuf> {
    let folder = std::env::var_os(PGBOUNCER_ENV).filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
}

/// The folder of the pinned PgBouncer. If it is not available, this prints the
/// error, and the tests that need it fail.
fn fetched_pgbouncer(cache: &Path) -> Option<PathBuf> {
    let fetched = pgbouncer::fetch(cache);
    fetched.inspect_err(crate::error::print).ok()
}

fn start_server(lifetime: Lifetime) -> Result<Server, TaskError> {
    let cache = cache_dir()?;
    fetch(&cache, None)?;
    let pgbouncer = configured_pgbouncer()
        .is_none()
        .then(|| fetched_pgbouncer(&cache))
        .flatten();
    Server::start(&cache, pgbouncer.as_deref(), lifetime)
}

fn stop() -> Result<(), TaskError> {
    let Some(dir) = running_data_dir() else {
        println!("no server is running");
        return Ok(());
    };
    Server::at(dir).stop()?;
    let state_file = state_file();
    fs::remove_file(&state_file).map_err(PgError::disk("remove", &state_file))?;
    println!("stopped");
    Ok(())
}

fn psql(extra: &[OsString]) -> Result<(), TaskError> {
    let dir = running_data_dir().ok_or(PgError::NotRunning)?;
    let server = Server::at(dir);
    let mut psql = server.program("psql");
    shell::run(psql.arg(server.url()).args(extra))
}

/// The file in which `start` stores the server's folder.
fn state_file() -> PathBuf {
    shell::target_dir().join("xtask-pg")
}

/// The folder of the server that `start` started, if it is still running.
fn running_data_dir() -> Option<PathBuf> {
    let dir = PathBuf::from(fs::read_to_string(state_file()).ok()?);
    data_dir::is_running(&dir).then_some(dir)
}

/// Why a server is not available.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PgError {
    #[error(
        "no PostgreSQL is pinned for this platform; start one with pgvector and set \
         DATABASE_URL to it (its role must be a superuser)"
    )]
    UnsupportedPlatform,
    #[error("no server is running; `cargo xtask pg start` starts one")]
    NotRunning,
    #[error(
        "PostgreSQL refuses to run as root, and /etc/passwd has neither an account postgres nor nobody"
    )]
    NoAccount,
    #[error(
        "cannot download {package} from Debian's archive; run `apt-get update`, or put PgBouncer \
         into a folder that the server's account can read, and set MEMORY_TEST_PGBOUNCER to it"
    )]
    PackageUnavailable { package: &'static str },
    #[error("the downloaded {package} does not match its pinned checksum")]
    ChecksumMismatch { package: &'static str },
    #[error("PostgreSQL did not start; its log ends with:\n{log_tail}")]
    NotStarted { log_tail: String },
    #[error("cannot {action} {}", path.display())]
    Disk {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl PgError {
    /// For `map_err`: the failed action and its path.
    pub(crate) fn disk<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Disk {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
