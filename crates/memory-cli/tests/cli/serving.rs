//! The command as a server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::test_dir::TestDir;

/// `memory serve`; it is stopped when this is dropped.
pub(crate) struct Serving {
    child: Child,
    /// Its URL, without a path.
    pub(crate) address: String,
}

impl Serving {
    /// Starts it with these options, and waits until it is ready.
    pub(crate) fn start(dir: &TestDir, options: &[&str]) -> Self {
        Self::run(dir.command(&[&["serve"], options].concat()))
    }

    /// Starts this command, and waits until it is ready.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.expect("an address").to_owned();
        Self { child, address }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("it runs").success());
    }

    /// Sends a signal, and waits until it ends.
    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("it ends")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
