//! A hot standby of a server, and kills of both.

use std::fs;
use std::process::Command;

use super::PgError;
use super::data_dir::{self, Account};
use super::server::{Lifetime, SUPERUSER, Server};
use crate::error::TaskError;
use crate::shell;

/// The replication slot of the standby: the server keeps what it has not received.
const SLOT: &str = "standby";

impl Server {
    /// Starts a hot standby of this server. It needs this server's programs, so that it
    /// must be stopped before.
    pub(crate) fn start_standby(&self) -> Result<Self, TaskError> {
        let mut standby = Self::new(data_dir::create()?, self.programs());
        let account = Account::choose(standby.dir())?;
        account.take_ownership(standby.dir())?;
        let mut copy = self.program("pg_basebackup");
        copy.args(["--username", SUPERUSER, "--no-sync", "--checkpoint", "fast"])
            .args(["--write-recovery-conf", "--create-slot", "--slot", SLOT])
            .arg("--host")
            .arg(self.dir())
            .arg("--pgdata")
            .arg(data_dir::data(standby.dir()));
        account.apply_to(&mut copy);
        shell::run(&mut copy)?;
        standby.launch(account, Lifetime::Parent)?;
        Ok(standby)
    }

    /// Kills all its processes, as a power failure would.
    pub(crate) fn kill(&mut self) -> Result<(), TaskError> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let id = process.id().to_string();
        let children = format!("/proc/{id}/task/{id}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let mut kill = Command::new("kill");
        kill.args(["-9", &id]).args(children.split_whitespace());
        // Children may have ended in the meantime.
        let _ = kill.status();
        process
            .wait()
            .map_err(PgError::disk("wait for", self.dir()))?;
        // Where dead processes are not reaped, it would seem to be running still.
        for lock in [
            data_dir::data(self.dir()).join("postmaster.pid"),
            self.dir().join(".s.PGSQL.5432.lock"),
        ] {
            let _ = fs::remove_file(lock);
        }
        Ok(())
    }

    /// Starts it again after [`kill`](Self::kill).
    pub(crate) fn restart(&mut self) -> Result<(), TaskError> {
        let account = Account::owner(self.dir())?;
        self.launch(account, Lifetime::Parent)?;
        Ok(())
    }
}
