//! Errors of opening, and fingerprints.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use memory_bert::{BertEmbedder, BertOptions, MaxTokens};
use memory_core::{EmbedRole, Embedder as _, ErrorKind, MemoryError};
use tempfile::TempDir;

use super::{difference, opened, shared};

/// A copy of the default model's directory without the weights.
fn folder() -> TempDir {
    let cache = memory_assets::cache_dir().unwrap();
    let model = memory_assets::model_dir(&cache, memory_assets::DEFAULT_MODEL);
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "modules.json",
        "config.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "1_Pooling/config.json",
    ];
    for name in names {
        let content = fs::read(model.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let target = folder.path().join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, content).unwrap();
    }
    folder
}

fn rejected(folder: &Path) -> MemoryError {
    BertEmbedder::open_blocking(&BertOptions::new().model_dir(folder)).unwrap_err()
}

/// Changes one value of `config.json`.
fn configure(folder: &TempDir, key: &str, value: serde_json::Value) {
    let file = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config[key] = value;
    fs::write(file, config.to_string()).unwrap();
}

#[test]
fn missing_weights_are_named_with_the_fix() {
    let error = rejected(folder().path());
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.to_string();
    assert!(text.contains("model.safetensors"), "{text}");
    assert!(text.contains(memory_assets::SETUP_COMMAND), "{text}");
}

#[test]
fn damaged_weights_are_an_error_and_no_crash() {
    let folder = folder();
    let file = folder.path().join("model.safetensors");
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let strange = [
        &(header.len() as u64).to_le_bytes(),
        header.as_slice(),
        &[0; 4],
    ]
    .concat();
    for content in [b"".as_slice(), b"<html>not found</html>", &strange] {
        fs::write(&file, content).unwrap();
        let error = rejected(folder.path());
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
}

#[test]
fn configurations_that_rust_bert_does_not_support_are_rejected() {
    let cases = [
        ("model_type", "roberta".into(), ErrorKind::Unsupported),
        ("layer_norm_eps", 1e-5.into(), ErrorKind::Unsupported),
        (
            "position_embedding_type",
            "relative_key".into(),
            ErrorKind::Unsupported,
        ),
        ("num_attention_heads", 7.into(), ErrorKind::Corrupt),
        ("vocab_size", (-1).into(), ErrorKind::Corrupt),
        ("hidden_act", "no such function".into(), ErrorKind::Corrupt),
    ];
    for (key, value, kind) in cases {
        let folder = folder();
        fs::write(folder.path().join("model.safetensors"), "weights").unwrap();
        configure(&folder, key, value);
        let error = rejected(folder.path());
        assert_eq!(error.kind(), kind, "{key}: {error}");
        assert!(error.to_string().contains("config.json"), "{error}");
    }
}

#[test]
fn another_network_with_the_same_weights_has_another_fingerprint() {
    let folder = folder();
    let cache = memory_assets::cache_dir().unwrap();
    let model = memory_assets::model_dir(&cache, memory_assets::DEFAULT_MODEL);
    let weights = "model.safetensors";
    fs::copy(model.join(weights), folder.path().join(weights)).unwrap();
    let fingerprint = || {
        let opened = BertEmbedder::open_blocking(&BertOptions::new().model_dir(folder.path()));
        opened.unwrap().profile().fingerprint.clone()
    };
    let mut seen = BTreeSet::from([fingerprint()]);
    configure(&folder, "num_attention_heads", 6.into());
    assert!(seen.insert(fingerprint()));
    configure(&folder, "hidden_act", "relu".into());
    assert!(seen.insert(fingerprint()));
}

#[tokio::test]
async fn a_shorter_maximum_length_reads_less_and_has_another_fingerprint() {
    let (whole, short) = (
        shared().await,
        opened(BertOptions::new().max_sequence(MaxTokens(16))).await,
    );
    assert_eq!(short.profile().max_tokens, 16);
    assert_ne!(short.profile().fingerprint, whole.profile().fingerprint);
    let start = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
    let long = format!("{start} and what else there may be");
    let vectors = short
        .embed(&[start, &long], EmbedRole::Passage)
        .await
        .unwrap();
    assert!(difference(&vectors[0], &vectors[1]) <= 1e-5);
}
