//! What ranking needs of each memory's text besides its terms.

use memory_text::TextAnalysis;

/// The features of each slot's text, made when the memory enters the snapshot.
#[derive(Clone, Default)]
pub(super) struct TextFeatures {
    /// By slot; an empty slot keeps the features of its last memory.
    words: Vec<u32>,
    has_time: Vec<bool>,
}

impl TextFeatures {
    pub(super) fn push(&mut self, slot: u32, analysis: &TextAnalysis) {
        let index = slot as usize;
        if self.words.len() <= index {
            self.words.resize(index + 1, 0);
            self.has_time.resize(index + 1, false);
        }
        self.words[index] = analysis.words;
        self.has_time[index] = analysis.has_time;
    }

    /// Number of words by slot.
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    /// Whether the text names a time, by slot.
    pub(super) fn has_time(&self) -> &[bool] {
        &self.has_time
    }

    /// The same features with the slots renumbered in their order.
    pub(super) fn remap(&self, to: impl Fn(u32) -> Option<u32>) -> Self {
        let slots = (0u32..).zip(self.words.iter().zip(&self.has_time));
        let kept = slots.filter(|(slot, _)| to(*slot).is_some());
        let (words, has_time) = kept
            .map(|(_, (words, has_time))| (*words, *has_time))
            .unzip();
        Self { words, has_time }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u32>() + self.has_time.capacity()
    }
}
