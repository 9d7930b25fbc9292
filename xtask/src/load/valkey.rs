//! A private Valkey that listens on a socket and keeps nothing on disk.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use memory_assets::manifest;

use crate::error::TaskError;
use crate::pg::{PgError, create_data_dir, make_executable};
use crate::shell;

const PROGRAM: &str = "valkey-server";

/// Far more than a start takes, even on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server in a folder of its own. Dropping it kills it and removes the folder.
pub(super) struct Valkey {
    dir: PathBuf,
    process: Option<Child>,
}

impl Valkey {
    pub(super) fn start(cache: &Path) -> Result<Self, TaskError> {
        let asset = manifest::valkey().ok_or(TaskError::NoValkey)?;
        let mut server = Self {
            dir: create_data_dir()?,
            process: None,
        };
        let (from, to) = (
            cache.join(asset.folder).join(PROGRAM),
            server.dir.join(PROGRAM),
        );
        fs::copy(&from, &to).map_err(PgError::disk("copy", &from))?;
        make_executable(&to)?;
        server.restart()?;
        Ok(server)
    }

    /// Its folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn url(&self) -> String {
        format!("valkey+unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// The file with the id of its process.
    fn id_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// Starts it, without the data that it had.
    pub(super) fn restart(&mut self) -> Result<(), TaskError> {
        let log = self.dir.join("log");
        let log = File::create(&log).map_err(PgError::disk("create", &log))?;
        let mut command = Command::new(self.dir.join(PROGRAM));
        command
            .current_dir(&self.dir)
            .args(["--save", "", "--unixsocket", "socket", "--port", "0"])
            .args(["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null());
        let process = command.spawn().map_err(shell::start_failed(&command))?;
        let id = process.id().to_string();
        self.process = Some(process);
        let id_file = self.id_file();
        fs::write(&id_file, id).map_err(PgError::disk("write", &id_file))?;
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if start.elapsed() > START_TIMEOUT {
                return Err(TaskError::Timeout {
                    command: PROGRAM.to_owned(),
                    seconds: START_TIMEOUT.as_secs(),
                });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Kills it, as a failure of the machine would.
    pub(super) fn kill(&mut self) -> Result<(), TaskError> {
        if let Some(mut process) = self.process.take() {
            // It may have ended.
            let _ = process.kill();
            let dir = &self.dir;
            process.wait().map_err(PgError::disk("wait for", dir))?;
        }
        let _ = fs::remove_file(self.socket());
        let _ = fs::remove_file(self.id_file());
        Ok(())
    }

    /// Sends a signal, such as `STOP` or `CONT`.
    pub(super) fn signal(&self, name: &str) -> Result<(), TaskError> {
        let id = self.process.as_ref().map_or(0, Child::id).to_string();
        let mut kill = Command::new("kill");
        shell::run(kill.arg(format!("-{name}")).arg(id))
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        // Stale folders only take up space.
        let _ = self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
