//! A database whose vectors come from another model.

use std::sync::Arc;

use async_trait::async_trait;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::sqlite::SqliteStore;
use memory::{MemoryKind, MemoryResult, MemorySystem};

use crate::test_dir::TestDir;

/// A model of eight dimensions that gives every text the same vector.
#[derive(Debug)]
struct OtherModel(EmbedderProfile);

#[async_trait]
impl Embedder for OtherModel {
    fn profile(&self) -> &EmbedderProfile {
        &self.0
    }

    async fn embed(&self, texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let mut vector = vec![0.0; 8];
        vector[0] = 1.0;
        Ok(vec![vector; texts.len()])
    }
}

/// Retains three memories with the vectors of [`OtherModel`].
async fn retain_with_other_model(dir: &TestDir) -> MemoryResult<()> {
    let store = SqliteStore::open(dir.path("memory.db").to_str().expect("UTF-8")).await?;
    let system = MemorySystem::builder()
        .store(Arc::new(store))
        .embedder(Arc::new(OtherModel(EmbedderProfile::new(
            "other", "other-8", 8,
        ))))
        .build()
        .await?;
    for content in [
        "The mill stands north of the bridge.",
        "Tam sold me a lame horse.",
        "Bread is expensive this spring.",
    ] {
        system.retain("mira", MemoryKind::World, content).await?;
    }
    system.close().await
}

#[test]
fn vectors_of_another_model_are_replaced_by_reembed() {
    let dir = TestDir::new();
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(retain_with_other_model(&dir))
        .expect("the database is created");
    let similarities = || {
        let recall = ["--json", "recall", "mira", "Who cheated over an animal?"];
        let found = dir.run(&recall).code(0).json();
        let memories = found["memories"].as_array().expect("a list").clone();
        let similarities = memories.iter().map(|memory| memory["similarity"].as_f64());
        (similarities.collect::<Vec<_>>(), found)
    };
    let (before, found) = similarities();
    assert_eq!(found["without_vectors"], 3);
    assert!(before.iter().all(Option::is_none), "{before:?}");
    let human = dir.run(&["recall", "mira", "Tam"]).code(0);
    let expected = "3 memories have no vector of the current model";
    assert!(human.err.starts_with(expected), "{human:?}");
    let human = dir.run(&["reflect", "mira", "Tam"]).code(0);
    assert!(human.err.starts_with(expected), "{human:?}");
    let reflected = dir.run(&["--json", "reflect", "mira", "Tam"]).code(0);
    assert_eq!(reflected.json()["without_vectors"], 3);

    let doctor = dir.run(&["doctor"]);
    assert_eq!(doctor.code, Some(8), "{doctor:?}");
    assert!(
        doctor.out.contains("3 of 3 memories lack vectors"),
        "{doctor:?}"
    );
    assert!(
        doctor.out.contains("fix: memory reembed --all"),
        "{doctor:?}"
    );

    for args in [&["reembed"][..], &["reembed", "mira", "--all"]] {
        dir.run(&[&["--json"], args].concat()).fails(2, "usage");
    }
    let done = dir.run(&["--json", "reembed", "--all"]).code(0).json();
    assert_eq!(
        (&done["entities"], &done["reembedded"]),
        (&1.into(), &3.into())
    );
    let (after, found) = similarities();
    assert_eq!(after.len(), 3);
    assert_eq!(found["without_vectors"], 0);
    assert!(after.iter().all(Option::is_some), "{after:?}");
    assert_eq!(
        found["memories"][0]["memory"]["content"],
        "Tam sold me a lame horse."
    );
    let again = dir.run(&["reembed", "mira"]).code(0);
    assert_eq!(again.out, "embedded 0 of 3 memories of 1 entity\n");
    let forced = dir.run(&["reembed", "mira", "--force"]).code(0);
    assert_eq!(forced.out, "embedded 3 of 3 memories of 1 entity\n");
    dir.run(&["doctor"]).code(0);
}
