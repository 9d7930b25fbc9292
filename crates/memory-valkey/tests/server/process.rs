//! A Valkey server that a test may stop, continue, kill and start again.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use memory_assets::{cache_dir, manifest};
use tempfile::TempDir;

/// Names the server's program where none is pinned for the platform.
const PROGRAM_ENV: &str = "MEMORY_TEST_VALKEY_SERVER";

/// A server in a folder of its own. Dropping it kills it and removes the folder.
pub(crate) struct ValkeyProcess {
    folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl ValkeyProcess {
    /// Starts a server on a socket that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(program(), folder.path().join("valkey-server")).unwrap();
        make_executable(&folder.path().join("valkey-server"));
        let mut server = Self {
            folder,
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            child: None,
        };
        server.restart();
        server
    }

    /// Starts it again, with the data that it wrote to disk.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(self.folder.path().join("valkey-server"));
        command
            .current_dir(self.folder.path())
            .args([
                "--save",
                "",
                "--unixsocket",
                "socket",
                "--maxmemory",
                "64mb",
            ])
            .args(["--bind", "127.0.0.1", "--port", "0"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log);
        let child = loop {
            match command.spawn() {
                // A process that another test starts has inherited the file that the copy
                // was written to, until it runs its own program.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                spawned => break spawned.unwrap(),
            }
        };
        self.child = Some(child);
        let started = Instant::now();
        while self.admin().is_none() {
            let log = || fs::read_to_string(self.folder.path().join("log"));
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its URL, with these parameters.
    pub(crate) fn url(&self, parameters: &str) -> String {
        let socket = self.socket();
        format!("valkey+unix://{}?{parameters}", socket.display())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Kills it, as a failure of the machine would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let _ = fs::remove_file(self.socket());
    }

    /// Sends a signal, such as `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Runs a command outside the cache under test.
    pub(crate) fn run<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut words = command.iter();
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.as_slice());
        command.query(&mut self.admin().unwrap()).unwrap()
    }

    fn admin(&self) -> Option<redis::Connection> {
        let url = format!("unix://{}", self.socket().display());
        let client = redis::Client::open(url).ok()?;
        let mut connection = client.get_connection().ok()?;
        redis::cmd("PING").exec(&mut connection).ok()?;
        Some(connection)
    }
}

impl Drop for ValkeyProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nothing listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os(PROGRAM_ENV) {
        return path.into();
    }
    let asset = manifest::valkey();
    let asset = asset.unwrap_or_else(|| panic!("set {PROGRAM_ENV} to a valkey-server"));
    let path = cache_dir()
        .unwrap()
        .join(asset.folder)
        .join("valkey-server");
    assert!(
        path.exists(),
        "these tests need {}: run cargo xtask setup",
        asset.name
    );
    path
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
