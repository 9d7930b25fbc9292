//! Changing the model of a database that other processes read, write and embed.
//!
//! A test that needs another process runs itself again as that process. The example
//! `reembed` of the benches does the same with 20,000 memories and real models.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod killed;
mod model_change;
mod other_process;
mod previous_model;

use std::sync::Arc;

use futures_util::{TryStreamExt, stream};
use memory::store::Store;
use memory::{AccessCounting, MemoryBatchItem, MemoryConfig, MemoryKind, MemorySystem};
use memory_testkit::HashEmbedder;

use crate::other_process::TestDatabase;

fn first_model() -> HashEmbedder {
    HashEmbedder::new().with_dimensions(64)
}

fn second_model() -> HashEmbedder {
    HashEmbedder::new().with_dimensions(96)
}

/// Memories of an entity: five pages of a run.
const MEMORIES: usize = 1_000;

fn content(number: usize) -> String {
    format!("parcel {number} went to house {}", number * 7_919 % 100_003)
}

fn config() -> MemoryConfig {
    MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    }
}

async fn open(url: &str, model: HashEmbedder) -> MemorySystem {
    let builder = MemorySystem::builder().url(url).embedder(model);
    builder.config(config()).build().await.unwrap()
}

async fn open_store(url: &str) -> Arc<dyn Store> {
    match url.starts_with("sqlite:") {
        #[cfg(feature = "sqlite")]
        true => Arc::new(memory::sqlite::SqliteStore::open(url).await.unwrap()),
        #[cfg(feature = "postgres")]
        false => Arc::new(
            memory::postgres::PgOptions::new()
                .connect(url)
                .await
                .unwrap(),
        ),
        #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
        _ => panic!("no store for this URL"),
    }
}

/// Retains the memories with the first model.
async fn fill(database: &TestDatabase) {
    let first = open(&database.url, first_model()).await;
    let owner = database.entity.clone();
    let items = (0..MEMORIES)
        .map(move |n| MemoryBatchItem::new(owner.as_str(), MemoryKind::World, content(n)));
    let retained: Vec<_> = first
        .retain_stream(stream::iter(items))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(retained.last().unwrap().retained, MEMORIES as u64);
    first.close().await.unwrap();
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;

    #[tokio::test]
    async fn a_model_changes_while_another_process_uses_it() {
        if !other_process::run_if_asked().await {
            let test = "sqlite::a_model_changes_while_another_process_uses_it";
            model_change::run(&TestDatabase::file(test)).await;
        }
    }

    #[tokio::test]
    async fn two_processes_embed_an_entity() {
        if !other_process::run_if_asked().await {
            let test = "sqlite::two_processes_embed_an_entity";
            model_change::two_processes(&TestDatabase::file(test)).await;
        }
    }

    #[tokio::test]
    async fn a_killed_process_is_succeeded_by_the_next() {
        if !other_process::run_if_asked().await {
            let test = "sqlite::a_killed_process_is_succeeded_by_the_next";
            killed::run(&TestDatabase::file(test)).await;
        }
    }

    #[tokio::test]
    async fn the_previous_model_searches_while_another_process_embeds() {
        if !other_process::run_if_asked().await {
            let test = "sqlite::the_previous_model_searches_while_another_process_embeds";
            previous_model::run(&TestDatabase::file(test)).await;
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;

    #[tokio::test]
    async fn a_model_changes_while_another_process_uses_it() {
        if !other_process::run_if_asked().await {
            let test = "postgres::a_model_changes_while_another_process_uses_it";
            model_change::run(&TestDatabase::server(test)).await;
        }
    }

    #[tokio::test]
    async fn two_processes_embed_an_entity() {
        if !other_process::run_if_asked().await {
            let test = "postgres::two_processes_embed_an_entity";
            model_change::two_processes(&TestDatabase::server(test)).await;
        }
    }

    #[tokio::test]
    async fn a_killed_process_is_succeeded_by_the_next() {
        if !other_process::run_if_asked().await {
            let test = "postgres::a_killed_process_is_succeeded_by_the_next";
            killed::run(&TestDatabase::server(test)).await;
        }
    }

    #[tokio::test]
    async fn the_previous_model_searches_while_another_process_embeds() {
        if !other_process::run_if_asked().await {
            let test = "postgres::the_previous_model_searches_while_another_process_embeds";
            previous_model::run(&TestDatabase::server(test)).await;
        }
    }
}
