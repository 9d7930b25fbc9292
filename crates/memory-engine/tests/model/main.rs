//! Random verbs against a model: whatever is read is what it may be.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alone;
#[path = "../common/mod.rs"]
mod common;
mod world;

use std::sync::Arc;

use memory_core::{CacheBackend, Store};
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;
use memory_testkit::{InMemoryStore, MapBackend};
use proptest::prelude::*;
use world::{SETTINGS, Setting, Verb, World, step};

fn run<B: CacheBackend>(cache: fn() -> B, setting: Setting, steps: Vec<(usize, Verb)>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(InMemoryStore::new());
        let news = Arc::clone(&store);
        let channel = Box::new(move |lost| {
            if lost {
                news.disconnect();
            } else {
                news.reconnect();
            }
        });
        World::new(store as Arc<dyn Store>, channel, cache, setting)
            .run(steps)
            .await;
    });
}

fn steps() -> impl Strategy<Value = Vec<(usize, Verb)>> {
    prop::collection::vec(step(), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn with_moka(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(|| MokaBackend, setting, steps);
    }

    #[test]
    fn with_quick_cache(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(|| QuickBackend, setting, steps);
    }

    #[test]
    fn with_the_reference_cache(setting in prop::sample::select(&SETTINGS[..]), steps in steps()) {
        run(|| MapBackend, setting, steps);
    }
}
