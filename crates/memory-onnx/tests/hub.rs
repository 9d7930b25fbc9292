//! A model of a hub, from a cache that is laid out as the hub's tools lay it
//! out; no network.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use memory_core::{EmbedRole, Embedder as _, ErrorKind};
use memory_onnx::{HubModel, OnnxEmbedder};
use tempfile::TempDir;

const NAME: &str = "some-owner/some-model";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const FILES: [&str; 5] = [
    "modules.json",
    "1_Pooling/config.json",
    "config.json",
    "tokenizer.json",
    "model.safetensors",
];
const OPTIONAL: [&str; 3] = [
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
];

/// A cache that holds the default model under another name: `blobs` by hash,
/// `snapshots` of links to them, `refs` from branches to commits.
fn cache(files: &[&str]) -> TempDir {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("models--some-owner--some-model");
    let write = |path: PathBuf, content: &[u8]| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write(repository.join("refs/main"), COMMIT.as_bytes());
    let model = memory_assets::cache_dir().unwrap();
    let model = memory_assets::model_dir(&model, memory_assets::DEFAULT_MODEL);
    for (number, file) in files.iter().enumerate() {
        let from = model.join(file.strip_prefix("onnx/").unwrap_or(file));
        let content = fs::read(&from).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; run: {}",
                from.display(),
                memory_assets::SETUP_COMMAND
            )
        });
        let blob = repository.join("blobs").join(format!("{number:040x}"));
        write(blob.clone(), &content);
        let link = repository.join("snapshots").join(COMMIT).join(file);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        link_to(&blob, &link);
    }
    for file in [OPTIONAL.as_slice(), &["model.onnx", "onnx/model.onnx_data"]].concat() {
        if !files.contains(&file) {
            write(repository.join(".no_exist").join(COMMIT).join(file), b"");
        }
    }
    cache
}

#[cfg(unix)]
fn link_to(blob: &Path, link: &Path) {
    std::os::unix::fs::symlink(blob, link).unwrap();
}

#[cfg(not(unix))]
fn link_to(blob: &Path, link: &Path) {
    fs::copy(blob, link).unwrap();
}

/// An address at which nothing answers.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    format!("http://127.0.0.1:{port}")
}

fn model(cache: &TempDir) -> HubModel {
    HubModel::new(NAME)
        .cache_dir(cache.path())
        .endpoint(nobody())
}

#[tokio::test]
async fn a_whole_cache_is_used_without_the_hub() {
    let cache = cache(&[FILES.as_slice(), &OPTIONAL].concat());
    for model in [
        model(&cache),
        model(&cache).offline(),
        model(&cache).revision(COMMIT),
    ] {
        let options = model
            .fetch()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let embedder = OnnxEmbedder::open(options)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(embedder.profile().model, NAME);
        assert_eq!(embedder.profile().max_tokens, 256);
        assert_eq!(
            embedder
                .embed(&["mill"], EmbedRole::Query)
                .await
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn without_a_checkpoint_an_exported_graph_is_used() {
    let files = [&FILES[..4], &["onnx/model.onnx"]].concat();
    let cache = cache(&[&files, OPTIONAL.as_slice()].concat());
    let repository = cache.path().join("models--some-owner--some-model");
    let absent = repository.join(".no_exist").join(COMMIT);
    fs::create_dir_all(&absent).unwrap();
    fs::write(absent.join("model.safetensors"), "").unwrap();
    let options = model(&cache).fetch().await.unwrap();
    let embedder = OnnxEmbedder::open(options).await;
    let embedder = embedder.unwrap_or_else(|error| panic!("{error}"));
    let vectors = embedder.embed(&["mill"], EmbedRole::Query).await.unwrap();
    assert_eq!(vectors[0].len(), 384);
}

#[tokio::test]
async fn what_a_model_does_without_may_be_missing() {
    let cache = cache(&FILES);
    let options = model(&cache).fetch().await.unwrap();
    let embedder = OnnxEmbedder::open(options)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(embedder.profile().max_tokens, 512);
}

#[tokio::test]
async fn optional_files_that_nobody_knows_about_do_not_stop_an_offline_start() {
    let cache = cache(&FILES);
    let repository = cache.path().join("models--some-owner--some-model");
    fs::remove_dir_all(repository.join(".no_exist")).unwrap();
    assert!(model(&cache).fetch().await.is_ok());
    assert!(model(&cache).offline().fetch().await.is_ok());
}

#[tokio::test]
async fn neither_cache_nor_hub_is_a_typed_error() {
    for cache in [tempfile::tempdir().unwrap(), cache(&FILES[..4])] {
        let error = model(&cache).fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(
            error.is_retryable() && error.to_string().contains(NAME),
            "{error}"
        );
        let error = model(&cache).offline().fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    }
}

#[tokio::test]
async fn a_name_cannot_leave_the_cache() {
    for name in ["", "bare", "a/b/c", "../..", "a/..", "/etc", "a b/c"] {
        let error = HubModel::new(name).offline().fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}");
    }
}
