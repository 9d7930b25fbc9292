//! The memory that an import and an export of many lines take.

use std::path::Path;
use std::time::Instant;

use super::data::Data;
use super::ingest::{import, write_lines};
use super::results::Transfer;
use super::server::{MemoryCommand, Server};
use crate::error::TaskError;

/// Texts that repeat: their vectors are cached, so the time is that of the transfer.
const DISTINCT: usize = 500;

pub(super) fn measure(
    memory: &MemoryCommand,
    folder: &Path,
    data: &Data,
    lines: usize,
) -> Result<Transfer, TaskError> {
    let distinct = data.texts.len().min(DISTINCT);
    let texts = data.texts.iter().take(distinct).cycle();
    let file = folder.join("many.jsonl");
    let numbered = texts.take(lines).enumerate();
    write_lines(&file, numbered.map(|(n, text)| Data::line(n, text)))?;
    let server = Server::start(memory, &folder.join("many.db"))?;
    let memory_before = server.resident()?.now;
    let started = Instant::now();
    import(&server.client, &file, lines)?;
    let import_seconds = started.elapsed().as_secs_f64();
    let import_peak = server.resident()?.peak;
    drop(server);

    // A new process, whose memory has nothing of the import.
    let server = Server::start(memory, &folder.join("many.db"))?;
    let started = Instant::now();
    let bytes = server.client.drain_export()?;
    Ok(Transfer {
        lines,
        distinct_texts: distinct,
        bytes,
        import_seconds,
        export_seconds: started.elapsed().as_secs_f64(),
        memory_before,
        import_peak,
        export_peak: server.resident()?.peak,
    })
}
