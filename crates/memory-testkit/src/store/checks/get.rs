//! [`Store::get`](memory_core::Store::get).

use memory_core::{Generation, Memory, MemoryId};

use crate::check::{At, CheckResult, ensure_eq};
use crate::store::CheckContext;

/// One result per id, in the order asked, also for an id asked twice.
pub async fn answers_in_order(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut batch = context.populate(&mira, 12, &mut rng).await?;
    rng.shuffle(&mut batch);
    batch.push(batch[3].clone());
    let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    let wanted: Vec<Option<Memory>> = batch.into_iter().map(|item| Some(item.memory)).collect();
    let fetched = context.store().get(&mira, &ids).await.at("get")?;
    ensure_eq!(fetched.memories, wanted, "memories in the order asked");
    ensure_eq!(fetched.generation, Generation(1), "generation");
    Ok(())
}

/// `None` where the entity has none; no id, no result.
pub async fn answers_none_where_there_is_none(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let batch = context.populate(&mira, 2, &mut rng).await?;
    let ids = [batch[0].memory.id, rng.id(), batch[1].memory.id];
    let fetched = context.store().get(&mira, &ids).await.at("get")?;
    let wanted = [
        Some(batch[0].memory.clone()),
        None,
        Some(batch[1].memory.clone()),
    ];
    ensure_eq!(fetched.memories, wanted, "memories");
    let fetched = context.store().get(&mira, &[]).await.at("get nothing")?;
    ensure_eq!(fetched.memories, [], "memories of no ids");
    ensure_eq!(fetched.generation, Generation(1), "generation");
    let stranger = context.entity("stranger");
    let fetched = context.store().get(&stranger, &ids).await.at("get")?;
    ensure_eq!(fetched.memories, [None, None, None], "of a stranger");
    ensure_eq!(fetched.generation, Generation::ZERO, "of a stranger");
    Ok(())
}
