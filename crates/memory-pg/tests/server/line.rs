//! A line to the server that a test can cut, or let go silent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use memory_core::MemoryId;
use memory_pg::{PgOptions, PgStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Lets everything pass.
pub(crate) const PASS: u8 = 0;
/// Cuts the line before the server hears of the commit.
pub(crate) const CUT_BEFORE: u8 = 1;
/// Cuts the line after the server heard of it, before it answers.
pub(crate) const CUT_AFTER: u8 = 2;
/// Passes nothing on and ends nothing, as a machine that lost its power.
pub(crate) const SILENT: u8 = 3;

/// A line, and what becomes of what is said on it.
pub(crate) struct Line {
    url: String,
    folder: PathBuf,
    mode: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to the server of a database.
    pub(crate) async fn new(url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("memory-line-{}", MemoryId::new()));
        std::fs::create_dir(&folder).unwrap();
        let server = socket_of(url);
        let direct = server.parent().unwrap().to_str().unwrap();
        let through = url.replace(direct, folder.to_str().unwrap());
        let mode = Arc::new(AtomicU8::new(PASS));
        let task = tokio::spawn(proxy(folder.clone(), server, Arc::clone(&mode)));
        while !folder.join(".s.PGSQL.5432").exists() {
            tokio::task::yield_now().await;
        }
        Self {
            url: through,
            folder,
            mode,
            task,
        }
    }

    /// A store with one connection, through the line.
    pub(crate) async fn connect(&self, options: PgOptions) -> PgStore {
        let options = options.max_connections(1);
        options.connect(&self.url).await.unwrap()
    }

    /// What becomes of what is said from now on.
    pub(crate) fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    pub(crate) fn remove(self) {
        self.task.abort();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// The socket of a server that is reached by one.
fn socket_of(url: &str) -> PathBuf {
    let host = url
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("host="));
    let host = host.expect("this test needs a server that is reached by a socket (?host=/…)");
    Path::new(host).join(".s.PGSQL.5432")
}

async fn proxy(folder: PathBuf, server: PathBuf, mode: Arc<AtomicU8>) {
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = UnixStream::connect(&server).await.unwrap();
        tokio::spawn(relay(client, server, Arc::clone(&mode)));
    }
}

async fn relay(mut client: UnixStream, mut server: UnixStream, mode: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        while mode.load(Ordering::SeqCst) == SILENT {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let commits = up[..count].windows(7).any(|word| word == b"COMMIT\0");
                match mode.load(Ordering::SeqCst) {
                    // It never arrives, then or later.
                    SILENT => continue,
                    CUT_BEFORE if commits => return,
                    CUT_AFTER if commits => {
                        server.write_all(&up[..count]).await.unwrap();
                        // The answer shows that it happened; nobody hears it.
                        let _ = server.read(&mut down).await;
                        return;
                    }
                    _ => server.write_all(&up[..count]).await.unwrap(),
                }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
