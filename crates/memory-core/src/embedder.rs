//! The contract of an embedder.

use std::fmt;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{MemoryError, MemoryResult};
use crate::limits;

/// Turns text into vectors.
///
/// # Behavior
/// - One vector per text, in the order of the texts, each of
///   [`EmbedderProfile::dimensions`] finite components, L2-normalized: of a length that
///   differs from 1 by at most [`EmbedderProfile::MAX_LENGTH_ERROR`].
/// - A vector does not depend on the other texts of the batch, nor on their
///   order: equal text and role give an equal vector (to 1e-4 where arithmetic
///   is done in another order).
/// - An empty slice gives an empty vector of vectors. Text of any shape is
///   accepted; text beyond the model's window is ignored
///   (see [`chunk`](Embedder::chunk)).
/// - Inference never runs on an async worker thread.
/// - **Cancellation.** Dropping the future abandons the work; nothing else is
///   disturbed by it.
#[async_trait]
pub trait Embedder: Debug + Send + Sync + 'static {
    /// The profile of this embedder, which never changes.
    fn profile(&self) -> &EmbedderProfile;

    /// Embeds a batch.
    ///
    /// # Errors
    /// [`crate::MemoryError::Embedder`].
    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>>;

    /// Splits each text into chunks that fit the model's window.
    ///
    /// # Behavior
    /// - One list per text, in order; each has at least one byte range, on
    ///   character boundaries, in the order of the text.
    /// - Together the ranges cover all that is not white space; neighbors
    ///   overlap, so that no sentence is lost at a boundary.
    /// - A text that fits is one range, the whole of it.
    ///
    /// Provided: each text whole, for a model without a window.
    ///
    /// # Errors
    /// [`crate::MemoryError::Embedder`].
    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        #[expect(
            clippy::single_range_in_vec_init,
            reason = "a list of one range is meant"
        )]
        Ok(texts.iter().map(|text| vec![0..text.len()]).collect())
    }

    /// The share of a text's tokens that the model does not know, 0 to 1: a
    /// vector of a text that the model cannot read says little, and a recall
    /// then trusts words more.
    ///
    /// # Behavior
    /// - Without special tokens and prompt; a text without tokens has a share of
    ///   0. Of a long text, the part that fits the model's window is enough.
    /// - Quick, as it may run on an async worker: no inference.
    ///
    /// Provided: 0, for a model that reads every text.
    fn unknown_token_share(&self, text: &str) -> f32 {
        let _ = text;
        0.0
    }
}

/// Whether a text is a query or a stored passage: some models embed the two
/// differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbedRole {
    /// A question to stored memories.
    Query,
    /// A text that is stored.
    Passage,
}

/// What an embedder's vectors are like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbedderProfile {
    /// The model's name, for people.
    pub model: String,
    /// What makes vectors comparable; see [`Fingerprint`].
    pub fingerprint: Fingerprint,
    /// Components of each vector.
    pub dimensions: usize,
    /// The model's window in tokens, special tokens included; [`usize::MAX`]
    /// without a window.
    pub max_tokens: usize,
}

impl EmbedderProfile {
    /// The most by which the length of a vector differs from 1: several times as much as the
    /// rounding of a norm to the 8 significant bits of `bf16` makes.
    pub const MAX_LENGTH_ERROR: f64 = 0.01;

    /// A profile of a model without a window: it reads texts of any length.
    pub fn new(
        model: impl Into<String>,
        fingerprint: impl Into<Fingerprint>,
        dimensions: usize,
    ) -> Self {
        Self {
            model: model.into(),
            fingerprint: fingerprint.into(),
            dimensions,
            max_tokens: usize::MAX,
        }
    }

    /// Sets the model's window in tokens, special tokens included.
    #[must_use]
    pub const fn max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// Checks that every store can keep the fingerprint with each vector, and that the
    /// vectors have 1 to [`MAX_DIMENSIONS`](limits::MAX_DIMENSIONS) components.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] naming what is wrong.
    pub fn validate(&self) -> MemoryResult<()> {
        self.fingerprint.validate()?;
        let (chars, max) = (
            self.fingerprint.as_str().chars().count(),
            limits::MAX_FINGERPRINT_CHARS,
        );
        if chars > max {
            return Err(MemoryError::configuration(format!(
                "the fingerprint of the embedder has {chars} characters; it must have 1 to \
                 {max}, such as a digest of the model"
            )));
        }
        if !(1..=limits::MAX_DIMENSIONS).contains(&self.dimensions) {
            return Err(MemoryError::configuration(format!(
                "the embedder makes vectors of {} dimensions; it must be 1 to {}",
                self.dimensions,
                limits::MAX_DIMENSIONS
            )));
        }
        Ok(())
    }
}

/// A digest of all that decides a vector: weights, tokenizer, pooling, length
/// and quantization. Vectors of different fingerprints are never compared.
///
/// It has 1 to [`MAX_FINGERPRINT_CHARS`](limits::MAX_FINGERPRINT_CHARS) characters and no
/// control characters ([`EmbedderProfile::validate`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that it is not empty and has no control characters. Databases of earlier versions
    /// may have longer ones than an embedder may have now.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] naming what is wrong.
    pub fn validate(&self) -> MemoryResult<()> {
        let problem = if self.0.is_empty() {
            "has 0 characters; it must have at least one"
        } else if self.0.contains(char::is_control) {
            "contains a control character; remove it"
        } else {
            return Ok(());
        };
        Err(MemoryError::configuration(format!(
            "the fingerprint of the embedder {problem}"
        )))
    }
}

impl From<&str> for Fingerprint {
    fn from(digest: &str) -> Self {
        Self(digest.into())
    }
}

impl From<String> for Fingerprint {
    fn from(digest: String) -> Self {
        Self(digest.into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_profile_has_a_fingerprint_that_stores_can_keep() {
        let profile = |fingerprint: &str| EmbedderProfile::new("model", fingerprint, 3);
        let longest = "記".repeat(limits::MAX_FINGERPRINT_CHARS);
        for good in ["sha256:00", &longest] {
            assert!(profile(good).validate().is_ok());
        }
        let long = "x".repeat(limits::MAX_FINGERPRINT_CHARS + 1);
        for bad in ["", "a\0b", "a\nb", &long] {
            let error = profile(bad).validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{bad:?}");
        }
        for dimensions in [0, limits::MAX_DIMENSIONS + 1] {
            let profile = EmbedderProfile::new("model", "digest", dimensions);
            assert!(profile.validate().is_err());
        }
    }
}
