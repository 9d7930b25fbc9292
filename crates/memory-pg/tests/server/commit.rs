//! The connection breaks while a commit is under way: the outcome is unknown,
//! and said to be; a repetition finds out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use memory_core::{ErrorKind, MemoryId, Store};
use memory_pg::{PgOptions, PgStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::memories;
use crate::support::with_database;

/// Lets everything pass.
const PASS: u8 = 0;
/// Cuts the line before the server hears of the commit.
const CUT_BEFORE: u8 = 1;
/// Cuts the line after the server heard of it, before it answers.
const CUT_AFTER: u8 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_unknown_and_may_be_repeated() {
    with_database(|url| async move {
        let folder = std::env::temp_dir().join(format!("memory-cut-{}", MemoryId::new()));
        std::fs::create_dir(&folder).unwrap();
        let mode = Arc::new(AtomicU8::new(PASS));
        let line = tokio::spawn(proxy(folder.clone(), socket_of(&url), Arc::clone(&mode)));
        while !folder.join(".s.PGSQL.5432").exists() {
            tokio::task::yield_now().await;
        }
        let store = connect_through(&url, &folder).await;
        for (cut, happened) in [(CUT_BEFORE, false), (CUT_AFTER, true)] {
            let batch = memories(&format!("cut {cut}"), 5);
            mode.store(cut, Ordering::SeqCst);
            let error = store.insert(&batch).await.unwrap_err();
            mode.store(PASS, Ordering::SeqCst);
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
            assert!(error.is_retryable());
            let again = store.insert(&batch).await.unwrap();
            assert_eq!(again.inserted, vec![!happened; 5]);
        }
        store.close().await.unwrap();
        line.abort();
        std::fs::remove_dir_all(&folder).unwrap();
    })
    .await;
}

async fn connect_through(url: &str, folder: &Path) -> PgStore {
    let direct = socket_of(url);
    let direct = direct.parent().unwrap().to_str().unwrap();
    let url = url.replace(direct, folder.to_str().unwrap());
    let options = PgOptions::new().max_connections(1);
    options.connect(&url).await.unwrap()
}

/// The socket of a server that is reached by one.
fn socket_of(url: &str) -> std::path::PathBuf {
    let host = url
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("host="));
    let host = host.expect("this test needs a server that is reached by a socket (?host=/…)");
    Path::new(host).join(".s.PGSQL.5432")
}

async fn proxy(folder: std::path::PathBuf, server: std::path::PathBuf, mode: Arc<AtomicU8>) {
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
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let commits = up[..count].windows(7).any(|word| word == b"COMMIT\0");
                let mode = mode.load(Ordering::SeqCst);
                if commits && mode == CUT_BEFORE {
                    return;
                }
                server.write_all(&up[..count]).await.unwrap();
                if commits && mode == CUT_AFTER {
                    // The answer shows that it happened; nobody hears it.
                    let _ = server.read(&mut down).await;
                    return;
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
