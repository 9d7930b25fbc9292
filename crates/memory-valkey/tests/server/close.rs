//! Closing while a call runs.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use memory_core::{ErrorKind, SharedCache, SharedGroup, SharedKey};
use memory_valkey::ValkeyCache;

/// A server that knows no script, and says so only when it is let.
struct HoldingServer {
    url: String,
    connections: Arc<AtomicUsize>,
    /// Something for each script that was asked for.
    asked: Receiver<()>,
    /// Something for each answer.
    answer: Sender<()>,
}

impl HoldingServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (asking, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let accepted = Arc::clone(&connections);
        thread::spawn(move || {
            // One after the other: a second one is counted, and not served.
            for stream in listener.incoming() {
                if accepted.fetch_add(1, Ordering::SeqCst) == 0 {
                    let _ = serve(&stream.unwrap(), &asking, &answers);
                }
            }
        });
        Self {
            url,
            connections,
            asked,
            answer,
        }
    }
}

/// Answers the commands of one connection until it ends.
fn serve(stream: &TcpStream, asking: &Sender<()>, answers: &Receiver<()>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let name = read_command(&mut reader)?;
        let answer: &[u8] = match &*name {
            b"EVALSHA" => {
                let _ = asking.send(());
                let _ = answers.recv();
                b"-NOSCRIPT No matching script.\r\n"
            }
            _ => b"+OK\r\n",
        };
        (&*stream).write_all(answer)?;
    }
}

/// The first word of a command, which is an array of texts.
fn read_command(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut words = Vec::new();
    for _ in 0..read_number(reader)? {
        let mut word = vec![0; read_number(reader)? + 2];
        reader.read_exact(&mut word)?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Ok(words.swap_remove(0))
}

/// The number of a line such as `*3` or `$5`.
fn read_number(reader: &mut impl BufRead) -> std::io::Result<usize> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let number = line.get(1..).and_then(|digits| digits.trim().parse().ok());
    number.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_during_a_close_opens_no_connection() {
    let server = HoldingServer::start();
    let cache = Arc::new(ValkeyCache::open(&server.url).unwrap());
    let running = Arc::clone(&cache);
    let call = tokio::spawn(async move {
        let key = SharedKey::new(SharedGroup([1; 16]), [2; 16]);
        running.get_many(&[key]).await
    });
    let asked = tokio::task::spawn_blocking(move || server.asked.recv()).await;
    asked.unwrap().unwrap();
    cache.close().await.unwrap();
    server.answer.send(()).unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}
