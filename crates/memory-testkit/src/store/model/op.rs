//! What the state machine does.

use std::ops::Range;

use memory_core::{
    EmbeddedMemory, EntityId, InsertOptions, ListScope, MemoryFilter, MemoryId, MemoryPatch,
    SummaryGroup,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use uuid::Uuid;

use crate::fixtures::{WORDS, at, embedding, filter, varied};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;

/// Few entities and few ids, so that operations meet.
const ENTITIES: Range<u8> = 0..2;
const IDS: Range<u8> = 0..10;

/// One step. Small numbers represent entities and ids; a seed the rest.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Insert(Vec<Item>),
    Squeeze {
        items: Vec<Item>,
        max: u8,
        evict: Vec<(u8, u8)>,
    },
    Consolidate {
        entity: u8,
        groups: Vec<Group>,
        /// How many generations ago the sources were read.
        lag: u8,
        /// Whether it is made so that nothing speaks against it.
        apt: bool,
    },
    /// The last consolidation once more.
    Again,
    Link {
        entity: u8,
        id: u8,
        relate: Vec<u8>,
        unrelate: Vec<u8>,
    },
    Update {
        entity: u8,
        id: u8,
        seed: u8,
    },
    Delete {
        entity: u8,
        ids: Vec<u8>,
    },
    AccessUpdate {
        entity: u8,
        updates: Vec<(u8, u8)>,
    },
    Read {
        entity: u8,
        seed: u8,
    },
    Follow {
        entity: u8,
    },
    /// Inserts many memories and evicts those of the last such insert.
    InsertMany {
        entity: u8,
        count: usize,
    },
    /// Deletes those of the last such insert.
    DeleteMany {
        entity: u8,
    },
}

/// A memory to insert. Equal text under an equal id is a repetition, other
/// text a conflict.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) entity: u8,
    pub(super) id: u8,
    pub(super) text: u8,
    pub(super) seed: u8,
}

/// A summary (a memory to insert, whose entity does not count) and its sources.
#[derive(Debug, Clone)]
pub(super) struct Group {
    summary: Item,
    sources: Vec<u8>,
}

/// Sequences of up to `steps` operations, with a few on more memories than
/// stores and caches handle row by row (100) or list in a page (1,000).
pub(super) fn large_sequence(steps: usize) -> impl Strategy<Value = Vec<Op>> {
    let count = prop_oneof![Just(99usize), Just(101), Just(1_001)];
    let many = prop_oneof![
        2 => (ENTITIES, count).prop_map(|(entity, count)| Op::InsertMany { entity, count }),
        1 => ENTITIES.prop_map(|entity| Op::DeleteMany { entity }),
    ];
    let few = operation();
    vec(prop_oneof![1 => many, 4 => few], 1..=steps.max(1))
}

/// Sequences of up to `steps` operations.
pub(super) fn sequence(steps: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(operation(), 1..=steps.max(1))
}

fn operation() -> impl Strategy<Value = Op> {
    let item = (ENTITIES, IDS, 0..2u8, any::<u8>()).prop_map(|(entity, id, text, seed)| Item {
        entity,
        id,
        text,
        seed,
    });
    let group =
        (item.clone(), vec(IDS, 0..4)).prop_map(|(summary, sources)| Group { summary, sources });
    prop_oneof![
        4 => vec(item.clone(), 0..5).prop_map(Op::Insert),
        2 => (vec(item, 0..4), 0..7u8, vec((ENTITIES, IDS), 0..4))
            .prop_map(|(items, max, evict)| Op::Squeeze { items, max, evict }),
        5 => (ENTITIES, vec(group, 0..3), 0..3u8, any::<bool>())
            .prop_map(|(entity, groups, lag, apt)| Op::Consolidate { entity, groups, lag, apt }),
        1 => Just(Op::Again),
        2 => (ENTITIES, IDS, vec(IDS, 0..3), vec(IDS, 0..2))
            .prop_map(|(entity, id, relate, unrelate)| Op::Link { entity, id, relate, unrelate }),
        3 => (ENTITIES, IDS, any::<u8>())
            .prop_map(|(entity, id, seed)| Op::Update { entity, id, seed }),
        2 => (ENTITIES, vec(IDS, 0..4)).prop_map(|(entity, ids)| Op::Delete { entity, ids }),
        2 => (ENTITIES, vec((IDS, 1..50u8), 0..7))
            .prop_map(|(entity, updates)| Op::AccessUpdate { entity, updates }),
        2 => (ENTITIES, any::<u8>()).prop_map(|(entity, seed)| Op::Read { entity, seed }),
        2 => ENTITIES.prop_map(|entity| Op::Follow { entity }),
    ]
}

/// Every entity that operations speak of.
pub(super) fn entities(context: &CheckContext) -> Vec<EntityId> {
    ENTITIES.map(|number| entity(context, number)).collect()
}

/// Every id that operations speak of; all entities share them.
pub(super) fn ids() -> Vec<MemoryId> {
    IDS.map(id).collect()
}

pub(super) fn entity(context: &CheckContext, number: u8) -> EntityId {
    context.entity(&format!("e{number}"))
}

pub(super) fn id(number: u8) -> MemoryId {
    Uuid::from_u128(0x7e57_0000_0000_4000_8000_0000_0000_0000 | u128::from(number)).into()
}

/// `count` memories with ids of their own; each round makes others.
pub(super) fn many(entity: &EntityId, round: u32, count: usize) -> Vec<EmbeddedMemory> {
    let mut rng = SeededRng::new(u64::from(round));
    let mut make = |number: usize| {
        let mut made = varied(entity, number, &mut rng);
        let low = u128::from(round) << 32 | number as u128;
        made.memory.id = Uuid::from_u128(0x7e58_0000_0000_4000_8000_0000_0000_0000 | low).into();
        made
    };
    (0..count).map(&mut make).collect()
}

/// A word that may occur in a memory.
pub(super) fn word(rng: &mut SeededRng) -> &'static str {
    WORDS[rng.below(WORDS.len())]
}

/// The memory that an item represents.
pub(super) fn prepared(context: &CheckContext, item: &Item) -> EmbeddedMemory {
    let mut rng = SeededRng::new(u64::from(item.seed));
    let mut made = varied(&entity(context, item.entity), 0, &mut rng);
    made.memory.id = id(item.id);
    // Few moments, so that ties are common even among few memories.
    made.memory.timestamp = at(i64::from(item.seed % 3));
    let (one, other) = (
        usize::from(item.id) * 3 % WORDS.len(),
        (usize::from(item.id) + 7 * usize::from(item.text)) % WORDS.len(),
    );
    made.memory.content = format!("{} {} text{}", WORDS[one], WORDS[other], item.text);
    if item.seed.is_multiple_of(2) {
        let linked = id(item.seed / 2 % IDS.end);
        made.memory.related.insert(linked, "like".to_owned());
        made.memory.related.remove(&made.memory.id);
    }
    made
}

/// The limit and the evictions of an insert.
pub(super) fn insert_options(context: &CheckContext, max: u8, evict: &[(u8, u8)]) -> InsertOptions {
    let room = InsertOptions::at_most(u64::from(max));
    evict.iter().fold(room, |room, (name, number)| {
        room.evict(entity(context, *name), [id(*number)])
    })
}

/// The consolidations that groups represent, whether valid or not.
pub(super) fn consolidations(
    context: &CheckContext,
    name: u8,
    groups: &[Group],
) -> Vec<SummaryGroup> {
    let consolidation = |group: &Group| {
        let summary = Item {
            entity: name,
            ..group.summary.clone()
        };
        SummaryGroup {
            summary: prepared(context, &summary),
            sources: group.sources.iter().map(|number| id(*number)).collect(),
        }
    };
    groups.iter().map(consolidation).collect()
}

/// Makes consolidations such that can be done: of sources that are live and
/// summaries whose ids are free, each once.
pub(super) fn fix(groups: &mut Vec<SummaryGroup>, mut live: Vec<MemoryId>, taken: &[MemoryId]) {
    let mut free = ids();
    free.retain(|id| !taken.contains(id));
    groups.retain_mut(|group| {
        let sources = group.sources.len().max(1).min(live.len());
        group.sources = live.split_off(live.len() - sources);
        let wanted = group.summary.memory.id;
        let place = free.iter().position(|id| *id >= wanted).unwrap_or(0);
        if group.sources.is_empty() || free.is_empty() {
            return false;
        }
        let memory = &mut group.summary.memory;
        memory.id = free.remove(place);
        memory.related.remove(&memory.id);
        true
    });
}

/// The patch that links and unlinks.
pub(super) fn links(relate: &[u8], unrelate: &[u8]) -> MemoryPatch {
    let patch = MemoryPatch::new();
    let patch = relate
        .iter()
        .fold(patch, |patch, number| patch.relate(id(*number), "linked"));
    unrelate
        .iter()
        .fold(patch, |patch, number| patch.unrelate(id(*number)))
}

/// What to read: a filter, sometimes by a link.
pub(super) fn any_filter(rng: &mut SeededRng) -> MemoryFilter {
    let filter = filter(rng);
    if rng.one_in(4) {
        filter.relates_to(any_id(rng))
    } else {
        filter
    }
}

/// What to list in addition to live memories.
pub(super) fn any_scope(rng: &mut SeededRng) -> ListScope {
    if rng.one_in(2) {
        ListScope::Archived
    } else {
        ListScope::SourcesOf(any_id(rng))
    }
}

fn any_id(rng: &mut SeededRng) -> MemoryId {
    *rng.pick(&ids())
}

/// The patch that a seed represents, with an embedding where it needs one.
pub(super) fn patch(seed: u8) -> (MemoryPatch, Option<memory_core::Embedding>) {
    let mut rng = SeededRng::new(u64::from(seed));
    let donor = varied(&EntityId::from("donor"), 0, &mut rng).memory;
    let patch = MemoryPatch::new();
    match rng.below(8) {
        0 | 1 => {
            let content = format!("{} patched{seed}", word(&mut rng));
            let fresh = embedding(1 + rng.below(3), &mut rng);
            (patch.content(content), Some(fresh))
        }
        2 => (patch.importance(donor.importance), None),
        3 => (patch.tags(donor.tags), None),
        4 => (patch.context(donor.context), None),
        5 => (patch.timestamp(at(i64::from(seed))), None),
        6 => (patch.kind(donor.kind).metadata(donor.metadata), None),
        _ => (patch.entities(donor.entities), None),
    }
}
