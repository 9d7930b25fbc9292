//! BM25 (Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25
//! and Beyond", 2009), in the form that is never negative.

/// How soon repetitions of a word stop counting.
///
/// The values of K₁ and B are those that Trotman et al. ("Improvements to BM25
/// and Language Models Examined", 2014) found best over short texts.
pub const K1: f64 = 0.9;

/// How much long texts are held back.
pub const B: f64 = 0.4;

/// How much a word tells that `bearing` of `all` texts bear:
/// `ln(1 + (all − bearing + ½) / (bearing + ½))`.
#[must_use]
pub fn rarity(all: u64, bearing: u64) -> f64 {
    let (all, bearing) = (float(all), float(bearing));
    ((all - bearing + 0.5) / (bearing + 0.5)).max(0.0).ln_1p()
}

/// How much `count` occurrences weigh in a text of `length` words, where texts
/// have `mean_length` on average:
/// `count · (K₁ + 1) / (count + K₁ · (1 − B + B · length / mean_length))`.
#[must_use]
pub fn saturation(count: u32, length: u32, mean_length: f64) -> f64 {
    let count = f64::from(count);
    let relative = f64::from(length) / mean_length.max(1.0);
    count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * relative))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rarer_words_and_shorter_texts_weigh_more() {
        assert!(rarity(100, 1) > rarity(100, 50) && rarity(100, 100) > 0.0);
        assert!(saturation(2, 10, 10.0) > saturation(1, 10, 10.0));
        assert!(saturation(1, 5, 10.0) > saturation(1, 20, 10.0));
        assert!(saturation(1_000_000, 10, 10.0) < K1 + 1.0);
    }
}
