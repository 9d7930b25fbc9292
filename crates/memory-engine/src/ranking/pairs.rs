//! BM25 over the word pairs of candidates that have no index.

use memory_text::{WordPair, bm25};

/// The score of each document, a list of pairs, as the snapshot's index of pairs
/// has it for these documents.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a mean length and a score need 24 bits"
)]
pub(super) fn score_pairs(query: &[WordPair], documents: &[Vec<WordPair>]) -> Vec<f32> {
    let total_length: usize = documents.iter().map(Vec::len).sum();
    let mean = total_length as f64 / documents.len().max(1) as f64;
    let mut scores = vec![0.0; documents.len()];
    let mut counts: Vec<u32> = vec![0; documents.len()];
    for (index, pair) in query.iter().enumerate() {
        if query[..index].contains(pair) {
            continue;
        }
        for (count, document) in counts.iter_mut().zip(documents) {
            *count = document.iter().filter(|other| *other == pair).count() as u32;
        }
        let containing = counts.iter().filter(|count| **count > 0).count();
        let idf = bm25::idf(documents.len() as u64, containing as u64);
        let found = counts.iter().zip(documents).zip(&mut scores);
        for ((count, document), score) in found.filter(|((count, _), _)| **count > 0) {
            let weight = bm25::term_weight(*count, document.len() as u32, mean);
            *score += (idf * weight) as f32;
        }
    }
    scores
}
