//! The operations of the model test, and how they are generated.

use proptest::prelude::*;

/// On both sides of the size up to which a write is applied to a snapshot
/// without the store (100); two of them exceed that up to which an entity is
/// always loaded (200).
const BULK_COUNTS: [u8; 4] = [3, 99, 101, BULK_IDS / 2];

/// How many bulk ids there are.
pub(crate) const BULK_IDS: u8 = 240;

/// Few entities, ids and contents, so that operations collide.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Retain {
        entity: u8,
        id: u8,
        content: u8,
    },
    RetainBatch {
        entity: u8,
        contents: Vec<u8>,
    },
    /// Retains the memories of `count` bulk ids at once, the first ones or those
    /// of the second half; a no-op for those that exist.
    RetainBulk {
        entity: u8,
        second_half: bool,
        count: u8,
    },
    /// New content, new importance, a link: each where given.
    Alter {
        entity: u8,
        id: u8,
        content: Option<u8>,
        importance: Option<u8>,
        link: Option<u8>,
    },
    Delete {
        entity: u8,
        id: u8,
    },
    Forget {
        entity: u8,
        id: u8,
    },
    Consolidate {
        entity: u8,
    },
    Undo {
        entity: u8,
    },
    Get {
        entity: u8,
        id: u8,
    },
    GetMany {
        entity: u8,
    },
    /// Reads every bulk id.
    GetBulk {
        entity: u8,
    },
    Recall {
        entity: u8,
        content: u8,
    },
    List {
        entity: u8,
    },
    Count {
        entity: u8,
    },
    /// Loads the snapshots of the entities that were accessed last.
    Warm,
    InvalidateMemory {
        id: u8,
    },
    InvalidateEntity {
        entity: u8,
    },
    Clear,
    /// Every cached entry expires.
    Expire,
    /// Time passes.
    Tick {
        seconds: u8,
    },
    /// The next read of this operation fails.
    FailingRead(Box<Operation>),
    /// The next write is executed and its response lost.
    LostResponse(Box<Operation>),
    /// The caller's future is dropped after so many polls.
    Cancelled(Box<Operation>, u8),
    /// Change events stop, or resume.
    ChangeEvents {
        connected: bool,
    },
}

/// A operation, and the system that executes it.
pub(crate) fn step() -> impl Strategy<Value = (usize, Operation)> {
    let leaf = prop_oneof![8 => write(), 8 => read()].boxed();
    let operation = prop_oneof![
        8 => write(),
        8 => read(),
        1 => (0..6u8).prop_map(|id| Operation::InvalidateMemory { id }),
        1 => (0..2u8).prop_map(|entity| Operation::InvalidateEntity { entity }),
        1 => Just(Operation::Clear),
        1 => Just(Operation::Expire),
        2 => prop_oneof![Just(1), Just(29), Just(30), Just(60), Just(61)]
            .prop_map(|seconds| Operation::Tick { seconds }),
        1 => leaf.clone().prop_map(|operation| Operation::FailingRead(Box::new(operation))),
        1 => write().prop_map(|operation| Operation::LostResponse(Box::new(operation))),
        2 => (leaf, 1..6u8).prop_map(|(operation, polls)| Operation::Cancelled(Box::new(operation), polls)),
        1 => any::<bool>().prop_map(|connected| Operation::ChangeEvents { connected }),
    ];
    (0..2usize, operation)
}

fn write() -> BoxedStrategy<Operation> {
    let (entity, id, content) = (0..2u8, 0..6u8, 0..5u8);
    let some = |most: u8| prop::option::of(0..most);
    prop_oneof![
        4 => (entity.clone(), id.clone(), content.clone())
            .prop_map(|(entity, id, content)| Operation::Retain { entity, id, content }),
        1 => (entity.clone(), prop::collection::vec(content, 0..4))
            .prop_map(|(entity, contents)| Operation::RetainBatch { entity, contents }),
        2 => (entity.clone(), any::<bool>(), prop::sample::select(&BULK_COUNTS[..])).prop_map(
            |(entity, second_half, count)| Operation::RetainBulk {
                entity, second_half, count
            }
        ),
        4 => (entity.clone(), id.clone(), some(5), some(3), some(6)).prop_map(
            |(entity, id, content, importance, link)| Operation::Alter {
                entity, id, content, importance, link
            }
        ),
        2 => (entity.clone(), id.clone()).prop_map(|(entity, id)| Operation::Delete { entity, id }),
        1 => (entity.clone(), id).prop_map(|(entity, id)| Operation::Forget { entity, id }),
        1 => entity.clone().prop_map(|entity| Operation::Consolidate { entity }),
        1 => entity.prop_map(|entity| Operation::Undo { entity }),
    ]
    .boxed()
}

fn read() -> BoxedStrategy<Operation> {
    let (entity, id) = (0..2u8, 0..6u8);
    prop_oneof![
        4 => (entity.clone(), id).prop_map(|(entity, id)| Operation::Get { entity, id }),
        1 => entity.clone().prop_map(|entity| Operation::GetMany { entity }),
        2 => entity.clone().prop_map(|entity| Operation::GetBulk { entity }),
        5 => (entity.clone(), 0..5u8)
            .prop_map(|(entity, content)| Operation::Recall { entity, content }),
        1 => entity.clone().prop_map(|entity| Operation::List { entity }),
        1 => entity.prop_map(|entity| Operation::Count { entity }),
        1 => Just(Operation::Warm),
    ]
    .boxed()
}
