//! What the state machine does.

use std::ops::Range;

use memory_core::{EntityId, MemoryId, MemoryPatch, PreparedMemory};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use uuid::Uuid;

use crate::population::{WORDS, at, embedding, varied};
use crate::seeded::Seeded;
use crate::store::Ground;

/// Few entities and few ids, so that operations meet.
const ENTITIES: Range<u8> = 0..3;
const IDS: Range<u8> = 0..8;

/// One step. Small numbers stand for entities and ids; a seed for the rest.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Insert(Vec<Item>),
    Update { entity: u8, id: u8, seed: u8 },
    Delete { entity: u8, ids: Vec<u8> },
    Touch { entity: u8, touches: Vec<(u8, u8)> },
    Read { entity: u8, seed: u8 },
    Follow { entity: u8 },
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

/// Sequences of up to `steps` operations.
pub(super) fn sequence(steps: usize) -> impl Strategy<Value = Vec<Op>> {
    let item = (ENTITIES, IDS, 0..2u8, any::<u8>()).prop_map(|(entity, id, text, seed)| Item {
        entity,
        id,
        text,
        seed,
    });
    let op = prop_oneof![
        4 => vec(item, 0..5).prop_map(Op::Insert),
        3 => (ENTITIES, IDS, any::<u8>())
            .prop_map(|(entity, id, seed)| Op::Update { entity, id, seed }),
        2 => (ENTITIES, vec(IDS, 0..4)).prop_map(|(entity, ids)| Op::Delete { entity, ids }),
        1 => (ENTITIES, vec((IDS, 1..50u8), 0..4))
            .prop_map(|(entity, touches)| Op::Touch { entity, touches }),
        2 => (ENTITIES, any::<u8>()).prop_map(|(entity, seed)| Op::Read { entity, seed }),
        2 => ENTITIES.prop_map(|entity| Op::Follow { entity }),
    ];
    vec(op, 1..=steps.max(1))
}

/// Every entity that operations speak of.
pub(super) fn entities(ground: &Ground) -> Vec<EntityId> {
    ENTITIES.map(|number| entity(ground, number)).collect()
}

/// Every id that operations speak of; all entities share them.
pub(super) fn ids() -> Vec<MemoryId> {
    IDS.map(id).collect()
}

pub(super) fn entity(ground: &Ground, number: u8) -> EntityId {
    ground.entity(&format!("e{number}"))
}

pub(super) fn id(number: u8) -> MemoryId {
    Uuid::from_u128(0x7e57_0000_0000_4000_8000_0000_0000_0000 | u128::from(number)).into()
}

/// A word that may stand in a memory.
pub(super) fn word(chance: &mut Seeded) -> &'static str {
    WORDS[chance.below(WORDS.len())]
}

/// The memory that an item stands for.
pub(super) fn prepared(ground: &Ground, item: &Item) -> PreparedMemory {
    let mut chance = Seeded::new(u64::from(item.seed));
    let mut made = varied(&entity(ground, item.entity), 0, &mut chance);
    made.memory.id = id(item.id);
    // Few moments, so that ties are common even among few memories.
    made.memory.timestamp = at(i64::from(item.seed % 3));
    let (one, other) = (
        usize::from(item.id) * 3 % WORDS.len(),
        (usize::from(item.id) + 7 * usize::from(item.text)) % WORDS.len(),
    );
    made.memory.content = format!("{} {} text{}", WORDS[one], WORDS[other], item.text);
    made
}

/// The patch that a seed stands for, with an embedding where it needs one.
pub(super) fn patch(seed: u8) -> (MemoryPatch, Option<memory_core::Embedding>) {
    let mut chance = Seeded::new(u64::from(seed));
    let donor = varied(&EntityId::from("donor"), 0, &mut chance).memory;
    let patch = MemoryPatch::new();
    match chance.below(8) {
        0 | 1 => {
            let content = format!("{} patched{seed}", word(&mut chance));
            let fresh = embedding(1 + chance.below(3), &mut chance);
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
