//! Servers that are killed while clients write: nothing acknowledged is lost, and nothing
//! that a client repeats with its key is there twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::BenchError;
use super::results::Kill;
use super::server::{Client, MemoryCommand, Server};
use crate::error::TaskError;

/// Clients that write at once, and what each of them writes.
const WRITERS: usize = 8;
const WRITES: usize = 50;

/// Times that a client repeats a write, and the pause between.
const TRIES: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(20);

/// Kills a server so many times, each with a new database.
pub(super) fn measure(
    memory: &MemoryCommand,
    folder: &Path,
    rounds: usize,
) -> Result<Kill, TaskError> {
    let mut kill = Kill {
        rounds,
        acknowledged: 0,
        acknowledged_before: 0,
        lost: 0,
        repeated: 0,
    };
    let mut before = Vec::new();
    for round in 0..rounds {
        let database = folder.join(format!("kill-{round}.db"));
        // Early, late and between.
        let at = WRITERS * WRITES * (round + 1) / (rounds + 1);
        before.push(kill_once(memory, &database, at, &mut kill)?);
    }
    before.sort_unstable();
    kill.acknowledged_before = before.get(rounds / 2).copied().unwrap_or_default();
    Ok(kill)
}

/// Kills the server once `at` writes are acknowledged; returns how many were.
fn kill_once(
    memory: &MemoryCommand,
    database: &Path,
    at: usize,
    kill: &mut Kill,
) -> Result<usize, TaskError> {
    let server = Server::start(memory, database)?;
    let client = server.client.clone();
    let acknowledged = AtomicUsize::new(0);
    let (server, before) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let (client, acknowledged) = (&client, &acknowledged);
                    move || write(client, writer, acknowledged)
                })
            })
            .collect();
        while acknowledged.load(Ordering::Relaxed) < at
            && !writers.iter().all(thread::ScopedJoinHandle::is_finished)
        {
            thread::sleep(Duration::from_millis(1));
        }
        server.kill()?;
        let before = acknowledged.load(Ordering::Relaxed);
        let server = Server::restart(memory, database, &client)?;
        for writer in writers {
            writer.join().map_err(|_| BenchError::Panicked)??;
        }
        Ok::<_, TaskError>((server, before))
    })?;
    // A lost write was acknowledged, so its client did not repeat it.
    let lines = server.client.export()?;
    let stored: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line["content"].as_str())
        .collect();
    let expected = (0..WRITERS).flat_map(|writer| (0..WRITES).map(move |n| content(writer, n)));
    kill.lost += expected
        .filter(|content| !stored.contains(content.as_str()))
        .count();
    kill.repeated += lines.len() - stored.len();
    kill.acknowledged += WRITERS * WRITES;
    Ok(before)
}

fn content(writer: usize, number: usize) -> String {
    format!("Writer {writer} sold horse {number} at the market.")
}

/// Writes memories one by one; repeats each, with its key, until it is acknowledged.
fn write(client: &Client, writer: usize, acknowledged: &AtomicUsize) -> Result<(), TaskError> {
    let path = Client::entity_path("memories");
    for number in 0..WRITES {
        let body = json!({"content": content(writer, number)});
        let key = format!("{writer}-{number}");
        let mut tries = 0;
        while let Err(error) = client.post_with_key(&path, &body, Some(&key)) {
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
            thread::sleep(PAUSE);
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
