//! The composition of batches.

use memory_core::EmbedRole;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::job::ResultReceiver;
use crate::queue::Priority;

const MAX_TOKENS: usize = 256;

/// A job of `texts` texts and the receiver of its result.
fn job(texts: usize) -> (Arc<EmbedJob>, ResultReceiver<Vec<Vec<f32>>>) {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let texts = vec![String::new(); texts];
    let (job, answer) = EmbedJob::new(texts, EmbedRole::Passage, Priority::Bulk, permit);
    (Arc::new(job), answer)
}

/// Tokens that differ from all others by `number`.
fn tokens(length: usize, number: usize) -> Arc<Tokens> {
    let mut ids = vec![7; length];
    ids[0] = u32::try_from(number).unwrap();
    Arc::new(Tokens {
        ids: ids.into(),
        type_ids: vec![0; length].into(),
    })
}

/// A batcher with different texts of these lengths, all of one job.
fn batcher(job: &Arc<EmbedJob>, lengths: &[usize]) -> Batcher {
    let mut batcher = Batcher::default();
    for (index, length) in lengths.iter().enumerate() {
        let job = Arc::clone(job);
        batcher.add(tokens(*length, index), ReplySlot { job, index });
    }
    batcher
}

/// The indices of the texts of the next batch.
fn take(batcher: &mut Batcher, max_tokens: usize) -> Vec<usize> {
    let batch = batcher.drain(max_tokens).batch;
    batch.iter().map(|text| text.slots[0].index).collect()
}

#[test]
fn texts_of_similar_length_share_a_batch_the_oldest_first() {
    let (job, _answer) = job(5);
    let mut batcher = batcher(&job, &[10, 100, 12, 100, 11]);
    assert_eq!(take(&mut batcher, MAX_TOKENS), [0, 2, 4]);
    assert_eq!(take(&mut batcher, MAX_TOKENS), [1, 3]);
    assert!(batcher.is_empty() && batcher.tokens() == 0);
    assert!(take(&mut batcher, MAX_TOKENS).is_empty());
}

#[test]
fn texts_of_many_callers_share_a_batch() {
    let (first, _one) = job(1);
    let (second, _two) = job(1);
    let mut batcher = batcher(&first, &[10]);
    let job = Arc::clone(&second);
    batcher.add(tokens(11, 99), ReplySlot { job, index: 0 });
    let batch = batcher.drain(MAX_TOKENS).batch;
    assert!(Arc::ptr_eq(&batch[0].slots[0].job, &first));
    assert!(Arc::ptr_eq(&batch[1].slots[0].job, &second));
}

#[test]
fn a_text_longer_than_the_limit_is_a_batch_of_its_own() {
    let (job, _answer) = job(3);
    let mut batcher = batcher(&job, &[8, 512, 300]);
    let batches: Vec<_> = (0..3).map(|_| take(&mut batcher, MAX_TOKENS)).collect();
    assert_eq!(batches, [[0], [1], [2]]);
}

#[test]
fn equal_texts_of_different_callers_are_computed_once() {
    let (first, _one) = job(2);
    let (second, _two) = job(1);
    let mut batcher = batcher(&first, &[5, 5]);
    let slot = |job: &Arc<EmbedJob>, index| {
        let job = Arc::clone(job);
        ReplySlot { job, index }
    };
    batcher.add(tokens(5, 1), slot(&second, 0));
    assert_eq!(batcher.tokens(), 2 * padded(5));
    let batch = batcher.drain(MAX_TOKENS).batch;
    let slot_counts: Vec<usize> = batch.iter().map(|text| text.slots.len()).collect();
    assert_eq!(slot_counts, [1, 2]);
    // A text that is being computed is not waiting anymore.
    batcher.add(tokens(5, 1), slot(&second, 0));
    assert_eq!(batcher.tokens(), padded(5));
}

#[test]
fn abandoned_texts_are_never_in_a_batch() {
    let (abandoned, answer) = job(3);
    let (waiting, _answer) = job(2);
    let mut batcher = batcher(&abandoned, &[21, 22, 23]);
    // Both jobs wait for one of the texts.
    for (length, number, index) in [(22, 1, 0), (24, 77, 1)] {
        let job = Arc::clone(&waiting);
        batcher.add(tokens(length, number), ReplySlot { job, index });
    }
    drop(answer);
    let drained = batcher.drain(MAX_TOKENS);
    let lengths: Vec<usize> = drained.batch.iter().map(|text| text.tokens.len()).collect();
    assert_eq!(lengths, [22, 24]);
    assert_eq!(drained.abandoned.len(), 2);
    assert!(batcher.is_empty());
}

/// Lengths of conversation turns: about 37 tokens, at most 102.
fn mixed(count: usize) -> Vec<usize> {
    let length = |n: usize| {
        let spread = n * 7_919 % 97;
        4 + spread * spread / 97
    };
    (0..count).map(length).collect()
}

#[test]
fn a_text_has_at_most_three_tokens_of_padding() {
    let (job, _answer) = job(2_080);
    let lengths = mixed(2_080);
    let mut batcher = batcher(&job, &lengths);
    let (mut batches, mut computed) = (0, 0);
    while !batcher.is_empty() {
        let batch = take(&mut batcher, MAX_TOKENS);
        let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
        computed += padded(longest) * batch.len();
        batches += 1;
    }
    let real: usize = lengths.iter().sum();
    assert!(computed - real <= 3 * lengths.len(), "{computed} of {real}");
    // Nearly all batches are full.
    assert!(batches <= 30 + computed / (MAX_TOKENS - 128), "{batches}");
}

proptest! {
    #[test]
    fn every_text_is_in_one_batch_within_the_limit(
        lengths in prop::collection::vec(2usize..=256, 0..400),
        max_tokens in 1usize..600,
    ) {
        let (job, _answer) = job(lengths.len());
        let mut batcher = batcher(&job, &lengths);
        let mut seen = Vec::new();
        while !batcher.is_empty() {
            let oldest = (0..lengths.len()).find(|index| !seen.contains(index)).unwrap();
            let batch = take(&mut batcher, max_tokens);
            prop_assert_eq!(batch[0], oldest);
            let length = padded(lengths[oldest]);
            prop_assert!(batch.iter().all(|index| padded(lengths[*index]) == length));
            prop_assert!(batch.len() == 1 || batch.len() * length <= max_tokens);
            seen.extend(batch);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        prop_assert_eq!(batcher.tokens(), 0);
    }
}
