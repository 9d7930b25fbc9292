//! What a query can name a memory by: tags, metadata values, involved entities.

use std::collections::BTreeSet;
use std::sync::Arc;

use memory_core::Memory;
use memory_text::{is_stop_word, words};
use rpds::HashTrieMapSync;

/// Which memories bear which label, found by the label's first word. Cloning
/// shares everything.
#[derive(Clone, Default)]
pub(super) struct Labels {
    by_first_word: HashTrieMapSync<Arc<str>, Arc<Vec<Label>>>,
    bytes: usize,
}

#[derive(Clone)]
struct Label {
    words: Vec<String>,
    slots: Vec<u32>,
}

/// What a first word costs beside its text and its labels, as a stem does in
/// `lexical`.
const WORD_BYTES: usize = 160;

impl Labels {
    pub(super) fn push(&mut self, slot: u32, memory: &Memory) {
        for label in labels_of(memory) {
            let Some(first) = label.first() else { continue };
            if self.by_first_word.get(first.as_str()).is_none() {
                self.bytes += WORD_BYTES + first.len();
                self.by_first_word
                    .insert_mut(first.as_str().into(), Arc::default());
            }
            let Some(list) = self.by_first_word.get_mut(first.as_str()) else {
                continue;
            };
            self.bytes -= labels_bytes(list);
            let list = Arc::make_mut(list);
            if let Some(known) = list.iter_mut().find(|known| known.words == label) {
                known.slots.push(slot);
            } else {
                list.push(Label {
                    words: label,
                    slots: vec![slot],
                });
            }
            self.bytes += labels_bytes(list);
        }
    }

    pub(super) fn remove(&mut self, slot: u32, memory: &Memory) {
        for label in labels_of(memory) {
            let Some(first) = label.first() else { continue };
            let Some(list) = self.by_first_word.get_mut(first.as_str()) else {
                continue;
            };
            self.bytes -= labels_bytes(list);
            let list = Arc::make_mut(list);
            for known in list.iter_mut().filter(|known| known.words == label) {
                known.slots.retain(|other| *other != slot);
                known.slots.shrink_to(known.slots.len() * 2);
            }
            list.retain(|known| !known.slots.is_empty());
            self.bytes += labels_bytes(list);
            if list.is_empty() {
                self.bytes -= WORD_BYTES + first.len() + labels_bytes(list);
                self.by_first_word.remove_mut(first.as_str());
            }
        }
    }

    /// Marks the slots that bear a label which the query's words name.
    pub(super) fn mark(&self, query: &[String], mentioned: &mut [bool]) {
        for start in 0..query.len() {
            let Some(list) = self.by_first_word.get(query[start].as_str()) else {
                continue;
            };
            for label in list
                .iter()
                .filter(|label| query[start..].starts_with(&label.words))
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
    let words = |words: &Vec<String>| {
        let letters: usize = words.iter().map(String::capacity).sum();
        letters + words.capacity() * size_of::<String>()
    };
    let label = |label: &Label| words(&label.words) + label.slots.capacity() * size_of::<u32>();
    list.capacity() * size_of::<Label>() + list.iter().map(label).sum::<usize>()
}

/// Whether the query's words name one of the memory's labels.
pub(crate) fn names(query: &[String], memory: &Memory) -> bool {
    labels_of(memory)
        .iter()
        .any(|label| query.windows(label.len()).any(|run| run == label))
}

/// A memory's labels as words. One that is only a stop word or a single
/// character would be named by chance.
fn labels_of(memory: &Memory) -> BTreeSet<Vec<String>> {
    let tags = memory.tags.iter().map(String::as_str);
    let values = memory.metadata.values().map(String::as_str);
    let entities = memory.entities.keys().map(memory_core::EntityId::as_str);
    tags.chain(values)
        .chain(entities)
        .map(words)
        .filter(|label| is_telling(label))
        .collect()
}

fn is_telling(label: &[String]) -> bool {
    label
        .iter()
        .any(|word| word.chars().nth(1).is_some() && !is_stop_word(word))
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
    fn a_label_is_named_by_all_its_words_in_order() {
        let memory = memory();
        let mut labels = Labels::default();
        labels.push(0, &memory);
        for (query, expected) in [
            ("what did tam say?", true),
            ("who was at the Horse Market", true),
            ("market horse", false),
            ("the", false),
            ("about inc-90312 please", true),
            ("inc", false),
        ] {
            let query = words(query);
            let mut mentioned = [false];
            labels.mark(&query, &mut mentioned);
            assert_eq!(mentioned[0], expected, "{query:?}");
            assert_eq!(names(&query, &memory), expected, "{query:?}");
        }
        labels.remove(0, &memory);
        assert_eq!(labels.bytes, 0);
        assert!(labels.by_first_word.is_empty());
    }
}
