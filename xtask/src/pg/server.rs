//! A server: starting it, reaching it, stopping it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::error::PgError;
use super::{home, install, install_dir, pooler};
use crate::error::TaskError;
use crate::shell;

/// The superuser, and the name of the database that it makes.
const SUPERUSER: &str = "memory";

/// Far more than a start takes, also on a machine that compiles meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many lines of its log a server that did not start is quoted with.
const LAST_WORDS: usize = 8;

/// What differs from a server as installed. Durability is left as it is: it is
/// one of the things that are tested.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=256MB",
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track=top",
];

/// The folder of PgBouncer in that of a server.
const POOLER: &str = "pgbouncer";

/// How long a server runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Until it is stopped, or the person who runs us presses Ctrl-C.
    WithUs,
    /// Until it is stopped, by another task.
    UntilStopped,
}

/// A server that runs; dropping it stops it.
pub(super) struct Server {
    home: PathBuf,
    owned: bool,
}

impl Server {
    /// The server that lives in `home`, which dropping does not stop.
    pub(super) fn at(home: PathBuf) -> Self {
        Self { home, owned: false }
    }

    /// Makes a fresh server with an empty database.
    pub(super) fn start(
        cache: &Path,
        pooler: Option<&Path>,
        life: Life,
    ) -> Result<Self, TaskError> {
        home::sweep();
        let server = Self {
            home: home::create()?,
            owned: true,
        };
        let account = Account::choose(&server.home)?;
        install::copy(cache, &server.home)?;
        if let Some(folder) = pooler {
            pooler::copy(folder, &server.home.join(POOLER))?;
        }
        account.own(&server.home)?;

        let mut initdb = server.program("initdb");
        initdb
            .args(["--username", SUPERUSER, "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale-provider", "builtin"])
            .args(["--locale", "C", "--builtin-locale", "C.UTF-8", "--pgdata"])
            .arg(home::data(&server.home))
            .stdout(Stdio::null());
        account.run(&mut initdb);
        shell::run(&mut initdb)?;

        server.launch(account, life)?;
        let mut createdb = server.program("psql");
        createdb
            .args(["--quiet", "--no-psqlrc", "--command"])
            .arg(format!("CREATE DATABASE {SUPERUSER}"))
            .arg(server.database("postgres"));
        shell::run(&mut createdb)?;
        Ok(server)
    }

    /// Where it lives.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// How to reach it, as its superuser.
    pub(super) fn url(&self) -> String {
        self.database(SUPERUSER)
    }

    /// The folder with PgBouncer, which tests run before it.
    pub(super) fn pooler(&self) -> Option<PathBuf> {
        let folder = self.home.join(POOLER);
        folder.exists().then_some(folder)
    }

    /// One of its programs.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(install_dir(&self.home).join("bin").join(name));
        // Whichever folder we were started in, the account may not look into it.
        command.current_dir(&self.home);
        command
    }

    /// Lets it run on when we end.
    pub(super) fn leave_running(mut self) {
        self.owned = false;
    }

    /// Stops it and removes its folder.
    pub(super) fn stop(mut self) -> Result<(), TaskError> {
        self.owned = false;
        self.halt()
    }

    fn database(&self, name: &str) -> String {
        let host = self.home.display();
        format!("postgres:///{name}?host={host}&user={SUPERUSER}")
    }

    fn launch(&self, account: Account, life: Life) -> Result<(), PgError> {
        let log = home::log(&self.home);
        let words = File::create(&log).map_err(PgError::disk("create", &log))?;
        let errors = words.try_clone().map_err(PgError::disk("open", &log))?;
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(home::data(&self.home));
        postgres.arg("-k").arg(&self.home);
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        postgres.stdin(Stdio::null()).stdout(words).stderr(errors);
        account.run(&mut postgres);
        // In our group of processes it hears Ctrl-C as we do, and ends as well.
        #[cfg(unix)]
        if life == Life::UntilStopped {
            std::os::unix::process::CommandExt::process_group(&mut postgres, 0);
        }
        let mut process = postgres.spawn().map_err(PgError::disk("run", &self.home))?;
        let start = Instant::now();
        while !self.answers() {
            let ended = process.try_wait().ok().flatten().is_some();
            if ended || start.elapsed() > PATIENCE {
                let last_words = last_words(&log);
                return Err(PgError::NotStarted { last_words });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let mut ask = self.program("pg_isready");
        ask.arg("--quiet").arg("--host").arg(&self.home);
        ask.status().is_ok_and(|status| status.success())
    }

    /// At once, as nothing of its data is kept.
    fn halt(&self) -> Result<(), TaskError> {
        if home::is_running(&self.home) {
            let mut stop = self.program("pg_ctl");
            stop.args(["stop", "--silent", "--mode", "immediate", "--pgdata"])
                .arg(home::data(&self.home));
            Account::owner(&self.home)?.run(&mut stop);
            shell::run(&mut stop)?;
        }
        fs::remove_dir_all(&self.home).map_err(PgError::disk("remove", &self.home))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.owned {
            // Reached on the way out of another failure, which is told.
            let _ = self.halt();
        }
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
}
