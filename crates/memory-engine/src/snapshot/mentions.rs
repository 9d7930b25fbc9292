//! Mentions: finding memories whose tags, metadata values or participants a
//! query contains.
//!
//! A label within a name that the query joins by hyphens, and that a memory has as a label,
//! is not meant: "What did Jean-Luc say?" mentions Jean-Luc and not Jean, where both are
//! known. Without hyphens it is: "Anna" may be what other memories call Anna Smith.

use std::collections::BTreeSet;
use std::ops::Range;

use memory_core::Memory;
use memory_text::{
    QuestionToken, is_capitalized, is_stop_word, is_unspaced_script, name_tokens, word_digest,
};

use super::digest::Digest;
use super::page::Page;
use super::posting_list::PostingList;

/// Longest label, in tokens, that is looked for: queries hardly contain a longer
/// metadata value word by word, and each length costs lookups.
const MAX_LABEL_TOKENS: usize = 16;

/// The slots of each label. Cloning shares every block; a change copies the blocks
/// that it updates.
#[derive(Clone, Default)]
pub(super) struct MentionIndex {
    /// By the digest of the label's tokens, joined by spaces.
    entries: PostingList,
}

impl MentionIndex {
    /// The index of the memories of pages, in their order: as after
    /// [`push`](Self::push) of each and [`settle`](Self::settle).
    pub(super) fn from_pages(pages: &[Page<'_>]) -> Self {
        let mut entries = Vec::with_capacity(pages.iter().map(|page| page.labels().len()).sum());
        let mut first = 0;
        for page in pages {
            let labels = page.labels();
            entries.extend(labels.map(|(label, position)| (label, first + u32::from(position))));
            first += u32::try_from(page.len()).unwrap_or(0);
        }
        entries.sort_unstable();
        Self {
            entries: entries.into_iter().collect(),
        }
    }

    /// Adds a slot's labels, to be found after [`settle`](Self::settle).
    pub(super) fn push(&mut self, slot: u32, labels: &[Digest]) {
        for label in labels {
            self.entries.push(*label, slot);
        }
    }

    /// Puts what was added in order, all at once.
    pub(super) fn settle(&mut self) {
        self.entries.settle();
    }

    /// Removes them at the next [`settle`](Self::settle).
    pub(super) fn remove(&mut self, slot: u32, labels: &[Digest]) {
        for label in labels {
            self.entries.remove(*label, slot);
        }
    }

    /// The slots that are admitted and have a label that the query's tokens contain, in
    /// order, each once. O(tokens of the query) lookups.
    pub(super) fn find(
        &self,
        query: &[QuestionToken],
        is_admitted: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let joined = JoinedNames::new(query, |label| {
            let mut is_known = false;
            self.entries
                .for_each_part(Digest::from(word_digest(label)), |slots| {
                    is_known |= slots.iter().any(|slot| is_admitted(*slot));
                });
            is_known
        });
        let mut mentioned = Vec::new();
        let mut add = |label: &str| {
            let label = Digest::from(word_digest(label));
            self.entries.for_each_part(label, |slots| {
                let slots = slots.iter().copied();
                mentioned.extend(slots.filter(|slot| is_admitted(*slot)));
            });
        };
        for start in 0..query.len() {
            for_each_label(query, start, |end, label| {
                if !joined.has_part(&(start..end)) {
                    add(label);
                }
            });
        }
        mentioned.sort_unstable();
        mentioned.dedup();
        mentioned
    }

    /// The slots of all memories that have a label, and of others: what is compared is the
    /// digest of its tokens. `None` for a label that a question does not mention, of which
    /// there is no index.
    pub(super) fn with_label(&self, label: &str) -> Option<Vec<u32>> {
        let tokens = labels_of(std::iter::once(label)).pop_first()?;
        Some(self.entries.numbers_of(label_digest(&tokens)))
    }

    /// The same labels with the slots renumbered; slots without a new number
    /// are dropped.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let entries = self.entries.iter();
        Self {
            entries: entries
                .filter_map(|(label, slot)| Some((label, to(slot)?)))
                .collect(),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.entries.size_bytes()
    }
}

/// The runs of a query's tokens that hyphens join and that are labels of memories.
#[derive(Debug, Clone, Default)]
pub(crate) struct JoinedNames {
    /// By the token that they begin with, where the longest ends; 0 where none begins. Empty
    /// where there are none.
    ends: Vec<usize>,
}

impl JoinedNames {
    fn new(query: &[QuestionToken], is_label: impl Fn(&str) -> bool) -> Self {
        let mut ends = Vec::new();
        for start in 0..query.len() {
            let joined = query.iter().skip(start + 1).take(MAX_LABEL_TOKENS);
            let last = start + joined.take_while(|token| token.is_joined).count();
            if last == start {
                continue;
            }
            for_each_label(&query[..=last], start, |end, label| {
                if end > start + 1 && is_label(label) {
                    ends.resize(query.len(), 0);
                    ends[start] = end;
                }
            });
        }
        Self { ends }
    }

    /// Those that the labels of these memories name.
    pub(crate) fn of<'a>(
        query: &[QuestionToken],
        memories: impl Iterator<Item = &'a Memory>,
    ) -> Self {
        // Most questions have no hyphen: then no label is read.
        if !query.iter().any(|token| token.is_joined) {
            return Self::default();
        }
        let labels: BTreeSet<String> = memories
            .flat_map(labels_of_memory)
            .map(|label| label.join(" "))
            .collect();
        Self::new(query, |label| labels.contains(label))
    }

    /// Whether a run is a part of one of them, and not all of it.
    fn has_part(&self, run: &Range<usize>) -> bool {
        let first = run.start.saturating_sub(MAX_LABEL_TOKENS);
        let begun = self.ends.iter().enumerate().take(run.start + 1).skip(first);
        begun
            .filter(|(_, end)| run.end <= **end)
            .any(|(start, end)| run.len() < end - start)
    }
}

/// Calls `each` with every label that may begin at a token, and where it ends.
fn for_each_label(query: &[QuestionToken], start: usize, mut each: impl FnMut(usize, &str)) {
    let mut run = String::new();
    for (token, end) in query[start..]
        .iter()
        .zip(start + 1..)
        .take(MAX_LABEL_TOKENS)
    {
        if !run.is_empty() {
            run.push(' ');
        }
        let before = run.len();
        for name in names_of(token, before == 0) {
            run.truncate(before);
            run.push_str(name);
            each(end, &run);
        }
        run.truncate(before);
        run.push_str(&token.text);
    }
}

/// Whether the query's tokens contain one of the memory's labels, other than within the
/// joined names.
pub(crate) fn mentions(query: &[QuestionToken], joined: &JoinedNames, memory: &Memory) -> bool {
    labels_of_memory(memory).iter().any(|label| {
        let mut runs = query.windows(label.len()).zip(0..);
        runs.any(|(run, start)| {
            is_mention(run, label) && !joined.has_part(&(start..start + label.len()))
        })
    })
}

fn labels_of_memory(memory: &Memory) -> BTreeSet<Vec<String>> {
    let tags = memory.tags.iter().map(String::as_str);
    let values = memory.metadata.values().map(String::as_str);
    let entities = memory.entities.keys().map(memory_core::EntityId::as_str);
    labels_of(tags.chain(values).chain(entities))
}

fn is_mention(run: &[QuestionToken], label: &[String]) -> bool {
    let (Some((token, start)), Some((last, label_start))) = (run.split_last(), label.split_last())
    else {
        return false;
    };
    start.iter().map(|token| &token.text).eq(label_start)
        && names_of(token, start.is_empty()).any(|name| name == last)
}

/// What a token may name as the last one of a label, or as the only one.
fn names_of(token: &QuestionToken, is_only: bool) -> impl Iterator<Item = &str> {
    let itself = (token.may_be_name || !is_only).then_some(&token.text);
    itself.into_iter().chain(&token.names).map(String::as_str)
}

/// What stands for a label in the index.
pub(super) fn label_digest(tokens: &[String]) -> Digest {
    word_digest(&tokens.join(" ")).into()
}

/// Labels as tokens, without those that are too long or not distinctive: a stop word
/// or a single character would be mentioned by chance. Filters rely on it: pages of a
/// program that does otherwise have another [format](super::page_format).
pub(super) fn labels_of<'a>(labels: impl Iterator<Item = &'a str>) -> BTreeSet<Vec<String>> {
    labels
        .map(|label| (label, name_tokens(label)))
        .filter(|(label, tokens)| {
            tokens.len() <= MAX_LABEL_TOKENS && is_distinctive(tokens, is_capitalized(label))
        })
        .map(|(_, tokens)| tokens)
        .collect()
}

/// Whether a label has a token of two characters that is no stop word, unless it is that
/// alone and a name by its capital, or two tokens of a script without spaces, where each
/// character is a token.
fn is_distinctive(label: &[String], is_capitalized: bool) -> bool {
    let may_be_stop_word = is_capitalized && label.len() == 1;
    let is_word = |token: &String| {
        token.chars().nth(1).is_some() && (may_be_stop_word || !is_stop_word(token))
    };
    let unspaced = label
        .iter()
        .filter(|token| token.chars().all(is_unspaced_script));
    label.iter().any(is_word) || unspaced.count() > 1
}

#[cfg(test)]
mod tests {
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::super::analysis::Analysis;
    use super::super::packed_memory::PackedMemory;
    use super::*;

    fn question(text: &str) -> Vec<QuestionToken> {
        let terms = memory_text::QueryTerms::new(text, None, false);
        memory_text::question_tokens(text, terms.languages())
    }

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
        let labels = digests(&memory);
        let mut index = index_of(&memory);
        for (query, expected) in [
            ("what did tam say?", true),
            ("who was at the Horse Market", true),
            ("market horse", false),
            ("the", false),
            ("about inc-90312 please", true),
            ("inc", false),
        ] {
            let query = question(query);
            let mentioned = index.find(&query, |_| true) == [0];
            assert_eq!(mentioned, expected, "{query:?}");
            assert_eq!(is_mentioned(&query, &memory), expected, "{query:?}");
        }
        index.remove(0, &labels);
        index.settle();
        assert_eq!(index.entries.iter().count(), 0);
    }

    fn is_mentioned(query: &[QuestionToken], memory: &Memory) -> bool {
        mentions(query, &JoinedNames::of(query, [memory].into_iter()), memory)
    }

    fn digests(memory: &Memory) -> Vec<Digest> {
        let packed = PackedMemory::pack(memory);
        Analysis::of(&PackedMemory(&packed).parts(), None).labels
    }

    fn index_of(memory: &Memory) -> MentionIndex {
        let mut index = MentionIndex::default();
        index.push(0, &digests(memory));
        index.settle();
        index
    }

    fn participant(name: &str) -> Memory {
        MemoryBatchItem::new("mira", MemoryKind::World, "x")
            .with_entity(name, "speaker")
            .into_memory(chrono::Utc::now())
            .unwrap()
    }

    #[test]
    fn names_of_every_script_are_mentioned() {
        for (name, query, expected) in [
            ("田中", "田中说了什么", true),
            ("田中", "山本说了什么", false),
            ("山田太郎", "山田太郎", true),
            ("山田太郎", "山田花子", false),
            ("たなか", "たなかさんは何と言った", true),
            ("田", "田中说了什么", false),
            ("민수", "민수가 뭐라고 했지?", true),
            ("김 민수", "김 민수에게 물었어?", true),
            ("민수", "영희가 뭐라고 했지?", false),
            ("สมชาย", "สมชายพูดอะไร", true),
            ("สมชาย", "สมหญิงพูดอะไร", false),
            ("Иван", "Что сказал Иван?", true),
            ("محمد", "ماذا قال محمد؟", true),
            ("José", "what did Jose say?", true),
            ("Иван", "Что сказала Мария?", false),
            ("דוד", "מה אמרו לדוד?", true),
            ("ＴＡＭ", "what did Tam say?", true),
            ("ตะวัน", "ตะวันไปไหน", true),
            ("မောင်မောင်", "မောင်မောင်ဘာပြောလဲ", true),
            ("ព្រះសុខ", "តើព្រះសុខនិយាយអ្វី", true),
            ("C++", "who writes C++ here?", true),
            ("C++", "who writes C# here?", false),
            ("Анна", "Что сказали Анне?", true),
            ("Анна Петрова", "Где живёт Анны Петровой брат?", true),
            ("Пётр", "Где Петров?", false),
            ("أحمد", "ماذا قلت لأحمد؟", true),
            ("민수", "민수씨는 뭐라고 했지?", true),
            ("Ayşe", "Ayşe'nin kedisi nerede?", true),
            ("Ayşe", "ayse ne dedi?", true),
            ("Liisa", "Mitä Liisalle tapahtui, ja missä?", true),
            ("Anna", "Mi van Annának és hol?", true),
            ("タナカ", "たなかさんは何と言った", true),
            ("田中 太郎", "田中太郎さんは何と言った", true),
            ("Will", "what will Tam do?", false),
            ("Will", "What did Will do?", true),
            ("will power", "who has will power?", true),
            ("Can", "What can Tam do?", false),
            ("Can", "What did Can do?", true),
            ("the", "What did The do?", false),
            ("O'Brien", "Where is O’Brien?", true),
            ("Anna Smith", "anna smith's dog", true),
            ("Jean-Luc", "Où est Jean Luc ?", true),
        ] {
            let memory = participant(name);
            let index = index_of(&memory);
            let mentioned = index.find(&question(query), |_| true) == [0];
            assert_eq!(mentioned, expected, "{name} {query}");
            let mentioned = is_mentioned(&question(query), &memory);
            assert_eq!(mentioned, expected, "{name} {query}");
        }
    }

    #[test]
    fn a_name_within_a_hyphenated_one_that_is_known_is_not_mentioned() {
        let names = [
            "Jean",
            "Jean-Luc",
            "Luc",
            "Jean-Luc Picard",
            "Anna",
            "Anna Smith",
        ];
        let memories = names.map(participant);
        let mut index = MentionIndex::default();
        for (slot, memory) in (0..).zip(&memories) {
            index.push(slot, &digests(memory));
        }
        index.settle();
        for (query, is_known, expected) in [
            ("What did Jean-Luc say?", true, vec![1]),
            ("where does jean-luc picard live", true, vec![1, 3]),
            ("Jean-Luc's horse, and Jean's", true, vec![0, 1]),
            ("What did Jean say?", true, vec![0]),
            ("What did Jean Luc say?", true, vec![0, 1, 2]),
            ("What did Anna Smith say?", true, vec![4, 5]),
            ("Jean-Paul and Luc", true, vec![0, 2]),
            // Where nobody is called so, a part may be meant.
            ("What did Jean-Luc say?", false, vec![0, 2]),
        ] {
            let is_admitted = |slot: u32| is_known || slot != 1 && slot != 3;
            let tokens = question(query);
            assert_eq!(index.find(&tokens, is_admitted), expected, "{query}");
            let admitted = || (0..).zip(&memories).filter(|(slot, _)| is_admitted(*slot));
            let joined = JoinedNames::of(&tokens, admitted().map(|(_, memory)| memory));
            let mentioned = admitted().filter(|(_, memory)| mentions(&tokens, &joined, memory));
            let mentioned: Vec<u32> = mentioned.map(|(slot, _)| slot).collect();
            assert_eq!(mentioned, expected, "{query}");
        }
    }

    /// Each label is touched once, however many labels begin with its token.
    #[test]
    fn distinct_labels_with_a_common_first_token_are_found_apart() {
        let mut index = MentionIndex::default();
        for slot in 0..20_000 {
            let item = MemoryBatchItem::new("mira", MemoryKind::World, "x")
                .with_metadata("id", format!("msg-{slot:06}"));
            let memory = item.into_memory(chrono::Utc::now()).unwrap();
            index.push(slot, &digests(&memory));
        }
        index.settle();
        assert_eq!(index.entries.iter().count(), 20_000);
        let mentioned = index.find(&question("what was in msg-000123?"), |_| true);
        assert_eq!(mentioned, [123]);
    }
}
