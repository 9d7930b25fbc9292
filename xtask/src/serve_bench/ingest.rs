//! Storing every text through HTTP, in the ways that clients have.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::BenchError;
use super::data::Data;
use super::results::{Ingest, ResidentMemory};
use super::server::{Client, MemoryCommand, Server};
use crate::error::TaskError;

/// Memories of one request of the batch endpoint.
const BATCH: usize = 100;

/// Clients that write one memory at a time, together.
const CLIENTS: usize = 8;

/// Stores the texts once in each way, each time with a new server and database. Returns the
/// server and the database of the import, which goes on.
pub(super) fn measure(
    memory: &MemoryCommand,
    folder: &Path,
    data: &Data,
) -> Result<(Vec<Ingest>, ResidentMemory, Server, PathBuf), TaskError> {
    let lines: Vec<Value> = data
        .texts
        .iter()
        .enumerate()
        .map(|(n, text)| Data::line(n, text))
        .collect();
    let mut ingest = Vec::new();
    let mut record = |way: String, started: Instant| {
        let seconds = started.elapsed().as_secs_f64();
        println!("ingest, {way}: {seconds:.1} s");
        ingest.push(Ingest {
            way,
            texts: data.texts.len(),
            seconds,
        });
    };
    for clients in [1, CLIENTS] {
        let server = Server::start(memory, &folder.join(format!("single-{clients}.db")))?;
        let started = Instant::now();
        one_by_one(&server.client, &lines, clients)?;
        let way = match clients {
            1 => "one memory a request, one client".to_owned(),
            _ => format!("one memory a request, {clients} clients"),
        };
        record(way, started);
    }

    let server = Server::start(memory, &folder.join("batch.db"))?;
    let started = Instant::now();
    for batch in lines.chunks(BATCH) {
        let path = Client::entity_path("memories/batch");
        server.client.post(&path, &json!({"memories": batch}))?;
    }
    record(format!("batches of {BATCH}, one client"), started);
    drop(server);

    let file = folder.join("texts.jsonl");
    write_lines(&file, lines.iter().cloned())?;
    let database = folder.join("import.db");
    let server = Server::start(memory, &database)?;
    let started_memory = server.resident()?.now;
    let started = Instant::now();
    import(&server.client, &file, lines.len())?;
    record("one import".to_owned(), started);
    let ingested = server.resident()?;
    let resident = ResidentMemory {
        started: started_memory,
        ingested: ingested.now,
        ingest_peak: ingested.peak,
    };
    Ok((ingest, resident, server, database))
}

/// Writes the lines by so many clients at once, each its share.
fn one_by_one(client: &Client, lines: &[Value], clients: usize) -> Result<(), TaskError> {
    let path = Client::entity_path("memories");
    thread::scope(|scope| {
        let share = |first: usize| {
            let path = &path;
            move || {
                let mut share = lines.iter().skip(first).step_by(clients);
                share.try_for_each(|line| client.post(path, line).map(drop))
            }
        };
        let writers: Vec<_> = (0..clients)
            .map(|first| scope.spawn(share(first)))
            .collect();
        for writer in writers {
            writer.join().map_err(|_| BenchError::Panicked)??;
        }
        Ok(())
    })
}

/// Imports a file, of which no line may be refused.
pub(super) fn import(client: &Client, file: &Path, lines: usize) -> Result<(), TaskError> {
    let answer = client.import(file)?;
    let imported = answer["imported"].as_u64().unwrap_or_default();
    if usize::try_from(imported) == Ok(lines) {
        return Ok(());
    }
    Err(BenchError::Incomplete { imported, lines }.into())
}

pub(super) fn write_lines(
    path: &Path,
    lines: impl Iterator<Item = Value>,
) -> Result<(), TaskError> {
    let failed = |source| TaskError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    for line in lines {
        writeln!(file, "{line}").map_err(failed)?;
    }
    file.flush().map_err(failed)
}
