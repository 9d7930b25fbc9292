//! A memory together with its vectors.

use std::collections::HashSet;

use crate::embedder::Fingerprint;
use crate::error::{InvalidInput, MemoryError, MemoryResult};
use crate::limits;
use crate::memory::Memory;
use crate::patch::MemoryPatch;
use crate::vector::Embedding;

/// A memory and its embedding, ready to be written (or read for a snapshot).
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedMemory {
    /// The memory, within every limit.
    pub memory: Memory,
    /// Its vectors.
    pub embedding: Embedding,
}

impl EmbeddedMemory {
    /// A memory with its vectors.
    #[must_use]
    pub const fn new(memory: Memory, embedding: Embedding) -> Self {
        Self { memory, embedding }
    }

    /// This memory with its vectors of one fingerprint, or with none where it
    /// has no vector of that fingerprint: the form in which
    /// [`Store::changes_since`](super::Store::changes_since) gives it.
    #[must_use]
    pub fn with_vectors_of(&self, fingerprint: &Fingerprint) -> Self {
        let matches = self.embedding.fingerprint == *fingerprint;
        Self {
            memory: self.memory.clone(),
            embedding: Embedding {
                fingerprint: fingerprint.clone(),
                vectors: if matches {
                    self.embedding.vectors.clone()
                } else {
                    Vec::new()
                },
            },
        }
    }

    /// Whether inserting this memory writes a row, where the entity has
    /// `existing` under its id; `false` for the same content again.
    ///
    /// # Errors
    /// [`MemoryError::Conflict`] where `existing` has other content.
    pub fn is_new(&self, existing: Option<&Memory>) -> MemoryResult<bool> {
        match existing {
            None => Ok(true),
            Some(memory) if memory.content == self.memory.content => Ok(false),
            Some(_) => Err(MemoryError::Conflict {
                entity: self.memory.entity_id.clone(),
                id: self.memory.id,
            }),
        }
    }

    /// This memory after an update, for a patch that passed
    /// [`MemoryPatch::validate_with`].
    ///
    /// # Errors
    /// [`MemoryError::Archived`] for an archived memory;
    /// [`InvalidInput::TooManyLinks`] where links are added beyond
    /// [`MAX_LINKS`](limits::MAX_LINKS).
    pub fn patched(
        &self,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<Self> {
        if let Some(summary) = self.memory.archived_by {
            return Err(MemoryError::Archived {
                entity: self.memory.entity_id.clone(),
                id: self.memory.id,
                summary,
            });
        }
        let mut memory = self.memory.clone();
        patch.apply(&mut memory);
        limits::check_related(&memory.related)?;
        let embedding = embedding.unwrap_or(&self.embedding).clone();
        Ok(Self { memory, embedding })
    }

    /// Checks the limits of every memory and vector of a batch, and that no id
    /// occurs twice under one entity.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the item and what is wrong.
    pub fn validate_batch(batch: &[Self], max_dimensions: usize) -> MemoryResult<()> {
        let mut seen = HashSet::with_capacity(batch.len());
        for (index, item) in batch.iter().enumerate() {
            item.validate(max_dimensions)
                .map_err(|error| error.with_item(index))?;
            if !seen.insert((&item.memory.entity_id, item.memory.id)) {
                let problem = InvalidInput::DuplicateId { id: item.memory.id };
                return Err(MemoryError::from(problem).with_item(index));
            }
        }
        Ok(())
    }

    fn validate(&self, max_dimensions: usize) -> MemoryResult<()> {
        self.memory.validate()?;
        self.embedding.validate(max_dimensions)
    }
}
