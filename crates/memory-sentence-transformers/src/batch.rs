//! Cutting texts of mixed length into batches that waste little on padding.

/// What a batch may be.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Most tokens, padding included. A longer text is a batch of its own.
    pub tokens: usize,
    /// Most tokens of padding a text, on average over the batch.
    pub mean_padding: usize,
}

/// Cuts texts, given by their lengths in tokens, into batches of their
/// indices. Each text is in exactly one batch; the longest batches come first,
/// so that several workers finish at about the same time.
///
/// Texts are sorted by length and each batch takes the next longest as long as
/// the limits hold: neighbors in that order need the least padding.
#[must_use]
pub fn plan(lengths: &[usize], limits: BatchLimits) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    // Of the batch that is being filled: its longest text, its real tokens.
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
    padded <= limits.tokens && padded - real <= texts * limits.mean_padding
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        tokens: 256,
        mean_padding: 8,
    };

    #[test]
    fn like_lengths_come_together_the_longest_first() {
        let batches = plan(&[10, 100, 12, 100, 11], LIMITS);
        assert_eq!(batches, [vec![1, 3], vec![2, 4, 0]]);
    }

    #[test]
    fn one_text_longer_than_the_budget_is_a_batch_of_its_own() {
        assert_eq!(plan(&[8, 512, 300], LIMITS), [vec![1], vec![2], vec![0]]);
        assert!(plan(&[], LIMITS).is_empty());
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_within_the_limits(
            lengths in prop::collection::vec(2usize..=256, 0..400),
            tokens in 1usize..600,
            mean_padding in 0usize..20,
        ) {
            let batches = plan(&lengths, BatchLimits { tokens, mean_padding });
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            let mut before = usize::MAX;
            for batch in &batches {
                let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
                let real: usize = batch.iter().map(|index| lengths[*index]).sum();
                let padded = longest * batch.len();
                prop_assert!(batch.len() == 1 || padded <= tokens);
                prop_assert!(padded - real <= mean_padding * batch.len());
                prop_assert!(longest <= before);
                before = longest;
            }
        }
    }
}
