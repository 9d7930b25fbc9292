//! Mentions: finding memories whose tags, metadata values or participants a
//! query contains.

use std::collections::BTreeSet;
use std::sync::Arc;

use memory_core::Memory;
use memory_text::{is_stop_word, tokenize};
use rpds::HashTrieMapSync;

/// The slots of each label, by the label's first token. Persistent: cloning
/// shares everything.
#[derive(Clone, Default)]
pub(super) struct MentionIndex {
    by_first_token: HashTrieMapSync<Arc<str>, Arc<Vec<Label>>>,
    bytes: usize,
}

#[derive(Clone)]
struct Label {
    tokens: Vec<String>,
    slots: Vec<u32>,
}

/// Bytes of a first token in addition to its text and labels, like a stem in
/// `inverted_index`.
const TOKEN_BYTES: usize = 160;

impl MentionIndex {
    pub(super) fn push(&mut self, slot: u32, memory: &Memory) {
        for label in labels_of(memory) {
            let Some(first) = label.first() else { continue };
            if self.by_first_token.get(first.as_str()).is_none() {
                self.bytes += TOKEN_BYTES + first.len();
                self.by_first_token
                    .insert_mut(first.as_str().into(), Arc::default());
            }
            let Some(list) = self.by_first_token.get_mut(first.as_str()) else {
                continue;
            };
            self.bytes -= labels_bytes(list);
            let list = Arc::make_mut(list);
            if let Some(known) = list.iter_mut().find(|known| known.tokens == label) {
                known.slots.push(slot);
            } else {
                list.push(Label {
                    tokens: label,
                    slots: vec![slot],
                });
            }
            self.bytes += labels_bytes(list);
        }
    }

    pub(super) fn remove(&mut self, slot: u32, memory: &Memory) {
        for label in labels_of(memory) {
            let Some(first) = label.first() else { continue };
            let Some(list) = self.by_first_token.get_mut(first.as_str()) else {
                continue;
            };
            self.bytes -= labels_bytes(list);
            let list = Arc::make_mut(list);
            for known in list.iter_mut().filter(|known| known.tokens == label) {
                known.slots.retain(|other| *other != slot);
                known.slots.shrink_to(known.slots.len() * 2);
            }
            list.retain(|known| !known.slots.is_empty());
            self.bytes += labels_bytes(list);
            if list.is_empty() {
                self.bytes -= TOKEN_BYTES + first.len() + labels_bytes(list);
                self.by_first_token.remove_mut(first.as_str());
            }
        }
    }

    /// Marks the slots with a label that the query's tokens contain.
    pub(super) fn mark(&self, query: &[String], mentioned: &mut [bool]) {
        for start in 0..query.len() {
            let Some(list) = self.by_first_token.get(query[start].as_str()) else {
                continue;
            };
            for label in list
                .iter()
                .filter(|label| query[start..].starts_with(&label.tokens))
            {
                label
                    .slots
                    .iter()
                    .for_each(|slot| mentioned[*slot as usize] = true);
            }
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes
    }
}

fn labels_bytes(list: &Vec<Label>) -> usize {
    let tokens = |tokens: &Vec<String>| {
        let text: usize = tokens.iter().map(String::capacity).sum();
        text + tokens.capacity() * size_of::<String>()
    };
    let label = |label: &Label| tokens(&label.tokens) + label.slots.capacity() * size_of::<u32>();
    list.capacity() * size_of::<Label>() + list.iter().map(label).sum::<usize>()
}

/// Whether the query's tokens contain one of the memory's labels.
pub(crate) fn mentions(query: &[String], memory: &Memory) -> bool {
    labels_of(memory)
        .iter()
        .any(|label| query.windows(label.len()).any(|run| run == label))
}

/// A memory's labels as tokens, without those that are not distinctive: a stop
/// word or a single character would be mentioned by chance.
fn labels_of(memory: &Memory) -> BTreeSet<Vec<String>> {
    let tags = memory.tags.iter().map(String::as_str);
    let values = memory.metadata.values().map(String::as_str);
    let entities = memory.entities.keys().map(memory_core::EntityId::as_str);
    tags.chain(values)
        .chain(entities)
        .map(tokenize)
        .filter(|label| is_distinctive(label))
        .collect()
}

fn is_distinctive(label: &[String]) -> bool {
    label
        .iter()
        .any(|token| token.chars().nth(1).is_some() && !is_stop_word(token))
}

#[cfg(test)]
mod tests {
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::*;

    fn memory() -> Memory {
        MemoryBatchItem::new("mira", MemoryKind::World, "x")
            .with_tag("horse market")
            .with_tag("the")
            .with_metadata("ticket", "INC-90312")
            .with_entity("Tam", "seller")
            .into_memory(chrono::Utc::now())
            .unwrap()
    }

    #[test]
    fn a_label_is_mentioned_by_all_its_tokens_in_order() {
        let memory = memory();
        let mut index = MentionIndex::default();
        index.push(0, &memory);
        for (query, expected) in [
            ("what did tam say?", true),
            ("who was at the Horse Market", true),
            ("market horse", false),
            ("the", false),
            ("about inc-90312 please", true),
            ("inc", false),
        ] {
            let query = tokenize(query);
            let mut mentioned = [false];
            index.mark(&query, &mut mentioned);
            assert_eq!(mentioned[0], expected, "{query:?}");
            assert_eq!(mentions(&query, &memory), expected, "{query:?}");
        }
        index.remove(0, &memory);
        assert_eq!(index.bytes, 0);
        assert!(index.by_first_token.is_empty());
    }
}
