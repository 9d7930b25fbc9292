//! One entity that grows: cost of writes and recalls by the number of memories,
//! on SQLite in a file, and on PostgreSQL where there is a server (`cargo xtask pg run`),
//! with common alternatives on the same corpus.
//!
//! `cargo bench -p memory-benches --features peers --bench scale --
//! [--sizes 1000,10000,20000,100000]`; these sizes are the default, and without
//! the feature the alternatives that need further crates are left out. The corpus
//! is that of [`memory_benches::corpus`], the embedder the testkit's hashing one
//! with 384 dimensions: no model is included.

#![allow(clippy::print_stdout, reason = "the program prints a report")]

mod exact_scan;
#[cfg(feature = "peers")]
mod hnsw_and_bm25;
mod peer;
mod sqlite_by_hand;
mod system;

use std::error::Error;
use std::path::Path;

use memory_benches::arguments::argument;
use memory_benches::corpus::Corpus;
use memory_benches::counting_allocator::CountingAllocator;
use memory_benches::records::{Record, RecordWriter};
use memory_benches::test_schema::TestSchema;
use memory_testkit::HashEmbedder;

use peer::EmbeddedCorpus;
use system::Database;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Repetitions of each measured operation.
const ROUNDS: usize = 50;

/// Results of each recall.
const LIMIT: usize = 20;

/// Memories retained in one call.
const BATCH: usize = 1_000;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let sizes = sizes()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut records = RecordWriter::start("scale")?;
    for size in sizes {
        let folder = tempfile::tempdir()?;
        let corpus = runtime.block_on(EmbeddedCorpus::new(size))?;
        let sqlite = Database::Sqlite(folder.path().join("scale.db"));
        let measured = runtime.block_on(system::measure(&sqlite, size, &corpus))?;
        #[cfg(feature = "peers")]
        let share = peer::share_found(&measured).ok_or("no share was measured")?;
        print(&mut records, measured)?;
        if let Some(schema) = runtime.block_on(TestSchema::create())? {
            let postgres = Database::Postgres(schema);
            let measured = runtime.block_on(system::measure(&postgres, size, &corpus))?;
            print(&mut records, measured)?;
            runtime.block_on(postgres.remove())?;
        }
        let scan = exact_scan::ExactScan::default();
        print(&mut records, runtime.block_on(corpus.measure(scan))?)?;
        #[cfg(feature = "peers")]
        {
            let mut peer = hnsw_and_bm25::HnswAndBm25::new(size)?;
            print(&mut records, runtime.block_on(corpus.fill(&mut peer))?)?;
            print(&mut records, runtime.block_on(corpus.ask(&peer))?)?;
            let widened = peer.ask_widened(&corpus, share);
            print(&mut records, runtime.block_on(widened)?)?;
            print(&mut records, runtime.block_on(corpus.change(&mut peer))?)?;
        }
        let peer = runtime.block_on(sqlite_by_hand::SqliteByHand::create(folder.path()))?;
        print(&mut records, runtime.block_on(corpus.measure(peer))?)?;
    }
    records.finish()
}

fn sizes() -> Outcome<Vec<usize>> {
    let list = argument("--sizes");
    let list = list.as_deref().unwrap_or("1000,10000,20000,100000");
    let sizes = list.split(',').map(|size| Ok(size.trim().parse()?));
    sizes.collect()
}

/// The embedder of the system, and of the vectors that the peers get.
fn embedder() -> HashEmbedder {
    HashEmbedder::new().with_dimensions(384)
}

/// The database and its write-ahead log.
fn size_on_disk(file: &Path) -> Outcome<u64> {
    let log = format!("{}-wal", file.display());
    let log = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    Ok(std::fs::metadata(file)?.len() + log)
}

fn print(records: &mut RecordWriter, measured: Vec<Record>) -> Outcome {
    for record in measured {
        println!(
            "{:>7} {}: {}: {}",
            record.size,
            record.subject,
            record.operation,
            serde_json::to_string(&record.values)?
        );
        records.push(record)?;
    }
    Ok(())
}
