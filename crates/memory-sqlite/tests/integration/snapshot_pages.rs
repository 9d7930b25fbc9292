//! Snapshot pages: a damaged one is found and left out, and none outlives what it has.

use std::collections::BTreeMap;
use std::path::Path;

use memory_core::{
    ByteSize, EmbeddedMemory, Fingerprint, MemoryId, SnapshotPage, SnapshotPages, SnapshotPart,
    SnapshotState, Store,
};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::fixtures;
use sqlx::Connection;
use tempfile::tempdir;

use crate::common::{connect, contents, ids, memories, mira, open, run_sql};

const FORMAT: u64 = u64::MAX - 1;

/// Five pages and 60 memories that are in none.
const MEMORIES: usize = 700;
const PAGES: usize = 5;

/// Text that only pages have.
const TRACE: &str = "zq-trace-of-page-xk";

fn pages(store: &SqliteStore) -> &dyn SnapshotPages {
    store.snapshot_pages().unwrap()
}

async fn read(store: &SqliteStore) -> SnapshotState {
    let (mira, fingerprint): (_, Fingerprint) = (mira(), fixtures::fingerprint());
    let read = pages(store).read(&mira, &fingerprint, FORMAT);
    read.await.unwrap()
}

/// Writes every page that the store would keep, each with the trace and its number.
async fn keep(store: &SqliteStore) {
    let state = read(store).await;
    let new = state.parts.iter().filter_map(|part| match part {
        SnapshotPart::Memories {
            page: Some(number),
            memories,
        } => {
            let content = format!("{TRACE} {number}").into_bytes();
            Some(SnapshotPage::new(*number, ids(memories), content))
        }
        _ => None,
    });
    let (mira, fingerprint) = (mira(), fixtures::fingerprint());
    let generation = state.generation;
    let write = pages(store).write(&mira, &fingerprint, FORMAT, generation, new.collect());
    write.await.unwrap();
}

/// What a page of [`keep_lines`] has of a memory: all of it but its accesses.
fn line(item: &EmbeddedMemory) -> String {
    let mut memory = item.memory.clone();
    (memory.access_count, memory.last_accessed) = (0, None);
    format!("{} {memory:?} {:?}\n", memory.id, item.embedding.vectors)
}

async fn read_format(store: &SqliteStore, format: u64) -> SnapshotState {
    let (mira, fingerprint): (_, Fingerprint) = (mira(), fixtures::fingerprint());
    let read = pages(store).read(&mira, &fingerprint, format);
    read.await.unwrap()
}

/// Writes every page that the store would keep in a format, each with a line for each of
/// its memories. Pages of another format are replaced.
pub(crate) async fn keep_lines(store: &SqliteStore, format: u64) {
    let state = read_format(store, format).await;
    let new = state.parts.iter().filter_map(|part| match part {
        SnapshotPart::Memories {
            page: Some(number),
            memories,
        } => {
            let content: String = memories.iter().map(line).collect();
            let content = content.into_bytes();
            Some(SnapshotPage::new(*number, ids(memories), content))
        }
        _ => None,
    });
    let (mira, fingerprint) = (mira(), fixtures::fingerprint());
    let generation = state.generation;
    let write = pages(store).write(&mira, &fingerprint, format, generation, new.collect());
    write.await.unwrap();
}

/// Checks that the pages of a format and the rows together have these memories once, as
/// they are. Returns how many pages there are.
pub(crate) async fn check_lines(
    store: &SqliteStore,
    format: u64,
    expected: &[EmbeddedMemory],
) -> usize {
    let expected = expected.iter().map(|item| (item.memory.id, line(item)));
    let mut expected: BTreeMap<MemoryId, String> = expected.collect();
    let mut pages = 0;
    for part in read_format(store, format).await.parts {
        let lines: Vec<String> = match part {
            SnapshotPart::Page(content) => {
                pages += 1;
                let lines = str::from_utf8(&content).unwrap().lines();
                lines.map(|line| format!("{line}\n")).collect()
            }
            SnapshotPart::Memories { memories, .. } => memories.iter().map(line).collect(),
        };
        for line in lines {
            let id = line.split_once(' ').unwrap().0.parse().unwrap();
            assert_eq!(expected.remove(&id), Some(line), "a memory of a page");
        }
    }
    assert!(expected.is_empty(), "{} are missing", expected.len());
    pages
}

async fn create(path: &Path) -> Vec<EmbeddedMemory> {
    let batch = memories(MEMORIES, 1);
    let store = open(path).await;
    store.insert(&batch).await.unwrap();
    keep(&store).await;
    store.close().await.unwrap();
    batch
}

/// The numbers of the pages of a state, by their contents, and the ids in none.
fn split(state: &SnapshotState) -> (Vec<String>, Vec<MemoryId>) {
    let (mut pages, mut rest) = (Vec::new(), Vec::new());
    for part in &state.parts {
        match part {
            SnapshotPart::Page(content) => {
                let content = str::from_utf8(content).unwrap();
                pages.push(content[TRACE.len() + 1..].to_owned());
            }
            SnapshotPart::Memories { memories, .. } => rest.extend(ids(memories)),
        }
    }
    (pages, rest)
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_a_page_is_found_and_the_page_is_kept_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    let store = open(&path).await;
    let (all, rest) = split(&read(&store).await);
    assert_eq!((all.len(), rest.len()), (PAGES, MEMORIES - PAGES * 128));
    assert!(all.iter().map(String::as_str).eq(["0", "1", "2", "3", "4"]));
    for damage in [
        "UPDATE snapshot_page SET content = CAST('damage' AS BLOB) WHERE page_key % 128 = 2",
        "UPDATE snapshot_page SET checksum = checksum + 1 WHERE page_key % 128 = 2",
        // A page in the place of another.
        "DELETE FROM snapshot_page WHERE page_key % 128 = 2;
         UPDATE snapshot_page SET page_key = page_key + 1 WHERE page_key % 128 = 1",
    ] {
        run_sql(&path, damage).await;
        let (found, rest) = split(&read(&store).await);
        assert!(!found.contains(&"2".to_owned()), "{found:?} after {damage}");
        let wanted = ids(&batch[256..384]);
        assert!(wanted.iter().all(|id| rest.contains(id)), "{damage}");
        assert_eq!(found.len() * 128 + rest.len(), MEMORIES, "{damage}");
        keep(&store).await;
        assert_eq!(split(&read(&store).await).0, all, "{damage}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_page_leaves_no_trace_when_one_of_its_memories_is_deleted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    let traces = || {
        let files = contents(folder.path()).into_values();
        let count = |file: Vec<u8>| {
            let windows = file.windows(TRACE.len());
            windows.filter(|bytes| *bytes == TRACE.as_bytes()).count()
        };
        files.map(count).sum::<usize>()
    };
    assert_eq!(traces(), PAGES);
    let store = open(&path).await;
    let one_of_each: Vec<MemoryId> = ids(&batch).into_iter().step_by(128).collect();
    store.delete(&mira(), &one_of_each[..2]).await.unwrap();
    assert_eq!(traces(), PAGES - 2);
    store.delete(&mira(), &one_of_each).await.unwrap();
    assert_eq!(traces(), 0);
    store.close().await.unwrap();
}

/// They read the pages that others wrote, and ask for none.
#[tokio::test]
async fn stores_that_only_read_offer_no_pages() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    run_sql(
        &path,
        "DELETE FROM snapshot_page WHERE page_key % 128 IN (1, 3)",
    )
    .await;
    let options = SqliteOptions::new(&path).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    let state = read(&store).await;
    assert_eq!(split(&state).0, ["0", "2", "4"]);
    let is_offered =
        |part: &SnapshotPart| matches!(part, SnapshotPart::Memories { page: Some(_), .. });
    assert!(!state.parts.iter().any(is_offered));
    store.close().await.unwrap();
    let in_memory = SqliteStore::open("sqlite::memory:").await.unwrap();
    assert!(in_memory.snapshot_pages().is_none());
    in_memory.close().await.unwrap();
}

/// Else recalls would use up what is left for memories.
#[tokio::test]
async fn pages_leave_room_in_a_file_of_limited_size() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = memories(MEMORIES, 1);
    let store = open(&path).await;
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    for (max, expected) in [(size * 5 / 4, 0), (size * 2, PAGES)] {
        let options = SqliteOptions::new(&path).max_size(ByteSize(max));
        let store = SqliteStore::open_with(options).await.unwrap();
        keep(&store).await;
        assert_eq!(split(&read(&store).await).0.len(), expected, "{max} bytes");
        store.close().await.unwrap();
    }
}

/// A file of the schema before pages has none, and gets them.
#[tokio::test]
async fn an_older_file_gets_pages() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    run_sql(
        &path,
        "DROP TRIGGER memory_snapshot_updated;
         DROP TRIGGER memory_snapshot_deleted;
         DROP TRIGGER memory_snapshot_vectors_deleted;
         DROP TABLE snapshot_page;
         ALTER TABLE text_analysis DROP COLUMN conversion;
         ALTER TABLE word_page DROP COLUMN conversion;
         DELETE FROM _sqlx_migrations WHERE version >= 8;
         PRAGMA user_version = 7;",
    )
    .await;
    let store = open(&path).await;
    assert_eq!(split(&read(&store).await).0.len(), 0);
    keep(&store).await;
    assert_eq!(split(&read(&store).await).0.len(), PAGES);
    store.close().await.unwrap();
    let mut conn = connect(&path).await;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    conn.close().await.unwrap();
}
