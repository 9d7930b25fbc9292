//! Mixed operations from eight tasks through two systems on one SQLite file; no stale read
//! and no lost write.
//!
//! `cargo run --release -p memory --example soak -- 1000000 moka` (or `quick`, or `map` for
//! the reference cache); large entities, whose snapshots are loaded in the background and
//! from pages: `-- 20000 moka --entities 2 --others 100000`.

mod run;

use std::error::Error;
use std::sync::Arc;

use memory_core::Store;
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;
use memory_sqlite::SqliteStore;
use memory_testkit::MapBackend;
use run::{Soak, SoakSize};

#[tokio::main(worker_threads = 4)]
#[expect(clippy::print_stdout, reason = "this is what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str, default: usize| {
        let position = arguments.iter().position(|argument| argument == name);
        let value = position.and_then(|position| arguments.get(position + 1));
        value.map_or(Ok(default), |value| value.parse())
    };
    let size = SoakSize {
        entities: value("--entities", SoakSize::SMALL.entities)?,
        others: value("--others", SoakSize::SMALL.others)?,
    };
    let operations = arguments.first().map_or(Ok(1_000_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("soak.db").display());
    let store = Arc::new(SqliteStore::open(&url).await?) as Arc<dyn Store>;
    let soak = match arguments.get(1).map(String::as_str) {
        None | Some("moka") => Soak::new(&store, || MokaBackend, size)?,
        Some("quick") => Soak::new(&store, || QuickBackend, size)?,
        Some("map") => Soak::new(&store, || MapBackend, size)?,
        Some(other) => return Err(format!("no cache is called {other}").into()),
    };
    let tally = soak.run(operations).await?;
    println!("{tally}");
    if tally.stale + tally.lost > 0 {
        return Err("the tiers are not coherent".into());
    }
    Ok(())
}
