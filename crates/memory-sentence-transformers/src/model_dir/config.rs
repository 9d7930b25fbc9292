//! `config.json`, the configuration of the transformer.

use std::path::Path;

use memory_core::MemoryResult;
use serde::Deserialize;

use super::read_json;
use crate::error;

/// The fields that every embedder needs.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// The transformer's family (`bert`); empty if the file names none.
    #[serde(default, rename = "model_type")]
    pub family: String,
    /// The dimensions of a token's vector; `dim` in DistilBERT.
    #[serde(alias = "dim")]
    hidden_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    pad_token_id: Option<usize>,
}

impl Config {
    /// Reads the file in a model directory.
    ///
    /// # Errors
    /// `Missing` or `Corrupt`, naming the file.
    pub fn read(folder: &Path) -> MemoryResult<Self> {
        read_json(&folder.join("config.json"))
    }

    /// The dimensions of each vector.
    ///
    /// # Errors
    /// `Corrupt`, naming the file in `folder`, if the field is missing or 0;
    /// `Unsupported` if the family calls it otherwise.
    pub fn hidden_size(&self, folder: &Path) -> MemoryResult<usize> {
        /// Families that always have the field.
        const HAVE_IT: [&str; 3] = ["", "bert", "xlm-roberta"];
        let file = &folder.join("config.json");
        match self.hidden_size {
            Some(size @ 1..) => Ok(size),
            None if !HAVE_IT.contains(&self.family.as_str()) => Err(error::unsupported(
                file,
                format_args!(
                    "model_type is {:?}, and there is no hidden_size; supported are encoders: \
                     \"bert\" and \"xlm-roberta\", and others with a hidden_size that are \
                     exported as model.onnx",
                    self.family
                ),
            )),
            _ => Err(error::corrupt(file, "hidden_size is missing or 0")),
        }
    }

    /// The number of tokens that the model has positions for; `None` if positions
    /// are unlimited.
    pub(super) fn positions(&self) -> Option<usize> {
        // These families start counting positions after the padding token's.
        let shifted = ["roberta", "xlm-roberta", "camembert", "mpnet"];
        let reserved = if shifted.contains(&self.family.as_str()) {
            self.pad_token_id.unwrap_or(1) + 1
        } else {
            0
        };
        self.max_position_embeddings
            .map(|positions| positions.saturating_sub(reserved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_with_reserved_positions_have_fewer() {
        let positions = |json: &str| serde_json::from_str::<Config>(json).unwrap().positions();
        let bert = r#"{"model_type":"bert","max_position_embeddings":512,"pad_token_id":0}"#;
        assert_eq!(positions(bert), Some(512));
        let roberta = r#"{"model_type":"roberta","max_position_embeddings":514,"pad_token_id":1}"#;
        assert_eq!(positions(roberta), Some(512));
        assert_eq!(positions(r#"{"model_type":"t5"}"#), None);
    }
}
