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
            text.contains(name) && text.contains(SETUP_COMMAND),
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
