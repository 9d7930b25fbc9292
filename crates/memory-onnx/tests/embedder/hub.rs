//! Models of a hub, from a cache in the format of the hub's tools, without network.

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

/// A cache with the default model under another name: `blobs` by hash, `snapshots`
/// with links to them, `refs` from branches to commits.
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

/// An address without a server.
fn closed_endpoint() -> String {
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
        .endpoint(closed_endpoint())
}

#[tokio::test]
async fn a_complete_cache_is_used_without_the_hub() {
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
async fn optional_files_may_be_missing() {
    let cache = cache(&FILES);
    let options = model(&cache).fetch().await.unwrap();
    let embedder = OnnxEmbedder::open(options)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(embedder.profile().max_tokens, 512);
}

#[tokio::test]
async fn unknown_optional_files_do_not_prevent_an_offline_start() {
    let cache = cache(&FILES);
    let repository = cache.path().join("models--some-owner--some-model");
    fs::remove_dir_all(repository.join(".no_exist")).unwrap();
    assert!(model(&cache).fetch().await.is_ok());
    assert!(model(&cache).offline().fetch().await.is_ok());
}

#[tokio::test]
async fn without_cache_and_hub_the_error_is_typed() {
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
async fn a_name_cannot_refer_outside_the_cache() {
    for name in ["", "bare", "a/b/c", "../..", "a/..", "/etc", "a b/c"] {
        let error = HubModel::new(name).offline().fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}");
    }
}
