//! The embedding tier: vector by text.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt;
use memory_core::{
    ByteSize, Cache, CacheBackend, CachePolicy, EmbedRole, Embedder, ErrorKind, Fingerprint,
    MemoryConfig, MemoryError, MemoryResult, TierStats, limits,
};

use super::flight::Flights;
use super::tally::Tally;

/// A vector, shared by the tier and all who asked for it.
pub(crate) type Vector = Arc<[f32]>;

/// What an entry costs beside its text and its numbers: its key, its pointer,
/// and the counts that both pointers share.
const ENTRY_BYTES: usize = size_of::<TextKey>() + size_of::<Vector>() + 4 * size_of::<usize>();

#[derive(Clone, PartialEq, Eq, Hash)]
struct TextKey {
    fingerprint: Fingerprint,
    role: EmbedRole,
    text: Arc<str>,
}

/// A vector depends on nothing but its key, so this tier knows no writes: a
/// fill cannot be stale.
///
/// Queries and passages have half of the room each. What is retained is mostly
/// never embedded again, and questions are asked again and again: a flood of
/// passages must not wash the questions away, whatever the cache's policy.
pub(crate) struct EmbeddingTier {
    queries: Arc<dyn Cache<TextKey, Vector>>,
    passages: Arc<dyn Cache<TextKey, Vector>>,
    flights: Flights<TextKey, Arc<[Vector]>>,
    tally: Tally,
}

impl EmbeddingTier {
    pub(super) fn new(backend: &impl CacheBackend, config: &MemoryConfig) -> Self {
        // At least one of each, and an odd one is a query's.
        let (entries, bytes) = (
            config.embedding_cache_capacity,
            config.embedding_cache_max_bytes.0,
        );
        let half = |entries: u64, bytes: u64| {
            let policy = CachePolicy::new(
                entries.max(1),
                ByteSize(bytes),
                |key: &TextKey, vector: &Vector| {
                    (ENTRY_BYTES + key.text.len() + size_of_val::<[f32]>(vector)) as u64
                },
            );
            let cache = backend.build(policy.ttl(config.embedding_cache_ttl()));
            Arc::new(cache) as Arc<dyn Cache<TextKey, Vector>>
        };
        Self {
            queries: half(entries.div_ceil(2), bytes.div_ceil(2)),
            passages: half(entries / 2, bytes / 2),
            flights: Flights::new(),
            tally: Tally::default(),
        }
    }

    fn cache(&self, role: EmbedRole) -> &Arc<dyn Cache<TextKey, Vector>> {
        match role {
            EmbedRole::Query => &self.queries,
            EmbedRole::Passage => &self.passages,
        }
    }

    /// One vector per text, in order. What is held or under way is not
    /// computed again, and what is missing goes to the embedder in one batch,
    /// each text once.
    pub(crate) async fn embed(
        &self,
        embedder: &Arc<dyn Embedder>,
        texts: &[&str],
        role: EmbedRole,
    ) -> MemoryResult<Vec<Vector>> {
        let fingerprint = &embedder.profile().fingerprint;
        let cache = self.cache(role);
        let mut vectors: Vec<Option<Vector>> = Vec::with_capacity(texts.len());
        let mut missing: Vec<TextKey> = Vec::new();
        let mut wanted: HashMap<Arc<str>, usize> = HashMap::new();
        // For each text without a vector: which of the missing keys is its own.
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let key = TextKey {
                fingerprint: fingerprint.clone(),
                role,
                text: (*text).into(),
            };
            let held = cache.get(&key);
            if held.is_some() {
                self.tally.hit();
            } else {
                self.tally.miss();
                let place = *wanted.entry(Arc::clone(&key.text)).or_insert_with(|| {
                    missing.push(key);
                    missing.len() - 1
                });
                places.push((index, place));
            }
            vectors.push(held);
        }
        if !missing.is_empty() {
            let loaded = self.load(embedder, cache, &missing).await?;
            for (index, place) in places {
                vectors[index] = Some(Arc::clone(&loaded[place]));
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    async fn load(
        &self,
        embedder: &Arc<dyn Embedder>,
        cache: &Arc<dyn Cache<TextKey, Vector>>,
        keys: &[TextKey],
    ) -> MemoryResult<Vec<Vector>> {
        let boarding = self.flights.board(keys, |mine| {
            self.tally.load();
            let keys: Vec<TextKey> = mine.iter().map(|&n| keys[n].clone()).collect();
            let (embedder, cache) = (Arc::clone(embedder), Arc::clone(cache));
            async move {
                let vectors = infer(&*embedder, &keys).await?;
                for (key, vector) in keys.into_iter().zip(vectors.iter()) {
                    cache.insert(key, Arc::clone(vector));
                }
                Ok(vectors)
            }
            .boxed()
        });
        (0..boarding.joined).for_each(|_| self.tally.coalesced());
        boarding
            .land(|vectors, slot| Arc::clone(&vectors[slot]))
            .await
    }

    /// Lets go of the vectors of these passages.
    pub(crate) fn forget(&self, fingerprint: &Fingerprint, texts: &[&str]) {
        for text in texts {
            self.tally.invalidation();
            self.passages.remove(&TextKey {
                fingerprint: fingerprint.clone(),
                role: EmbedRole::Passage,
                text: (*text).into(),
            });
        }
    }

    pub(super) fn clear(&self) {
        self.tally.invalidation();
        self.queries.clear();
        self.passages.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        self.tally.stats(&[&*self.queries, &*self.passages])
    }
}

/// Asks the embedder, and believes nothing that breaks its contract: a bad
/// vector must not reach a tier or a store.
async fn infer(embedder: &dyn Embedder, keys: &[TextKey]) -> MemoryResult<Arc<[Vector]>> {
    let Some(first) = keys.first() else {
        return Ok(Arc::default());
    };
    let texts: Vec<&str> = keys.iter().map(|key| &*key.text).collect();
    let vectors = embedder.embed(&texts, first.role).await?;
    if vectors.len() != texts.len() {
        return Err(MemoryError::embedder(
            ErrorKind::Corrupt,
            "embed",
            format!(
                "{} texts gave {} vectors; one each is needed",
                texts.len(),
                vectors.len()
            ),
        ));
    }
    for vector in &vectors {
        limits::check_vector(vector, embedder.profile().dimensions)?;
    }
    Ok(vectors.into_iter().map(Vector::from).collect())
}
