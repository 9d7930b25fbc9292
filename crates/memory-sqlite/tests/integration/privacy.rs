//! Deleted content leaves no trace in the files, and errors and debug output
//! contain no content.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use memory_core::{AccessUpdate, EmbeddedMemory, ListRequest, MemoryPatch, Store, SummaryGroup};
use memory_testkit::fixtures::embedding;
use memory_testkit::{SeededRng, fixtures};
use tempfile::tempdir;

use crate::common::{contents, ids, lexical, memories, memory, mira, open};

/// A word that occurs nowhere else and that stemming does not change.
fn secret(number: usize) -> String {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let letter = |place: u32| char::from(LETTERS[number * 7_919 / 26usize.pow(place) % 26]);
    format!("zq{}xk", (0..4).map(letter).collect::<String>())
}

/// A memory with its secret in every text field.
fn memory_with_secret(number: usize, rng: &mut SeededRng) -> EmbeddedMemory {
    let word = secret(number);
    let mut one = memory(format!("They hid the {word} under the mill."), rng);
    let text = |prefix: &str| format!("{prefix} {word}");
    let fields = &mut one.memory;
    fields.context = Some(text("context"));
    fields.tags.insert(text("tag"));
    fields.metadata.insert(text("key"), text("value"));
    fields.entities.insert(text("entity").into(), text("role"));
    fields.related.insert(rng.id(), text("relation"));
    one
}

/// The first bytes of a memory's vector in the file.
fn vector_prefix(one: &EmbeddedMemory) -> [u8; 8] {
    let [first, second] = [0, 1].map(|at| one.embedding.vectors[0][at].to_le_bytes());
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first);
    bytes[4..].copy_from_slice(&second);
    bytes
}

/// How often secrets occur in the files of the folder.
fn count_traces(folder: &Path) -> usize {
    let is_secret = |word: &[u8]| word.starts_with(b"zq") && word.ends_with(b"xk");
    let in_file = |bytes: &Vec<u8>| bytes.windows(8).filter(|word| is_secret(word)).count();
    contents(folder).values().map(in_file).sum()
}

#[tokio::test]
async fn deleted_content_leaves_no_trace() {
    const COUNT: usize = 400;
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut rng = SeededRng::new(5);
    let secrets: Vec<_> = (0..COUNT)
        .map(|number| memory_with_secret(number, &mut rng))
        .collect();
    // Among others, in random order, so that pages split and rows move.
    let mut all: Vec<_> = memories(COUNT, 6)
        .into_iter()
        .chain(secrets.clone())
        .collect();
    rng.shuffle(&mut all);
    for batch in all.chunks(30) {
        store.insert(batch).await.unwrap();
    }
    assert!(count_traces(folder.path()) > 5 * COUNT);
    let mut deleted = ids(&secrets);
    rng.shuffle(&mut deleted);
    for some in deleted.chunks(45) {
        store.delete(&mira(), some).await.unwrap();
    }
    assert_eq!(count_traces(folder.path()), 0);
    let prefixes: HashSet<[u8; 8]> = secrets.iter().map(vector_prefix).collect();
    for file in contents(folder.path()).values() {
        let found = file.windows(8).any(|bytes| prefixes.contains(bytes));
        assert!(!found, "a vector");
    }
    // The others are all there.
    let listed = store.list(&mira(), &ListRequest::new(1_000)).await.unwrap();
    assert_eq!(listed.memories.len(), COUNT);
}

/// Archiving moves words and vectors to other tables and leaves nothing behind.
#[tokio::test]
async fn consolidated_and_deleted_content_leaves_no_trace() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut rng = SeededRng::new(5);
    let sources: Vec<_> = (0..30)
        .map(|number| memory_with_secret(number, &mut rng))
        .collect();
    let summary = memory_with_secret(99, &mut rng);
    let generation = store.insert(&sources).await.unwrap().generations[&mira()];
    let group = SummaryGroup {
        summary: summary.clone(),
        sources: ids(&sources),
    };
    store
        .consolidate(&mira(), &[group], generation)
        .await
        .unwrap();
    // Deleting one source removes the summary and restores the other sources.
    let gone = store.delete(&mira(), &ids(&sources)[..1]).await.unwrap();
    assert_eq!((gone.removed.len(), gone.restored.len()), (2, 29));
    store.delete(&mira(), &ids(&sources)).await.unwrap();
    assert_eq!(count_traces(folder.path()), 0);
    let prefixes: HashSet<[u8; 8]> = sources
        .iter()
        .chain([&summary])
        .map(vector_prefix)
        .collect();
    for file in contents(folder.path()).values() {
        assert!(!file.windows(8).any(|bytes| prefixes.contains(bytes)));
    }
}

#[tokio::test]
async fn replaced_content_leaves_no_trace() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut rng = SeededRng::new(5);
    let one = memory_with_secret(1, &mut rng);
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let patch = MemoryPatch::new()
        .content("They hid nothing.")
        .context(None)
        .metadata([].into())
        .related([].into())
        .entities([].into())
        .tags(Vec::<String>::new());
    let fresh = embedding(1, &mut rng);
    store
        .update(&mira(), &one.memory.id, &patch, Some(&fresh))
        .await
        .unwrap();
    assert_eq!(count_traces(folder.path()), 0);
}

/// A reader of an earlier state delays truncating the log to a later write.
#[tokio::test]
async fn a_write_ahead_log_held_by_a_reader_is_truncated_later() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let one = memory_with_secret(1, &mut SeededRng::new(5));
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut reader = crate::common::connect(&path).await;
    let hold = "BEGIN; SELECT count(*) FROM memory";
    sqlx::raw_sql(hold).execute(&mut reader).await.unwrap();
    store.delete(&mira(), &[one.memory.id]).await.unwrap();
    assert!(count_traces(folder.path()) > 0, "held by the reader");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut reader)
        .await
        .unwrap();
    store.insert(&memories(1, 9)).await.unwrap();
    assert_eq!(count_traces(folder.path()), 0);
}

/// A reader that stays, such as a backup, delays no write of this process or another:
/// waiting a quarter of a second for it in each would take far longer than the limit.
#[tokio::test]
async fn a_reader_that_holds_erased_content_delays_no_write() {
    const WRITES: usize = 150;
    const LIMIT: Duration = Duration::from_secs(30);
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let (store, other) = (open(&path).await, open(&path).await);
    let one = memory_with_secret(1, &mut SeededRng::new(5));
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut reader = crate::common::connect(&path).await;
    let count = "SELECT count(*) FROM memory";
    let begin = sqlx::raw_sql("BEGIN").execute(&mut reader).await;
    begin.unwrap();
    let held: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    store.delete(&mira(), &[one.memory.id]).await.unwrap();
    let writes = async {
        for (number, batch) in memories(2 * WRITES, 9).chunks(2).enumerate() {
            store.insert(&batch[..1]).await.unwrap();
            other.insert(&batch[1..]).await.unwrap();
            let counted = AccessUpdate::new(mira(), batch[0].memory.id, 1, fixtures::at(0));
            if number % 2 == 0 {
                store
                    .record_accesses(&[counted], Duration::ZERO)
                    .await
                    .unwrap();
            }
        }
    };
    let written = tokio::time::timeout(LIMIT, writes).await;
    written.expect("writes wait for the reader");
    // It still sees what it saw before all of them.
    let seen: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!((held, seen), (1, 1));
    assert!(count_traces(folder.path()) > 0, "held by the reader");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut reader)
        .await
        .unwrap();
    // No write follows.
    let started = Instant::now();
    while count_traces(folder.path()) > 0 {
        assert!(started.elapsed() < LIMIT, "the log is not truncated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads that are short, but overlap, leave no moment without one.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_short_reads_do_not_keep_erased_content() {
    const LIMIT: Duration = Duration::from_secs(60);
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let one = memory_with_secret(1, &mut SeededRng::new(5));
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let readers: Vec<_> = [20, 50]
        .map(|millis| {
            let path = path.clone();
            tokio::spawn(async move {
                let mut reader = crate::common::connect(&path).await;
                loop {
                    let begin = "BEGIN; SELECT count(*) FROM memory";
                    sqlx::raw_sql(begin).execute(&mut reader).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    let commit = sqlx::raw_sql("COMMIT");
                    commit.execute(&mut reader).await.unwrap();
                }
            })
        })
        .into();
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.delete(&mira(), &[one.memory.id]).await.unwrap();
    let started = Instant::now();
    for batch in memories(10_000, 9).chunks(1) {
        store.insert(batch).await.unwrap();
        if count_traces(folder.path()) == 0 {
            break;
        }
        assert!(started.elapsed() < LIMIT, "the log is not truncated");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for reader in readers {
        assert!(!reader.is_finished(), "a reader failed");
        reader.abort();
    }
}

/// A process that is killed leaves what it could not truncate to the next.
#[tokio::test]
async fn a_log_that_was_left_behind_is_truncated() {
    const LIMIT: Duration = Duration::from_secs(30);
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let one = memory_with_secret(1, &mut SeededRng::new(5));
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut reader = crate::common::connect(&path).await;
    let hold = "BEGIN; SELECT count(*) FROM memory";
    sqlx::raw_sql(hold).execute(&mut reader).await.unwrap();
    store.delete(&mira(), &[one.memory.id]).await.unwrap();
    let left = tempdir().unwrap();
    for name in ["agent.db", "agent.db-wal"] {
        std::fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    assert!(count_traces(left.path()) > 0, "held by the reader");
    let opened = open(&left.path().join("agent.db")).await;
    // No write follows.
    let started = Instant::now();
    while count_traces(left.path()) > 0 {
        assert!(started.elapsed() < LIMIT, "the log is not truncated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    opened.close().await.unwrap();
}

/// A store that is closed while a short read goes on leaves nothing to others.
#[tokio::test]
async fn closing_truncates_the_log_after_a_short_read_of_another_process() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let (store, other) = (open(&path).await, open(&path).await);
    let one = memory_with_secret(1, &mut SeededRng::new(5));
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut reader = crate::common::connect(&path).await;
    let hold = "BEGIN; SELECT count(*) FROM memory";
    sqlx::raw_sql(hold).execute(&mut reader).await.unwrap();
    store.delete(&mira(), &[one.memory.id]).await.unwrap();
    let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut reader);
    let (closed, rolled_back) = tokio::join!(store.close(), rollback);
    closed.unwrap();
    rolled_back.unwrap();
    assert_eq!(count_traces(folder.path()), 0);
    other.close().await.unwrap();
}

#[tokio::test]
async fn errors_and_debug_output_contain_no_content() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let mut rng = SeededRng::new(5);
    let one = memory_with_secret(1, &mut rng);
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut conflict = one.clone();
    conflict.memory.content.push_str(" Twice.");
    let mut malformed = memory_with_secret(2, &mut rng);
    malformed.memory.decay_rate = f32::NAN;
    let mut errors = vec![
        store.insert(&[conflict]).await.unwrap_err(),
        store.insert(&[malformed]).await.unwrap_err(),
    ];
    crate::common::run_sql(&path, "UPDATE memory SET metadata = content").await;
    let id = one.memory.id;
    errors.push(store.get(&mira(), &[id]).await.unwrap_err());
    crate::common::run_sql(&path, "DROP TABLE memory_words").await;
    let query = lexical(&format!("\"{}* AND (", secret(1)));
    errors.push(store.search(&mira(), &query).await.unwrap_err());
    errors.push(
        store
            .insert(&[memory_with_secret(3, &mut rng)])
            .await
            .unwrap_err(),
    );
    let shown =
        format!("{errors:?} {store:?}") + &errors.iter().map(|e| e.to_string()).collect::<String>();
    for number in 1..=3 {
        assert!(!shown.contains(&secret(number)), "{shown}");
    }
}
