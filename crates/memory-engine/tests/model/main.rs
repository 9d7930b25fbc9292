//! Random operations against a reference model: every read returns a value that
//! it may return.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../engine/fixture.rs"]
mod fixture;
mod single_system;
mod world;

use std::sync::Arc;

use memory_core::{CacheBackend, Store};
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;
use memory_testkit::{InMemoryStore, MapBackend};
use proptest::prelude::*;
use world::{Operation, SETTINGS, Setting, World, step};

fn run<B: CacheBackend>(
    store: InMemoryStore,
    cache: fn() -> B,
    setting: Setting,
    steps: Vec<(usize, Operation)>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(store);
        let events = Arc::clone(&store);
        let channel = Box::new(move |connected| {
            if connected {
                events.reconnect();
            } else {
                events.disconnect();
            }
        });
        World::new(store as Arc<dyn Store>, channel, cache, setting)
            .run(steps)
            .await;
    });
}

fn steps() -> impl Strategy<Value = Vec<(usize, Operation)>> {
    prop::collection::vec(step(), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn with_moka(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(InMemoryStore::with_snapshot_pages(), || MokaBackend, setting, steps);
    }

    #[test]
    fn with_quick_cache(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(InMemoryStore::new(), || QuickBackend, setting, steps);
    }

    #[test]
    fn with_the_reference_cache(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(InMemoryStore::with_snapshot_pages(), || MapBackend, setting, steps);
    }
}
