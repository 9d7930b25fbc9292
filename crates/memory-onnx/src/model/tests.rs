//! What a folder must hold, and what is said of one that does not.

use std::fs;

use memory_core::{EmbedRole, ErrorKind, MemoryError};
use tempfile::TempDir;

use super::*;
use crate::options::{MaxTokens, Precision, WeightsFrom};

/// A folder that reads; its weights are no weights, which only a session
/// would notice.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    };
    write(
        "modules.json",
        r#"[{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},
            {"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
            {"idx":2,"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]"#,
    );
    write(
        "1_Pooling/config.json",
        r#"{"pooling_mode_mean_tokens":true}"#,
    );
    write(
        "config.json",
        r#"{"model_type":"bert","hidden_size":384,"max_position_embeddings":512}"#,
    );
    write("sentence_bert_config.json", r#"{"max_seq_length":256}"#);
    write("tokenizer.json", "{}");
    write("model.onnx", "weights");
    folder
}

fn read(folder: &TempDir) -> MemoryResult<Model> {
    Model::read(folder.path(), &OnnxOptions::new())
}

fn refused(folder: &TempDir, kind: ErrorKind, file: &str) -> MemoryError {
    let error = read(folder).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(file), "{error}");
    error
}

#[test]
fn a_whole_folder_reads() {
    let folder = folder();
    let model = read(&folder).unwrap();
    assert_eq!(model.profile.dimensions, 384);
    assert_eq!(model.profile.max_tokens, 256);
    assert_eq!(model.pooling, Pooling::Mean);
    assert_eq!(model.prompts, Prompts::default());
    assert_eq!(model.profile.fingerprint.as_str().len(), 64);
}

#[test]
fn a_missing_file_is_named_with_what_mends_it() {
    for name in [
        "modules.json",
        "config.json",
        "tokenizer.json",
        "model.onnx",
    ] {
        let folder = folder();
        fs::remove_file(folder.path().join(name)).unwrap();
        let error = refused(&folder, ErrorKind::Missing, name);
        assert!(error.to_string().contains(memory_assets::SETUP_COMMAND));
    }
    let gone = folder().path().join("gone");
    let error = Model::read(&gone, &OnnxOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
}

#[test]
fn a_damaged_file_is_named_with_what_mends_it() {
    for name in [
        "modules.json",
        "config.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    ] {
        let folder = folder();
        fs::write(folder.path().join(name), r#"{"cut": sho"#).unwrap();
        let error = refused(&folder, ErrorKind::Corrupt, name);
        assert!(error.to_string().contains(memory_assets::SETUP_COMMAND));
    }
}

#[test]
fn what_is_not_done_is_refused_and_not_ignored() {
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
        refused(&with(pooling, config), ErrorKind::Unsupported, pooling);
    }
    let dense = r#"[{"path":"","type":"x.Transformer"},{"path":"1_Pooling","type":"x.Pooling"},
                    {"path":"2_Dense","type":"x.Dense"}]"#;
    refused(
        &with("modules.json", dense),
        ErrorKind::Unsupported,
        "x.Dense",
    );
    let other = r#"{"pooling_mode_cls_token":true,"word_embedding_dimension":768}"#;
    refused(&with(pooling, other), ErrorKind::Corrupt, pooling);
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
    let options = OnnxOptions::new().prefix(EmbedRole::Passage, "mine: ");
    let model = Model::read(folder.path(), &options).unwrap();
    assert_eq!(model.prompts.of(EmbedRole::Query), "text: ");
    assert_eq!(model.prompts.of(EmbedRole::Passage), "mine: ");
}

#[test]
fn the_window_is_the_smallest_that_any_file_or_option_tells() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let window = |options: &OnnxOptions| {
        Model::read(folder.path(), options).map(|model| model.profile.max_tokens)
    };
    let short = OnnxOptions::new().max_sequence(MaxTokens(64));
    assert_eq!(window(&short).unwrap(), 64);
    for bad in [257, 15] {
        let options = OnnxOptions::new().max_sequence(MaxTokens(bad));
        assert_eq!(
            window(&options).unwrap_err().kind(),
            ErrorKind::Configuration
        );
    }
    write("sentence_bert_config.json", r#"{"max_seq_length":null}"#);
    assert_eq!(window(&OnnxOptions::new()).unwrap(), 512);
    write("tokenizer_config.json", r#"{"model_max_length":128}"#);
    assert_eq!(window(&OnnxOptions::new()).unwrap(), 128);
    write("tokenizer_config.json", r#"{"model_max_length":1e30}"#);
    assert_eq!(window(&OnnxOptions::new()).unwrap(), 512);
    write("sentence_bert_config.json", r#"{"max_seq_length":8192}"#);
    assert_eq!(window(&OnnxOptions::new()).unwrap(), 512);
}

#[test]
fn the_fingerprint_changes_with_all_that_decides_a_vector() {
    let plain = read(&folder()).unwrap().profile.fingerprint;
    assert_eq!(read(&folder()).unwrap().profile.fingerprint, plain);
    let changes = [
        ("model.onnx", "other weights"),
        ("model.onnx_data", "outside weights"),
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
        assert!(
            seen.insert(read(&folder).unwrap().profile.fingerprint),
            "{name}"
        );
    }
}

#[test]
fn a_hub_s_folder_keeps_the_graph_one_level_down() {
    let folder = folder();
    fs::create_dir(folder.path().join("onnx")).unwrap();
    let there = folder.path().join("onnx").join("model.onnx");
    fs::rename(folder.path().join("model.onnx"), &there).unwrap();
    let source = read(&folder).unwrap().source;
    assert!(matches!(source, Source::Graph(file) if file == there));
}

const BERT: &str = r#"{"model_type":"bert","hidden_size":384,"max_position_embeddings":512,
    "num_hidden_layers":6,"num_attention_heads":12,"intermediate_size":1536,"vocab_size":30522}"#;

/// A folder with both files; that of the checkpoint is none, which only
/// opening would notice.
fn with_checkpoint(config: &str) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("model.safetensors"), "weights").unwrap();
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

#[test]
fn a_checkpoint_goes_before_a_graph_unless_the_options_say_otherwise() {
    let folder = with_checkpoint(BERT);
    let source = |options: OnnxOptions| Model::read(folder.path(), &options).unwrap().source;
    assert!(matches!(
        source(OnnxOptions::new()),
        Source::Checkpoint { precision: Precision::Full, architecture, .. }
            if architecture.layers == 6 && architecture.types == 2
    ));
    assert!(matches!(
        source(OnnxOptions::new().precision(Precision::Int8)),
        Source::Checkpoint {
            precision: Precision::Int8,
            ..
        }
    ));
    assert!(matches!(
        source(OnnxOptions::new().weights_from(WeightsFrom::Graph)),
        Source::Graph(_)
    ));
}

#[test]
fn what_cannot_be_built_is_named_unless_there_is_a_graph() {
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
        assert!(matches!(read(&folder).unwrap().source, Source::Graph(_)));
        let asked = OnnxOptions::new().weights_from(WeightsFrom::Checkpoint);
        let error = Model::read(folder.path(), &asked).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        fs::remove_file(folder.path().join("model.onnx")).unwrap();
        let error = refused(&folder, ErrorKind::Unsupported, "config.json");
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
        let error = refused(&folder, ErrorKind::Corrupt, "config.json");
        assert!(error.to_string().contains(key), "{error}");
    }
    let uneven = with_checkpoint(&BERT.replace(":12,", ":7,"));
    fs::remove_file(uneven.path().join("model.onnx")).unwrap();
    refused(&uneven, ErrorKind::Corrupt, "does not divide");
}

#[test]
fn a_graph_has_one_precision() {
    let options = OnnxOptions::new().precision(Precision::Int8);
    let error = Model::read(folder().path(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    let options = OnnxOptions::new().weights_from(WeightsFrom::Checkpoint);
    let error = Model::read(folder().path(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
}

#[test]
fn the_fingerprint_tells_precision_network_and_source_apart() {
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
        print(BERT, options().weights_from(WeightsFrom::Graph)),
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
