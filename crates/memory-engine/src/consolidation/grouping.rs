//! Choice of the groups to consolidate.

use std::sync::Arc;

use memory_core::{EmbeddedMemory, MemoryId};

use super::ConsolidateRequest;
use super::cluster::{ClusterItem, group_near_duplicates};
use super::equivalence::{common_content, group_equal_statements};
use super::prompt::split_to_fit;
use super::requests::{SkipReason, SkippedGroup};
use super::summary::Group;

/// The groups of a consolidation, and those that cannot be summarized.
#[derive(Default)]
pub(crate) struct Grouping {
    pub(crate) groups: Vec<Group>,
    pub(crate) skipped: Vec<SkippedGroup>,
}

/// Groups the memories of an entity.
///
/// Without a language model, only memories that [state the
/// same](super::equivalence) are grouped. With one, memories are grouped by
/// their vectors, except those whose vectors are not meaningful.
pub(crate) fn group_memories(
    memories: Vec<EmbeddedMemory>,
    request: &ConsolidateRequest,
    has_language_model: bool,
) -> Grouping {
    let min_size = request.min_sources.max(2);
    let (mut items, mut others) = (Vec::new(), Vec::new());
    for EmbeddedMemory { memory, embedding } in memories {
        let memory = Arc::new(memory);
        let item = has_language_model
            .then(|| ClusterItem::new(&memory, embedding.vectors, &request.filter))
            .flatten();
        match item {
            Some(item) => items.push(item),
            None => others.push(memory),
        }
    }
    let mut grouping = Grouping {
        groups: group_equal_statements(others, &request.filter, min_size),
        skipped: Vec::new(),
    };
    for indices in group_near_duplicates(&mut items, request.min_similarity, min_size) {
        let sources: Vec<_> = indices
            .iter()
            .map(|&index| Arc::clone(&items[index].memory))
            .collect();
        if let Some(content) = common_content(&sources) {
            let content = Some(content);
            grouping.groups.push(Group { sources, content });
            continue;
        }
        for run in split_to_fit(&sources) {
            if run.len() >= min_size {
                let content = None;
                grouping.groups.push(Group {
                    sources: run,
                    content,
                });
            } else {
                let ids: Vec<MemoryId> = run.iter().map(|memory| memory.id).collect();
                grouping
                    .skipped
                    .push(SkippedGroup::new(ids, SkipReason::PromptTooLong));
            }
        }
    }
    grouping
}
