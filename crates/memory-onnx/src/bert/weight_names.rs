//! The names of a network's weights in a checkpoint.

use crate::checkpoint::Checkpoint;

/// The prefix of all names: empty for a plain encoder, the family's for an encoder
/// that was saved with a head.
pub(super) fn prefix(checkpoint: &Checkpoint) -> &'static str {
    const OF_FAMILIES: [&str; 2] = ["bert.", "roberta."];
    let is_used =
        |prefix: &&str| checkpoint.has(&format!("{prefix}embeddings.word_embeddings.weight"));
    OF_FAMILIES.into_iter().find(is_used).unwrap_or_default()
}

/// A part of a layer that has a weight and a bias.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Query,
    Key,
    Value,
    /// The projection after the attention.
    Attended,
    /// The first half of the feed-forward part, from `hidden` to `intermediate`.
    Wide,
    /// Its second half, from `intermediate` to `hidden`.
    Narrow,
}

impl Part {
    const fn path(self) -> &'static str {
        match self {
            Self::Query => "attention.self.query",
            Self::Key => "attention.self.key",
            Self::Value => "attention.self.value",
            Self::Attended => "attention.output.dense",
            Self::Wide => "intermediate.dense",
            Self::Narrow => "output.dense",
        }
    }

    /// The following layer normalization.
    fn norm(self) -> String {
        self.path().replace("dense", "LayerNorm")
    }
}

/// The names of one layer's weights.
pub(super) struct Layer {
    prefix: String,
}

impl Layer {
    pub(super) fn new(checkpoint: &Checkpoint, number: usize) -> Self {
        let prefix = prefix(checkpoint);
        Self {
            prefix: format!("{prefix}encoder.layer.{number}."),
        }
    }

    pub(super) fn weight(&self, part: Part) -> String {
        format!("{}{}.weight", self.prefix, part.path())
    }

    pub(super) fn bias(&self, part: Part) -> String {
        format!("{}{}.bias", self.prefix, part.path())
    }

    /// A name for the concatenated weights of some parts.
    pub(super) fn weights(&self, parts: &[Part]) -> String {
        match parts {
            [part] => self.weight(*part),
            _ => format!("{}attention.self.weights", self.prefix),
        }
    }

    /// A name for the concatenated biases of queries, keys and values.
    pub(super) fn biases(&self) -> String {
        format!("{}attention.self.biases", self.prefix)
    }

    pub(super) fn norm_weight(&self, part: Part) -> String {
        format!("{}{}.weight", self.prefix, part.norm())
    }

    pub(super) fn norm_bias(&self, part: Part) -> String {
        format!("{}{}.bias", self.prefix, part.norm())
    }
}
