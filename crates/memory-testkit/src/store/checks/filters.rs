//! Filters are exact: every method agrees with
//! [`MemoryFilter::matches`](memory_core::MemoryFilter::matches).

use std::collections::BTreeSet;

use chrono::DateTime;
use memory_core::{
    DenseQuery, EmbeddedMemory, EntityId, Memory, MemoryFilter, MemoryId, MemoryTagMode,
    SearchRequest,
};

use crate::check::{At, CheckResult, ensure_eq};
use crate::fixtures::{DIMENSIONS, at, at_micros, filters, fingerprint, plain};
use crate::store::CheckContext;
use crate::store::context::in_list_order;

/// Memories in the fixtures that filters are tried on.
const SIZE: usize = 90;
/// Filters of one condition, and of conditions combined at random.
const COMBINED: usize = 40;

/// A list holds exactly what the filter admits, over all its pages.
pub async fn list_agrees(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, SIZE, &mut rng).await?;
    for filter in filters(COMBINED, &mut rng) {
        for limit in [7, 1_000] {
            let listed = context.listed(&mira, &filter, limit).await?;
            let wanted = in_list_order(&people, &filter);
            ensure_eq!(ids(&listed), ids(&wanted), "list in {limit}s by {filter:?}");
        }
    }
    Ok(())
}

/// A count counts exactly what the filter admits.
pub async fn count_agrees(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, SIZE, &mut rng).await?;
    for filter in filters(COMBINED, &mut rng) {
        let counted = context.store().count(&mira, &filter).await.at("count")?;
        let wanted = in_list_order(&people, &filter).len() as u64;
        ensure_eq!(counted, wanted, "count by {filter:?}");
    }
    Ok(())
}

/// A search finds only what the filter admits, and all of it where the limit
/// allows.
pub async fn search_agrees(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, SIZE, &mut rng).await?;
    for filter in filters(COMBINED, &mut rng) {
        let vector = rng.vector(DIMENSIONS);
        same_found(context, &mira, &people, &filter, vector).await?;
    }
    Ok(())
}

/// The four tag modes: untagged memories pass the lenient ones only, and "all"
/// wants every tag.
pub async fn tag_modes_differ(context: &CheckContext) -> CheckResult {
    let tagged: &[&[&str]] = &[&[], &["a"], &["b"], &["a", "b"], &["a", "b", "c"], &["c"]];
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = Vec::new();
    for tags in tagged {
        let mut item = plain(&mira, format!("tags {tags:?}"), &mut rng);
        item.memory.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        items.push(item);
    }
    context.insert(&items).await?;
    for mode in MemoryTagMode::ALL {
        for tags in [&["a", "b"][..], &["a"], &["d"], &[]] {
            let filter = MemoryFilter::new().tags(tags.iter().copied(), mode);
            agree(context, &mira, &items, &filter).await?;
        }
    }
    Ok(())
}

/// A tag is one text, compared whole: no case folding, no patterns, no
/// separators.
pub async fn tags_are_exact(context: &CheckContext) -> CheckResult {
    let tags = [
        "mill",
        "Mill",
        "mill ",
        "mil",
        "mill,road",
        "road",
        "m%",
        "mi_l",
        "\"mill\"",
        "[mill]",
        "'",
        "猫",
        "e\u{301}",
        "\u{e9}",
        "a\\b",
    ];
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = Vec::new();
    for tag in tags {
        let mut item = plain(&mira, format!("tag {tag}"), &mut rng);
        item.memory.tags = [tag.to_owned()].into();
        items.push(item);
    }
    context.insert(&items).await?;
    for tag in tags {
        for mode in [MemoryTagMode::AnyStrict, MemoryTagMode::All] {
            let filter = MemoryFilter::new().tags([tag], mode);
            agree(context, &mira, &items, &filter).await?;
        }
    }
    Ok(())
}

/// `from` takes its own moment in and `until` leaves it out, to the
/// microsecond, on both sides of 1970.
pub async fn time_edges_are_exact(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let moments = [-1_000_001, -1, 0, 1, 1_000_000].map(at_micros);
    let mut items = Vec::new();
    for moment in moments {
        let mut item = plain(&mira, format!("at {moment}"), &mut rng);
        item.memory.timestamp = moment;
        items.push(item);
    }
    context.insert(&items).await?;
    for edge in moments {
        let new = MemoryFilter::new;
        agree(context, &mira, &items, &new().since(edge)).await?;
        agree(context, &mira, &items, &new().until(edge)).await?;
        let only = new()
            .since(edge)
            .until(edge + chrono::TimeDelta::microseconds(1));
        agree(context, &mira, &items, &only).await?;
        agree(context, &mira, &items, &only.until(at(0))).await?;
    }
    Ok(())
}

/// Edges between two microseconds, and within a leap second, are not moved to a stored
/// time before them: [`micros_rounded_up`](memory_core::limits::micros_rounded_up).
pub async fn edges_between_microseconds_are_exact(context: &CheckContext) -> CheckResult {
    /// 2016-12-31T23:59:59Z, which a leap second followed.
    const BEFORE_LEAP: i64 = 1_483_228_799;
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let after_leap = (BEFORE_LEAP + 1) * 1_000_000;
    let moments = [
        -1_000_001,
        -1,
        0,
        1,
        after_leap - 1,
        after_leap,
        after_leap + 600_000,
    ];
    let mut items = Vec::new();
    for micros in moments {
        let mut item = plain(&mira, format!("at {micros}"), &mut rng);
        item.memory.timestamp = at_micros(micros);
        items.push(item);
    }
    context.insert(&items).await?;
    let near = |micros| {
        let nanos = [-999, -500, -1, 1, 500, 999];
        nanos.map(|nanos| at_micros(micros) + chrono::TimeDelta::nanoseconds(nanos))
    };
    let mut edges: Vec<_> = [-1_000_001, 0, after_leap]
        .into_iter()
        .flat_map(near)
        .collect();
    // Nanoseconds beyond a second are those of the leap second.
    let within_leap = [1_000_000_000, 1_500_000_000, 1_999_999_999];
    let within_leap = within_leap.map(|nanos| DateTime::from_timestamp(BEFORE_LEAP, nanos));
    edges.extend(within_leap.into_iter().flatten());
    for edge in edges {
        let new = MemoryFilter::new;
        agree(context, &mira, &items, &new().since(edge)).await?;
        agree(context, &mira, &items, &new().until(edge)).await?;
    }
    Ok(())
}

/// A metadata condition compares whole keys with whole values.
pub async fn metadata_is_exact(context: &CheckContext) -> CheckResult {
    let pairs = [
        ("place", "mill"),
        ("place", "Mill"),
        ("place", ""),
        ("Place", "mill"),
        ("a.b", "1"),
        ("a", "{\"b\":\"1\"}"),
        ("$.a", "%"),
        ("\"quoted\"", "'single'"),
        ("it's", "null"),
        ("a b", "true"),
        ("[0]", "01"),
        ("猫", "🐎"),
        ("back\\slash", "a\\\"b"),
    ];
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = vec![plain(&mira, "without metadata", &mut rng)];
    for (key, value) in pairs {
        let mut item = plain(&mira, format!("{key} is {value}"), &mut rng);
        item.memory
            .metadata
            .insert(key.to_owned(), value.to_owned());
        items.push(item);
    }
    context.insert(&items).await?;
    for (key, value) in pairs {
        let one = MemoryFilter::new().metadata(key, value);
        agree(context, &mira, &items, &one).await?;
        agree(context, &mira, &items, &one.metadata("place", "mill")).await?;
    }
    let absent = MemoryFilter::new().metadata("absent", "");
    agree(context, &mira, &items, &absent).await
}

/// An involved entity is found by its whole name, whatever its role.
pub async fn involved_entities_are_exact(context: &CheckContext) -> CheckResult {
    let names = [
        "tam",
        "Tam",
        "ta",
        "tam, the miller",
        "o'brien",
        "100%",
        "猫",
    ];
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = vec![plain(&mira, "alone", &mut rng)];
    for name in names {
        let mut item = plain(&mira, format!("with {name}"), &mut rng);
        let memory = &mut item.memory;
        memory.entities.insert(name.into(), "tam".to_owned());
        memory.entities.insert("witness".into(), String::new());
        items.push(item);
    }
    context.insert(&items).await?;
    for name in names.into_iter().chain(["witness", "nobody"]) {
        let filter = MemoryFilter::new().involves(name);
        agree(context, &mira, &items, &filter).await?;
    }
    Ok(())
}

/// A memory is found by those that it links to, whatever the relation.
pub async fn links_are_exact(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let targets = [0; 3].map(|_| rng.id());
    let mut items = vec![plain(&mira, "linked to nothing", &mut rng)];
    for linked in [&targets[..1], &targets[..2], &targets] {
        let mut item = plain(&mira, format!("linked to {}", linked.len()), &mut rng);
        let links = linked.iter().map(|id| (*id, targets[2].to_string()));
        item.memory.related = links.collect();
        items.push(item);
    }
    // The id in other fields is no link.
    let mut item = plain(&mira, format!("about {}", targets[0]), &mut rng);
    let name = targets[0].to_string();
    item.memory.metadata.insert(name.clone(), name.clone());
    item.memory.tags.insert(name.clone());
    item.memory.entities.insert(name.as_str().into(), name);
    items.push(item);
    context.insert(&items).await?;
    for id in targets.into_iter().chain([rng.id(), items[0].memory.id]) {
        let filter = MemoryFilter::new().relates_to(id);
        agree(context, &mira, &items, &filter).await?;
        let filter = filter.until(at(0));
        agree(context, &mira, &items, &filter).await?;
    }
    Ok(())
}

/// List, count and search all agree with the filter.
async fn agree(
    context: &CheckContext,
    entity: &EntityId,
    items: &[EmbeddedMemory],
    filter: &MemoryFilter,
) -> CheckResult {
    let wanted = in_list_order(items, filter);
    let listed = context.listed(entity, filter, 1_000).await?;
    ensure_eq!(contents(&listed), contents(&wanted), "list by {filter:?}");
    let counted = context.store().count(entity, filter).await.at("count")?;
    ensure_eq!(counted, wanted.len() as u64, "count by {filter:?}");
    let vector = context.rng().vector(DIMENSIONS);
    same_found(context, entity, items, filter, vector).await
}

/// A search without a tight limit finds what the filter admits.
async fn same_found(
    context: &CheckContext,
    entity: &EntityId,
    items: &[EmbeddedMemory],
    filter: &MemoryFilter,
    vector: Vec<f32>,
) -> CheckResult {
    let request = SearchRequest {
        sample: 0,
        filter: filter.clone(),
        limit: 1_000,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector,
        }),
        lexical: None,
    };
    let found = context
        .store()
        .search(entity, &request)
        .await
        .at("search")?;
    let memories = found.candidates.iter().map(|found| &found.memory);
    let found: Vec<MemoryId> = memories.map(|memory| memory.id).collect();
    let distinct: BTreeSet<MemoryId> = found.iter().copied().collect();
    let wanted: BTreeSet<MemoryId> = in_list_order(items, filter)
        .iter()
        .map(|memory| memory.id)
        .collect();
    ensure_eq!(distinct, wanted, "search by {filter:?}");
    ensure_eq!(found.len(), wanted.len(), "candidates by {filter:?}");
    Ok(())
}

fn ids(memories: &[Memory]) -> Vec<MemoryId> {
    memories.iter().map(|memory| memory.id).collect()
}

fn contents(memories: &[Memory]) -> Vec<&str> {
    memories.iter().map(|memory| &*memory.content).collect()
}
