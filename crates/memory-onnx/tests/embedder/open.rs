//! Errors of opening: missing, damaged or contradictory files and options.

use std::fs;
use std::path::{Path, PathBuf};

use memory_assets::{DEFAULT_MODEL, SETUP_COMMAND, cache_dir, model_dir};
use memory_core::{Embedder as _, ErrorKind, MemoryError};
use memory_onnx::{OnnxEmbedder, OnnxOptions};
use tempfile::TempDir;

use super::{opened, shared, small};

fn default_model() -> PathBuf {
    model_dir(&cache_dir().unwrap(), DEFAULT_MODEL)
}

/// A copy of the default model's directory with these weights.
fn copied_model(weights: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [
        "modules.json",
        "config.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "1_Pooling/config.json",
        weights,
    ] {
        copy_file(name, copy.path());
    }
    copy
}

fn copy_file(name: &str, to: &Path) {
    let to = to.join(name);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let from = default_model().join(name);
    fs::copy(&from, to).unwrap_or_else(|error| {
        panic!("{}: {error}; run: {SETUP_COMMAND}", from.display());
    });
}

async fn rejected(options: OnnxOptions) -> MemoryError {
    OnnxEmbedder::open(options).await.expect_err("it opened")
}

#[tokio::test]
async fn the_default_profile_is_that_of_the_default_model() {
    let embedder = shared().await;
    let profile = embedder.profile();
    assert_eq!(profile.model, DEFAULT_MODEL);
    assert_eq!((profile.dimensions, profile.max_tokens), (384, 256));
    let version = embedder.runtime().version.as_deref();
    assert!(embedder.runtime().library.is_file() && version != Some(""));
}

#[tokio::test]
async fn the_same_files_have_the_same_fingerprint_at_any_path() {
    let copy = copied_model("model.safetensors");
    let moved = opened(small().model_dir(copy.path()).model_name("mine")).await;
    assert_eq!(moved.profile().model, "mine");
    assert_eq!(
        moved.profile().fingerprint,
        shared().await.profile().fingerprint
    );
}

#[tokio::test]
async fn damaged_weights_and_tokenizer_are_named() {
    for (weights, name) in [
        ("model.onnx", "model.onnx"),
        ("model.safetensors", "model.safetensors"),
        ("model.onnx", "tokenizer.json"),
    ] {
        let copy = copied_model(weights);
        let file = copy.path().join(name);
        let content = fs::read(&file).unwrap();
        fs::write(&file, &content[..content.len() / 2]).unwrap();
        let error = rejected(small().model_dir(copy.path())).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(name) && !text.contains(SETUP_COMMAND),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_empty_cache_names_the_model_s_folder_and_the_command() {
    let cache = tempfile::tempdir().unwrap();
    let error = rejected(small().cache_dir(cache.path())).await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.to_string();
    assert!(
        text.contains(DEFAULT_MODEL) && text.contains(SETUP_COMMAND),
        "{text}"
    );
}

#[tokio::test]
async fn a_process_has_one_runtime() {
    let loaded = shared().await.runtime().clone();
    // The same library by another path is accepted.
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&loaded.library, &link).unwrap();
    #[cfg(not(unix))]
    let link = loaded.library.clone();
    let again = opened(small().runtime_library(&link)).await;
    assert_eq!(*again.runtime(), loaded);
    let other = small().runtime_library(folder.path().join("other"));
    let error = rejected(other).await;
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().contains(loaded.library.to_str().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn invalid_options_are_rejected() {
    let error = rejected(small().queue_depth(0)).await;
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

/// A copy of the default model in a cache directory of its own.
fn copied_cache() -> (TempDir, PathBuf) {
    let cache = tempfile::tempdir().unwrap();
    let folder = model_dir(cache.path(), DEFAULT_MODEL);
    for name in [
        "modules.json",
        "config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "1_Pooling/config.json",
        "model.safetensors",
    ] {
        copy_file(name, &folder);
    }
    (cache, folder)
}

/// Flips the lowest bit of the byte in the middle.
fn flip_a_bit(file: &Path) {
    let mut content = fs::read(file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(file, content).unwrap();
}

#[tokio::test]
async fn a_changed_byte_in_a_file_of_the_default_model_is_an_error() {
    // Loads the runtime library, once per process: the copied cache has only the
    // model.
    opened(small()).await;
    let (cache, folder) = copied_cache();
    let options = || small().cache_dir(cache.path());
    opened(options()).await;
    for name in [
        "model.safetensors",
        "tokenizer.json",
        "config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
    ] {
        let file = folder.join(name);
        let original = fs::read(&file).unwrap();
        flip_a_bit(&file);
        let error = rejected(options()).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(name) && text.contains(SETUP_COMMAND),
            "{text}"
        );
        fs::write(&file, &original[..original.len() - 1]).unwrap();
        assert_eq!(rejected(options()).await.kind(), ErrorKind::Corrupt);
        fs::remove_file(&file).unwrap();
        assert_eq!(
            rejected(options()).await.kind(),
            ErrorKind::Missing,
            "{name}"
        );
        fs::write(&file, original).unwrap();
    }
    opened(options()).await;
}

/// For a directory of the caller no hash is known, so its vectors get another
/// fingerprint and are not compared with those of the original.
#[tokio::test]
async fn a_changed_model_of_the_caller_has_another_fingerprint() {
    let copy = copied_model("model.safetensors");
    let fingerprint = async || {
        let embedder = opened(small().model_dir(copy.path())).await;
        embedder.profile().fingerprint.clone()
    };
    let mut seen = std::collections::BTreeSet::from([fingerprint().await]);
    // A number of the weights, far behind the header.
    flip_a_bit(&copy.path().join("model.safetensors"));
    assert!(seen.insert(fingerprint().await), "changed weights");
    // Another tokenizer: two words of the vocabulary exchanged.
    let file = copy.path().join("tokenizer.json");
    let mut tokenizer: serde_json::Value =
        serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let vocabulary = &mut tokenizer["model"]["vocab"];
    let (mill, river) = (vocabulary["mill"].clone(), vocabulary["river"].clone());
    assert!(mill.is_number() && river.is_number());
    vocabulary["mill"] = river;
    vocabulary["river"] = mill;
    fs::write(&file, tokenizer.to_string()).unwrap();
    assert!(seen.insert(fingerprint().await), "changed tokenizer");
    let pooling = r#"{"pooling_mode_cls_token":true}"#;
    fs::write(copy.path().join("1_Pooling/config.json"), pooling).unwrap();
    assert!(seen.insert(fingerprint().await), "changed pooling");
}

#[tokio::test]
async fn weights_that_are_not_finite_are_an_error() {
    let copy = copied_model("model.safetensors");
    let file = copy.path().join("model.safetensors");
    let mut content = fs::read(&file).unwrap();
    // In the middle of the file is the table of words. Numbers are aligned.
    let start = content.len() / 2 / 4 * 4;
    content[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, content).unwrap();
    let error = rejected(small().model_dir(copy.path())).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("model.safetensors") && text.contains("not finite"),
        "{text}"
    );
}
