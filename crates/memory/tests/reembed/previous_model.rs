//! A reader with the new model and the previous one.

use memory::{ErrorKind, MemoryError, MemorySystem, ReembedRequest, Settings};

use crate::other_process::{OtherProcess, TestDatabase};
use crate::{MEMORIES, config, content, fill, first_model, open_store, second_model};

/// Recalls while another process embeds: every memory is found by its vector at any
/// time, by the previous model first and by the new one in the end.
pub(crate) async fn run(database: &TestDatabase) {
    fill(database).await;
    let entity = &*database.entity;
    let memory = MemorySystem::builder()
        .url(&*database.url)
        .embedder(second_model())
        .previous_embedder(first_model())
        .config(config())
        .build()
        .await
        .unwrap();
    let before = memory.recall_report(entity, &*content(3)).await.unwrap();
    assert!(before.by_previous_model);
    let mut other = OtherProcess::start(database, "embed").await;
    let (mut recalls, mut by_previous) = (0, 0);
    let mut is_last = false;
    while !is_last {
        is_last = !other.is_running();
        let wanted = content(recalls * 614 % MEMORIES);
        let found = memory.recall_report(entity, &*wanted).await.unwrap();
        let best = &found.hits[0];
        assert_eq!((&best.memory.content, found.without_vectors), (&wanted, 0));
        assert!(best.similarity > Some(0.99), "{best:?}");
        by_previous += usize::from(found.by_previous_model);
        if is_last {
            assert!(!found.by_previous_model);
        }
        recalls += 1;
    }
    other.wait().await;
    println!("{recalls} recalls, {by_previous} of them by the previous model");
    memory.close().await.unwrap();
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_previous_model_may_be_the_current_one() {
    let database = TestDatabase::file("");
    fill(&database).await;
    let model = second_model();
    let memory = MemorySystem::builder()
        .store(open_store(&database.url).await)
        .embedder(model.clone())
        .previous_embedder(model.clone())
        .build()
        .await
        .unwrap();
    let texts = model.texts();
    let found = memory.recall_report("mira", &*content(5)).await.unwrap();
    assert!(!found.by_previous_model);
    assert_eq!(found.without_vectors, MEMORIES as u64);
    assert_eq!(model.texts(), texts + 1, "the question, once");
    let report = memory.reembed("mira", ReembedRequest::new()).await.unwrap();
    assert!(report.is_complete);
    memory.close().await.unwrap();
}

#[cfg(all(feature = "onnx", feature = "sqlite"))]
#[tokio::test]
async fn a_previous_model_is_named_in_code_or_settings() {
    let named = [("MEMORY_PREVIOUS_MODEL", "./not-there")];
    let settings = Settings::builder().variables(named).build().unwrap();
    assert_eq!(settings.previous_model(), Some("./not-there"));
    let none = [("MEMORY_PREVIOUS_MODEL", "none")];
    let settings = Settings::builder().variables(none).build().unwrap();
    assert_eq!(settings.previous_model(), None);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory.toml");
    std::fs::write(&file, "previous_model = './not-there'").unwrap();
    let database = folder.path().join("agent.db");
    let builder = || {
        let url = format!("sqlite://{}", database.display());
        MemorySystem::builder().url(url).embedder(second_model())
    };
    for builder in [
        builder().previous_model("./not-there"),
        builder().settings_file(&file),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
        assert!(error.to_string().contains("./not-there"), "{error}");
    }
    let both = builder()
        .previous_model("./not-there")
        .previous_embedder(first_model());
    let error = both.build().await.unwrap_err();
    assert!(
        matches!(error, MemoryError::Configuration { .. }),
        "{error}"
    );
    assert!(!database.exists(), "nothing was opened");

    // What code sets precedes the file.
    let builder = builder().settings_file(&file);
    let memory = builder.previous_embedder(first_model()).build().await;
    memory.unwrap().close().await.unwrap();
}
