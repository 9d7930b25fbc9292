//! The architecture of a BERT or XLM-RoBERTa network from its `config.json`.

use std::path::Path;

use memory_core::MemoryResult;
use serde::Deserialize;

use crate::error::{self, opening};

/// The activation function of the feed-forward part of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The exact Gaussian error linear unit (Hendrycks and Gimpel, 2016).
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    GeluTanh,
}

/// The families whose checkpoints are supported: `model_type` in `config.json`.
const FAMILIES: [&str; 2] = ["bert", XLM_ROBERTA];

/// The family that differs from BERT only in where positions start.
const XLM_ROBERTA: &str = "xlm-roberta";

/// The hyperparameters of a network. With the weights they determine every vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Architecture {
    pub(crate) layers: usize,
    /// The number of attention heads, a divisor of `hidden`.
    pub(crate) heads: usize,
    /// The dimensions of a token's vector.
    pub(crate) hidden: usize,
    /// The dimensions between the two halves of the feed-forward part.
    pub(crate) intermediate: usize,
    pub(crate) vocabulary: usize,
    /// The rows of the table of positions.
    pub(crate) positions: usize,
    /// The row of the first token's position: 0 for BERT. XLM-RoBERTa starts after
    /// the padding token's index (Hugging Face
    /// `create_position_ids_from_input_ids`).
    pub(crate) first_position: usize,
    /// The number of segment types.
    pub(crate) types: usize,
    /// The constant added to variances in layer normalization.
    pub(crate) epsilon: f32,
    pub(crate) activation: Activation,
}

/// The fields of `config.json` that determine the architecture.
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
    pad_token_id: Option<usize>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    add_cross_attention: bool,
}

impl ArchitectureConfig {
    /// Reads the file in a model directory.
    ///
    /// # Errors
    /// `Missing` or `Corrupt`, naming the file.
    pub(crate) fn read(folder: &Path) -> MemoryResult<Self> {
        memory_sentence_transformers::read_json(&folder.join("config.json")).map_err(opening)
    }

    /// The architecture, if [`Network`](super::Network) supports it.
    ///
    /// # Errors
    /// `Unsupported` for another family or computation, `Corrupt` for a missing or
    /// invalid size; each names the file and the key.
    pub(crate) fn architecture(
        &self,
        folder: &Path,
        model_type: &str,
        hidden: usize,
    ) -> MemoryResult<Architecture> {
        let file = &folder.join("config.json");
        let unsupported = |what: String| Err(error::unsupported(file, what));
        if !FAMILIES.contains(&model_type) {
            return unsupported(format!(
                "model_type is {model_type:?}; checkpoints are supported of \"bert\" and \
                 \"xlm-roberta\"; export a model of another family as model.onnx"
            ));
        }
        if let Some(kind) = &self.position_embedding_type
            && kind != "absolute"
        {
            return unsupported(format!(
                "position_embedding_type is {kind:?}; \"absolute\" is supported"
            ));
        }
        if self.is_decoder || self.add_cross_attention {
            return unsupported("the model is a decoder (is_decoder or add_cross_attention); encoders are supported".to_owned());
        }
        let activation = match self.hidden_act.as_deref() {
            None | Some("gelu") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Activation::GeluTanh,
            Some(other) => {
                return unsupported(format!(
                    "hidden_act is {other:?}; \"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\" and \
                     \"gelu_fast\" are supported"
                ));
            }
        };
        let size = |key: &str, value: Option<usize>| match value {
            Some(size @ 1..) => Ok(size),
            _ => Err(error::corrupt(file, format!("{key} is missing or 0"))),
        };
        let heads = size("num_attention_heads", self.num_attention_heads)?;
        if !hidden.is_multiple_of(heads) {
            let why =
                format!("num_attention_heads ({heads}) does not divide hidden_size ({hidden})");
            return Err(error::corrupt(file, why));
        }
        let positions = size("max_position_embeddings", self.max_position_embeddings)?;
        let first_position = if model_type == XLM_ROBERTA {
            // The family's default (Hugging Face `XLMRobertaConfig`).
            self.pad_token_id.unwrap_or(1) + 1
        } else {
            0
        };
        if first_position >= positions {
            let why = format!(
                "max_position_embeddings is {positions}; the first token has position \
                 {first_position} (pad_token_id + 1)"
            );
            return Err(error::corrupt(file, why));
        }
        Ok(Architecture {
            layers: size("num_hidden_layers", self.num_hidden_layers)?,
            heads,
            hidden,
            intermediate: size("intermediate_size", self.intermediate_size)?,
            vocabulary: size("vocab_size", self.vocab_size)?,
            positions,
            first_position,
            types: size("type_vocab_size", Some(self.type_vocab_size.unwrap_or(2)))?,
            // The family's default (Hugging Face `BertConfig`).
            epsilon: self.layer_norm_eps.unwrap_or(1e-12),
            activation,
        })
    }
}

impl Architecture {
    /// A one-line description, for fingerprints. The text of BERT is part of stored
    /// fingerprints, so its spelling is fixed.
    pub(crate) fn describe(&self) -> String {
        let Self {
            layers,
            heads,
            hidden,
            intermediate,
            vocabulary,
            positions,
            first_position,
            types,
            epsilon,
            activation,
        } = self;
        let offset = match first_position {
            0 => String::new(),
            offset => format!(" from position {offset}"),
        };
        format!(
            "bert Architecture {{ layers: {layers}, heads: {heads}, hidden: {hidden}, \
             intermediate: {intermediate}, vocabulary: {vocabulary}, positions: {positions}, \
             types: {types}, epsilon: {epsilon:?}, activation: {activation:?} }}{offset}"
        )
    }
}
