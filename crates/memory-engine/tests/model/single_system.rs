//! A single system against a model: every read returns what was written last.

use std::collections::BTreeMap;

use crate::fixture::{Fixture, fixture, fixture_with};
use memory_core::{
    ByteSize, EntityId, ErrorKind, ListRequest, MemoryBatchItem, MemoryConfig, MemoryId,
    MemoryKind, MemoryPatch,
};
use memory_engine::RecallRequest;
use proptest::prelude::*;
use uuid::Uuid;

/// Few entities, ids and contents, so that operations collide.
#[derive(Debug, Clone)]
enum Operation {
    Retain { entity: u8, id: u8, content: u8 },
    RetainBatch { entity: u8, contents: Vec<u8> },
    Alter { entity: u8, id: u8, content: u8 },
    Delete { entity: u8, id: u8 },
    Get { entity: u8, id: u8 },
    Recall { entity: u8, content: u8 },
    List { entity: u8 },
    InvalidateMemory { id: u8 },
    InvalidateEntity { entity: u8 },
    Clear,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (entity, id, content) = (0..3u8, 0..6u8, 0..5u8);
    prop_oneof![
        4 => (entity.clone(), id.clone(), content.clone())
            .prop_map(|(entity, id, content)| Operation::Retain { entity, id, content }),
        1 => (entity.clone(), prop::collection::vec(content.clone(), 0..4))
            .prop_map(|(entity, contents)| Operation::RetainBatch { entity, contents }),
        3 => (entity.clone(), id.clone(), content.clone())
            .prop_map(|(entity, id, content)| Operation::Alter { entity, id, content }),
        2 => (entity.clone(), id.clone()).prop_map(|(entity, id)| Operation::Delete { entity, id }),
        4 => (entity.clone(), id.clone()).prop_map(|(entity, id)| Operation::Get { entity, id }),
        4 => (entity.clone(), content)
            .prop_map(|(entity, content)| Operation::Recall { entity, content }),
        1 => entity.clone().prop_map(|entity| Operation::List { entity }),
        1 => id.prop_map(|id| Operation::InvalidateMemory { id }),
        1 => entity.prop_map(|entity| Operation::InvalidateEntity { entity }),
        1 => Just(Operation::Clear),
    ]
}

type Model = BTreeMap<(u8, MemoryId), String>;

fn entity_id(entity: u8) -> EntityId {
    EntityId::from(format!("entity-{entity}"))
}

/// The same ids for every entity: each entity's memory is its own.
fn memory_id(id: u8) -> MemoryId {
    Uuid::from_u128(u128::from(id) + 1).into()
}

fn text(content: u8) -> String {
    format!("content number {content}")
}

async fn step(b: &Fixture, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Retain {
            entity,
            id,
            content,
        } => {
            let (key, text) = ((entity, memory_id(id)), text(content));
            let item = MemoryBatchItem::new(entity_id(entity), MemoryKind::World, &*text);
            let outcome = b.engine.retain_batch(vec![item.with_id(key.1)]).await;
            match model.get(&key) {
                Some(held) if *held != text => {
                    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
                }
                _ => {
                    assert_eq!(outcome.unwrap(), [key.1]);
                    model.insert(key, text);
                }
            }
        }
        Operation::RetainBatch { entity, contents } => {
            let item = |&content| {
                MemoryBatchItem::new(entity_id(entity), MemoryKind::Opinion, text(content))
            };
            let ids = b
                .engine
                .retain_batch(contents.iter().map(item).collect())
                .await
                .unwrap();
            model.extend(
                ids.into_iter()
                    .zip(contents)
                    .map(|(id, c)| ((entity, id), text(c))),
            );
        }
        Operation::Alter {
            entity,
            id,
            content,
        } => {
            let (key, patch) = (
                (entity, memory_id(id)),
                MemoryPatch::new().content(text(content)),
            );
            let outcome = b
                .engine
                .alter_memory(&entity_id(entity), &key.1, &patch)
                .await;
            if let Some(held) = model.get_mut(&key) {
                assert_eq!(outcome.unwrap().content, text(content));
                *held = text(content);
            } else {
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
            }
        }
        Operation::Delete { entity, id } => {
            let outcome = b
                .engine
                .delete_memory(&entity_id(entity), &memory_id(id))
                .await;
            assert_eq!(
                outcome.is_ok(),
                model.remove(&(entity, memory_id(id))).is_some()
            );
        }
        Operation::Get { entity, id } => {
            let got = b
                .engine
                .get_memory(&entity_id(entity), &memory_id(id))
                .await;
            let expected = model.get(&(entity, memory_id(id)));
            assert_eq!(
                got.ok().map(|memory| memory.content.clone()).as_ref(),
                expected
            );
        }
        Operation::Recall { entity, content } => {
            let request = RecallRequest::new(text(content)).limit(1_000);
            let recalled = b.engine.recall(&entity_id(entity), &request).await.unwrap();
            let got = recalled
                .into_iter()
                .map(|r| (r.memory.id, r.memory.content.clone()));
            assert_eq!(got.collect::<BTreeMap<_, _>>(), of_entity(model, entity));
        }
        Operation::List { entity } => {
            let request = ListRequest::new(1_000);
            let page = b
                .engine
                .list_memories(&entity_id(entity), &request)
                .await
                .unwrap();
            let got = page
                .memories
                .iter()
                .map(|memory| (memory.id, memory.content.clone()));
            assert_eq!(got.collect::<BTreeMap<_, _>>(), of_entity(model, entity));
        }
        Operation::InvalidateMemory { id } => b.engine.invalidate_memory_cache(&memory_id(id)),
        Operation::InvalidateEntity { entity } => {
            b.engine.invalidate_entity_cache(&entity_id(entity))
        }
        Operation::Clear => b.engine.clear_all_caches(),
    }
}

fn of_entity(model: &Model, entity: u8) -> BTreeMap<MemoryId, String> {
    let own = model.iter().filter(|((owner, _), _)| *owner == entity);
    own.map(|((_, id), content)| (*id, content.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_written_last(
        operations in prop::collection::vec(operation(), 1..100),
        pushed_down in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let b = if pushed_down {
                fixture_with(MemoryConfig { entity_cache_max_bytes: ByteSize(6 * 1_024), ..MemoryConfig::default() })
            } else {
                fixture()
            };
            let mut model = Model::new();
            for operation in operations {
                step(&b, &mut model, operation).await;
            }
        });
    }
}
