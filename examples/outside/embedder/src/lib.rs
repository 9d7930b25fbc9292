//! An embedder without a model: hashed character trigrams.
//!
//! Texts that share spelling are similar. It needs no files and runs anywhere,
//! which makes it useful in tests and on very small devices.

use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use memory_core::{EmbedRole, Embedder, EmbedderProfile, MemoryResult};

const DIMENSIONS: usize = 256;

/// What makes vectors comparable. Change it whenever the same text would get another
/// vector: other weights, another tokenizer, another hash. Vectors of different
/// fingerprints are never compared; memories with old ones are found by their words
/// until `reembed` replaces them. Left as it was, old and new vectors would be
/// compared, and recall would be wrong without an error.
const FINGERPRINT: &str = "trigrams-256-v1";

/// Embeds texts by their character trigrams.
#[derive(Debug)]
pub struct TrigramEmbedder(EmbedderProfile);

impl Default for TrigramEmbedder {
    fn default() -> Self {
        Self(EmbedderProfile::new(
            "trigrams",
            FINGERPRINT,
            DIMENSIONS,
        ))
    }
}

#[async_trait]
impl Embedder for TrigramEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.0
    }

    // Queries and passages are embedded alike, so the role is not used. This is
    // fast; an embedder that computes for long must do so off the async workers.
    async fn embed(&self, texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| embed_one(text)).collect())
    }
}

fn embed_one(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    vector[0] = 1e-3; // A text without any trigram still has a direction.
    let letters: Vec<char> = format!("  {}  ", text.to_lowercase()).chars().collect();
    for trigram in letters.windows(3) {
        let mut hasher = DefaultHasher::new();
        trigram.hash(&mut hasher);
        vector[(hasher.finish() % DIMENSIONS as u64) as usize] += 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}
