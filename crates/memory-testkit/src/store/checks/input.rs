//! Bad input is refused with an error that says what is wrong, and nothing is
//! written.

use std::collections::BTreeMap;

use memory_core::limits::{MAX_CONTENT_CHARS, MAX_LIMIT, MAX_QUERY_CHARS, MAX_TAGS};
use memory_core::{
    DenseQuery, EntityId, ErrorKind, Generation, InvalidInput, ListRequest, Memory, MemoryFilter,
    MemoryPatch, NeighborRequest, SearchRequest,
};

use crate::check::{CheckResult, ensure, ensure_eq, invalid, refused};
use crate::fixtures::{DIMENSIONS, at, at_micros, consolidation, embedding, fingerprint, plain};
use crate::store::CheckContext;

const INVALID: [ErrorKind; 1] = [ErrorKind::InvalidInput];

/// A limit of 0 or over the maximum is refused; the maximum itself is not.
pub async fn page_sizes_are_limited(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    context.populate(&mira, 2, &mut context.rng()).await?;
    let store = context.store();
    let is_limit = |problem: &InvalidInput| matches!(problem, InvalidInput::Limit { .. });
    for limit in [0, MAX_LIMIT + 1, usize::MAX] {
        let list = store.list(&mira, &ListRequest::new(limit)).await;
        invalid(list, is_limit, &format!("list, limit {limit}"))?;
        let search = store.search(&mira, &dense(limit, vec![1.0; 32])).await;
        invalid(search, is_limit, &format!("search, limit {limit}"))?;
        let entities = store.list_entities(None, limit).await;
        invalid(entities, is_limit, &format!("list_entities, limit {limit}"))?;
    }
    store.list(&mira, &ListRequest::new(MAX_LIMIT)).await?;
    store.list_entities(None, MAX_LIMIT).await?;
    Ok(())
}

/// A filter outside the bounds is refused by every method that takes one.
pub async fn filters_are_limited(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    context.populate(&mira, 2, &mut context.rng()).await?;
    let store = context.store();
    let many = (0..=MAX_TAGS).map(|number| number.to_string());
    let filters = [
        (
            "too many tags",
            MemoryFilter::new().tags(many, Default::default()),
        ),
        (
            "a blank tag",
            MemoryFilter::new().tags([" "], Default::default()),
        ),
        ("an empty key", MemoryFilter::new().metadata("", "value")),
        ("a NUL", MemoryFilter::new().metadata("key", "a\0b")),
        ("no one", MemoryFilter::new().involves("")),
        ("no time", MemoryFilter::new().since(at(5)).until(at(5))),
        (
            "time backwards",
            MemoryFilter::new().since(at(5)).until(at(4)),
        ),
        (
            "time too early",
            MemoryFilter::new().since(at_micros(i64::MIN / 4)),
        ),
    ];
    for (what, filter) in filters {
        let list = ListRequest::new(10).filter(filter.clone());
        let list = store.list(&mira, &list).await;
        refused(list, &INVALID, &format!("list by {what}"))?;
        let count = store.count(&mira, &filter).await;
        refused(count, &INVALID, &format!("count by {what}"))?;
        let search = SearchRequest {
            filter,
            ..dense(10, vec![1.0; DIMENSIONS])
        };
        let search = store.search(&mira, &search).await;
        refused(search, &INVALID, &format!("search by {what}"))?;
    }
    Ok(())
}

/// A sample over the maximum and a discount that is no share are refused by a search, and
/// the discount by a read of neighbors.
pub async fn searches_are_limited(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let people = context.populate(&mira, 2, &mut context.rng()).await?;
    let store = context.store();
    for sample in [MAX_LIMIT + 1, usize::MAX] {
        let request = dense(10, vec![1.0; DIMENSIONS]).sample(sample);
        let search = store.search(&mira, &request).await;
        refused(
            search,
            &INVALID,
            &format!("search with a sample of {sample}"),
        )?;
    }
    for discount in [-0.01, 1.01, f32::INFINITY, f32::NAN] {
        let query = DenseQuery::new(fingerprint(), vec![1.0; DIMENSIONS]);
        let query = query.chunk_discount(discount);
        let search = SearchRequest::new(MemoryFilter::new(), 10).dense(query.clone());
        let search = store.search(&mira, &search).await;
        refused(
            search,
            &INVALID,
            &format!("search with a discount of {discount}"),
        )?;
        if store.capabilities().neighbors {
            let request = NeighborRequest::new([people[0].memory.id], 1).dense(query);
            let neighbors = store.neighbors(&mira, &request).await;
            refused(
                neighbors,
                &INVALID,
                &format!("neighbors with a discount of {discount}"),
            )?;
        }
    }
    Ok(())
}

/// Vectors that are none, not finite, all zeros or of unequal lengths are
/// refused by insert, update and search.
pub async fn vectors_are_valid(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let good = plain(&mira, "with a sound vector", &mut rng);
    let id = good.memory.id;
    context.insert(std::slice::from_ref(&good)).await?;
    let spoilt = |value: f32| {
        let mut vector = vec![0.5; DIMENSIONS];
        vector[DIMENSIONS - 1] = value;
        vector
    };
    let bad = [
        ("NaN", vec![spoilt(f32::NAN)]),
        ("infinity", vec![spoilt(f32::NEG_INFINITY)]),
        ("all zeros", vec![vec![0.0; DIMENSIONS]]),
        ("no components", vec![vec![]]),
    ];
    let store = context.store();
    for (what, vectors) in &bad {
        let search = store.search(&mira, &dense(10, vectors[0].clone())).await;
        refused(search, &INVALID, &format!("search by a vector of {what}"))?;
    }
    let sound = rng.vector(DIMENSIONS);
    let unequal = vec![sound.clone(), rng.vector(DIMENSIONS - 1)];
    let second = vec![sound, vec![0.0; DIMENSIONS]];
    let more = [
        ("no vector", vec![]),
        ("unequal lengths", unequal),
        ("zeros behind", second),
    ];
    for (what, vectors) in bad.into_iter().chain(more) {
        let mut item = plain(&mira, format!("with {what}"), &mut rng);
        item.embedding.vectors = vectors;
        let patch = MemoryPatch::new().content("never written");
        let update = store
            .update(&mira, &id, &patch, Some(&item.embedding))
            .await;
        refused(update, &INVALID, &format!("update with {what}"))?;
        let batch = [plain(&mira, "a bystander", &mut rng), item];
        let insert = store.insert(&batch).await;
        refused(insert, &INVALID, &format!("insert with {what}"))?;
    }
    untouched(context, &mira, &good.memory).await
}

/// A query of no words at all or beyond the bounds is refused, also by a
/// store without a lexical retriever (which may say `Unsupported` instead).
pub async fn queries_are_valid(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let store = context.store();
    let mut kinds = vec![ErrorKind::InvalidInput];
    if !store.capabilities().lexical {
        kinds.push(ErrorKind::Unsupported);
    }
    let long = "a".repeat(MAX_QUERY_CHARS + 1);
    for (what, text) in [
        ("empty", ""),
        ("blank", " \n\t"),
        ("NUL", "a\0b"),
        ("long", &long),
    ] {
        let request = SearchRequest {
            dense: None,
            lexical: Some(text.to_owned()),
            ..dense(10, vec![1.0])
        };
        let search = store.search(&mira, &request).await;
        refused(search, &kinds, &format!("search by a query that is {what}"))?;
    }
    Ok(())
}

/// Vectors of as many components as the store names are taken, longer ones
/// refused.
pub async fn dimensions_are_limited(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let max = context.store().capabilities().max_dimensions;
    let mut longest = plain(&mira, "as long as can be", &mut rng);
    longest.embedding.vectors = vec![rng.vector(max)];
    context.insert(std::slice::from_ref(&longest)).await?;
    let mut longer = plain(&mira, "too long", &mut rng);
    longer.embedding.vectors = vec![rng.vector(max + 1)];
    let is_length =
        |problem: &InvalidInput| matches!(problem, InvalidInput::VectorDimensions { .. });
    let store = context.store();
    let insert = store.insert(std::slice::from_ref(&longer)).await;
    invalid(insert, is_length, "insert of too many dimensions")?;
    let patch = MemoryPatch::new().content("never written");
    let id = longest.memory.id;
    let update = store
        .update(&mira, &id, &patch, Some(&longer.embedding))
        .await;
    invalid(update, is_length, "update to too many dimensions")?;
    let mut group = consolidation(&mira, "too long", [id], &mut rng);
    group.summary.embedding = longer.embedding.clone();
    let consolidated = store.consolidate(&mira, &[group], Generation(1)).await;
    invalid(
        consolidated,
        is_length,
        "consolidate with too many dimensions",
    )?;
    untouched(context, &mira, &longest.memory).await
}

/// A memory made by hand, outside the bounds, is refused with its whole batch.
pub async fn memories_keep_their_limits(context: &CheckContext) -> CheckResult {
    type Spoil = fn(&mut Memory);
    let spoils: [(&str, Spoil); 12] = [
        ("blank content", |memory| memory.content = " \n".to_owned()),
        ("NUL in the content", |memory| memory.content.push('\0')),
        ("too long a content", |memory| {
            memory.content = "a".repeat(MAX_CONTENT_CHARS + 1);
        }),
        ("importance over 1", |memory| memory.importance = 1.01),
        ("importance NaN", |memory| memory.importance = f32::NAN),
        ("an empty tag", |memory| {
            memory.tags = [String::new()].into()
        }),
        ("an empty key", |memory| {
            memory.metadata = BTreeMap::from([(String::new(), String::new())]);
        }),
        ("NUL in the context", |memory| {
            memory.context = Some("\0".to_owned())
        }),
        ("a blank entity", |memory| {
            memory.entity_id = EntityId::from(" ")
        }),
        ("a nameless guest", |memory| {
            memory.entities = BTreeMap::from([(EntityId::from(""), String::new())]);
        }),
        ("a time too late", |memory| {
            memory.timestamp = at_micros(i64::MAX / 4)
        }),
        ("a link to itself", |memory| {
            memory.related = BTreeMap::from([(memory.id, "like".to_owned())]);
        }),
    ];
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let good = plain(&mira, "within every bound", &mut rng);
    context.insert(std::slice::from_ref(&good)).await?;
    for (what, spoil) in spoils {
        let mut bad = plain(&mira, "about to be spoilt", &mut rng);
        spoil(&mut bad.memory);
        let batch = [plain(&mira, "a bystander", &mut rng), bad];
        let insert = context.store().insert(&batch).await;
        refused(insert, &INVALID, &format!("insert with {what}"))?;
    }
    untouched(context, &mira, &good.memory).await
}

/// A patch outside the bounds, one that sets nothing, or one that relates a memory to itself,
/// is refused.
pub async fn patches_keep_their_limits(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let good = plain(&mira, "within every bound", &mut rng);
    let id = good.memory.id;
    context.insert(std::slice::from_ref(&good)).await?;
    let new = MemoryPatch::new;
    let patches = [
        ("nothing", new()),
        ("blank content", new().content(" ")),
        ("importance", new().importance(-0.5)),
        ("importance NaN", new().importance(f32::NAN)),
        ("a blank tag", new().tags([""])),
        ("a time too early", new().timestamp(at_micros(i64::MIN / 4))),
        (
            "a link to itself",
            new().importance(0.25).relate(id, "like"),
        ),
        (
            "all links, one to itself",
            new()
                .importance(0.25)
                .related(BTreeMap::from([(id, "like".to_owned())])),
        ),
    ];
    for (what, patch) in patches {
        let fresh = patch.content.as_ref().map(|_| embedding(1, &mut rng));
        let store = context.store();
        let update = store.update(&mira, &id, &patch, fresh.as_ref()).await;
        refused(update, &INVALID, &format!("a patch of {what}"))?;
    }
    untouched(context, &mira, &good.memory).await
}

/// Whatever is refused, its content is neither in the error's text nor in
/// its parts, nor in the store's own debugging text.
pub async fn errors_hold_no_content(context: &CheckContext) -> CheckResult {
    const SECRET: &str = "quorvexian";
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let stored = plain(&mira, format!("a {SECRET} secret"), &mut rng);
    let id = stored.memory.id;
    context.insert(std::slice::from_ref(&stored)).await?;
    let mut conflict = stored.clone();
    conflict.memory.content = format!("another {SECRET} secret");
    let twice = plain(&mira, format!("the same {SECRET} twice"), &mut rng);
    let mut long = plain(&mira, SECRET.repeat(2_000), &mut rng);
    long.memory.context = Some(SECRET.to_owned());
    let mut no_vector = plain(&mira, format!("a bare {SECRET}"), &mut rng);
    no_vector.embedding.vectors.clear();
    let store = context.store();
    let mut texts = vec![format!("{store:?}")];
    for batch in [
        vec![conflict],
        vec![twice.clone(), twice],
        vec![long],
        vec![no_vector],
    ] {
        if let Err(error) = store.insert(&batch).await {
            texts.extend([error.to_string(), format!("{error:?}")]);
        }
    }
    let patch = MemoryPatch::new().content(SECRET.repeat(2_000));
    let fresh = embedding(1, &mut rng);
    if let Err(error) = store.update(&mira, &id, &patch, Some(&fresh)).await {
        texts.extend([error.to_string(), format!("{error:?}")]);
    }
    ensure_eq!(texts.len(), 11, "texts, that is 5 refusals");
    for text in texts {
        ensure!(
            !text.contains(SECRET),
            "content in {:.60}…",
            text.replace(SECRET, "***")
        );
    }
    Ok(())
}

fn dense(limit: usize, vector: Vec<f32>) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: fingerprint(),
            vector,
        }),
        lexical: None,
    }
}

/// The one memory is as it was first written, and no other exists.
async fn untouched(context: &CheckContext, entity: &EntityId, memory: &Memory) -> CheckResult {
    let stored = context.get(entity, memory.id).await?;
    ensure_eq!(stored.as_ref(), Some(memory), "memory after the refusals");
    ensure_eq!(context.count(entity).await?, 1, "count after the refusals");
    let generation = context.generation(entity).await?;
    ensure_eq!(generation, Generation(1), "generation after the refusals");
    Ok(())
}
