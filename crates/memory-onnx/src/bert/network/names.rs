//! What a checkpoint calls the weights of a BERT.

use crate::checkpoint::Checkpoint;

/// What stands before every name: nothing in a bare encoder, `bert.` where the
/// encoder was saved with a head on it.
pub(in crate::bert) fn prefix(checkpoint: &Checkpoint) -> &'static str {
    const HEADED: &str = "bert.";
    if checkpoint.has("bert.embeddings.word_embeddings.weight") {
        HEADED
    } else {
        ""
    }
}

/// A part of a layer that has a weight and a bias.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Query,
    Key,
    Value,
    /// What follows the attention.
    Attended,
    /// The feed-forward part's first half, from narrow to wide.
    Wide,
    /// And its second half, from wide to narrow.
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

    /// The layer normalization that follows.
    fn norm(self) -> String {
        self.path().replace("dense", "LayerNorm")
    }
}

/// The names of one layer.
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

    /// A name for the weights of some parts side by side.
    pub(super) fn weights(&self, parts: &[Part]) -> String {
        match parts {
            [part] => self.weight(*part),
            _ => format!("{}attention.self.weights", self.prefix),
        }
    }

    /// A name for the biases of queries, keys and values side by side.
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
