//! The choice of the weights, fingerprints, and errors of unusable directories.

use std::fs;

use memory_core::{EmbedRole, ErrorKind, MemoryError};
use tempfile::TempDir;

use super::*;
use crate::error::OPEN;
use crate::options::{Precision, WeightSource};

/// A valid directory, except for the content of the weights, which only a session
/// reads.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    memory_testkit::write_model_dir(folder.path()).unwrap();
    fs::write(folder.path().join("model.onnx"), "weights").unwrap();
    folder
}

fn read(folder: &TempDir) -> MemoryResult<Model> {
    Model::read(folder.path(), &OnnxOptions::new())
}

fn rejected(folder: &TempDir, kind: ErrorKind, file: &str) -> MemoryError {
    let error = read(folder).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.operation(), Some(OPEN), "{error}");
    assert!(error.to_string().contains(file), "{error}");
    error
}

#[test]
fn a_complete_directory_is_read() {
    let folder = folder();
    let model = read(&folder).unwrap();
    assert_eq!(model.profile.dimensions, 384);
    assert_eq!(model.profile.max_tokens, 256);
    assert_eq!(model.profile.fingerprint.as_str().len(), 64);
}

#[test]
fn a_missing_file_is_named_with_the_fix() {
    for name in [
        "modules.json",
        "config.json",
        "tokenizer.json",
        "model.onnx",
    ] {
        let folder = folder();
        fs::remove_file(folder.path().join(name)).unwrap();
        let error = rejected(&folder, ErrorKind::Missing, name);
        assert!(error.to_string().contains(memory_assets::SETUP_COMMAND));
    }
    let gone = folder().path().join("gone");
    let error = Model::read(&gone, &OnnxOptions::new()).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Missing, Some(OPEN))
    );
}

#[test]
fn a_damaged_file_is_named_even_if_a_graph_is_used() {
    let folder = folder();
    fs::write(folder.path().join("1_Pooling/config.json"), "{").unwrap();
    rejected(&folder, ErrorKind::Corrupt, "1_Pooling/config.json");
    let sizes = with_checkpoint(&BERT.replace(":12,", ":\"twelve\","));
    rejected(&sizes, ErrorKind::Corrupt, "config.json");
    fs::remove_file(sizes.path().join("model.safetensors")).unwrap();
    rejected(&sizes, ErrorKind::Corrupt, "config.json");
    let tokenizer = self::folder();
    fs::write(tokenizer.path().join("tokenizer.json"), "{").unwrap();
    let error = read(&tokenizer).unwrap().tokenizer().unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Corrupt, Some(OPEN))
    );
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

#[test]
fn the_fingerprint_changes_with_every_file_of_the_weights() {
    let mut seen = std::collections::BTreeSet::new();
    let folder = folder();
    for (name, content) in [
        ("model.onnx", "weights"),
        ("model.onnx", "other weights"),
        ("model.onnx_data", "outside weights"),
        ("model.onnx.data", "more of them"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let fingerprint = read(&folder).unwrap().profile.fingerprint;
        assert!(seen.insert(fingerprint), "{name}");
    }
}

#[test]
fn the_graph_may_be_in_the_onnx_folder_as_on_hubs() {
    let folder = folder();
    fs::create_dir(folder.path().join("onnx")).unwrap();
    let there = folder.path().join("onnx").join("model.onnx");
    fs::rename(folder.path().join("model.onnx"), &there).unwrap();
    let weights = read(&folder).unwrap().weights;
    assert!(matches!(weights, Weights::Graph(file) if file == there));
}

const BERT: &str = r#"{"model_type":"bert","hidden_size":384,"max_position_embeddings":512,
    "num_hidden_layers":6,"num_attention_heads":12,"intermediate_size":1536,"vocab_size":30522}"#;

/// A directory with both files. The checkpoint's content is invalid, which only
/// opening it would notice.
fn with_checkpoint(config: &str) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("model.safetensors"), "weights").unwrap();
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

#[test]
fn a_checkpoint_is_preferred_unless_the_options_name_a_source() {
    let folder = with_checkpoint(BERT);
    let weights = |options: OnnxOptions| Model::read(folder.path(), &options).unwrap().weights;
    assert!(matches!(
        weights(OnnxOptions::new()),
        Weights::Checkpoint { precision: Precision::Full, architecture, .. }
            if architecture.layers == 6 && architecture.types == 2
    ));
    assert!(matches!(
        weights(OnnxOptions::new().precision(Precision::Int8)),
        Weights::Checkpoint {
            precision: Precision::Int8,
            ..
        }
    ));
    assert!(matches!(
        weights(OnnxOptions::new().weight_source(WeightSource::Graph)),
        Weights::Graph(_)
    ));
}

#[test]
fn an_unsupported_checkpoint_is_an_error_unless_there_is_a_graph() {
    for (config, said) in [
        (BERT.replace("\"bert\"", "\"mpnet\""), "\"mpnet\""),
        (
            BERT.replace('{', r#"{"position_embedding_type":"relative_key","#),
            "relative_key",
        ),
        (BERT.replace('{', r#"{"hidden_act":"relu","#), "hidden_act"),
        (BERT.replace('{', r#"{"is_decoder":true,"#), "decoder"),
    ] {
        let folder = with_checkpoint(&config);
        assert!(matches!(read(&folder).unwrap().weights, Weights::Graph(_)));
        let asked = OnnxOptions::new().weight_source(WeightSource::Checkpoint);
        let error = Model::read(folder.path(), &asked).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        fs::remove_file(folder.path().join("model.onnx")).unwrap();
        let error = rejected(&folder, ErrorKind::Unsupported, "config.json");
        assert!(error.to_string().contains(said), "{error}");
    }
    for key in [
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
    ] {
        let folder = with_checkpoint(&BERT.replace(key, "other"));
        fs::remove_file(folder.path().join("model.onnx")).unwrap();
        let error = rejected(&folder, ErrorKind::Corrupt, "config.json");
        assert!(error.to_string().contains(key), "{error}");
    }
    let uneven = with_checkpoint(&BERT.replace(":12,", ":7,"));
    fs::remove_file(uneven.path().join("model.onnx")).unwrap();
    rejected(&uneven, ErrorKind::Corrupt, "does not divide");
}

#[test]
fn an_exported_graph_has_a_fixed_precision() {
    let options = OnnxOptions::new().precision(Precision::Int8);
    let error = Model::read(folder().path(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    let options = OnnxOptions::new().weight_source(WeightSource::Checkpoint);
    let error = Model::read(folder().path(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
}

#[test]
fn the_fingerprint_depends_on_precision_network_and_source() {
    let print = |config: &str, options: OnnxOptions| {
        let folder = with_checkpoint(config);
        Model::read(folder.path(), &options)
            .unwrap()
            .profile
            .fingerprint
    };
    let options = OnnxOptions::new;
    let prints = [
        print(BERT, options()),
        print(BERT, options().precision(Precision::Int8)),
        print(BERT, options().weight_source(WeightSource::Graph)),
        print(&BERT.replace(":12,", ":6,"), options()),
        print(&BERT.replace('{', r#"{"layer_norm_eps":1e-5,"#), options()),
        print(
            &BERT.replace('{', r#"{"hidden_act":"gelu_new","#),
            options(),
        ),
    ];
    let different: std::collections::BTreeSet<_> = prints.iter().collect();
    assert_eq!(different.len(), prints.len());
    assert_eq!(print(BERT, options()), prints[0]);
}

/// Vectors are stored with their fingerprint, so it may change only if the vectors
/// change. These are the fingerprints of version 0.1.0.
#[test]
fn existing_fingerprints_are_stable() {
    let print = |folder: &TempDir, options: &OnnxOptions| {
        let model = Model::read(folder.path(), options).unwrap();
        model.profile.fingerprint.as_str().to_owned()
    };
    let told = folder();
    let write = |name: &str, content: &str| fs::write(told.path().join(name), content).unwrap();
    write("model.onnx_data", "outside weights");
    write("model.onnx.data", "more of them");
    write(
        "1_Pooling/config.json",
        r#"{"pooling_mode_cls_token":true}"#,
    );
    write(
        "sentence_bert_config.json",
        r#"{"max_seq_length":128,"do_lower_case":true}"#,
    );
    let options = OnnxOptions::new();
    let prompted = options.clone().prefix(EmbedRole::Query, "query: ");
    let prompted = prompted.prefix(EmbedRole::Passage, "passage: ");
    let checkpoint = with_checkpoint(BERT);
    let int8 = options.clone().precision(Precision::Int8);
    for (folder, options, known) in [
        (
            &folder(),
            &options,
            "a454a3161187120e5e2c41ea1e61ec64ff1a771a1b55948ec1823ea7cbe23746",
        ),
        (
            &told,
            &prompted,
            "30fdf082a265f8e3507d832f83967a5019ef77b55fd0fccc398935d73ba11a8e",
        ),
        (
            &checkpoint,
            &options,
            "663bdad261dea666b16966efd045fc5e64e162fb3365afbf97bade0fc8d3f8b7",
        ),
        (
            &checkpoint,
            &int8,
            "65d00921663490b684e18ee5dbeaa4d58f3a12d619e100f7cd76581b52ddb0cb",
        ),
    ] {
        assert_eq!(print(folder, options), known);
    }
}

/// The default model is pinned, so every installation stores these.
#[test]
fn the_default_model_s_fingerprint_is_stable() {
    let options = OnnxOptions::new();
    let folder = options.folder.resolve_model_dir().unwrap();
    for (options, known) in [
        (
            options.clone(),
            "bd9f519fc668a15cc19c4f474409d1431a7165c4d5e41bcd375a7364e28dad10",
        ),
        (
            options.precision(Precision::Int8),
            "638b78c8dd4ff6c4aca32a7960b53806f010dac4622b8e4256384a6f0a613a62",
        ),
    ] {
        let model = Model::read(&folder, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(model.profile.fingerprint.as_str(), known);
    }
}
