//! BM25 (Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25
//! and Beyond", 2009), in the form that is never negative.

/// Term frequency saturation: how soon repetitions of a term stop counting.
///
/// The values of K₁ and B are those that Trotman et al. ("Improvements to BM25
/// and Language Models Examined", 2014) found best over short texts.
pub const K1: f64 = 0.9;

/// Length normalization: how much a text longer than the mean is discounted.
pub const B: f64 = 0.4;

/// Inverse document frequency of a term that `containing` of `total` texts
/// contain: `ln(1 + (total − containing + ½) / (containing + ½))`.
#[must_use]
pub fn idf(total: u64, containing: u64) -> f64 {
    let (total, containing) = (float(total), float(containing));
    ((total - containing + 0.5) / (containing + 0.5))
        .max(0.0)
        .ln_1p()
}

/// Weight of a term that occurs `count` times in a text of `length` terms,
/// where texts have `mean_length` terms on average:
/// `count · (K₁ + 1) / (count + K₁ · (1 − B + B · length / mean_length))`.
#[must_use]
pub fn term_weight(count: u32, length: u32, mean_length: f64) -> f64 {
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
    fn rarer_terms_and_shorter_texts_weigh_more() {
        assert!(idf(100, 1) > idf(100, 50) && idf(100, 100) > 0.0);
        assert!(term_weight(2, 10, 10.0) > term_weight(1, 10, 10.0));
        assert!(term_weight(1, 5, 10.0) > term_weight(1, 20, 10.0));
        assert!(term_weight(1_000_000, 10, 10.0) < K1 + 1.0);
    }
}
