//! The embedding tier: vector by hash of a text.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use memory_core::{
    ByteSize, Cache, CacheBackend, CachePolicy, EmbedRole, Embedder, EmbedderProfile, ErrorKind,
    Fingerprint, MemoryConfig, MemoryError, MemoryResult, TierStats, limits, normalize,
};
use tracing::{Instrument, debug_span};

use super::counters::{TierCounters, Totals};
use super::shared::{SharedTier, SharedVectors};
use super::single_flight::SingleFlight;

/// What the tier holds of a text.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedText {
    /// Shared by the tier and its callers.
    pub(crate) vector: Arc<[f32]>,
    /// The share of its tokens that the model does not know: of a query only, 0
    /// for a passage.
    pub(crate) unknown_share: f32,
}

/// What an entry costs in addition to its numbers: its key, its pointer, and
/// the counts of the shared pointer.
const ENTRY_BYTES: usize =
    size_of::<TextKey>() + size_of::<EmbeddedText>() + 2 * size_of::<usize>();

/// 128 bits of fingerprint, role and text, by a hash whose secret is drawn at
/// start: the tier holds no text, and nobody can construct a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct TextKey([u64; 2]);

#[derive(Default)]
struct TextHasher([RandomState; 2]);

impl TextHasher {
    fn key(&self, fingerprint: &Fingerprint, role: EmbedRole, text: &str) -> TextKey {
        let [first, second] = &self.0;
        // The leading number separates the two, whose secrets are related.
        TextKey([
            first.hash_one((0_u8, fingerprint, role, text)),
            second.hash_one((1_u8, fingerprint, role, text)),
        ])
    }
}

/// A vector depends on nothing but its key, so this tier knows no writes: a
/// fill cannot be stale.
///
/// Queries and passages have half of the capacity each. What is retained is
/// rarely embedded again, while queries repeat: a flood of passages must not
/// evict the queries, whatever the cache's policy.
pub(crate) struct EmbeddingTier {
    queries: Arc<dyn Cache<TextKey, EmbeddedText>>,
    passages: Arc<dyn Cache<TextKey, EmbeddedText>>,
    loads: SingleFlight<TextKey, Arc<[EmbeddedText]>>,
    counters: TierCounters,
    hasher: TextHasher,
    /// Where other processes put vectors, if they share any.
    shared: Option<SharedVectors>,
}

impl EmbeddingTier {
    pub(super) fn new(
        backend: &impl CacheBackend,
        config: &MemoryConfig,
        shared: Option<SharedVectors>,
    ) -> Self {
        // At least one of each, and an odd one is a query's.
        let (entries, bytes) = (
            config.embedding_cache_capacity,
            config.embedding_cache_max_bytes.0,
        );
        let half = |entries: u64, bytes: u64| {
            let policy = CachePolicy::new(
                entries.max(1),
                ByteSize(bytes),
                |_: &TextKey, embedded: &EmbeddedText| {
                    (ENTRY_BYTES + size_of_val::<[f32]>(&embedded.vector)) as u64
                },
            );
            let cache = backend.build(policy.ttl(config.embedding_cache_ttl()));
            Arc::new(cache) as Arc<dyn Cache<TextKey, EmbeddedText>>
        };
        Self {
            queries: half(entries.div_ceil(2), bytes.div_ceil(2)),
            passages: half(entries / 2, bytes / 2),
            loads: SingleFlight::new(),
            counters: TierCounters::default(),
            hasher: TextHasher::default(),
            shared,
        }
    }

    /// The cache of several processes, where there is one.
    pub(crate) fn shared_tier(&self) -> Option<&SharedTier> {
        self.shared.as_ref().map(|vectors| &vectors.tier)
    }

    fn cache(&self, role: EmbedRole) -> &Arc<dyn Cache<TextKey, EmbeddedText>> {
        match role {
            EmbedRole::Query => &self.queries,
            EmbedRole::Passage => &self.passages,
        }
    }

    /// One vector per text, in order. What is cached or being computed is not
    /// computed again, and what is missing goes to the embedder in one batch,
    /// each text once.
    pub(crate) async fn embed(
        &self,
        embedder: &Arc<dyn Embedder>,
        texts: &[&str],
        role: EmbedRole,
    ) -> MemoryResult<Vec<EmbeddedText>> {
        let fingerprint = &embedder.profile().fingerprint;
        let cache = self.cache(role);
        let mut vectors: Vec<Option<EmbeddedText>> = Vec::with_capacity(texts.len());
        let mut missing: Vec<(TextKey, &str)> = Vec::new();
        let mut positions: HashMap<TextKey, usize> = HashMap::new();
        // For each text without a vector: its index, and that of its key among
        // the missing ones.
        let mut pending: Vec<(usize, usize)> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let key = self.hasher.key(fingerprint, role, text);
            let cached = cache.get(&key);
            if cached.is_some() {
                self.counters.record_hit();
            } else {
                self.counters.record_miss();
                let position = *positions.entry(key).or_insert_with(|| {
                    missing.push((key, text));
                    missing.len() - 1
                });
                pending.push((index, position));
            }
            vectors.push(cached);
        }
        if !missing.is_empty() {
            let loaded = self.load(embedder, role, &missing).await?;
            for (index, position) in pending {
                vectors[index] = Some(loaded[position].clone());
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    async fn load(
        &self,
        embedder: &Arc<dyn Embedder>,
        role: EmbedRole,
        missing: &[(TextKey, &str)],
    ) -> MemoryResult<Vec<EmbeddedText>> {
        let keys: Vec<TextKey> = missing.iter().map(|(key, _)| *key).collect();
        let pending = self.loads.join_or_start_all(&keys, |own| {
            self.counters.record_load();
            let own: Vec<(TextKey, String)> = own
                .iter()
                .map(|&n| (missing[n].0, missing[n].1.to_owned()))
                .collect();
            let (embedder, cache) = (Arc::clone(embedder), Arc::clone(self.cache(role)));
            let shared = self.shared.clone();
            async move {
                // Another load may have ended between the look into the cache and the
                // start of this one.
                let mut vectors: Vec<Option<EmbeddedText>> =
                    own.iter().map(|(key, _)| cache.get(key)).collect();
                let missing = || {
                    own.iter()
                        .zip(&vectors)
                        .filter(|(_, vector)| vector.is_none())
                };
                let texts: Vec<&str> = missing().map(|((_, text), _)| text.as_str()).collect();
                if texts.is_empty() {
                    return Ok(vectors.into_iter().flatten().collect());
                }
                let embedded = match shared {
                    Some(shared) => shared.embed(&*embedder, &texts, role).await?,
                    None => infer(&*embedder, &texts, role).await?,
                };
                let keys = own.iter().map(|(key, _)| *key);
                let missing = keys
                    .zip(&mut vectors)
                    .filter(|(_, vector)| vector.is_none());
                for ((key, vector), embedded) in missing.zip(embedded.iter()) {
                    cache.insert(key, embedded.clone());
                    *vector = Some(embedded.clone());
                }
                Ok(vectors.into_iter().flatten().collect())
            }
            .boxed()
        });
        self.counters.record_coalesced_loads(pending.joined);
        pending
            .finish(|vectors, index| vectors[index].clone())
            .await
    }

    /// Drops the vectors of these passages, also of those that processes share.
    pub(crate) async fn remove_passages(&self, fingerprint: &Fingerprint, texts: &[&str]) {
        for text in texts {
            self.counters.record_invalidation();
            let key = self.hasher.key(fingerprint, EmbedRole::Passage, text);
            self.passages.remove(&key);
        }
        if let Some(shared) = &self.shared {
            shared.remove_passages(fingerprint, texts).await;
        }
    }

    /// Drops the vectors of all passages, also of those that processes share.
    pub(crate) async fn clear_passages(&self, fingerprint: &Fingerprint) {
        self.counters.record_invalidation();
        self.passages.clear();
        if let Some(shared) = &self.shared {
            shared.remove_all_passages(fingerprint).await;
        }
    }

    pub(super) fn clear(&self) {
        self.counters.record_invalidation();
        self.queries.clear();
        self.passages.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        let caches = [&*self.queries, &*self.passages];
        self.counters.stats(&caches.map(Totals::of))
    }
}

/// The share of a text's tokens that the model does not know: 0 where the embedder returns
/// no number, such as for a text without tokens. A score must not become one.
pub(crate) fn unknown_share(embedder: &dyn Embedder, text: &str) -> f32 {
    match embedder.unknown_token_share(text) {
        share if share.is_nan() => 0.0,
        share => share.clamp(0.0, 1.0),
    }
}

/// The length of a vector.
pub(super) fn length_of(vector: &[f32]) -> f64 {
    let squares = vector.iter().map(|value| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// The vector with the length 1: the dot product of two vectors is their cosine only then.
/// Embedders of few bits are a little off.
fn with_length_1(mut vector: Vec<f32>) -> MemoryResult<Vec<f32>> {
    /// Many times the rounding of single precision.
    const EXACT: f64 = 1e-5;
    let length = length_of(&vector);
    let error = (length - 1.0).abs();
    if error > EmbedderProfile::MAX_LENGTH_ERROR {
        let message = format!(
            "the embedder returned a vector of length {length}; vectors of length 1 are \
             required: normalize them"
        );
        return Err(MemoryError::embedder(ErrorKind::Corrupt, "embed", message));
    }
    if error > EXACT {
        normalize(&mut vector)?;
    }
    Ok(vector)
}

/// Embeds texts and checks the result: a vector that breaks the embedder's
/// contract must not reach a tier or a store.
pub(crate) async fn infer(
    embedder: &dyn Embedder,
    texts: &[&str],
    role: EmbedRole,
) -> MemoryResult<Arc<[EmbeddedText]>> {
    let started = Instant::now();
    let span = debug_span!("embed", tier = "embedding", texts = texts.len());
    let vectors = embedder.embed(texts, role).instrument(span).await?;
    memory_metrics::BATCH_EMBEDDING_COUNT.increment(&[], 1);
    memory_metrics::BATCH_EMBEDDING_DURATION.record_duration(&[], started.elapsed());
    memory_metrics::EMBEDDINGS_GENERATED.increment(&[], vectors.len() as u64);
    if vectors.len() != texts.len() {
        return Err(MemoryError::embedder(
            ErrorKind::Corrupt,
            "embed",
            format!(
                "the embedder returned {} vectors for {} texts; one each is required",
                vectors.len(),
                texts.len()
            ),
        ));
    }
    for vector in &vectors {
        let checked = limits::check_vector(vector, embedder.profile().dimensions);
        checked.map_err(|problem| {
            let message = format!("the embedder returned a vector that is not valid: {problem}");
            MemoryError::embedder(ErrorKind::Corrupt, "embed", message)
        })?;
    }
    let embedded = vectors.into_iter().zip(texts).map(|(vector, text)| {
        let vector = with_length_1(vector)?;
        let unknown_share = match role {
            EmbedRole::Query => unknown_share(embedder, text),
            EmbedRole::Passage => 0.0,
        };
        Ok(EmbeddedText {
            vector: Arc::from(vector),
            unknown_share,
        })
    });
    embedded.collect()
}
