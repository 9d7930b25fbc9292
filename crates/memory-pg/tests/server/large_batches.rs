//! Batches that are more than one statement should write.

use memory_core::{EmbeddedMemory, EntityId, Generation, MemoryFilter, Store};
use memory_pg::{PgOptions, PgStore, Precision};
use memory_testkit::SeededRng;
use memory_testkit::fixtures;
use sqlx::PgConnection;

use crate::memories;
use crate::support::{connect, run, with_database};

/// Of 32 KiB each: 26 MB.
const MEMORIES: usize = 800;
/// As many rows.
const ROWS: i64 = 800;
const DIMENSIONS: usize = 8_192;

fn large(entity: &str) -> Vec<EmbeddedMemory> {
    let mut rng = SeededRng::new(7);
    let vector = rng.vector(DIMENSIONS);
    let mut batch = memories(entity, MEMORIES);
    for item in &mut batch {
        item.embedding.vectors = vec![vector.clone()];
    }
    batch
}

/// How many statements inserted vectors, and how many of them there are.
async fn written(connection: &mut PgConnection) -> (i64, i64) {
    let query =
        "SELECT (SELECT last_value FROM statements), (SELECT count(*) FROM memory_embedding)";
    sqlx::query_as(query).fetch_one(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_written_whole_by_several_statements() {
    with_database(|url| async move {
        let options = PgOptions::new().precision(Precision::Single);
        let store: PgStore = options.connect(&url).await.unwrap();
        let mut other = connect(&url).await;
        run(
            &mut other,
            "CREATE SEQUENCE statements; \
             CREATE FUNCTION count_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               PERFORM nextval('statements'); RETURN NULL; END $$; \
             CREATE TRIGGER count AFTER INSERT ON memory_embedding FOR EACH STATEMENT \
               EXECUTE FUNCTION count_one()",
        )
        .await;
        let (mira, batch) = (EntityId::from("mira"), large("mira"));
        let outcome = store.insert(&batch).await.unwrap();
        assert!(outcome.inserted.iter().all(|it| *it));
        assert_eq!(written(&mut other).await, (2, ROWS));
        let embeddings: Vec<_> = batch
            .iter()
            .map(|item| (item.memory.id, item.embedding.clone()))
            .collect();
        let replaced = store.replace_vectors(&mira, &embeddings, Generation(1));
        assert_eq!(replaced.await.unwrap().replaced.len(), MEMORIES);
        assert_eq!(written(&mut other).await, (4, ROWS));

        // The last memory of a batch is there already: the others are written once.
        let tam = EntityId::from("tam");
        let batch = large("tam");
        store.insert(&batch[MEMORIES - 1..]).await.unwrap();
        let outcome = store.insert(&batch).await.unwrap();
        let inserted = outcome.inserted.iter().filter(|it| **it).count();
        assert_eq!(inserted, MEMORIES - 1);
        let count = store.count(&tam, &MemoryFilter::new()).await.unwrap();
        assert_eq!(count, MEMORIES as u64);
        let vectors = written(&mut other).await.1;
        assert_eq!(vectors, 2 * ROWS);
        let model = fixtures::fingerprint();
        let ids: Vec<_> = batch.iter().map(|item| item.memory.id).collect();
        let counts = store.vector_counts(&tam, &ids, &model).await.unwrap();
        assert!(counts.iter().all(|it| *it == 1));
        store.close().await.unwrap();
    })
    .await;
}
