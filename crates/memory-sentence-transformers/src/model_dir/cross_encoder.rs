//! A model directory of a cross-encoder: a model that reads a question together
//! with a text and gives the pair a score.
//!
//! ```text
//! config.json                         number of positions, activation
//! tokenizer.json, tokenizer_config.json (optional)
//! config_sentence_transformers.json   activation (optional, newer)
//! ```

use std::path::{Path, PathBuf};

use memory_core::MemoryResult;
use serde::Deserialize;

use super::config::Config;
use super::{max_length, read_bytes, read_json, read_json_or_default};
use crate::error;
use crate::options::ModelOptions;

/// The settings of a cross-encoder's directory, validated, with options applied.
/// The weights are in the same directory; each reranker reads them itself.
#[derive(Debug)]
pub struct CrossEncoderDir {
    /// The directory.
    pub path: PathBuf,
    /// The model's name, for display.
    pub name: String,
    /// The maximum length of a pair in tokens, special tokens included.
    pub max_tokens: usize,
    /// Whether text is lowercased before tokenization.
    pub lower_case: bool,
    /// What turns the network's output into the score.
    pub activation: ScoreActivation,
    /// The content of `tokenizer.json`.
    pub(crate) tokenizer: Vec<u8>,
}

/// What turns a cross-encoder's output into a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreActivation {
    /// The output itself, of any size.
    Identity,
    /// `1 / (1 + e^−x)`, from 0 to 1.
    Sigmoid,
}

impl ScoreActivation {
    /// The score of an output.
    #[must_use]
    pub fn apply(self, output: f32) -> f32 {
        match self {
            Self::Identity => output,
            Self::Sigmoid => 1.0 / (1.0 + (-output).exp()),
        }
    }
}

/// The fields of `config.json` that name the activation: `sentence_transformers`
/// since version 4 of that library, the other one before.
#[derive(Deserialize)]
struct ActivationConfig {
    sbert_ce_default_activation_function: Option<String>,
    #[serde(default)]
    sentence_transformers: NewerConfig,
}

/// `config_sentence_transformers.json` since version 5.4 of sentence-transformers,
/// and a field of `config.json` before.
#[derive(Default, Deserialize)]
struct NewerConfig {
    activation_fn: Option<String>,
}

impl CrossEncoderDir {
    /// Reads the small files of the directory that the options name.
    ///
    /// # Errors
    /// [`MemoryError::Embedder`](memory_core::MemoryError::Embedder) of the
    /// kind `Missing`, `Corrupt` or `Unsupported`, naming the file;
    /// [`MemoryError::Configuration`](memory_core::MemoryError::Configuration)
    /// for an option that the model does not support.
    pub fn read(path: &Path, options: &ModelOptions) -> MemoryResult<Self> {
        error::check_directory(path)?;
        let length = max_length::read(path, &Config::read(path)?, options)?;
        Ok(Self {
            path: path.to_owned(),
            name: options.name_of(path),
            max_tokens: length.max_tokens,
            lower_case: length.lower_case,
            activation: read_activation(path)?,
            tokenizer: read_bytes(&path.join("tokenizer.json"))?,
        })
    }

    /// The path of `tokenizer.json`.
    pub(crate) fn tokenizer_file(&self) -> PathBuf {
        self.path.join("tokenizer.json")
    }
}

/// The activation that the directory names; a sigmoid where it names none, as
/// sentence-transformers has it for models with one output.
fn read_activation(folder: &Path) -> MemoryResult<ScoreActivation> {
    let newest_file = folder.join("config_sentence_transformers.json");
    let newest: NewerConfig = read_json_or_default(&newest_file)?;
    let file = folder.join("config.json");
    let config: ActivationConfig = read_json(&file)?;
    let named = newest
        .activation_fn
        .or(config.sentence_transformers.activation_fn)
        .or(config.sbert_ce_default_activation_function);
    let Some(named) = named else {
        return Ok(ScoreActivation::Sigmoid);
    };
    // A path of a Python class: `torch.nn.modules.activation.Sigmoid`.
    match named.rsplit('.').next() {
        Some("Identity") => Ok(ScoreActivation::Identity),
        Some("Sigmoid") => Ok(ScoreActivation::Sigmoid),
        _ => Err(error::unsupported(
            &file,
            format!("the activation {named} is not supported; Identity and Sigmoid are"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use memory_core::ErrorKind;

    use super::*;

    fn activation(files: &[(&str, &str)]) -> MemoryResult<ScoreActivation> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        read_activation(folder.path())
    }

    #[test]
    fn the_activation_is_read_from_every_version_of_the_files() {
        use ScoreActivation::{Identity, Sigmoid};
        let older =
            r#"{"sbert_ce_default_activation_function":"torch.nn.modules.linear.Identity"}"#;
        let newer = r#"{"sbert_ce_default_activation_function":"x.Identity",
            "sentence_transformers":{"activation_fn":"torch.nn.modules.activation.Sigmoid"}}"#;
        let newest = r#"{"activation_fn":"torch.nn.modules.linear.Identity"}"#;
        for (config, newest, expected) in [
            ("{}", "{}", Sigmoid),
            (older, "{}", Identity),
            (newer, "{}", Sigmoid),
            (newer, newest, Identity),
        ] {
            let files = [
                ("config.json", config),
                ("config_sentence_transformers.json", newest),
            ];
            assert_eq!(activation(&files).unwrap(), expected, "{config}");
        }
        let softmax = r#"{"sentence_transformers":{"activation_fn":"torch.nn.Softmax"}}"#;
        let error = activation(&[("config.json", softmax)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("torch.nn.Softmax"), "{error}");
        assert_eq!(activation(&[]).unwrap_err().kind(), ErrorKind::Missing);
    }

    #[test]
    fn a_sigmoid_is_from_0_to_1_and_keeps_the_order() {
        let score = |x| ScoreActivation::Sigmoid.apply(x);
        assert_eq!(score(0.0), 0.5);
        assert!(score(-100.0) >= 0.0 && score(100.0) <= 1.0 && score(2.0) > score(1.0));
        assert_eq!(ScoreActivation::Identity.apply(-3.5), -3.5);
    }
}
