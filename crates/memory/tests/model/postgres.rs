//! Random operations through two systems on one PostgreSQL, held to one model:
//! `cargo xtask test` starts a server.

use std::sync::Arc;

use crate::world::{Operation, SETTINGS, Setting, World, step};
use memory::cache::MokaBackend;
use memory::postgres::PgStore;
use memory_quick::QuickBackend;
use proptest::prelude::*;

fn server() -> String {
    std::env::var("MEMORY_TEST_PG")
        .or_else(|_| std::env::var("DATABASE_URL"))
        .expect("this test needs a PostgreSQL server with pgvector: run `cargo xtask test`")
}

fn run(quick: bool, setting: Setting, steps: Vec<(usize, Operation)>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(PgStore::connect(&server()).await.unwrap());
        let channel = Box::new(|_| {});
        if quick {
            World::new(store, channel, || QuickBackend, setting)
                .run(steps)
                .await;
        } else {
            World::new(store, channel, || MokaBackend, setting)
                .run(steps)
                .await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_cache(
        quick in any::<bool>(),
        setting in prop::sample::select(&SETTINGS[..]),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(quick, setting, steps);
    }
}
