//! The reranker with the real runtime and a small cross-encoder written here, with
//! the default model's tokenizer from the cache directory.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

mod graph;

use std::fs;

use memory_core::{ErrorKind, MemoryError, Reranker as _};
use memory_onnx::{MaxTokens, OnnxReranker, RerankerOptions};
use memory_testkit::reranker::Suite;
use tempfile::TempDir;

use graph::Output;

const SIGMOID: &str = r#"{"model_type":"bert","max_position_embeddings":512}"#;
const IDENTITY: &str = r#"{"model_type":"bert","max_position_embeddings":512,
    "sentence_transformers":{"activation_fn":"torch.nn.modules.linear.Identity"}}"#;

/// A model directory as a user has it.
fn folder(config: &str, output: Output) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cache = memory_assets::cache_dir().unwrap();
    let default = memory_assets::model_dir(&cache, memory_assets::DEFAULT_MODEL);
    let tokenizer = "tokenizer.json";
    fs::copy(default.join(tokenizer), folder.path().join(tokenizer)).unwrap();
    fs::write(folder.path().join("config.json"), config).unwrap();
    fs::create_dir(folder.path().join("onnx")).unwrap();
    fs::write(folder.path().join("onnx/model.onnx"), graph::model(output)).unwrap();
    folder
}

fn options(folder: &TempDir) -> RerankerOptions {
    RerankerOptions::new(folder.path()).threads(1)
}

async fn opened(options: RerankerOptions) -> OnnxReranker {
    let opened = OnnxReranker::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

async fn rejected(options: RerankerOptions) -> MemoryError {
    OnnxReranker::open(options).await.expect_err("it opened")
}

#[tokio::test]
async fn it_conforms_with_both_activations() {
    for config in [SIGMOID, IDENTITY] {
        let folder = folder(config, Output::OneLabel);
        let reranker = opened(options(&folder).batch_tokens(MaxTokens(64))).await;
        Suite::new().with_meaning().run(&reranker).await.assert();
    }
}

#[tokio::test]
async fn a_sigmoid_is_applied_where_the_configuration_names_no_identity() {
    let texts = ["the mill is by the river", "storm"];
    let mut scores = Vec::new();
    for config in [SIGMOID, IDENTITY] {
        let folder = folder(config, Output::OneLabel);
        let reranker = opened(options(&folder).model_name("mine")).await;
        assert_eq!(reranker.model(), "mine");
        scores.push(reranker.score("where is the mill", &texts).await.unwrap());
    }
    for (sigmoid, identity) in scores[0].iter().zip(&scores[1]) {
        let expected = 1.0 / (1.0 + (-identity).exp());
        assert!((sigmoid - expected).abs() < 1e-6, "{sigmoid}, {expected}");
    }
    assert!(scores[1][0] > scores[1][1]);
}

#[tokio::test]
async fn the_end_of_a_long_text_is_ignored_and_the_question_is_read() {
    let folder = folder(IDENTITY, Output::OneLabel);
    let reranker = opened(options(&folder).max_sequence(MaxTokens(32))).await;
    let long = format!("{} mill", "bee ".repeat(40));
    let longer = format!("{} mill river horse", "bee ".repeat(40));
    let question = "does the bee see the mill from the river";
    let scores = reranker.score(question, &[&long, &longer]).await.unwrap();
    assert_eq!(scores[0], scores[1]);
    // The last word of the question counts.
    let other = "does the bee see the mill from the horse";
    let others = reranker.score(other, &[&long]).await.unwrap();
    assert_ne!(others[0], scores[0]);
}

#[tokio::test]
async fn a_cross_encoder_has_one_output_per_pair() {
    for (output, kind, text) in [
        (Output::TwoLabels, ErrorKind::Unsupported, "one number per"),
        (Output::Vectors, ErrorKind::Unsupported, "no output logits"),
        (Output::Infinite, ErrorKind::Corrupt, "finite"),
    ] {
        let folder = folder(IDENTITY, output);
        let error = rejected(options(&folder)).await;
        assert!(matches!(error, MemoryError::Reranker { .. }), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
        let message = error.to_string();
        assert!(
            message.contains(text) && message.contains("model.onnx"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn missing_and_damaged_files_are_named() {
    for name in ["config.json", "tokenizer.json", "onnx/model.onnx"] {
        let folder = folder(IDENTITY, Output::OneLabel);
        let file = folder.path().join(name);
        fs::write(&file, "damaged").unwrap();
        let error = rejected(options(&folder)).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(name), "{error}");
        fs::remove_file(&file).unwrap();
        let error = rejected(options(&folder)).await;
        assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
        let message = error.to_string();
        // No command installs a user's own model.
        assert!(!message.contains(memory_assets::SETUP_COMMAND), "{message}");
        assert_eq!(error.operation(), Some("open the ONNX reranker"));
    }
}

#[tokio::test]
async fn invalid_options_are_rejected() {
    let folder = folder(IDENTITY, Output::OneLabel);
    for bad in [
        options(&folder).threads(0),
        options(&folder).queue_depth(0),
        options(&folder).batch_tokens(MaxTokens(0)),
        options(&folder).max_sequence(MaxTokens(4)),
        options(&folder).max_sequence(MaxTokens(513)),
    ] {
        assert_eq!(rejected(bad).await.kind(), ErrorKind::Configuration);
    }
}
