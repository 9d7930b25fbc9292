//! Snapshot pages: whatever is written, none has what is not so any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, Fingerprint, Generation, InsertOptions, MemoryId,
    MemoryPatch, SnapshotPage, SnapshotPages, SnapshotPart, SnapshotState, Store,
};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::{SeededRng, fixtures};
use sqlx::PgConnection;

use crate::memories;
use crate::server_process::with_standby;
use crate::support::{connect, run, with_database};

const FORMAT: u64 = u64::MAX - 1;

/// Five full pages and 60 memories that are in none.
pub(crate) const MEMORIES: usize = 700;
pub(crate) const PAGES: usize = 5;

pub(crate) static MIRA: LazyLock<EntityId> = LazyLock::new(|| EntityId::from("mira"));

fn pages(store: &PgStore) -> &dyn SnapshotPages {
    store.snapshot_pages().unwrap()
}

async fn read_of(store: &PgStore, model: &Fingerprint) -> SnapshotState {
    pages(store).read(&MIRA, model, FORMAT).await.unwrap()
}

pub(crate) async fn read(store: &PgStore) -> SnapshotState {
    read_of(store, &fixtures::fingerprint()).await
}

/// What a page has of a memory: all of it but its accesses.
pub(crate) fn line(item: &EmbeddedMemory) -> String {
    let mut memory = item.memory.clone();
    (memory.access_count, memory.last_accessed) = (0, None);
    format!("{} {memory:?} {:?}\n", memory.id, item.embedding.vectors)
}

/// The pages that the store would keep.
pub(crate) fn offered(state: &SnapshotState) -> Vec<SnapshotPage> {
    let page = |part: &SnapshotPart| match part {
        SnapshotPart::Memories {
            page: Some(number),
            memories,
        } => {
            let ids = memories.iter().map(|item| item.memory.id).collect();
            let content: String = memories.iter().map(line).collect();
            Some(SnapshotPage::new(*number, ids, content.into_bytes()))
        }
        _ => None,
    };
    state.parts.iter().filter_map(page).collect()
}

async fn write(store: &PgStore, model: &Fingerprint, state: &SnapshotState) {
    let (new, read_at) = (offered(state), state.generation);
    let write = pages(store).write(&MIRA, model, FORMAT, read_at, new);
    write.await.unwrap();
}

pub(crate) async fn keep(store: &PgStore) {
    let state = read(store).await;
    write(store, &fixtures::fingerprint(), &state).await;
}

/// The ids of the pages of a state, each with the lines of its content.
pub(crate) fn kept(state: &SnapshotState) -> Vec<BTreeMap<MemoryId, String>> {
    let page = |part: &SnapshotPart| match part {
        SnapshotPart::Page(content) => {
            let lines = str::from_utf8(content).unwrap().lines();
            let ids = lines.map(|line| {
                let id = line.split_once(' ').unwrap().0;
                (id.parse().unwrap(), format!("{line}\n"))
            });
            Some(ids.collect())
        }
        SnapshotPart::Memories { .. } => None,
    };
    state.parts.iter().filter_map(page).collect()
}

/// Checks that pages and rows together have every live memory once, as it is, and that
/// the table has no page that is not returned. Returns how many it has.
async fn check(store: &PgStore, connection: &mut PgConnection) -> usize {
    let (model, state) = (fixtures::fingerprint(), read(store).await);
    let changes = store.changes_since(&MIRA, Generation::ZERO, &model);
    let changes = changes.await.unwrap();
    assert_eq!(changes.generation, state.generation);
    let live = changes.written.iter();
    let mut live: BTreeMap<_, _> = live.map(|item| (item.memory.id, line(item))).collect();
    let kept = kept(&state);
    for (id, line) in kept.iter().flatten() {
        assert_eq!(live.remove(id).as_ref(), Some(line), "a memory of a page");
    }
    for part in &state.parts {
        if let SnapshotPart::Memories { memories, .. } = part {
            for item in memories {
                assert_eq!(live.remove(&item.memory.id), Some(line(item)));
            }
        }
    }
    assert!(live.is_empty(), "{} memories are missing", live.len());
    assert_eq!(count(connection).await, kept.len(), "pages in the table");
    kept.len()
}

/// How many pages there are.
pub(crate) async fn count(connection: &mut PgConnection) -> usize {
    let query = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM snapshot_page");
    usize::try_from(query.fetch_one(connection).await.unwrap()).unwrap()
}

pub(crate) async fn populated(url: &str) -> (PgStore, Vec<EmbeddedMemory>) {
    let store = PgStore::connect(url).await.unwrap();
    let batch = memories("mira", MEMORIES);
    store.insert(&batch).await.unwrap();
    keep(&store).await;
    (store, batch)
}

/// With ids that a caller gives, in the middle of pages, and by every way to write.
#[tokio::test(flavor = "multi_thread")]
async fn no_write_leaves_a_page_of_what_it_changed() {
    with_database(|url| async move {
        let (store, _) = populated(&url).await;
        let mut connection = connect(&url).await;
        assert_eq!(check(&store, &mut connection).await, PAGES);
        let (mut rng, mira) = (SeededRng::new(11), MIRA.clone());
        let other = fixtures::other_fingerprint();
        let (mut summaries, mut ended) = (Vec::new(), 0);
        for round in 0..48 {
            let state = read(&store).await;
            let before = kept(&state);
            let paged: Vec<MemoryId> = before.iter().flatten().map(|(id, _)| *id).collect();
            let [one, two] = [*rng.pick(&paged), *rng.pick(&paged)];
            let read_at = state.generation;
            match round % 8 {
                0 => {
                    let item = fixtures::plain(&mira, "in the middle", &mut rng);
                    store.insert(&[item]).await.unwrap();
                }
                1 => {
                    let item = fixtures::plain(&mira, "in place of others", &mut rng);
                    let options = InsertOptions::at_most(10_000).evict(mira.clone(), [one, two]);
                    store.insert_opts(&[item], &options).await.unwrap();
                }
                2 => {
                    let patch = MemoryPatch::new().relate(two, "follows");
                    store.update(&mira, &one, &patch, None).await.unwrap();
                }
                // Drops the link.
                3 => drop(store.delete(&mira, &[two, one]).await.unwrap()),
                4 if one != two => {
                    let group = fixtures::consolidation(&mira, "both", [one, two], &mut rng);
                    summaries.push(group.summary.memory.id);
                    store.consolidate(&mira, &[group], read_at).await.unwrap();
                }
                5 => {
                    let summary = summaries.pop().into_iter().collect::<Vec<_>>();
                    store.delete(&mira, &summary).await.unwrap();
                }
                6 => {
                    let given = [(one, fixtures::embedding(2, &mut rng))];
                    let replaced = store.replace_vectors(&mira, &given, read_at);
                    replaced.await.unwrap();
                }
                _ => {
                    let mut added = fixtures::embedding(1, &mut rng);
                    added.fingerprint = other.clone();
                    let given = [(one, added)];
                    let added = store.replace_vectors(&mira, &given, read_at);
                    added.await.unwrap();
                    keep(&store).await;
                    let removed = store.remove_other_vectors(&mira, &[one], &other).await;
                    assert_eq!(removed.unwrap(), 1);
                    // Else it would have no page any more.
                    let given = [(one, fixtures::embedding(1, &mut rng))];
                    let read_at = read(&store).await.generation;
                    let again = store.replace_vectors(&mira, &given, read_at);
                    again.await.unwrap();
                }
            }
            let after = check(&store, &mut connection).await;
            ended += usize::from(after < before.len());
            keep(&store).await;
            let kept = check(&store, &mut connection).await;
            assert!(kept >= PAGES - 1, "{kept} pages after round {round}");
        }
        assert!(ended > 30, "{ended} writes ended a page");
        let ids = live_ids(&store).await;
        store.delete(&mira, &ids).await.unwrap();
        assert_eq!(count(&mut connection).await, 0, "nothing is left of them");
    })
    .await;
}

async fn live_ids(store: &PgStore) -> Vec<MemoryId> {
    let model = fixtures::fingerprint();
    let changes = store.changes_since(&MIRA, Generation::ZERO, &model);
    let written = changes.await.unwrap().written;
    written.iter().map(|item| item.memory.id).collect()
}

/// Removing the vectors of a model leaves the pages of the one that stays.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_vectors_that_stay_are_kept() {
    with_database(|url| async move {
        let (store, batch) = populated(&url).await;
        let (mut connection, mut rng) = (connect(&url).await, SeededRng::new(5));
        let other = fixtures::other_fingerprint();
        let embeddings = batch.iter().map(|item| {
            let mut embedding = fixtures::embedding(1, &mut rng);
            embedding.fingerprint = other.clone();
            (item.memory.id, embedding)
        });
        let embeddings: Vec<_> = embeddings.collect();
        let read_at = read(&store).await.generation;
        let replaced = store.replace_vectors(&MIRA, &embeddings, read_at);
        assert_eq!(replaced.await.unwrap().replaced.len(), MEMORIES);
        assert_eq!(count(&mut connection).await, 0);
        let state = read_of(&store, &other).await;
        write(&store, &other, &state).await;
        // The pages of one model replace those of the other.
        keep(&store).await;
        assert_eq!(kept(&read_of(&store, &other).await).len(), 0);
        let state = read_of(&store, &other).await;
        write(&store, &other, &state).await;
        assert_eq!(count(&mut connection).await, PAGES);
        let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
        let removed = store.remove_other_vectors(&MIRA, &ids, &other);
        assert_eq!(removed.await.unwrap(), MEMORIES as u64);
        assert_eq!(kept(&read_of(&store, &other).await).len(), PAGES);
    })
    .await;
}

/// Processes that write the same pages, while memories are removed.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_the_same_pages_leave_one_of_each() {
    with_database(|url| async move {
        let (store, batch) = populated(&url).await;
        let others = [PgStore::connect(&url).await.unwrap(), store.clone()];
        let mut connection = connect(&url).await;
        let model = fixtures::fingerprint();
        for removed in batch.chunks(20).take(8) {
            run(&mut connection, "DELETE FROM snapshot_page").await;
            let states = [read(&others[0]).await, read(&others[1]).await];
            let ids: Vec<MemoryId> = removed.iter().map(|item| item.memory.id).collect();
            let delete = async {
                for id in &ids {
                    store.delete(&MIRA, &[*id]).await.unwrap();
                }
            };
            tokio::join!(
                write(&others[0], &model, &states[0]),
                write(&others[1], &model, &states[1]),
                delete,
                async {
                    for _ in 0..4 {
                        keep(&others[0]).await;
                    }
                }
            );
            check(&store, &mut connection).await;
        }
        keep(&store).await;
        assert!(check(&store, &mut connection).await >= PAGES - 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_left_out_and_written_again() {
    with_database(|url| async move {
        let (store, batch) = populated(&url).await;
        let mut connection = connect(&url).await;
        let second =
            "last_id = (SELECT last_id FROM snapshot_page ORDER BY last_id OFFSET 1 LIMIT 1)";
        for damage in [
            format!("UPDATE snapshot_page SET content = content || '\\x00' WHERE {second}"),
            format!("UPDATE snapshot_page SET checksum = checksum + 1 WHERE {second}"),
            // A page in the place of another.
            format!(
                "UPDATE snapshot_page p SET content = o.content, checksum = o.checksum \
                 FROM (SELECT * FROM snapshot_page ORDER BY last_id LIMIT 1) o WHERE p.{second}"
            ),
        ] {
            let before = kept(&read(&store).await);
            assert_eq!(before.len(), PAGES);
            run(&mut connection, &damage).await;
            let state = read(&store).await;
            let mut expected = before.clone();
            expected.remove(1);
            assert_eq!(kept(&state), expected, "{damage}");
            let rest = state.parts.iter().filter_map(|part| match part {
                SnapshotPart::Memories { memories, .. } => Some(memories),
                SnapshotPart::Page(_) => None,
            });
            let rest: BTreeSet<_> = rest.flatten().map(|item| item.memory.id).collect();
            assert_eq!(rest.len() + 4 * 128, batch.len());
            assert!(before[1].keys().all(|id| rest.contains(id)), "{damage}");
            keep(&store).await;
            assert_eq!(check(&store, &mut connection).await, PAGES);
        }
        // One of another entity.
        let moved = "UPDATE snapshot_page SET entity_id = 'tam'; \
             INSERT INTO entity SELECT 'tam', generation, memory_count, word_count FROM entity; \
             UPDATE entity SET paged_at = generation";
        run(&mut connection, moved).await;
        let (tam, model) = (EntityId::from("tam"), fixtures::fingerprint());
        let state = pages(&store).read(&tam, &model, FORMAT).await.unwrap();
        assert_eq!(kept(&state).len(), 0);
    })
    .await;
}

/// A program of an older version continues after the schema was migrated: it knows no
/// pages, and deletes none.
#[tokio::test(flavor = "multi_thread")]
async fn writes_of_older_programs_end_all_pages() {
    with_database(|url| async move {
        let (store, batch) = populated(&url).await;
        let mut connection = connect(&url).await;
        let (first, old) = (batch[0].memory.id, batch[1].memory.id);
        let older = format!(
            "BEGIN; UPDATE entity SET generation = generation + 1, memory_count = memory_count - 1; \
             DELETE FROM memory WHERE memory_id = '{first}'; \
             DELETE FROM memory_embedding WHERE memory_id = '{first}'; COMMIT"
        );
        let patch = MemoryPatch::new().importance(0.125);
        for newer in ["write", "load", "write of pages"] {
            assert_eq!(check(&store, &mut connection).await, PAGES);
            let state = read(&store).await;
            run(&mut connection, &older).await;
            match newer {
                "write" => {
                    store.update(&MIRA, &old, &patch, None).await.unwrap();
                }
                "load" => assert_eq!(kept(&read(&store).await).len(), 0),
                _ => {
                    let (model, read_at) = (fixtures::fingerprint(), state.generation);
                    let pages = pages(&store);
                    let write = pages.write(&MIRA, &model, FORMAT, read_at, Vec::new());
                    write.await.unwrap();
                }
            }
            let count = sqlx::query_scalar("SELECT count(*) FROM snapshot_page");
            let count: i64 = count.fetch_one(&mut connection).await.unwrap();
            assert_eq!(count, 0, "{newer}");
            assert_eq!(check(&store, &mut connection).await, 0);
            keep(&store).await;
        }
        assert_eq!(check(&store, &mut connection).await, PAGES);
    })
    .await;
}

/// They read the pages that others wrote, and ask for none.
#[tokio::test(flavor = "multi_thread")]
async fn stores_that_only_read_offer_no_pages() {
    with_standby(|primary, standby| async move {
        let (store, _) = populated(&primary.url()).await;
        let mut connection = connect(&primary.url()).await;
        let gap = "DELETE FROM snapshot_page WHERE last_id = \
             (SELECT last_id FROM snapshot_page ORDER BY last_id OFFSET 2 LIMIT 1)";
        run(&mut connection, gap).await;
        let read_only = PgOptions::new().read_only();
        let read_only = read_only.connect(&primary.url()).await.unwrap();
        let replayed = loop {
            let Ok(store) = PgStore::connect(&standby.url()).await else {
                continue;
            };
            if kept(&read(&store).await).len() == PAGES - 1 {
                break store;
            }
        };
        let by_replica = PgOptions::new().replicas([standby.url()]);
        let by_replica = by_replica.connect(&primary.url()).await.unwrap();
        let new = offered(&read(&by_replica).await);
        assert_eq!(new.len(), 1, "what a replica read may be written");
        for reader in [&read_only, &replayed] {
            let state = read(reader).await;
            assert_eq!(kept(&state).len(), PAGES - 1);
            assert!(offered(&state).is_empty());
            let (model, read_at) = (fixtures::fingerprint(), state.generation);
            let write = pages(reader).write(&MIRA, &model, FORMAT, read_at, new.clone());
            assert_eq!(write.await.unwrap_err().kind(), ErrorKind::ReadOnly);
        }
        assert_eq!(check(&store, &mut connection).await, PAGES - 1);
        keep(&by_replica).await;
        assert_eq!(check(&store, &mut connection).await, PAGES);
        assert!(!standby.log().await.contains("ERROR"));
        for store in [store, read_only, replayed, by_replica] {
            store.close().await.unwrap();
        }
    })
    .await;
}

/// Who may use the tables of the schema before pages may use the new one, and its owner and
/// policies are theirs.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_schema_gets_pages_and_their_privileges() {
    with_database(|url| async move {
        let (store, _) = populated(&url).await;
        store.close().await.unwrap();
        let mut connection = connect(&url).await;
        let name = MemoryId::new().as_uuid().simple();
        let (role, owner) = (format!("Plain {name}"), format!("Owner {name}"));
        run(
            &mut connection,
            &format!(
                "DROP TABLE snapshot_page; \
                 ALTER TABLE entity DROP COLUMN paged_until, DROP COLUMN paged_at; \
                 ALTER INDEX idx_memory_changes RENAME TO idx_memory_entity_version; \
                 ALTER INDEX idx_memory_tombstone_changes RENAME TO idx_memory_tombstone_version; \
                 DELETE FROM memory_schema WHERE version >= 10; CREATE ROLE \"{role}\"; \
                 GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO \"{role}\"; \
                 GRANT SELECT ON memory_access TO PUBLIC; \
                 CREATE ROLE \"{owner}\"; ALTER TABLE memory_access OWNER TO \"{owner}\"; \
                 ALTER TABLE memory_access ENABLE ROW LEVEL SECURITY"
            ),
        )
        .await;
        let store = PgStore::connect(&url).await.unwrap();
        assert_eq!(check(&store, &mut connection).await, 0);
        keep(&store).await;
        assert_eq!(check(&store, &mut connection).await, PAGES);
        let mut granted: Vec<bool> = Vec::new();
        for (role, privilege) in [
            (role.as_str(), "SELECT"),
            (role.as_str(), "DELETE"),
            (role.as_str(), "INSERT"),
            ("public", "SELECT"),
            ("public", "DELETE"),
        ] {
            let query = sqlx::query_scalar("SELECT has_table_privilege($1, 'snapshot_page', $2)");
            let query = query.bind(role).bind(privilege);
            granted.push(query.fetch_one(&mut connection).await.unwrap());
        }
        let owned = "SELECT pg_get_userbyid(c.relowner) || ' ' || c.relrowsecurity || ' ' || (\
                 SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) \
             FROM pg_class c WHERE c.oid = 'snapshot_page'::regclass";
        let owned = sqlx::query_scalar(owned).fetch_one(&mut connection);
        let owned: String = owned.await.unwrap();
        let roles = format!("\"{role}\", \"{owner}\"");
        let drop_role = format!("DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}");
        run(&mut connection, &drop_role).await;
        assert_eq!(granted, [true, true, false, true, false]);
        assert_eq!(owned, format!("{owner} true 1"));
    })
    .await;
}
