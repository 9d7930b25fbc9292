//! Grouping of memories that say the same thing, without a language model.
//!
//! Two memories say the same thing only if nothing that could carry a fact differs:
//! the same words in the same order, numbers, signs, names, negation, question
//! marks, quotes and symbols included, and the same kind, episode, participants
//! and metadata. Everything else stays live. What may differ is white space, the
//! final period or exclamation mark, the shape of quotation marks, the case of
//! a sentence's first letter, and one filler word at the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use memory_core::{EntityId, Memory, MemoryFilter, MemoryId, MemoryKind};

use super::cluster::{MAX_SOURCES, is_groupable};
use super::statement::Statement;
use super::summary::{Group, METADATA_PREFIX};

/// Everything in which memories of one group must be equal.
#[derive(PartialEq, Eq, Hash)]
struct GroupKey<'a> {
    kind: MemoryKind,
    words: String,
    day: Option<NaiveDate>,
    context: Option<&'a str>,
    entities: &'a BTreeMap<EntityId, String>,
    metadata: Vec<(&'a str, &'a str)>,
}

impl<'a> GroupKey<'a> {
    fn new(memory: &'a Memory, statement: Statement) -> Self {
        let metadata = memory.metadata.iter();
        Self {
            kind: memory.kind,
            words: statement.words,
            day: statement
                .is_relative_in_time
                .then(|| memory.timestamp.date_naive()),
            context: memory.context.as_deref(),
            entities: &memory.entities,
            metadata: metadata
                .filter(|(key, _)| !key.starts_with(METADATA_PREFIX))
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
        }
    }
}

/// Groups of at least `min_size` memories that say the same thing, each group
/// oldest first and with the content of its summary. O(memories).
pub(crate) fn group_equal_statements(
    memories: Vec<Arc<Memory>>,
    filter: &MemoryFilter,
    min_size: usize,
) -> Vec<Group> {
    let mut memories: Vec<Arc<Memory>> = memories
        .into_iter()
        .filter(|memory| is_groupable(memory, filter))
        .collect();
    memories.sort_by_key(|memory| (memory.timestamp, memory.id));
    let mut by_key: HashMap<GroupKey<'_>, BTreeMap<Option<&str>, Vec<&Arc<Memory>>>> =
        HashMap::new();
    for memory in &memories {
        let statement = Statement::new(&memory.content);
        let filler = statement.filler;
        let variants = by_key.entry(GroupKey::new(memory, statement)).or_default();
        variants.entry(filler).or_default().push(memory);
    }
    let mut groups: Vec<Group> = Vec::new();
    for mut variants in by_key.into_values() {
        // The plain variant joins the first one with a filler, which contains it.
        let plain = variants.remove(&None).unwrap_or_default();
        let mut sets: Vec<Vec<&Arc<Memory>>> = variants.into_values().collect();
        match sets.first_mut() {
            Some(first) => first.extend(plain),
            None => sets.push(plain),
        }
        for mut set in sets {
            set.sort_by_key(|memory| (memory.timestamp, memory.id));
            let chunks = set.chunks(MAX_SOURCES);
            groups.extend(
                chunks
                    .filter(|chunk| chunk.len() >= min_size)
                    .map(group_of_equals),
            );
        }
    }
    groups.sort_by_key(first_source);
    groups
}

fn first_source(group: &Group) -> Option<(chrono::DateTime<chrono::Utc>, MemoryId)> {
    let first = group.sources.first()?;
    Some((first.timestamp, first.id))
}

/// The summary of equal statements is the latest of the longest, verbatim: a final
/// mark that the others lack may be a part of a password.
fn group_of_equals(sources: &[&Arc<Memory>]) -> Group {
    let content = sources
        .iter()
        .max_by_key(|memory| (memory.content.trim().len(), memory.timestamp, memory.id))
        .map(|memory| memory.content.clone());
    Group {
        sources: sources.iter().map(|memory| Arc::clone(memory)).collect(),
        content,
    }
}

/// The content that represents all of these memories, where they say the same
/// thing.
pub(super) fn common_content(memories: &[Arc<Memory>]) -> Option<String> {
    let all = group_equal_statements(memories.to_vec(), &MemoryFilter::new(), memories.len());
    all.into_iter().next()?.content
}

#[cfg(test)]
mod tests;
