//! Batches of texts of mixed length with little padding.

/// The limits of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The maximum of tokens, padding included. A longer text is a batch of its
    /// own.
    pub max_tokens: usize,
    /// The maximum of padding tokens per text, averaged over the batch.
    pub max_mean_padding: usize,
}

/// Divides texts, given by their lengths in tokens, into batches of indices.
/// Each text is in exactly one batch. The batches with the longest texts come
/// first, so that several workers finish at about the same time.
///
/// Greedy over the texts in descending order of length, where neighbors need the
/// least padding: a batch takes the next text as long as the limits hold.
#[must_use]
pub fn plan_batches(lengths: &[usize], limits: BatchLimits) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    // The longest text and the tokens without padding of the last batch.
    let (mut longest, mut real) = (0, 0);
    for index in order {
        let length = lengths[index];
        match batches.last_mut() {
            Some(batch) if fits(batch.len() + 1, longest, real + length, limits) => {
                batch.push(index);
                real += length;
            }
            _ => {
                batches.push(vec![index]);
                (longest, real) = (length, length);
            }
        }
    }
    batches
}

fn fits(texts: usize, longest: usize, real: usize, limits: BatchLimits) -> bool {
    let padded = texts * longest;
    padded <= limits.max_tokens && padded - real <= texts * limits.max_mean_padding
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        max_tokens: 256,
        max_mean_padding: 8,
    };

    #[test]
    fn texts_of_similar_length_share_a_batch() {
        let batches = plan_batches(&[10, 100, 12, 100, 11], LIMITS);
        assert_eq!(batches, [vec![1, 3], vec![2, 4, 0]]);
    }

    #[test]
    fn a_text_longer_than_the_limit_is_a_batch_of_its_own() {
        assert_eq!(
            plan_batches(&[8, 512, 300], LIMITS),
            [vec![1], vec![2], vec![0]]
        );
        assert!(plan_batches(&[], LIMITS).is_empty());
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_within_the_limits(
            lengths in prop::collection::vec(2usize..=256, 0..400),
            max_tokens in 1usize..600,
            max_mean_padding in 0usize..20,
        ) {
            let batches = plan_batches(&lengths, BatchLimits { max_tokens, max_mean_padding });
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            let mut before = usize::MAX;
            for batch in &batches {
                let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
                let real: usize = batch.iter().map(|index| lengths[*index]).sum();
                let padded = longest * batch.len();
                prop_assert!(batch.len() == 1 || padded <= max_tokens);
                prop_assert!(padded - real <= max_mean_padding * batch.len());
                prop_assert!(longest <= before);
                before = longest;
            }
        }
    }
}
