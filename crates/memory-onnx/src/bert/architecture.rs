//! What `config.json` tells of a BERT: sizes, and how it computes.

use std::path::Path;

use memory_core::MemoryResult;
use serde::Deserialize;

use crate::error::{self, opening};

/// The function between the two halves of a layer's feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The Gaussian error linear unit, exact.
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    GeluTanh,
}

/// The sizes of a BERT. With them and the weights, every vector is decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Architecture {
    pub(crate) layers: usize,
    /// Attention heads; they share the hidden size evenly.
    pub(crate) heads: usize,
    /// Components of a token's vector.
    pub(crate) hidden: usize,
    /// Components between the two halves of the feed-forward part.
    pub(crate) intermediate: usize,
    pub(crate) vocabulary: usize,
    pub(crate) positions: usize,
    /// Kinds of segment that a token may belong to.
    pub(crate) types: usize,
    /// Added to a variance before its root is taken.
    pub(crate) epsilon: f32,
    pub(crate) activation: Activation,
}

/// `config.json`, as far as it decides the architecture.
#[derive(Debug, Deserialize)]
pub(crate) struct ArchitectureConfig {
    max_position_embeddings: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    vocab_size: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f32>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    add_cross_attention: bool,
}

impl ArchitectureConfig {
    /// Reads the file in a model's folder.
    ///
    /// # Errors
    /// `Missing` or `Corrupt`, naming the file.
    pub(crate) fn read(folder: &Path) -> MemoryResult<Self> {
        memory_sentence_transformers::read_json(&folder.join("config.json")).map_err(opening)
    }

    /// The architecture, if it is one that [`Network`](super::Network) builds.
    ///
    /// # Errors
    /// `Unsupported` for another family or another way of computing,
    /// `Corrupt` where a size is missing or makes no sense; each names the
    /// file and the key.
    pub(crate) fn architecture(
        &self,
        folder: &Path,
        model_type: &str,
        hidden: usize,
    ) -> MemoryResult<Architecture> {
        let file = &folder.join("config.json");
        let unsupported = |what: String| Err(error::unsupported(file, what));
        if model_type != "bert" {
            return unsupported(format!(
                "model_type is {model_type:?}; from a checkpoint, \"bert\" is built"
            ));
        }
        if let Some(kind) = &self.position_embedding_type
            && kind != "absolute"
        {
            return unsupported(format!(
                "position_embedding_type is {kind:?}; \"absolute\" is built"
            ));
        }
        if self.is_decoder || self.add_cross_attention {
            return unsupported("it is a decoder; encoders are built".to_owned());
        }
        let activation = match self.hidden_act.as_deref() {
            None | Some("gelu") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Activation::GeluTanh,
            Some(other) => {
                return unsupported(format!(
                    "hidden_act is {other:?}; \"gelu\" and its approximation are built"
                ));
            }
        };
        let size = |key: &str, value: Option<usize>| match value {
            Some(size @ 1..) => Ok(size),
            _ => Err(error::corrupt(file, format!("it has no {key}"))),
        };
        let heads = size("num_attention_heads", self.num_attention_heads)?;
        if !hidden.is_multiple_of(heads) {
            let why =
                format!("num_attention_heads ({heads}) does not divide hidden_size ({hidden})");
            return Err(error::corrupt(file, why));
        }
        Ok(Architecture {
            layers: size("num_hidden_layers", self.num_hidden_layers)?,
            heads,
            hidden,
            intermediate: size("intermediate_size", self.intermediate_size)?,
            vocabulary: size("vocab_size", self.vocab_size)?,
            positions: size("max_position_embeddings", self.max_position_embeddings)?,
            types: size("type_vocab_size", Some(self.type_vocab_size.unwrap_or(2)))?,
            // The family's own default.
            epsilon: self.layer_norm_eps.unwrap_or(1e-12),
            activation,
        })
    }
}

impl Architecture {
    /// All of it in a line, for fingerprints.
    pub(crate) fn describe(&self) -> String {
        format!("bert {self:?}")
    }
}
