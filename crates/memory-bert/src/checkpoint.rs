//! The checkpoint for rust-bert: the configuration of the network and its weights.

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use memory_sentence_transformers::{ModelDir, error};
use rust_bert::bert::BertConfig;
use serde::Deserialize;

/// rust-bert's constant; it ignores `layer_norm_eps`.
const LAYER_NORM_EPSILON: f64 = 1e-12;

/// A network that rust-bert supports, and the path of its weights.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) config: BertConfig,
    pub(crate) weights: PathBuf,
}

/// The fields of `config.json` that rust-bert ignores.
#[derive(Deserialize)]
struct IgnoredFields {
    layer_norm_eps: Option<f64>,
    position_embedding_type: Option<String>,
}

impl Checkpoint {
    /// Reads the configuration, and rejects one that rust-bert would compute
    /// incorrectly without an error.
    pub(crate) fn read(folder: &ModelDir) -> MemoryResult<Self> {
        let file = folder.path.join("config.json");
        if folder.family != "bert" {
            let what = format!("model_type is {:?}; \"bert\" is supported", folder.family);
            return Err(error::unsupported(&file, what));
        }
        let bytes = fs::read(&file).map_err(|error| error::unreadable(&file, error))?;
        let corrupt = |error: serde_json::Error| error::corrupt(&file, error);
        let ignored: IgnoredFields = serde_json::from_slice(&bytes).map_err(corrupt)?;
        ignored.check(&file)?;
        let config: BertConfig = serde_json::from_slice(&bytes).map_err(corrupt)?;
        check_shape(&config, &file)?;
        let weights = folder.path.join("model.safetensors");
        if !weights.is_file() {
            let what = format!("{} does not exist", weights.display());
            return Err(error::missing(what));
        }
        Ok(Self { config, weights })
    }

    /// What the weights do not determine of the network, for fingerprints.
    pub(crate) fn describe(&self) -> String {
        let (heads, activation) = (self.config.num_attention_heads, self.config.hidden_act);
        format!("bert heads: {heads} activation: {activation:?}")
    }
}

impl IgnoredFields {
    fn check(&self, file: &Path) -> MemoryResult<()> {
        if let Some(epsilon) = self.layer_norm_eps
            && (epsilon - LAYER_NORM_EPSILON).abs() > LAYER_NORM_EPSILON
        {
            let what =
                format!("layer_norm_eps is {epsilon:e}; {LAYER_NORM_EPSILON:e} is supported");
            return Err(error::unsupported(file, what));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(kind) => {
                let what =
                    format!("position_embedding_type is {kind:?}; \"absolute\" is supported");
                Err(error::unsupported(file, what))
            }
        }
    }
}

/// Rejects sizes with which libtorch would abort the process.
fn check_shape(config: &BertConfig, file: &Path) -> MemoryResult<()> {
    /// Far beyond every existing encoder; limits the memory that a damaged file can
    /// request.
    const MAX_SIZE: i64 = 1 << 20;
    let sizes = [
        ("hidden_size", config.hidden_size),
        ("intermediate_size", config.intermediate_size),
        ("max_position_embeddings", config.max_position_embeddings),
        ("num_attention_heads", config.num_attention_heads),
        ("num_hidden_layers", config.num_hidden_layers),
        ("type_vocab_size", config.type_vocab_size),
        ("vocab_size", config.vocab_size),
    ];
    for (name, size) in sizes {
        if !(1..=MAX_SIZE).contains(&size) {
            let what = format!("{name} is {size}; it must be from 1 to {MAX_SIZE}");
            return Err(error::corrupt(file, what));
        }
    }
    if config.hidden_size % config.num_attention_heads != 0 {
        let what = format!(
            "num_attention_heads ({}) does not divide hidden_size ({})",
            config.num_attention_heads, config.hidden_size
        );
        return Err(error::corrupt(file, what));
    }
    Ok(())
}
