//! The names of entities that start with a prefix.

use memory::{EntityId, MemoryResult, MemorySystem, limits};

/// Up to `limit` names, 1 to 1,000, in order, after `after`; and the last of them if
/// there may be more.
///
/// Names are in order, so those with the prefix follow each other. Without an index
/// by prefix, the pages before them are read and left out.
///
/// # Errors
/// [`memory::MemoryError::InvalidInput`] for a limit or a name outside the limits; errors
/// of the store.
pub(crate) async fn list(
    memory: &MemorySystem,
    prefix: &str,
    mut after: Option<EntityId>,
    limit: usize,
) -> MemoryResult<(Vec<EntityId>, Option<EntityId>)> {
    limits::check_limit(limit)?;
    if let Some(after) = &after {
        after.validate()?;
    }
    let mut names: Vec<EntityId> = Vec::new();
    let mut is_last = false;
    while names.len() < limit && !is_last {
        let page = memory.list_entities(after.as_ref(), limit).await?;
        is_last = page.len() < limit
            || page
                .last()
                .is_some_and(|last| last.as_str() > prefix && !last.as_str().starts_with(prefix));
        after = page.last().cloned();
        names.extend(
            page.into_iter()
                .filter(|name| name.as_str().starts_with(prefix)),
        );
    }
    is_last &= names.len() <= limit;
    names.truncate(limit);
    let next = names.last().filter(|_| !is_last).cloned();
    Ok((names, next))
}
