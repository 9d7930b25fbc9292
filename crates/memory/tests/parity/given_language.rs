//! The setting `language`: whatever is found without it is found with every value, also
//! where memories were written with another one, in a snapshot, on SQLite and on
//! PostgreSQL; and what it adds is found alike in all three.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use memory::postgres::PgOptions;
use memory::sqlite::{SqliteOptions, SqliteStore};
use memory::store::{SearchRequest, Store};
use memory::{
    EntityId, Language, MemoryConfig, MemoryFilter, MemoryId, MemoryKind, MemorySystem, RecallPath,
};
use memory_testkit::HashEmbedder;

/// Without a function word, so that no language is detected.
const SHORT: &str = "Katzen füttern";
const GERMAN: &str = "Die Katze schläft auf dem Sofa.";

const MEMORIES: [&str; 4] = [
    SHORT,
    GERMAN,
    "Waar zijn mijn katten?",
    "Tam feeds the cats.",
];

const QUESTIONS: [&str; 6] = [
    "Katze",
    "Katzen",
    "katten",
    "Wo ist meine Katze?",
    "Who feeds a cat?",
    "sofas",
];

const SETTINGS: [Option<Language>; 3] = [None, Some(Language::German), Some(Language::Dutch)];

/// The contents that a question finds by words.
type Contents = BTreeSet<String>;

async fn stores(file: &Path, language: Option<Language>) -> [Arc<dyn Store>; 2] {
    let embedded = SqliteOptions::new(file).language(language);
    let server = PgOptions::new().language(language);
    [
        Arc::new(SqliteStore::open_with(embedded).await.unwrap()),
        Arc::new(server.connect(&crate::postgres_url()).await.unwrap()),
    ]
}

async fn system(store: &Arc<dyn Store>, language: Option<Language>) -> MemorySystem {
    let config = MemoryConfig {
        language,
        ..MemoryConfig::default()
    };
    let builder = MemorySystem::builder().store(Arc::clone(store));
    let builder = builder.embedder(HashEmbedder::new()).config(config);
    builder.build().await.unwrap()
}

async fn search(store: &dyn Store, entity: &str, question: &str) -> Contents {
    let mut request = SearchRequest::new(MemoryFilter::new(), MEMORIES.len());
    request.lexical = Some(question.to_owned());
    let found = store.search(&EntityId::from(entity), &request).await;
    let hits = found.unwrap().candidates.into_iter();
    hits.map(|hit| hit.memory.content).collect()
}

async fn recall(system: &MemorySystem, entity: &str, question: &str) -> Contents {
    let hits = system.recall(entity, question).await.unwrap();
    let is_snapshot = |path: RecallPath| path == RecallPath::Snapshot;
    assert!(hits.iter().all(|hit| is_snapshot(hit.explanation.path)));
    let hits = hits.into_iter().filter(|hit| hit.explanation.lexical > 0.0);
    hits.map(|hit| hit.memory.content.clone()).collect()
}

/// What every question finds in memories that were written with one setting and are
/// asked for with another: in a snapshot, on SQLite and on PostgreSQL.
async fn find_all(written: Option<Language>, asked: Option<Language>) -> Vec<[Contents; 3]> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.db");
    let entity = format!("mira-{}", MemoryId::new());
    for store in stores(&file, written).await {
        let system = system(&store, written).await;
        for content in MEMORIES {
            let retained = system.retain(&*entity, MemoryKind::World, content).await;
            retained.unwrap();
        }
        system.close().await.unwrap();
    }
    let [embedded, server] = stores(&file, asked).await;
    let snapshot = system(&embedded, asked).await;
    let mut all = Vec::new();
    for question in QUESTIONS {
        all.push([
            recall(&snapshot, &entity, question).await,
            search(&*embedded, &entity, question).await,
            search(&*server, &entity, question).await,
        ]);
    }
    snapshot.close().await.unwrap();
    server.close().await.unwrap();
    all
}

#[tokio::test]
async fn every_setting_finds_what_is_found_without_it() {
    let without = find_all(None, None).await;
    assert!(without.iter().all(|[snapshot, ..]| !snapshot.is_empty()));
    for written in SETTINGS {
        for asked in SETTINGS {
            let found = find_all(written, asked).await;
            for (question, (found, without)) in QUESTIONS.iter().zip(found.iter().zip(&without)) {
                let case = format!("{written:?}, {asked:?}: {question}: {found:?}");
                let [snapshot, embedded, server] = found;
                assert_eq!(embedded, server, "{case}");
                if written == asked {
                    assert_eq!(snapshot, embedded, "{case}");
                }
                for (found, without) in found.iter().zip(without) {
                    assert!(found.is_superset(without), "{case}, without: {without:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn other_forms_are_found_where_no_language_is_detected() {
    let german = Some(Language::German);
    let finds = |found: &[[Contents; 3]], question: &str, content: &str| {
        let index = QUESTIONS.iter().position(|it| *it == question).unwrap();
        found[index].each_ref().map(|found| found.contains(content))
    };
    let without = find_all(None, None).await;
    assert_eq!(finds(&without, "Katze", SHORT), [false; 3]);
    assert_eq!(finds(&without, "Katzen", GERMAN), [false; 3]);
    let with = find_all(german, german).await;
    assert_eq!(finds(&with, "Katze", SHORT), [true; 3]);
    assert_eq!(finds(&with, "Katzen", GERMAN), [true; 3]);
    // Memories that were written before keep their terms in the stores.
    let before = find_all(None, german).await;
    assert_eq!(finds(&before, "Katzen", GERMAN), [true; 3]);
    assert_eq!(finds(&before, "Katze", SHORT), [true, false, false]);
}

/// The index of a file has the German stem, which is a word of its own to a store that
/// knows of no language.
#[tokio::test]
async fn a_store_that_is_opened_by_its_url_has_the_language_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.db");
    let system = MemorySystem::builder()
        .url(format!("sqlite://{}", file.display()))
        .embedder(HashEmbedder::new())
        .configure(|config| config.language = Some(Language::German))
        .build()
        .await
        .unwrap();
    let retained = system.retain("mira", MemoryKind::World, SHORT).await;
    retained.unwrap();
    system.close().await.unwrap();
    let store = SqliteStore::open_with(SqliteOptions::new(&file)).await;
    let store = store.unwrap();
    assert_eq!(search(&store, "mira", "katz").await.len(), 1);
}
