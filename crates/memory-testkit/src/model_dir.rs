//! A model directory in the format of sentence-transformers, for tests of how
//! embedders read one.

use std::fs;
use std::io;
use std::path::Path;

/// Its files, without weights.
const FILES: [(&str, &str); 5] = [
    (
        "modules.json",
        r#"[{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},
            {"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
            {"idx":2,"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]"#,
    ),
    (
        "1_Pooling/config.json",
        r#"{"pooling_mode_mean_tokens":true}"#,
    ),
    (
        "config.json",
        r#"{"model_type":"bert","hidden_size":384,"max_position_embeddings":512}"#,
    ),
    ("sentence_bert_config.json", r#"{"max_seq_length":256}"#),
    ("tokenizer.json", "{}"),
];

/// Writes a valid directory of a BERT model with 384 dimensions and a window of
/// 256 tokens, with an empty tokenizer and without weights: enough to read it,
/// and not to embed.
///
/// # Errors
/// Those of writing to the folder.
pub fn write_model_dir(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("1_Pooling"))?;
    for (name, content) in FILES {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}
