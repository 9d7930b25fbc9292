//! Vectors in the shared tier: N processes embed a text once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, Fingerprint, MemoryResult, SharedEntry, SharedGroup,
    SharedKey, SharedLookup, limits,
};
use sha2::{Digest, Sha256};

use super::SharedTier;
use super::pending_removals::PendingRemovals;
use crate::tiers::embedding::{EmbeddedText, infer, length_of};

/// Groups of vectors of one fingerprint and role: as many servers of a cluster share
/// the load, and a batch needs as many scripts.
const GROUPS: u8 = 16;

/// Vectors by digest of fingerprint, role and text.
///
/// A vector depends on nothing but its key, so that it is never stale: its version is
/// 0. It expires as in the embedding tier.
#[derive(Clone)]
pub(crate) struct SharedVectors {
    pub(in crate::tiers) tier: SharedTier,
    ttl: Duration,
}

impl SharedVectors {
    pub(crate) const fn new(tier: SharedTier, ttl: Duration) -> Self {
        Self { tier, ttl }
    }

    /// One vector per text, in order. What another process has put is not computed.
    pub(crate) async fn embed(
        &self,
        embedder: &dyn Embedder,
        texts: &[&str],
        role: EmbedRole,
    ) -> MemoryResult<Arc<[EmbeddedText]>> {
        let profile = embedder.profile();
        let keys: Vec<SharedKey> = texts
            .iter()
            .map(|text| vector_key(&profile.fingerprint, role, text))
            .collect();
        let lookups = self.tier.get(&keys).await;
        let mut vectors: Vec<Option<EmbeddedText>> = lookups
            .iter()
            .map(|lookup| {
                let value = lookup.as_ref()?.value.as_ref()?;
                decode(&value.bytes, profile.dimensions)
            })
            .collect();
        self.count(&lookups, &vectors);
        let missing: Vec<usize> = (0..texts.len()).filter(|&n| vectors[n].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<&str> = missing.iter().map(|&n| texts[n]).collect();
            let computed = infer(embedder, &wanted, role).await?;
            let mut entries = Vec::with_capacity(missing.len());
            for (&n, vector) in missing.iter().zip(computed.iter()) {
                if let Some(lookup) = &lookups[n] {
                    entries.push(SharedEntry {
                        key: keys[n],
                        version: 0,
                        as_of: lookup.now,
                        bytes: encode(vector),
                        ttl: self.ttl,
                    });
                }
                vectors[n] = Some(vector.clone());
            }
            self.tier.put(entries);
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    /// Removes the vectors of passages.
    pub(crate) async fn remove_passages(&self, fingerprint: &Fingerprint, texts: &[&str]) {
        let keys = texts
            .iter()
            .map(|text| vector_key(fingerprint, EmbedRole::Passage, text));
        self.tier.remove(PendingRemovals::of_keys(keys)).await;
    }

    /// Removes the vectors of all passages.
    pub(crate) async fn remove_all_passages(&self, fingerprint: &Fingerprint) {
        let groups = (0..GROUPS).map(|n| group(fingerprint, EmbedRole::Passage, n));
        self.tier.remove(PendingRemovals::of_groups(groups)).await;
    }

    fn count(&self, lookups: &[Option<SharedLookup>], vectors: &[Option<EmbeddedText>]) {
        let counters = &self.tier.inner.counters;
        let hits = vectors.iter().flatten().count() as u64;
        let asked = lookups.iter().flatten().count() as u64;
        counters.hits.fetch_add(hits, Ordering::Relaxed);
        counters.misses.fetch_add(asked - hits, Ordering::Relaxed);
    }
}

/// What probes look up: nothing is under it.
pub(super) fn probe_key() -> SharedKey {
    let digest = Sha256::digest(b"probe");
    SharedKey::new(SharedGroup(first_half(&digest)), first_half(&digest))
}

fn vector_key(fingerprint: &Fingerprint, role: EmbedRole, text: &str) -> SharedKey {
    let digest = start(b"vector", fingerprint, role)
        .chain_update(text)
        .finalize();
    let group_number = digest.last().map_or(0, |byte| byte % GROUPS);
    SharedKey::new(group(fingerprint, role, group_number), first_half(&digest))
}

fn group(fingerprint: &Fingerprint, role: EmbedRole, number: u8) -> SharedGroup {
    let digest = start(b"group", fingerprint, role)
        .chain_update([number])
        .finalize();
    SharedGroup(first_half(&digest))
}

/// The beginning of a digest, in which no part can be taken for another.
fn start(kind: &[u8], fingerprint: &Fingerprint, role: EmbedRole) -> Sha256 {
    let role = match role {
        EmbedRole::Query => [0],
        EmbedRole::Passage => [1],
    };
    let fingerprint = fingerprint.as_str();
    Sha256::new()
        .chain_update(kind)
        .chain_update(role)
        .chain_update((fingerprint.len() as u64).to_be_bytes())
        .chain_update(fingerprint)
}

fn first_half(digest: &[u8]) -> [u8; 16] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// The unknown share, then the numbers of the vector, 4 bytes each.
fn encode(embedded: &EmbeddedText) -> Vec<u8> {
    let numbers = std::iter::once(&embedded.unknown_share).chain(embedded.vector.iter());
    numbers.flat_map(|number| number.to_le_bytes()).collect()
}

/// The vector, if it is one that the embedder could have made: other programs can
/// write to the cache too.
fn decode(bytes: &[u8], dimensions: usize) -> Option<EmbeddedText> {
    if bytes.len() != (dimensions + 1) * size_of::<f32>() {
        return None;
    }
    let (numbers, _) = bytes.as_chunks();
    let mut numbers = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes));
    let unknown_share = numbers.next().filter(|share| (0.0..=1.0).contains(share))?;
    let vector: Vec<f32> = numbers.collect();
    limits::check_vector(&vector, dimensions).ok()?;
    if (length_of(&vector) - 1.0).abs() > EmbedderProfile::MAX_LENGTH_ERROR {
        return None;
    }
    Some(EmbeddedText {
        vector: Arc::from(vector),
        unknown_share,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_differ_by_fingerprint_role_and_text_and_are_spread_over_groups() {
        let (a, b) = (Fingerprint::from("a"), Fingerprint::from("ab"));
        let mut keys = HashSet::new();
        for fingerprint in [&a, &b] {
            for role in [EmbedRole::Query, EmbedRole::Passage] {
                for text in ["", "b", "bc", "c"] {
                    assert!(keys.insert(vector_key(fingerprint, role, text)));
                }
            }
        }
        let groups: HashSet<_> = (0..1_000)
            .map(|n| vector_key(&a, EmbedRole::Query, &n.to_string()).group)
            .collect();
        assert_eq!(groups.len(), usize::from(GROUPS));
        let all: HashSet<_> = (0..GROUPS)
            .map(|n| group(&a, EmbedRole::Query, n))
            .collect();
        assert_eq!(groups, all);
    }

    #[test]
    fn vectors_are_decoded_as_encoded_and_others_are_refused() {
        let embedded = EmbeddedText {
            vector: Arc::from([0.6, -0.8]),
            unknown_share: 0.25,
        };
        let bytes = encode(&embedded);
        let decoded = decode(&bytes, 2).unwrap();
        assert_eq!(decoded.vector, embedded.vector);
        assert!((decoded.unknown_share - 0.25).abs() < f32::EPSILON);
        assert!(decode(&bytes, 3).is_none(), "another length");
        let with = |share: f32, vector: [f32; 2]| {
            let vector = Arc::from(vector);
            encode(&EmbeddedText {
                vector,
                unknown_share: share,
            })
        };
        for wrong in [
            with(1.5, [0.6, -0.8]),
            with(f32::NAN, [0.6, -0.8]),
            with(0.0, [f32::NAN, 1.0]),
            with(0.0, [3.0, 4.0]),
        ] {
            assert!(decode(&wrong, 2).is_none());
        }
    }
}
