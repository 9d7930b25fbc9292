//! [`Store::insert`](memory_core::Store::insert).

use memory_core::{Generation, InvalidInput, MemoryError};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, invalid};
use crate::fixtures::{at, plain, varied_memories};
use crate::store::CheckContext;

/// Every item of a batch is written, in one write, and the outcome says so.
pub async fn writes_the_whole_batch(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = varied_memories(&mira, 20, &mut context.rng());
    let outcome = context.insert(&batch).await?;
    ensure_eq!(outcome.inserted, vec![true; 20], "inserted");
    ensure_eq!(outcome.generations.len(), 1, "entities in the outcome");
    ensure_eq!(
        outcome.generations.get(&mira),
        Some(&Generation(1)),
        "generation"
    );
    ensure_eq!(context.count(&mira).await?, 20, "count");
    for (index, item) in batch.iter().enumerate() {
        let found = context.get(&mira, item.memory.id).await?;
        ensure_eq!(found.as_ref(), Some(&item.memory), "item {index}");
    }
    Ok(())
}

/// A batch may hold memories of several entities; each entity's generation
/// rises by one if anything of it was inserted, and only then.
pub async fn serves_several_entities(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let known = plain(&mira, "known before", &mut rng);
    context.insert(std::slice::from_ref(&known)).await?;
    let batch = [
        plain(&tam, "first of tam", &mut rng),
        known.clone(),
        plain(&tam, "second of tam", &mut rng),
    ];
    let outcome = context.insert(&batch).await?;
    ensure_eq!(outcome.inserted, [true, false, true], "inserted");
    let wanted = [(mira.clone(), Generation(1)), (tam.clone(), Generation(1))].into();
    ensure_eq!(outcome.generations, wanted, "generations");
    ensure_eq!(context.generation(&mira).await?, Generation(1), "of mira");
    ensure_eq!(context.generation(&tam).await?, Generation(1), "of tam");
    ensure_eq!(context.count(&mira).await?, 1, "count of mira");
    ensure_eq!(context.count(&tam).await?, 2, "count of tam");
    Ok(())
}

/// An id that the entity has already, with equal content, is a no-op: nothing
/// is written, the generation stays, and the first write's fields stand.
pub async fn repeats_are_no_ops(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let first = plain(&mira, "the same again", &mut rng);
    context.insert(std::slice::from_ref(&first)).await?;
    let mut again = first.clone();
    again.memory.importance = 0.9;
    again.memory.tags.insert("later".to_owned());
    let outcome = context.insert(&[again.clone()]).await?;
    ensure_eq!(outcome.inserted, [false], "inserted by the repetition");
    ensure_eq!(
        outcome.generations.get(&mira),
        Some(&Generation(1)),
        "generation after the repetition"
    );
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(1),
        "generation"
    );
    let stored = context.get(&mira, first.memory.id).await?;
    ensure_eq!(stored.as_ref(), Some(&first.memory), "the first write");

    let new = plain(&mira, "something new", &mut rng);
    let outcome = context.insert(&[again, new]).await?;
    ensure_eq!(outcome.inserted, [false, true], "inserted with it");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "generation"
    );
    ensure_eq!(context.count(&mira).await?, 2, "count");
    Ok(())
}

/// A conflict anywhere in the batch: nothing of it is written, of no entity,
/// and no generation rises.
pub async fn conflict_writes_nothing(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let taken = plain(&mira, "as it was", &mut rng);
    context.insert(std::slice::from_ref(&taken)).await?;
    let mut other = taken.clone();
    other.memory.content = "as it was not".to_owned();
    let batch = [
        plain(&mira, "before the conflict", &mut rng),
        plain(&tam, "of another entity", &mut rng),
        other,
        plain(&mira, "after the conflict", &mut rng),
    ];
    match context.store().insert(&batch).await {
        Err(MemoryError::Conflict { entity, id }) => {
            ensure_eq!(entity, mira, "entity in the conflict");
            ensure_eq!(id, taken.memory.id, "id in the conflict");
        }
        Err(error) => return Err(CheckFailure::from(error)),
        Ok(_) => {
            return Err(CheckFailure::failed(
                "other content under a taken id: accepted",
            ));
        }
    }
    let stored = context.get(&mira, taken.memory.id).await?;
    ensure_eq!(stored.as_ref(), Some(&taken.memory), "the stored memory");
    ensure_eq!(context.count(&mira).await?, 1, "count after the conflict");
    ensure_eq!(context.count(&tam).await?, 0, "count of the other entity");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(1),
        "generation"
    );
    ensure_eq!(
        context.generation(&tam).await?,
        Generation::ZERO,
        "generation of the other entity"
    );
    for item in [&batch[0], &batch[3]] {
        let found = context.has(&mira, item.memory.id).await?;
        ensure!(!found, "a batch with a conflict left a memory behind");
    }
    let outcome = context.insert(&batch[..2]).await.at("the rest alone")?;
    ensure_eq!(outcome.inserted, [true, true], "the rest alone");
    Ok(())
}

/// An id twice under one entity is refused, also with equal content.
pub async fn refuses_an_id_twice(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = plain(&mira, "once is enough", &mut rng);
    let bystander = plain(&mira, "a bystander", &mut rng);
    let result = context
        .store()
        .insert(&[item.clone(), bystander, item])
        .await;
    invalid(
        result,
        |problem| matches!(problem, InvalidInput::DuplicateId { .. }),
        "an id twice in a batch",
    )?;
    ensure_eq!(context.count(&mira).await?, 0, "count after the refusal");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation::ZERO,
        "generation"
    );
    Ok(())
}

/// The same id under two entities is two memories, also within one batch.
pub async fn keeps_entities_apart(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let hers = plain(&mira, "hers", &mut context.rng());
    let mut his = hers.clone();
    his.memory.entity_id = tam.clone();
    his.memory.content = "his".to_owned();
    let id = hers.memory.id;
    let outcome = context.insert(&[hers.clone(), his.clone()]).await?;
    ensure_eq!(outcome.inserted, [true, true], "inserted");
    ensure_eq!(context.get(&mira, id).await?, Some(hers.memory), "hers");
    ensure_eq!(
        context.get(&tam, id).await?,
        Some(his.memory.clone()),
        "his"
    );
    context.store().delete(&mira, &[id]).await.at("delete")?;
    ensure_eq!(
        context.get(&tam, id).await?,
        Some(his.memory),
        "his, after hers was deleted"
    );
    Ok(())
}

/// An id that was deleted may be inserted again, with other content, and bears
/// nothing of what it was.
pub async fn accepts_deleted_ids_again(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut old = plain(&mira, "the old one", &mut rng);
    old.memory.access_count = 7;
    old.memory.last_accessed = Some(at(50));
    old.memory.tags.insert("old".to_owned());
    let id = old.memory.id;
    context.insert(&[old]).await?;
    context.store().delete(&mira, &[id]).await.at("delete")?;
    let mut new = plain(&mira, "the new one", &mut rng);
    new.memory.id = id;
    let outcome = context.insert(std::slice::from_ref(&new)).await?;
    ensure_eq!(outcome.inserted, [true], "inserted again");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(3),
        "generation"
    );
    ensure_eq!(
        context.get(&mira, id).await?,
        Some(new.memory),
        "the memory inserted again"
    );
    ensure_eq!(context.count(&mira).await?, 1, "count");
    Ok(())
}

/// Memories keep the access count and the last access that they come with.
pub async fn keeps_access_fields(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut item = plain(&mira, "often recalled", &mut context.rng());
    item.memory.access_count = 42;
    item.memory.last_accessed = Some(at(99));
    context.insert(std::slice::from_ref(&item)).await?;
    let stored = context.get(&mira, item.memory.id).await?;
    ensure_eq!(stored, Some(item.memory), "the memory");
    Ok(())
}

/// An empty batch is a no-op.
pub async fn empty_batch_is_a_no_op(context: &CheckContext) -> CheckResult {
    let outcome = context.insert(&[]).await?;
    ensure!(
        outcome.inserted.is_empty() && outcome.generations.is_empty(),
        "an empty batch had an outcome: {outcome:?}"
    );
    Ok(())
}
