//! The waiting texts of all callers, and the batches formed from them.
//!
//! A batch starts with the text that has waited longest, so that none waits
//! forever, and continues with texts of the same padded length in the order of
//! their arrival.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use memory_sentence_transformers::Tokens;

use crate::job::EmbedJob;

/// Lengths are rounded up to a multiple of this, and all texts of a batch have the
/// same padded length.
///
/// A vector must not depend on the other texts of its batch, not even in its last
/// bit: in 8 bits a last bit can become a quantization step, and then differences
/// reach 4e-3. Two things would cause such a dependency. A softmax over more
/// columns adds in another order, so a text always has the same number of columns.
/// The 8-bit matrix kernels process rows in pairs and a single last row
/// differently, so there is never a single last row. (Four allows for kernels that
/// process more rows; it costs 1.5 tokens of padding per text on average.)
const PADDING_MULTIPLE: usize = 4;

/// The padded length of a text.
pub(crate) const fn padded(length: usize) -> usize {
    length.next_multiple_of(PADDING_MULTIPLE)
}

/// One text and all jobs that wait for its vector. Texts with the same tokens are
/// computed once.
#[derive(Debug)]
pub(crate) struct PendingText {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) slots: Vec<ReplySlot>,
}

/// The destination of a vector: a text of a job.
#[derive(Debug)]
pub(crate) struct ReplySlot {
    pub(crate) job: Arc<EmbedJob>,
    pub(crate) index: usize,
}

/// The texts that a thread takes from the batcher.
#[derive(Debug, Default)]
pub(crate) struct DrainedBatch {
    /// The batch; empty if all texts were abandoned.
    pub(crate) batch: Vec<PendingText>,
    /// Texts that no caller waits for. Dropping them may wake callers, so the
    /// queue drops them outside its lock.
    pub(crate) abandoned: Vec<PendingText>,
}

/// The waiting texts of one priority.
#[derive(Debug, Default)]
pub(crate) struct Batcher {
    /// By padded length, the oldest first; never an empty bucket.
    buckets: BTreeMap<usize, VecDeque<QueuedText>>,
    slots: HashMap<Arc<Tokens>, Vec<ReplySlot>>,
    /// The tokens of all texts, padding included.
    tokens: usize,
    next_sequence: u64,
}

#[derive(Debug)]
struct QueuedText {
    /// The order of arrival.
    sequence: u64,
    tokens: Arc<Tokens>,
    /// When its job was made.
    since: Instant,
}

impl Batcher {
    /// Adds a text, or another slot to an equal text that is waiting already.
    pub(crate) fn add(&mut self, tokens: Arc<Tokens>, slot: ReplySlot) {
        if let Some(slots) = self.slots.get_mut(&tokens) {
            slots.push(slot);
            return;
        }
        let since = slot.job.since;
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let length = padded(tokens.len());
        self.tokens += length;
        self.slots.insert(Arc::clone(&tokens), vec![slot]);
        let bucket = self.buckets.entry(length).or_default();
        bucket.push_back(QueuedText {
            sequence,
            tokens,
            since,
        });
    }

    /// The tokens of all waiting texts, padding included.
    pub(crate) const fn tokens(&self) -> usize {
        self.tokens
    }

    /// The number of waiting texts, equal ones counted once.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// When the job of the oldest waiting text was made.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let fronts = self.buckets.values().filter_map(|bucket| bucket.front());
        fronts.map(|text| text.since).min()
    }

    /// Whether no text is waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Removes a batch of at most `max_tokens` tokens, padding included; a longer
    /// text is a batch of its own. The batch is empty only if all waiting texts
    /// have been abandoned.
    pub(crate) fn drain(&mut self, max_tokens: usize) -> DrainedBatch {
        let mut drained = DrainedBatch::default();
        while drained.batch.is_empty()
            && let Some(length) = self.bucket_of_the_oldest()
        {
            self.drain_bucket(length, max_tokens, &mut drained);
        }
        drained
    }

    fn bucket_of_the_oldest(&self) -> Option<usize> {
        let fronts = self
            .buckets
            .iter()
            .filter_map(|(length, bucket)| Some((bucket.front()?.sequence, *length)));
        fronts.min().map(|(_, length)| length)
    }

    fn drain_bucket(&mut self, length: usize, max_tokens: usize, drained: &mut DrainedBatch) {
        let Some(bucket) = self.buckets.get_mut(&length) else {
            return;
        };
        while drained.batch.is_empty() || (drained.batch.len() + 1) * length <= max_tokens {
            let Some(QueuedText { tokens, .. }) = bucket.pop_front() else {
                break;
            };
            self.tokens -= length;
            let slots = self.slots.remove(&tokens).unwrap_or_default();
            let is_abandoned = slots.iter().all(|slot| slot.job.is_abandoned());
            let text = PendingText { tokens, slots };
            if is_abandoned {
                drained.abandoned.push(text);
            } else {
                drained.batch.push(text);
            }
        }
        if bucket.is_empty() {
            self.buckets.remove(&length);
        }
    }
}

#[cfg(test)]
mod tests;
