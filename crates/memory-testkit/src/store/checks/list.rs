//! [`Store::list`](memory_core::Store::list).

use chrono::TimeDelta;
use memory_core::{Generation, ListRequest, Memory, MemoryFilter, MemoryId, PageCursor};
use uuid::Uuid;

use crate::check::{At, CheckResult, ensure, ensure_eq};
use crate::fixtures::{at, at_micros, plain};
use crate::store::CheckContext;
use crate::store::context::in_list_order;

/// Newest first, to the microsecond, before 1970 too.
pub async fn is_newest_first(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = Vec::new();
    for micros in [3, -2, 1_000_000, 0, 2, -1_000_000, 1] {
        let mut item = plain(&mira, format!("at {micros}"), &mut rng);
        item.memory.timestamp = at_micros(micros);
        items.push(item);
    }
    context.insert(&items).await?;
    let page = context
        .store()
        .list(&mira, &ListRequest::new(100))
        .await
        .at("list")?;
    let wanted = in_list_order(&items, &MemoryFilter::new());
    ensure_eq!(page.memories, wanted, "order");
    ensure_eq!(page.generation, Generation(1), "generation");
    Ok(())
}

/// Equal timestamps go by id, descending, across pages as well.
pub async fn breaks_ties_by_id(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = Vec::new();
    for number in 0..9 {
        let mut item = plain(&mira, format!("tie {number}"), &mut rng);
        item.memory.timestamp = at(number / 8);
        items.push(item);
    }
    context.insert(&items).await?;
    let all = MemoryFilter::new();
    let wanted = in_list_order(&items, &all);
    for limit in [100, 1, 2, 4] {
        let listed = context.listed(&mira, &all, limit).await?;
        ensure_eq!(listed, wanted, "order in pages of {limit}");
    }
    Ok(())
}

/// No memory twice and none left out, whatever the size of the pages.
pub async fn has_pages_without_loss(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let people = context.populate(&mira, 40, &mut context.rng()).await?;
    let all = MemoryFilter::new();
    let wanted = in_list_order(&people, &all);
    for limit in [1, 3, 7, 39, 40, 41, 1_000] {
        let pages = context.pages(&mira, &all, limit).await?;
        for page in &pages {
            ensure!(
                page.memories.len() <= limit,
                "a page of {} where {limit} were asked for",
                page.memories.len()
            );
        }
        let listed: Vec<_> = pages.into_iter().flat_map(|page| page.memories).collect();
        let ids = |memories: &[memory_core::Memory]| -> Vec<MemoryId> {
            memories.iter().map(|memory| memory.id).collect()
        };
        ensure_eq!(ids(&listed), ids(&wanted), "ids in pages of {limit}");
    }
    Ok(())
}

/// The last page has no next one, also where it is exactly full; a cursor
/// past everything gives an empty page.
pub async fn ends_on_the_last_page(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let people = context.populate(&mira, 6, &mut context.rng()).await?;
    let all = MemoryFilter::new();
    for (limit, wanted) in [(6, 1), (7, 1), (3, 2), (2, 3), (4, 2)] {
        let pages = context.pages(&mira, &all, limit).await?;
        ensure_eq!(pages.len(), wanted, "pages of {limit} over 6 memories");
    }
    let cursor = in_list_order(&people, &all).last().map(PageCursor::from);
    let beyond = ListRequest {
        after: cursor,
        ..ListRequest::new(5)
    };
    let page = context.store().list(&mira, &beyond).await.at("list")?;
    ensure_eq!(page.memories, [], "memories beyond the last");
    ensure_eq!(page.next, None, "next beyond the last");
    let stranger = context.entity("stranger");
    let page = context
        .store()
        .list(&stranger, &ListRequest::new(5))
        .await
        .at("list of a stranger")?;
    ensure_eq!(page.memories, [], "memories of a stranger");
    ensure_eq!(page.next, None, "next of a stranger");
    ensure_eq!(page.generation, Generation::ZERO, "generation");
    Ok(())
}

/// A cursor need not be one that a page ended with: between two microseconds, it comes
/// after the earlier one, whatever the ids.
pub async fn any_cursor_is_exact(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = Vec::new();
    for micros in [-1, 0, 0, 1, 2_000_000_000_000_000] {
        let mut item = plain(&mira, format!("at {micros}"), &mut rng);
        item.memory.timestamp = at_micros(micros);
        items.push(item);
    }
    context.insert(&items).await?;
    let ids = |memories: &[Memory]| -> Vec<MemoryId> {
        memories.iter().map(|memory| memory.id).collect()
    };
    let all = in_list_order(&items, &MemoryFilter::new());
    for micros in [-1, 0, 1, 2_000_000_000_000_000] {
        for nanos in [-999, -1, 0, 1, 999] {
            for id in [Uuid::nil().into(), all[1].id, Uuid::max().into()] {
                let timestamp = at_micros(micros) + TimeDelta::nanoseconds(nanos);
                let cursor = PageCursor { timestamp, id };
                let request = ListRequest::new(100).after(cursor);
                let page = context.store().list(&mira, &request).await.at("list")?;
                let mut wanted = all.clone();
                wanted.retain(|memory| PageCursor::from(memory) < cursor);
                ensure_eq!(ids(&page.memories), ids(&wanted), "after {cursor:?}");
            }
        }
    }
    Ok(())
}
