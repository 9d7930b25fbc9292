//! A million mixed operations from eight tasks through two systems on one
//! store; no stale read and no lost write.
//!
//! `cargo run --release -p memory-engine --example soak -- 1000000 moka`
//! (or `quick`, or `map` for the reference cache)

mod run;

use std::error::Error;
use std::sync::Arc;

use memory_core::Store;
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;
use memory_testkit::{InMemoryStore, MapBackend};
use run::Soak;

#[tokio::main(worker_threads = 4)]
#[expect(clippy::print_stdout, reason = "this is what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let operations = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |n| n.parse())?;
    let cache = std::env::args().nth(2);
    let store = Arc::new(InMemoryStore::new()) as Arc<dyn Store>;
    let tally = match cache.as_deref() {
        None | Some("moka") => Soak::new(&store, || MokaBackend)?.run(operations).await?,
        Some("quick") => Soak::new(&store, || QuickBackend)?.run(operations).await?,
        Some("map") => Soak::new(&store, || MapBackend)?.run(operations).await?,
        Some(other) => return Err(format!("no cache is called {other}").into()),
    };
    println!("{tally}");
    if tally.stale + tally.lost > 0 {
        return Err("the tiers are not coherent".into());
    }
    Ok(())
}
