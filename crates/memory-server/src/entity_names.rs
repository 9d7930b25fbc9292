//! The names of entities that start with a prefix.

use memory::{EntityId, MemoryResult, MemorySystem, limits};

/// Up to `limit` names, 1 to 1,000, in order, after `after`; and the last of them if
/// there may be more.
///
/// Names are in order, so those with the prefix follow each other: nothing is read that
/// comes before them.
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
    let before = last_before(prefix);
    if before.as_deref() > after.as_ref().map(EntityId::as_str) {
        after = before.map(EntityId::from);
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

/// A name before all with a prefix, with hardly one between; `None` where there is none.
/// Stores order names by their characters' numbers.
fn last_before(prefix: &str) -> Option<String> {
    let mut name = prefix.to_owned();
    let last = name.pop()?;
    // Names have no control characters, so those before the space are not needed.
    let previous = (' '..last).next_back()?;
    name.extend([previous, char::MAX]);
    let is_name = name.chars().count() <= limits::MAX_ENTITY_ID_CHARS;
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_before_a_prefix_is_close_to_it() {
        for (prefix, before) in [
            ("npc-", Some("npc,\u{10ffff}")),
            ("a", Some("`\u{10ffff}")),
            ("水", Some("\u{6c33}\u{10ffff}")),
            ("\u{e000}", Some("\u{d7ff}\u{10ffff}")),
            ("x ", None),
            ("", None),
        ] {
            let found = last_before(prefix);
            assert_eq!(found.as_deref(), before, "{prefix}");
            assert!(
                found.is_none_or(|found| found.as_str() < prefix),
                "{prefix}"
            );
        }
        assert_eq!(last_before(&"x".repeat(256)), None, "it would be too long");
    }
}
