//! Random operations through two systems on one SQLite, held to one model.

use std::sync::Arc;

use crate::world::{Operation, SETTINGS, Setting, World, step};
use memory::cache::{CacheBackend, MokaBackend};
use memory::sqlite::SqliteStore;
use memory_quick::QuickBackend;
use proptest::prelude::*;

fn run<B: CacheBackend>(
    url: &str,
    cache: fn() -> B,
    setting: Setting,
    steps: Vec<(usize, Operation)>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(url).await.unwrap();
        let world = World::new(Arc::new(store), Box::new(|_| {}), cache, setting);
        world.run(steps).await;
    });
}

const IN_MEMORY: &str = "sqlite::memory:";

fn steps() -> impl Strategy<Value = Vec<(usize, Operation)>> {
    prop::collection::vec(step(), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn with_moka(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(IN_MEMORY, || MokaBackend, setting, steps);
    }

    #[test]
    fn with_quick_cache(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(IN_MEMORY, || QuickBackend, setting, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// In a file, caches rely on the store's change marker.
    #[test]
    fn in_a_file(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("agent.db").display());
        run(&url, || MokaBackend, setting, steps);
    }
}
