//! Which texts come together.

use memory_core::EmbedRole;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::job::Answer;
use crate::queue::Lane;

const BUDGET: usize = 256;

/// A job of so many texts, and who waits for it.
fn job(texts: usize) -> (Arc<EmbedJob>, Answer<Vec<Vec<f32>>>) {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let texts = vec![String::new(); texts];
    let (job, answer) = EmbedJob::new(texts, EmbedRole::Passage, Lane::Bulk, permit);
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

/// A pool of different texts of these lengths, all of one job.
fn pool(job: &Arc<EmbedJob>, lengths: &[usize]) -> Pool {
    let mut pool = Pool::default();
    for (index, length) in lengths.iter().enumerate() {
        let job = Arc::clone(job);
        pool.add(tokens(*length, index), Place { job, index });
    }
    pool
}

/// The indices of the texts of the next batch.
fn take(pool: &mut Pool, budget: usize) -> Vec<usize> {
    let batch = pool.take(budget).batch;
    batch.iter().map(|text| text.places[0].index).collect()
}

#[test]
fn like_lengths_come_together_the_oldest_first() {
    let (job, _answer) = job(5);
    let mut pool = pool(&job, &[10, 100, 12, 100, 11]);
    assert_eq!(take(&mut pool, BUDGET), [0, 2, 4]);
    assert_eq!(take(&mut pool, BUDGET), [1, 3]);
    assert!(pool.is_empty() && pool.tokens() == 0);
    assert!(take(&mut pool, BUDGET).is_empty());
}

#[test]
fn texts_of_many_callers_share_a_batch() {
    let (first, _one) = job(1);
    let (second, _two) = job(1);
    let mut pool = pool(&first, &[10]);
    let job = Arc::clone(&second);
    pool.add(tokens(11, 99), Place { job, index: 0 });
    let batch = pool.take(BUDGET).batch;
    assert!(Arc::ptr_eq(&batch[0].places[0].job, &first));
    assert!(Arc::ptr_eq(&batch[1].places[0].job, &second));
}

#[test]
fn one_text_longer_than_the_budget_is_a_batch_of_its_own() {
    let (job, _answer) = job(3);
    let mut pool = pool(&job, &[8, 512, 300]);
    let batches: Vec<_> = (0..3).map(|_| take(&mut pool, BUDGET)).collect();
    assert_eq!(batches, [[0], [1], [2]]);
}

#[test]
fn equal_texts_of_different_callers_are_one() {
    let (first, _one) = job(2);
    let (second, _two) = job(1);
    let mut pool = pool(&first, &[5, 5]);
    let place = |job: &Arc<EmbedJob>, index| {
        let job = Arc::clone(job);
        Place { job, index }
    };
    pool.add(tokens(5, 1), place(&second, 0));
    assert_eq!(pool.tokens(), 2 * padded(5));
    let batch = pool.take(BUDGET).batch;
    let waiting: Vec<usize> = batch.iter().map(|text| text.places.len()).collect();
    assert_eq!(waiting, [1, 2]);
    // Once it is being computed it is not waiting: it would be too late.
    pool.add(tokens(5, 1), place(&second, 0));
    assert_eq!(pool.tokens(), padded(5));
}

#[test]
fn abandoned_texts_are_never_in_a_batch() {
    let (gone, answer) = job(3);
    let (there, _answer) = job(2);
    let mut pool = pool(&gone, &[21, 22, 23]);
    // One text is waited for by both.
    for (length, number, index) in [(22, 1, 0), (24, 77, 1)] {
        let job = Arc::clone(&there);
        pool.add(tokens(length, number), Place { job, index });
    }
    drop(answer);
    let taken = pool.take(BUDGET);
    let lengths: Vec<usize> = taken.batch.iter().map(|text| text.tokens.len()).collect();
    assert_eq!(lengths, [22, 24]);
    assert_eq!(taken.abandoned.len(), 2);
    assert!(pool.is_empty());
}

/// Lengths as conversations have them: about 37 tokens, at most 102.
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
    let mut pool = pool(&job, &lengths);
    let (mut batches, mut computed) = (0, 0);
    while !pool.is_empty() {
        let batch = take(&mut pool, BUDGET);
        let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
        computed += padded(longest) * batch.len();
        batches += 1;
    }
    let real: usize = lengths.iter().sum();
    assert!(computed - real <= 3 * lengths.len(), "{computed} of {real}");
    // And nearly all batches are full.
    assert!(batches <= 30 + computed / (BUDGET - 128), "{batches}");
}

proptest! {
    #[test]
    fn every_text_is_in_one_batch_within_the_budget(
        lengths in prop::collection::vec(2usize..=256, 0..400),
        budget in 1usize..600,
    ) {
        let (job, _answer) = job(lengths.len());
        let mut pool = pool(&job, &lengths);
        let mut seen = Vec::new();
        while !pool.is_empty() {
            let oldest = (0..lengths.len()).find(|index| !seen.contains(index)).unwrap();
            let batch = take(&mut pool, budget);
            prop_assert_eq!(batch[0], oldest);
            let length = padded(lengths[oldest]);
            prop_assert!(batch.iter().all(|index| padded(lengths[*index]) == length));
            prop_assert!(batch.len() == 1 || batch.len() * length <= budget);
            seen.extend(batch);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        prop_assert_eq!(pool.tokens(), 0);
    }
}
