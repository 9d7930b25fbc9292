//! Systems that share a cache, as users build them.

use memory::cache::SharedCache;
use memory::{ErrorKind, MemoryKind, MemorySystem, MemorySystemBuilder};
use memory_testkit::{HashEmbedder, InMemorySharedCache};

fn builder() -> MemorySystemBuilder {
    let builder = MemorySystem::builder().url("sqlite::memory:");
    builder.embedder(HashEmbedder::new())
}

async fn refused(builder: MemorySystemBuilder) -> String {
    let refused = builder.build().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn a_system_puts_its_vectors_into_the_cache_and_closes_it() {
    let cache = InMemorySharedCache::new();
    let memory = builder().shared_cache(cache.connect());
    let memory = memory.build().await.unwrap();
    let retained = memory.retain("mira", MemoryKind::World, "The mill stands north.");
    retained.await.unwrap();
    // Closing waits for puts.
    memory.close().await.unwrap();
    assert_eq!(cache.len(), 1);
    assert!(cache.get_many(&[]).await.is_ok(), "only its own connection");
}

#[tokio::test]
async fn what_cannot_be_a_shared_cache_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.db");
    let at_file = || builder().url(format!("sqlite://{}", file.display()));
    let wrong = "valkey://app:hunter2@cache.example?namespace=";
    let message = refused(at_file().shared_cache_url(wrong)).await;
    let named = match cfg!(feature = "valkey") {
        true => "namespace",
        false => "enable the feature `valkey`",
    };
    assert!(message.contains(named), "{message}");
    assert!(!message.contains("hunter2"), "{message}");

    let settings = folder.path().join("memory.toml");
    std::fs::write(&settings, format!("shared_cache = '{wrong}'")).unwrap();
    let message = refused(at_file().settings_file(&settings)).await;
    assert!(message.contains(named), "{message}");

    let both = at_file().shared_cache(InMemorySharedCache::new());
    let message = refused(both.shared_cache_url("valkey://cache.example")).await;
    assert!(message.contains("not both"), "{message}");
    assert!(!file.exists(), "nothing was opened");

    // What code sets precedes the file.
    let memory = at_file().settings_file(&settings);
    let memory = memory.shared_cache(InMemorySharedCache::new());
    memory.build().await.unwrap().close().await.unwrap();
}

/// It need not be reachable, and never fails a call.
#[cfg(feature = "valkey")]
#[tokio::test]
async fn a_server_that_is_not_there_is_no_error() {
    let memory = builder().shared_cache_url("valkey://127.0.0.1:1");
    let memory = memory.build().await.unwrap();
    let retained = memory.retain("mira", MemoryKind::World, "The mill stands north.");
    retained.await.unwrap();
    let hits = memory.recall("mira", "Where is the mill?").await.unwrap();
    assert_eq!(hits.len(), 1);
    memory.close().await.unwrap();
}
