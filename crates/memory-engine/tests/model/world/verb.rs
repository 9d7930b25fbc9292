//! What may happen.

use proptest::prelude::*;

/// Few entities, ids and contents, so that verbs meet.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    Retain {
        entity: u8,
        id: u8,
        content: u8,
    },
    RetainBatch {
        entity: u8,
        contents: Vec<u8>,
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
    InvalidateMemory {
        id: u8,
    },
    InvalidateEntity {
        entity: u8,
    },
    Clear,
    /// What is held in the caches has outlived its time.
    Expire,
    /// Time goes by.
    Tick {
        seconds: u8,
    },
    /// The store fails the next read of this.
    FailingRead(Box<Verb>),
    /// The store carries the next write out and its answer is lost.
    LostAnswer(Box<Verb>),
    /// The caller goes away after so many polls.
    Cancelled(Box<Verb>, u8),
    /// Nothing is heard of others' writes, or heard again.
    News {
        lost: bool,
    },
}

/// A verb, and the system it is asked of.
pub(crate) fn step() -> impl Strategy<Value = (usize, Verb)> {
    let leaf = prop_oneof![8 => write(), 8 => read()].boxed();
    let verb = prop_oneof![
        8 => write(),
        8 => read(),
        1 => (0..6u8).prop_map(|id| Verb::InvalidateMemory { id }),
        1 => (0..2u8).prop_map(|entity| Verb::InvalidateEntity { entity }),
        1 => Just(Verb::Clear),
        1 => Just(Verb::Expire),
        2 => prop_oneof![Just(1), Just(29), Just(30), Just(60), Just(61)]
            .prop_map(|seconds| Verb::Tick { seconds }),
        1 => leaf.clone().prop_map(|verb| Verb::FailingRead(Box::new(verb))),
        1 => write().prop_map(|verb| Verb::LostAnswer(Box::new(verb))),
        2 => (leaf, 1..6u8).prop_map(|(verb, polls)| Verb::Cancelled(Box::new(verb), polls)),
        1 => any::<bool>().prop_map(|lost| Verb::News { lost }),
    ];
    (0..2usize, verb)
}

fn write() -> BoxedStrategy<Verb> {
    let (entity, id, content) = (0..2u8, 0..6u8, 0..5u8);
    let some = |most: u8| prop::option::of(0..most);
    prop_oneof![
        4 => (entity.clone(), id.clone(), content.clone())
            .prop_map(|(entity, id, content)| Verb::Retain { entity, id, content }),
        1 => (entity.clone(), prop::collection::vec(content, 0..4))
            .prop_map(|(entity, contents)| Verb::RetainBatch { entity, contents }),
        4 => (entity.clone(), id.clone(), some(5), some(3), some(6)).prop_map(
            |(entity, id, content, importance, link)| Verb::Alter {
                entity, id, content, importance, link
            }
        ),
        2 => (entity.clone(), id.clone()).prop_map(|(entity, id)| Verb::Delete { entity, id }),
        1 => (entity.clone(), id).prop_map(|(entity, id)| Verb::Forget { entity, id }),
        1 => entity.clone().prop_map(|entity| Verb::Consolidate { entity }),
        1 => entity.prop_map(|entity| Verb::Undo { entity }),
    ]
    .boxed()
}

fn read() -> BoxedStrategy<Verb> {
    let (entity, id) = (0..2u8, 0..6u8);
    prop_oneof![
        4 => (entity.clone(), id).prop_map(|(entity, id)| Verb::Get { entity, id }),
        1 => entity.clone().prop_map(|entity| Verb::GetMany { entity }),
        5 => (entity.clone(), 0..5u8)
            .prop_map(|(entity, content)| Verb::Recall { entity, content }),
        1 => entity.clone().prop_map(|entity| Verb::List { entity }),
        1 => entity.prop_map(|entity| Verb::Count { entity }),
    ]
    .boxed()
}
