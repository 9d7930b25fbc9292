//! What lies in the folder for rust-bert: the network's shape and its weights.

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use memory_sentence_transformers::{ModelDir, error};
use rust_bert::bert::BertConfig;
use serde::Deserialize;

/// rust-bert's constant: it does not read the configuration's.
const LAYER_NORM_EPSILON: f64 = 1e-12;

/// A network that rust-bert can compute, and where its weights lie.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) config: BertConfig,
    pub(crate) weights: PathBuf,
}

/// What of `config.json` rust-bert does not look at, and computes in one way.
#[derive(Deserialize)]
struct Beyond {
    layer_norm_eps: Option<f64>,
    position_embedding_type: Option<String>,
}

impl Checkpoint {
    /// Reads the network's shape, and refuses one that rust-bert would get
    /// wrong in silence.
    pub(crate) fn read(folder: &ModelDir) -> MemoryResult<Self> {
        let file = folder.path.join("config.json");
        if folder.family != "bert" {
            let what = format!(
                "the model is of the family {}; only bert is supported",
                folder.family
            );
            return Err(error::unsupported(&file, what));
        }
        let bytes = fs::read(&file).map_err(|error| error::unreadable(&file, error))?;
        let corrupt = |error: serde_json::Error| error::corrupt(&file, error);
        let beyond: Beyond = serde_json::from_slice(&bytes).map_err(corrupt)?;
        beyond.check(&file)?;
        let config: BertConfig = serde_json::from_slice(&bytes).map_err(corrupt)?;
        check_shape(&config, &file)?;
        let weights = folder.path.join("model.safetensors");
        if !weights.is_file() {
            let what = format!("{} does not exist", weights.display());
            return Err(error::missing(what));
        }
        Ok(Self { config, weights })
    }

    /// What the weights do not tell of the network, for fingerprints.
    pub(crate) fn describe(&self) -> String {
        let (heads, activation) = (self.config.num_attention_heads, self.config.hidden_act);
        format!("bert heads: {heads} activation: {activation:?}")
    }
}

impl Beyond {
    fn check(&self, file: &Path) -> MemoryResult<()> {
        if let Some(epsilon) = self.layer_norm_eps
            && (epsilon - LAYER_NORM_EPSILON).abs() > LAYER_NORM_EPSILON
        {
            let what = format!(
                "layer_norm_eps {epsilon:e} is not supported; only {LAYER_NORM_EPSILON:e} is"
            );
            return Err(error::unsupported(file, what));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(kind) => {
                let what =
                    format!("positions of the type {kind} are not supported; absolute ones are");
                Err(error::unsupported(file, what))
            }
        }
    }
}

/// Refuses a shape with which libtorch would abort rather than answer.
fn check_shape(config: &BertConfig, file: &Path) -> MemoryResult<()> {
    /// Far beyond every encoder there is; keeps a damaged file from asking
    /// for all memory.
    const MOST: i64 = 1 << 20;
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
        if !(1..=MOST).contains(&size) {
            let what = format!("{name} is {size}; it must be from 1 to {MOST}");
            return Err(error::corrupt(file, what));
        }
    }
    if config.hidden_size % config.num_attention_heads != 0 {
        let what = "num_attention_heads does not divide hidden_size";
        return Err(error::corrupt(file, what));
    }
    Ok(())
}
