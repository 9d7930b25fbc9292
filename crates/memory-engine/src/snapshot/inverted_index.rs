//! The inverted index of a snapshot, scored by BM25 of the best passage.

use std::collections::HashSet;
use std::ops::Range;

use memory_text::{bm25, word_digest};

use super::analysis::PassageStems;
use super::block_vec::BlockVec;
use super::buffer::Buffer;
use super::digest::Digest;
use super::page::Page;
use super::posting_list::{PostingList, share};
use super::sorted_blocks::SortedBlocks;
use super::term_weights::TermWeights;

/// The passages of each stem. Cloning shares every block; a change copies the blocks
/// that it updates.
#[derive(Clone, Default)]
pub(super) struct InvertedIndex {
    /// The number of each stem.
    stems: SortedBlocks<(Digest, u32)>,
    /// In how many passages a stem occurs, by its number.
    frequencies: BlockVec<u32>,
    /// The number of a stem and that of a passage, as often as it occurs there: most
    /// occur once, so a count would cost as much again.
    occurrences: PostingList,
    /// Stems of passages that have no number yet, with that of the passage.
    new: Vec<(Digest, u32)>,
    /// By number. Passages of removed memories stay until the next compaction.
    passages: BlockVec<Passage>,
    /// Passages of memories that were not removed.
    live: usize,
    /// The terms of those.
    total_length: u64,
    /// Whether a passage does not have the number of its slot.
    is_renumbered: bool,
}

/// A part of a memory's text: the document of BM25.
#[derive(Debug, Clone, Copy)]
struct Passage {
    /// [`Passage::DEAD`] where the memory was removed.
    slot: u32,
    /// Its number of terms.
    length: u32,
}

impl Passage {
    const DEAD: u32 = u32::MAX;
}

impl InvertedIndex {
    /// The index of the memories of pages, in their order: as after
    /// [`push`](Self::push) of each and [`settle`](Self::settle).
    pub(super) fn from_pages(pages: &[Page<'_>]) -> Self {
        let mut index = Self::default();
        let mut slots = 0u32..;
        for page in pages {
            let mut terms = page.terms();
            for (memory, slot) in page.memories().zip(slots.by_ref()) {
                let start = index.next_passage();
                index.is_renumbered |= memory.passages != 1 || slot != start;
                for length in terms.by_ref().take(memory.passages as usize) {
                    index.total_length += u64::from(length);
                    index.passages.push(Passage { slot, length });
                }
            }
        }
        index.live = index.passages.len();
        let numbers = index.number_stems(pages);
        let occurrences = index.sort_occurrences(pages, &numbers);
        index.occurrences = occurrences.into_iter().collect();
        index
    }

    /// Numbers the stems of pages in the order of their digests, and returns the number
    /// of each stem of each page.
    fn number_stems(&mut self, pages: &[Page<'_>]) -> Vec<u32> {
        let stems = pages.iter().flat_map(Page::stems);
        let mut stems: Vec<(Digest, u32)> = stems.zip(0u32..).collect();
        stems.sort_unstable();
        let mut numbers = vec![0; stems.len()];
        let mut distinct = Vec::new();
        for of_pages in stems.chunk_by(|a, b| a.0 == b.0) {
            let number = self.next_stem();
            self.frequencies.push(0);
            distinct.push((of_pages[0].0, number));
            for (_, index) in of_pages {
                numbers[*index as usize] = number;
            }
        }
        self.stems = SortedBlocks::from_sorted(&distinct);
        numbers
    }

    /// The occurrences of pages, by the numbers of their stems: sorted by counting, as
    /// those of each stem are in order already. Counts the passages of each stem.
    fn sort_occurrences(&mut self, pages: &[Page<'_>], numbers: &[u32]) -> Vec<(u32, u32)> {
        let mut counts = vec![0usize; self.frequencies.len()];
        let mut frequencies = vec![0u32; counts.len()];
        let lists = pages.iter().flat_map(Page::occurrences);
        for (stem, passages) in numbers.iter().zip(lists) {
            let mut last = None;
            for passage in passages {
                counts[*stem as usize] += 1;
                if last.replace(passage) != Some(passage) {
                    frequencies[*stem as usize] += 1;
                }
            }
        }
        self.frequencies = frequencies.into_iter().collect();
        // Where the next occurrence of each stem belongs.
        let (mut next, mut end) = (counts, 0);
        for count in &mut next {
            end += std::mem::replace(count, end);
        }
        let mut sorted = vec![(0, 0); end];
        let (mut numbers, mut first_passage) = (numbers.iter(), 0);
        for page in pages {
            for (passages, stem) in page.occurrences().zip(numbers.by_ref()) {
                for passage in passages {
                    let position = &mut next[*stem as usize];
                    sorted[*position] = (*stem, first_passage + passage);
                    *position += 1;
                }
            }
            first_passage += u32::try_from(page.terms().len()).unwrap_or(0);
        }
        sorted
    }

    /// Adds the stems of a memory's passages, to be found after
    /// [`settle`](Self::settle), and returns the passages' numbers.
    pub(super) fn push(&mut self, slot: u32, passages: &[PassageStems]) -> Range<u32> {
        let start = self.next_passage();
        for (number, passage) in (start..).zip(passages) {
            let stems = passage.stems.iter();
            self.new.extend(stems.map(|stem| (*stem, number)));
            self.total_length += u64::from(passage.length());
            let length = passage.length();
            self.passages.push(Passage { slot, length });
        }
        self.is_renumbered |= passages.len() != 1 || slot != start;
        self.live += passages.len();
        start..self.next_passage()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by the memory that passages take"
    )]
    fn next_passage(&self) -> u32 {
        self.passages.len() as u32
    }

    /// Puts what was added in order, all at once, without what was removed.
    pub(super) fn settle(&mut self) {
        self.number_new();
        self.occurrences.settle();
    }

    /// Numbers the stems of what was added.
    fn number_new(&mut self) {
        let mut new = std::mem::take(&mut self.new);
        new.sort_unstable();
        let mut new_stems = Vec::new();
        for occurrences in new.chunk_by(|a, b| a.0 == b.0) {
            let digest = occurrences[0].0;
            let number = self.number_of(digest).unwrap_or_else(|| {
                let number = self.next_stem();
                new_stems.push((digest, number));
                self.frequencies.push(0);
                number
            });
            let passages = occurrences.chunk_by(PartialEq::eq).count();
            if let Some(frequency) = self.frequencies.get_mut(number as usize) {
                *frequency += u32::try_from(passages).unwrap_or(u32::MAX);
            }
            for (_, passage) in occurrences {
                self.occurrences.push(number, *passage);
            }
        }
        self.stems.insert_all(&new_stems);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most one per passage's term"
    )]
    fn next_stem(&self) -> u32 {
        self.frequencies.len() as u32
    }

    fn number_of(&self, digest: Digest) -> Option<u32> {
        let (found, number) = self.stems.from(&(digest, 0)).next()?;
        (found == digest).then_some(number)
    }

    /// Removes what [`push`](Self::push) added for these passages, at the next
    /// [`settle`](Self::settle).
    pub(super) fn remove(&mut self, numbers: Range<u32>, passages: &[PassageStems]) {
        self.number_new();
        for (number, passage) in numbers.zip(passages) {
            let mut stems = passage.stems.clone();
            stems.sort_unstable();
            for occurrences in stems.chunk_by(PartialEq::eq) {
                self.remove_occurrences(occurrences, number);
            }
            if let Some(passage) = self.passages.get_mut(number as usize) {
                passage.slot = Passage::DEAD;
            }
            self.total_length = self.total_length.saturating_sub(passage.length().into());
            self.live -= 1;
        }
    }

    /// Removes the occurrences of one stem in a passage.
    fn remove_occurrences(&mut self, occurrences: &[Digest], passage: u32) {
        let Some(&stem) = occurrences.first() else {
            return;
        };
        let Some(number) = self.number_of(stem) else {
            return;
        };
        for _ in occurrences {
            self.occurrences.remove(number, passage);
        }
        if let Some(frequency) = self.frequencies.get_mut(number as usize) {
            *frequency = frequency.saturating_sub(1);
            if *frequency == 0 {
                let entry = (stem, number);
                self.stems.remove_run(&entry, |other| *other == entry);
            }
        }
    }

    /// Whether more than a quarter of the passages are those of removed memories, or
    /// more than half of the stems occur no more.
    pub(super) fn needs_compaction(&self) -> bool {
        const MIN_DEAD: usize = 256;
        let dead = self.passages.len() - self.live;
        let unused = self.frequencies.len() - self.stems.len();
        (dead > MIN_DEAD && dead * 4 > self.passages.len())
            || (unused > MIN_DEAD && unused * 2 > self.frequencies.len())
    }

    /// The BM25 of the best passage of each of `slots` slots. A passage is a
    /// document: IDF and mean length are those of all passages of the entity, so
    /// that a memory has the same score under every filter. Passages that are not `within`
    /// a range have no score. O(postings of the query's stems, in the range).
    #[expect(clippy::cast_precision_loss, reason = "a mean length needs 24 bits")]
    pub(super) fn score(
        &self,
        stems: &[String],
        slots: usize,
        within: Option<Range<u32>>,
    ) -> Buffer {
        let mean = self.total_length as f64 / self.live.max(1) as f64;
        let mut by_passage = Buffer::new(self.passages.len(), 0.0);
        for stem in self.lookup(stems).numbers.into_iter().flatten() {
            let frequency = self.frequencies.get(stem as usize).copied();
            let idf = bm25::idf(self.live as u64, frequency.unwrap_or(0).into());
            let mut weights = TermWeights::new(idf, mean, self.live);
            let (passages, scores) = (&self.passages, &mut by_passage[..]);
            let add = |part: &[u32]| {
                weights.add(part, passages, |passage| passage.length, scores);
            };
            match &within {
                Some(range) => self.occurrences.for_each_part_within(stem, range, add),
                None => self.occurrences.for_each_part(stem, add),
            }
        }
        if !self.is_renumbered && by_passage.len() == slots {
            return by_passage;
        }
        let mut scores = Buffer::new(slots, 0.0);
        for (score, passage) in by_passage.iter().zip(self.passages.iter()) {
            // A passage of a removed memory has no score, and no slot.
            if *score > 0.0 {
                let best = &mut scores[passage.slot as usize];
                *best = best.max(*score);
            }
        }
        scores
    }

    /// The distinct stems of a query.
    pub(super) fn lookup(&self, stems: &[String]) -> StemLookup<'_> {
        let mut seen = HashSet::with_capacity(stems.len());
        let distinct = stems.iter().filter(|stem| seen.insert(*stem));
        StemLookup {
            index: self,
            numbers: distinct
                .map(|stem| self.number_of(word_digest(stem).into()))
                .collect(),
        }
    }

    /// The same postings with the slots renumbered, and for each passage its new
    /// number. Slots without a new number have no passage.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> (Self, Vec<u32>) {
        let mut next = Self {
            live: self.live,
            total_length: self.total_length,
            ..Self::default()
        };
        let passages = self.passages.iter();
        let passages: Vec<u32> = passages
            .map(|passage| {
                let number = next.next_passage();
                if let Some(slot) = to(passage.slot) {
                    next.is_renumbered |= slot != number;
                    let length = passage.length;
                    next.passages.push(Passage { slot, length });
                }
                number
            })
            .collect();
        let frequencies = self.frequencies.iter();
        let stems: Vec<u32> = frequencies
            .map(|&frequency| {
                let number = next.next_stem();
                if frequency > 0 {
                    next.frequencies.push(frequency);
                }
                number
            })
            .collect();
        let entries = self.stems.iter();
        next.stems = entries
            .map(|(digest, stem)| (*digest, stems[*stem as usize]))
            .collect();
        let occurrences = self.occurrences.iter();
        next.occurrences = occurrences
            .filter_map(|(stem, passage)| {
                let stem = stems.get(usize::try_from(stem).ok()?)?;
                Some((*stem, *passages.get(passage as usize)?))
            })
            .collect();
        (next, passages)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.stems.size_bytes()
            + self.frequencies.size_bytes()
            + self.occurrences.size_bytes()
            + self.passages.size_bytes()
    }
}

/// A query's distinct stems, to look up single memories.
pub(super) struct StemLookup<'a> {
    index: &'a InvertedIndex,
    /// `None` of a stem that no memory has.
    numbers: Vec<Option<u32>>,
}

impl StemLookup<'_> {
    /// The share of the stems that each of the memories with these passages has.
    pub(super) fn shares(&self, passages: &[Range<u32>]) -> Vec<f32> {
        let known = self.numbers.iter().flatten().copied();
        let found = self.index.occurrences.count_keys(known, passages);
        let all = self.numbers.len();
        found.into_iter().map(|it| share(it, all)).collect()
    }
}

#[cfg(test)]
mod tests {
    use memory_text::TextAnalysis;

    use super::*;

    fn terms(text: &str) -> Vec<PassageStems> {
        let passages = TextAnalysis::of(text, None).passages;
        passages.iter().map(PassageStems::from).collect()
    }

    fn scores(index: &InvertedIndex, query: &str, slots: u32) -> Vec<f32> {
        let mut index = index.clone();
        index.settle();
        let stems = memory_text::stems(query, None);
        index.score(&stems, slots as usize, None).to_vec()
    }

    #[test]
    fn rare_terms_weigh_more_than_common_ones() {
        let mut index = InvertedIndex::default();
        for slot in 0..20 {
            index.push(slot, &terms("the horse walked to market"));
        }
        index.push(20, &terms("ticket INC-90312 about the horse"));
        let scores = scores(&index, "horse INC-90312", 21);
        assert!(scores[20] > 5.0 * scores[0], "{scores:?}");
        assert_eq!(scores[0], scores[19]);
    }

    #[test]
    fn removing_a_memory_restores_the_previous_scores() {
        let mut index = InvertedIndex::default();
        let mill = index.push(0, &terms("the mill by the river"));
        let before = scores(&index, "mill river horse", 2);
        let mut changed = index.clone();
        let horse = changed.push(1, &terms("a horse at the mill"));
        assert!(scores(&changed, "mill river horse", 2)[1] > 0.0);
        changed.remove(horse, &terms("a horse at the mill"));
        assert_eq!(scores(&changed, "mill river horse", 2), before);
        changed.remove(mill, &terms("the mill by the river"));
        changed.settle();
        assert_eq!(changed.occurrences.iter().count(), 0);
        assert!(changed.stems.is_empty());
        assert_eq!(
            scores(&index, "mill river horse", 2),
            before,
            "versions are independent"
        );
    }

    #[test]
    fn changes_and_remaps_score_as_a_new_index_does() {
        let text = |slot: u32| format!("the mill number {} of valley {}", slot % 9, slot % 5);
        let mut changed = InvertedIndex::default();
        let mut numbers = Vec::new();
        for slot in 0..700 {
            numbers.push(changed.push(slot, &terms(&text(slot))));
        }
        for slot in (0..700).step_by(2) {
            changed.remove(numbers[slot as usize].clone(), &terms(&text(slot)));
        }
        assert!(changed.needs_compaction());
        // Slot 4 is used again, its passage comes last.
        let again = changed.push(4, &terms("a horse in valley 3"));
        let kept: Vec<u32> = (0..700)
            .filter(|slot| slot % 2 == 1 || *slot == 4)
            .collect();
        let to = |slot: u32| {
            kept.binary_search(&slot)
                .ok()
                .and_then(|it| u32::try_from(it).ok())
        };
        changed.settle();
        let (remapped, numbers) = changed.remap(to);
        assert!(!remapped.needs_compaction());
        assert_eq!(numbers[again.start as usize] as usize, kept.len() - 1);
        let mut new = InvertedIndex::default();
        for (slot, old) in (0..).zip(&kept) {
            let text = if *old == 4 {
                "a horse in valley 3".into()
            } else {
                text(*old)
            };
            new.push(slot, &terms(&text));
        }
        for query in ["mill number 3", "horse valley", "number 8 of valley 2"] {
            let expected = scores(&new, query, 351);
            assert_eq!(scores(&remapped, query, 351), expected, "{query}");
            let all = scores(&changed, query, 700);
            let of_kept: Vec<f32> = kept.iter().map(|slot| all[*slot as usize]).collect();
            assert_eq!(of_kept, expected, "{query}");
        }
    }

    #[test]
    fn a_repeated_query_term_counts_once() {
        let mut index = InvertedIndex::default();
        index.push(0, &terms("the mill"));
        assert_eq!(scores(&index, "mill mill", 1), scores(&index, "mill", 1));
    }

    #[test]
    fn a_long_memory_has_the_score_of_its_best_passage() {
        let filler = |words: usize| "stone ".repeat(words);
        let mut index = InvertedIndex::default();
        index.push(0, &terms(&format!("mill {} river", filler(300))));
        index.push(1, &terms("a mill by a river"));
        index.push(2, &terms(&format!("{} mill river", filler(300))));
        let scores = scores(&index, "mill river", 3);
        assert!(scores[2] > 1.5 * scores[0], "{scores:?}");
    }
}
