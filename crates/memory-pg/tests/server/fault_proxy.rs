//! A proxy to the server that can cut connections or stop forwarding.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use memory_core::MemoryId;
use memory_pg::{PgOptions, PgStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Forwards everything.
pub(crate) const PASS: u8 = 0;
/// Closes the connection before the server receives the commit.
pub(crate) const CUT_BEFORE: u8 = 1;
/// Closes the connection after the server received the commit, before the
/// client receives the answer.
pub(crate) const CUT_AFTER: u8 = 2;
/// Forwards nothing and closes nothing, as a machine that lost power.
pub(crate) const SILENT: u8 = 3;
/// Resets every connection, as a machine that does not know it. Only over TCP.
pub(crate) const RESET: u8 = 4;

/// A proxy on a socket of its own.
pub(crate) struct FaultProxy {
    url: String,
    folder: PathBuf,
    mode: Arc<AtomicU8>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy to the server of a database.
    pub(crate) async fn new(url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("memory-fault-proxy-{}", MemoryId::new()));
        std::fs::create_dir(&folder).unwrap();
        let server = socket_of(url);
        let direct = server.parent().unwrap().to_str().unwrap();
        let through = url.replace(direct, folder.to_str().unwrap());
        let mode = Arc::new(AtomicU8::new(PASS));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (of_proxy, counted) = (Arc::clone(&mode), Arc::clone(&accepted));
        let task = tokio::spawn(proxy(folder.clone(), server, of_proxy, counted));
        while !folder.join(".s.PGSQL.5432").exists() {
            tokio::task::yield_now().await;
        }
        Self {
            url: through,
            folder,
            mode,
            accepted,
            task,
        }
    }

    /// Starts a proxy at a TCP port, to the server of a database. It has no socket to remove.
    pub(crate) async fn on_tcp(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = socket_of(url);
        let direct = format!("host={}", server.parent().unwrap().to_str().unwrap());
        let through = url.replace(&direct, &format!("host=127.0.0.1&port={port}"));
        let mode = Arc::new(AtomicU8::new(PASS));
        let of_proxy = Arc::clone(&mode);
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&server).await.unwrap();
                let mode = Arc::clone(&of_proxy);
                tokio::spawn(async move {
                    relay(&mut client, server, mode).await;
                    client.set_zero_linger().unwrap();
                });
            }
        });
        Self {
            url: through,
            folder: PathBuf::new(),
            mode,
            accepted: Arc::default(),
            task,
        }
    }

    /// The URL of the database through the proxy.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A store with one connection, through the proxy.
    pub(crate) async fn connect(&self, options: PgOptions) -> PgStore {
        let options = options.max_connections(1);
        options.connect(&self.url).await.unwrap()
    }

    /// How many connections were made through it.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Changes what the proxy does from now on.
    pub(crate) fn set_mode(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    /// Stops it. Returns the path that its socket had.
    pub(crate) fn remove(self) -> PathBuf {
        self.task.abort();
        std::fs::remove_dir_all(&self.folder).unwrap();
        self.folder.join(".s.PGSQL.5432")
    }
}

/// The server's socket.
fn socket_of(url: &str) -> PathBuf {
    let host = url
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("host="));
    let host = host.expect("this test needs a server that is reached by a socket (?host=/…)");
    Path::new(host).join(".s.PGSQL.5432")
}

async fn proxy(folder: PathBuf, server: PathBuf, mode: Arc<AtomicU8>, accepted: Arc<AtomicUsize>) {
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::SeqCst);
        let server = UnixStream::connect(&server).await.unwrap();
        let mode = Arc::clone(&mode);
        tokio::spawn(async move { relay(&mut client, server, mode).await });
    }
}

async fn relay(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    mut server: UnixStream,
    mode: Arc<AtomicU8>,
) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        while mode.load(Ordering::SeqCst) == SILENT {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if mode.load(Ordering::SeqCst) == RESET {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let commits = up[..count].windows(7).any(|word| word == b"COMMIT\0");
                match mode.load(Ordering::SeqCst) {
                    // Dropped for good.
                    SILENT => continue,
                    CUT_BEFORE if commits => return,
                    CUT_AFTER if commits => {
                        server.write_all(&up[..count]).await.unwrap();
                        // The answer shows that it was committed; it is not forwarded.
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
