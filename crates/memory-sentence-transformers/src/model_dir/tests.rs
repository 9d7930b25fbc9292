//! Validation of model directories.

use std::fs;

use memory_core::{EmbedRole, ErrorKind, MemoryError};
use tempfile::TempDir;

use super::*;
use crate::options::MaxTokens;

const INPUT: FingerprintInput<'_> = FingerprintInput {
    format: "test 1",
    weights: &[],
    network: "two layers",
    precision: "f32",
};

/// A valid model directory.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    memory_testkit::write_model_dir(folder.path()).unwrap();
    folder
}

fn read(folder: &TempDir) -> MemoryResult<ModelDir> {
    ModelDir::read(folder.path(), &ModelOptions::default())
}

fn rejected(folder: &TempDir, kind: ErrorKind, file: &str) -> MemoryError {
    let error = read(folder).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(file), "{error}");
    error
}

#[test]
fn a_complete_directory_is_read() {
    let folder = folder();
    let model = read(&folder).unwrap();
    assert_eq!((model.dimensions, model.max_tokens), (384, 256));
    assert_eq!(model.family, "bert");
    assert_eq!(model.pooling, Pooling::Mean);
    assert_eq!(model.prompts, Prompts::default());
    let fingerprint = model.fingerprint(INPUT).unwrap();
    assert_eq!(fingerprint.as_str().len(), 64);
}

#[test]
fn a_missing_file_is_named_with_the_fix() {
    for name in ["modules.json", "config.json", "tokenizer.json"] {
        let folder = folder();
        fs::remove_file(folder.path().join(name)).unwrap();
        let error = rejected(&folder, ErrorKind::Missing, name);
        assert!(error.to_string().contains(memory_assets::SETUP_COMMAND));
    }
    let gone = folder().path().join("gone");
    let error = ModelDir::read(&gone, &ModelOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
}

/// Not every directory that cannot be read is missing.
#[test]
fn an_unreadable_directory_is_not_called_missing() {
    let folder = folder();
    let file = folder.path().join("config.json");
    let error = ModelDir::read(&file, &ModelOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("is not a model directory"),
        "{error}"
    );
    let error = ModelDir::read(&file.join("model"), &ModelOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    assert!(!error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn a_damaged_file_is_named_with_the_fix() {
    for name in [
        "modules.json",
        "config.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    ] {
        let folder = folder();
        fs::write(folder.path().join(name), r#"{"cut": sho"#).unwrap();
        let error = rejected(&folder, ErrorKind::Corrupt, name);
        assert!(error.to_string().contains(memory_assets::SETUP_COMMAND));
    }
}

#[test]
fn unsupported_settings_are_rejected_and_not_ignored() {
    let with = |name: &str, content: &str| {
        let folder = folder();
        fs::write(folder.path().join(name), content).unwrap();
        folder
    };
    let pooling = "1_Pooling/config.json";
    for config in [
        r#"{"pooling_mode_max_tokens":true}"#,
        r#"{"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":true}"#,
        r#"{"pooling_mode_lasttoken":true}"#,
        r#"{"pooling_mode_mean_tokens":true,"include_prompt":false}"#,
    ] {
        rejected(&with(pooling, config), ErrorKind::Unsupported, pooling);
    }
    let dense = r#"[{"path":"","type":"x.Transformer"},{"path":"1_Pooling","type":"x.Pooling"},
                    {"path":"2_Dense","type":"x.Dense"}]"#;
    rejected(
        &with("modules.json", dense),
        ErrorKind::Unsupported,
        "x.Dense",
    );
    let other = r#"{"pooling_mode_cls_token":true,"word_embedding_dimension":768}"#;
    rejected(&with(pooling, other), ErrorKind::Corrupt, pooling);
}

#[test]
fn cls_pooling_and_prompts_are_read() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write(
        "1_Pooling/config.json",
        r#"{"pooling_mode_cls_token":true}"#,
    );
    write(
        "config_sentence_transformers.json",
        r#"{"prompts":{"query":"query: ","document":"passage: "},"default_prompt_name":null}"#,
    );
    let model = read(&folder).unwrap();
    assert_eq!(model.pooling, Pooling::Cls);
    assert_eq!(model.prompts.of(EmbedRole::Query), "query: ");
    assert_eq!(model.prompts.of(EmbedRole::Passage), "passage: ");

    write(
        "config_sentence_transformers.json",
        r#"{"prompts":{"all":"text: ","query":null},"default_prompt_name":"all"}"#,
    );
    let mut options = ModelOptions::default();
    options.set_prefix(EmbedRole::Passage, "mine: ".to_owned());
    let model = ModelDir::read(folder.path(), &options).unwrap();
    assert_eq!(model.prompts.of(EmbedRole::Query), "text: ");
    assert_eq!(model.prompts.of(EmbedRole::Passage), "mine: ");
}

#[test]
fn the_maximum_length_is_the_smallest_of_all_files_and_options() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let max_length = |asked: Option<usize>| {
        let options = ModelOptions {
            max_sequence: asked.map(MaxTokens),
            ..ModelOptions::default()
        };
        ModelDir::read(folder.path(), &options).map(|model| model.max_tokens)
    };
    assert_eq!(max_length(Some(64)).unwrap(), 64);
    for bad in [257, 15] {
        let error = max_length(Some(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
    write("sentence_bert_config.json", r#"{"max_seq_length":null}"#);
    assert_eq!(max_length(None).unwrap(), 512);
    write("tokenizer_config.json", r#"{"model_max_length":128}"#);
    assert_eq!(max_length(None).unwrap(), 128);
    write("tokenizer_config.json", r#"{"model_max_length":1e30}"#);
    assert_eq!(max_length(None).unwrap(), 512);
    write("sentence_bert_config.json", r#"{"max_seq_length":8192}"#);
    assert_eq!(max_length(None).unwrap(), 512);
}

#[test]
fn the_fingerprint_changes_with_everything_that_determines_a_vector() {
    let digest = |folder: &TempDir| read(folder).unwrap().fingerprint(INPUT).unwrap();
    let plain = digest(&folder());
    assert_eq!(digest(&folder()), plain);
    let changes = [
        ("tokenizer.json", "{ }"),
        (
            "1_Pooling/config.json",
            r#"{"pooling_mode_cls_token":true}"#,
        ),
        ("sentence_bert_config.json", r#"{"max_seq_length":128}"#),
        (
            "sentence_bert_config.json",
            r#"{"max_seq_length":256,"do_lower_case":true}"#,
        ),
        (
            "config_sentence_transformers.json",
            r#"{"prompts":{"query":"q: "}}"#,
        ),
        (
            "config_sentence_transformers.json",
            r#"{"prompts":{"passage":"q: "}}"#,
        ),
    ];
    let mut seen = std::collections::BTreeSet::from([plain]);
    for (name, content) in changes {
        let folder = folder();
        fs::write(folder.path().join(name), content).unwrap();
        assert!(seen.insert(digest(&folder)), "{name}");
    }
}

#[test]
fn the_fingerprint_changes_with_the_embedder_s_input() {
    let folder = folder();
    let model = read(&folder).unwrap();
    let files = ["a.bin", "b.bin"].map(|name| folder.path().join(name));
    fs::write(&files[0], "weights").unwrap();
    fs::write(&files[1], "other weights").unwrap();
    let inputs = [
        INPUT,
        FingerprintInput {
            format: "test 2",
            ..INPUT
        },
        FingerprintInput {
            network: "three layers",
            ..INPUT
        },
        FingerprintInput {
            precision: "int8",
            ..INPUT
        },
        FingerprintInput {
            weights: &files[..1],
            ..INPUT
        },
        FingerprintInput {
            weights: &files[1..],
            ..INPUT
        },
        FingerprintInput {
            weights: &files,
            ..INPUT
        },
    ];
    let digests = inputs.map(|input| model.fingerprint(input).unwrap());
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), inputs.len());
    let gone = [folder.path().join("gone.bin")];
    let error = model.fingerprint(FingerprintInput {
        weights: &gone,
        ..INPUT
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Missing);
}
