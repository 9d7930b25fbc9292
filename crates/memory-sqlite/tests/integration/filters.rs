//! Filters in SQL agree with `MemoryFilter::matches` for every text.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{EmbeddedMemory, ListRequest, MemoryFilter, MemoryId, MemoryTagMode, Store};
use memory_sqlite::SqliteStore;
use memory_testkit::SeededRng;
use proptest::prelude::*;

use crate::common::{memory, mira};

/// Text that is special in JSON, SQL, patterns or paths, or any text.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "a", "A", "\"", "\\", "\\\"", "'", "$", "$.a", "[0]", "a.b", "a=b", ":", "#", "@", "%",
        "_", "\u{7f}", "\u{1}", "\n", "\t", "\u{2028}", "\u{feff}", "é", "e\u{301}", "記", "🐎",
        "null", "1", "1.0", "true", "{}", "[]", "\\u0041",
    ]);
    prop_oneof![
        3 => prop::collection::vec(odd, 1..4).prop_map(|parts| parts.concat()),
        1 => "[^\\x00]{1,40}",
        1 => "k{100,200}",
    ]
    .prop_filter("not blank", |text| !text.trim().is_empty())
}

/// Names of entities contain no control characters.
fn name() -> impl Strategy<Value = String> {
    text().prop_filter("a name", |text| !text.chars().any(char::is_control))
}

#[derive(Debug, Clone)]
struct Texts {
    tags: BTreeSet<String>,
    metadata: BTreeMap<String, String>,
    entities: BTreeMap<String, String>,
}

fn texts() -> impl Strategy<Value = Texts> {
    (
        prop::collection::btree_set(text().prop_map(|t| t.chars().take(128).collect()), 0..3),
        prop::collection::btree_map(text(), text(), 0..3),
        prop::collection::btree_map(name(), "[^\\x00]{0,9}", 0..3),
    )
        .prop_map(|(tags, metadata, entities)| Texts {
            tags,
            metadata,
            entities,
        })
}

fn memory_with(texts: &Texts, rng: &mut SeededRng) -> EmbeddedMemory {
    let mut one = memory("a memory", rng);
    one.memory.tags = texts.tags.clone();
    one.memory.metadata = texts.metadata.clone();
    let entities = texts.entities.iter();
    one.memory.entities = entities
        .map(|(who, role)| (who.into(), role.clone()))
        .collect();
    one
}

/// Filters for the values of `texts`: each alone, and all together.
fn filters(texts: &Texts) -> Vec<MemoryFilter> {
    let new = MemoryFilter::new;
    let mut filters = Vec::new();
    for mode in MemoryTagMode::ALL {
        filters.push(new().tags(texts.tags.iter().cloned(), mode));
    }
    filters.extend(
        texts
            .metadata
            .iter()
            .map(|(key, value)| new().metadata(key, value)),
    );
    filters.extend(texts.entities.keys().map(|who| new().involves(who)));
    let mut all = new().tags(texts.tags.iter().cloned(), MemoryTagMode::All);
    all.metadata = texts.metadata.clone();
    filters.push(all);
    filters
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_text_is_stored_and_filtered_exactly(all in prop::collection::vec(texts(), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open("sqlite::memory:").await.unwrap();
            let mut rng = SeededRng::new(3);
            let batch: Vec<_> = all.iter().map(|texts| memory_with(texts, &mut rng)).collect();
            store.insert(&batch).await.unwrap();
            for filter in all.iter().flat_map(filters) {
                let request = ListRequest::new(100).filter(filter.clone());
                let listed = store.list(&mira(), &request).await.unwrap().memories;
                let got: BTreeSet<MemoryId> = listed.iter().map(|memory| memory.id).collect();
                let admitted = batch.iter().filter(|one| filter.matches(&one.memory));
                let wanted: BTreeSet<MemoryId> = admitted.map(|one| one.memory.id).collect();
                prop_assert_eq!(got, wanted, "{:?}", filter);
                for memory in listed {
                    let stored = batch.iter().find(|one| one.memory.id == memory.id);
                    prop_assert_eq!(&memory, &stored.unwrap().memory);
                }
            }
            Ok(())
        })?;
    }
}

/// The statement does not grow with the filter.
#[tokio::test]
async fn a_filter_may_have_thousands_of_conditions() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let mut rng = SeededRng::new(3);
    let mut rich = memory("rich", &mut rng);
    rich.memory.metadata = (0..7_000)
        .map(|n| (format!("k{n}"), "v".to_owned()))
        .collect();
    rich.memory.tags = (0..64).map(|n| format!("t{n}")).collect();
    let poor = memory("poor", &mut rng);
    store.insert(&[rich.clone(), poor]).await.unwrap();
    let mut filter = MemoryFilter::new().tags(rich.memory.tags.clone(), MemoryTagMode::All);
    filter.metadata = rich.memory.metadata.clone();
    filter.validate().unwrap();
    let list = async |filter: &MemoryFilter| {
        let request = ListRequest::new(10).filter(filter.clone());
        store.list(&mira(), &request).await.unwrap().memories
    };
    assert_eq!(list(&filter).await, [rich.memory]);
    filter.metadata.insert("k3".to_owned(), "w".to_owned());
    assert_eq!(list(&filter).await, []);
}
