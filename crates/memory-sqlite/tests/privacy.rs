//! What is deleted leaves no trace in the files, and content stands in no
//! error and no debug output.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::path::Path;

use common::{contents, ids, lexical, memories, memory, mira, open};
use memory_core::{EmbeddedMemory, ListRequest, MemoryPatch, Store, SummaryGroup};
use memory_testkit::SeededRng;
use memory_testkit::population::embedding;
use tempfile::tempdir;

/// A word that stands nowhere else, and that stemming leaves alone.
fn secret(number: usize) -> String {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let letter = |place: u32| char::from(LETTERS[number * 7_919 / 26usize.pow(place) % 26]);
    format!("zq{}xk", (0..4).map(letter).collect::<String>())
}

/// A memory that bears its secret in every text it has.
fn secretive(number: usize, chance: &mut SeededRng) -> EmbeddedMemory {
    let word = secret(number);
    let mut one = memory(format!("They hid the {word} under the mill."), chance);
    let text = |prefix: &str| format!("{prefix} {word}");
    let fields = &mut one.memory;
    fields.context = Some(text("context"));
    fields.tags.insert(text("tag"));
    fields.metadata.insert(text("key"), text("value"));
    fields.entities.insert(text("entity").into(), text("role"));
    fields.related.insert(chance.id(), text("relation"));
    one
}

/// The first bytes of a memory's vector in the file.
fn vector_begin(one: &EmbeddedMemory) -> [u8; 8] {
    let [first, second] = [0, 1].map(|at| one.embedding.vectors[0][at].to_le_bytes());
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first);
    bytes[4..].copy_from_slice(&second);
    bytes
}

/// How often any secret stands in any file of the folder.
fn traces(folder: &Path) -> usize {
    let is_secret = |word: &[u8]| word.starts_with(b"zq") && word.ends_with(b"xk");
    let in_file = |bytes: &Vec<u8>| bytes.windows(8).filter(|word| is_secret(word)).count();
    contents(folder).values().map(in_file).sum()
}

#[tokio::test]
async fn what_is_deleted_leaves_no_trace() {
    const COUNT: usize = 400;
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut chance = SeededRng::new(5);
    let secrets: Vec<_> = (0..COUNT)
        .map(|number| secretive(number, &mut chance))
        .collect();
    // Among others, in random order, so that pages split and rows move.
    let mut all: Vec<_> = memories(COUNT, 6)
        .into_iter()
        .chain(secrets.clone())
        .collect();
    chance.shuffle(&mut all);
    for batch in all.chunks(30) {
        store.insert(batch).await.unwrap();
    }
    assert!(traces(folder.path()) > 5 * COUNT);
    let mut doomed = ids(&secrets);
    chance.shuffle(&mut doomed);
    for some in doomed.chunks(45) {
        store.delete(&mira(), some).await.unwrap();
    }
    assert_eq!(traces(folder.path()), 0);
    let begins: HashSet<[u8; 8]> = secrets.iter().map(vector_begin).collect();
    for file in contents(folder.path()).values() {
        let found = file.windows(8).any(|bytes| begins.contains(bytes));
        assert!(!found, "a vector");
    }
    // The others are all there.
    let listed = store.list(&mira(), &ListRequest::new(1_000)).await.unwrap();
    assert_eq!(listed.memories.len(), COUNT);
}

/// Archiving moves words and vectors about; nothing of them stays behind.
#[tokio::test]
async fn what_was_consolidated_and_deleted_leaves_no_trace() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut chance = SeededRng::new(5);
    let sources: Vec<_> = (0..30)
        .map(|number| secretive(number, &mut chance))
        .collect();
    let summary = secretive(99, &mut chance);
    let generation = store.insert(&sources).await.unwrap().generations[&mira()];
    let group = SummaryGroup {
        summary: summary.clone(),
        sources: ids(&sources),
    };
    store
        .consolidate(&mira(), &[group], generation)
        .await
        .unwrap();
    // One source takes the summary along and makes the others live again.
    let gone = store.delete(&mira(), &ids(&sources)[..1]).await.unwrap();
    assert_eq!((gone.removed.len(), gone.restored.len()), (2, 29));
    store.delete(&mira(), &ids(&sources)).await.unwrap();
    assert_eq!(traces(folder.path()), 0);
    let begins: HashSet<[u8; 8]> = sources.iter().chain([&summary]).map(vector_begin).collect();
    for file in contents(folder.path()).values() {
        assert!(!file.windows(8).any(|bytes| begins.contains(bytes)));
    }
}

#[tokio::test]
async fn what_is_replaced_leaves_no_trace() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut chance = SeededRng::new(5);
    let one = secretive(1, &mut chance);
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let patch = MemoryPatch::new()
        .content("They hid nothing.")
        .context(None)
        .metadata([].into())
        .related([].into())
        .entities([].into())
        .tags(Vec::<String>::new());
    let fresh = embedding(1, &mut chance);
    store
        .update(&mira(), &one.memory.id, &patch, Some(&fresh))
        .await
        .unwrap();
    assert_eq!(traces(folder.path()), 0);
}

/// A reader of an old state keeps the log alive; the next write makes good.
#[tokio::test]
async fn a_log_that_cannot_be_emptied_is_emptied_later() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let one = secretive(1, &mut SeededRng::new(5));
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut reader = common::connect(&path).await;
    let hold = "BEGIN; SELECT count(*) FROM memory";
    sqlx::raw_sql(hold).execute(&mut reader).await.unwrap();
    store.delete(&mira(), &[one.memory.id]).await.unwrap();
    assert!(traces(folder.path()) > 0, "held by the reader");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut reader)
        .await
        .unwrap();
    store.insert(&memories(1, 9)).await.unwrap();
    assert_eq!(traces(folder.path()), 0);
}

#[tokio::test]
async fn errors_and_debug_output_hold_no_content() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    let mut chance = SeededRng::new(5);
    let one = secretive(1, &mut chance);
    store.insert(std::slice::from_ref(&one)).await.unwrap();
    let mut conflict = one.clone();
    conflict.memory.content.push_str(" Twice.");
    let mut malformed = secretive(2, &mut chance);
    malformed.memory.decay_rate = f32::NAN;
    let mut errors = vec![
        store.insert(&[conflict]).await.unwrap_err(),
        store.insert(&[malformed]).await.unwrap_err(),
    ];
    common::run_sql(&path, "UPDATE memory SET metadata = content").await;
    let id = one.memory.id;
    errors.push(store.get(&mira(), &[id]).await.unwrap_err());
    common::run_sql(&path, "DROP TABLE memory_words").await;
    let query = lexical(&format!("\"{}* AND (", secret(1)));
    errors.push(store.search(&mira(), &query).await.unwrap_err());
    errors.push(
        store
            .insert(&[secretive(3, &mut chance)])
            .await
            .unwrap_err(),
    );
    let shown =
        format!("{errors:?} {store:?}") + &errors.iter().map(|e| e.to_string()).collect::<String>();
    for number in 1..=3 {
        assert!(!shown.contains(&secret(number)), "{shown}");
    }
}
