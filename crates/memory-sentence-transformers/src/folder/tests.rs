//! What a folder must hold, and what is said of one that does not.

use std::fs;

use memory_core::{EmbedRole, ErrorKind, MemoryError};
use tempfile::TempDir;

use super::*;
use crate::options::MaxTokens;

const RECIPE: Recipe<'_> = Recipe {
    format: "test 1",
    weights: &[],
    network: "two layers",
    precision: "f32",
};

/// A folder that reads.
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
    folder
}

fn read(folder: &TempDir) -> MemoryResult<Folder> {
    Folder::read(folder.path(), &FolderOptions::default())
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
    assert_eq!((model.dimensions, model.max_tokens), (384, 256));
    assert_eq!(model.family, "bert");
    assert_eq!(model.pooling, Pooling::Mean);
    assert_eq!(model.prompts, Prompts::default());
    let fingerprint = model.fingerprint(RECIPE).unwrap();
    assert_eq!(fingerprint.as_str().len(), 64);
}

#[test]
fn a_missing_file_is_named_with_what_mends_it() {
    for name in ["modules.json", "config.json", "tokenizer.json"] {
        let folder = folder();
        fs::remove_file(folder.path().join(name)).unwrap();
        let error = refused(&folder, ErrorKind::Missing, name);
        assert!(error.to_string().contains(memory_assets::SETUP_COMMAND));
    }
    let gone = folder().path().join("gone");
    let error = Folder::read(&gone, &FolderOptions::default()).unwrap_err();
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
    let mut options = FolderOptions::default();
    options.set_prefix(EmbedRole::Passage, "mine: ".to_owned());
    let model = Folder::read(folder.path(), &options).unwrap();
    assert_eq!(model.prompts.of(EmbedRole::Query), "text: ");
    assert_eq!(model.prompts.of(EmbedRole::Passage), "mine: ");
}

#[test]
fn the_window_is_the_smallest_that_any_file_or_option_tells() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let window = |asked: Option<usize>| {
        let options = FolderOptions {
            max_sequence: asked.map(MaxTokens),
            ..FolderOptions::default()
        };
        Folder::read(folder.path(), &options).map(|model| model.max_tokens)
    };
    assert_eq!(window(Some(64)).unwrap(), 64);
    for bad in [257, 15] {
        let error = window(Some(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
    write("sentence_bert_config.json", r#"{"max_seq_length":null}"#);
    assert_eq!(window(None).unwrap(), 512);
    write("tokenizer_config.json", r#"{"model_max_length":128}"#);
    assert_eq!(window(None).unwrap(), 128);
    write("tokenizer_config.json", r#"{"model_max_length":1e30}"#);
    assert_eq!(window(None).unwrap(), 512);
    write("sentence_bert_config.json", r#"{"max_seq_length":8192}"#);
    assert_eq!(window(None).unwrap(), 512);
}

#[test]
fn the_fingerprint_changes_with_all_that_decides_a_vector() {
    let digest = |folder: &TempDir| read(folder).unwrap().fingerprint(RECIPE).unwrap();
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
fn the_fingerprint_changes_with_the_recipe() {
    let folder = folder();
    let model = read(&folder).unwrap();
    let files = ["a.bin", "b.bin"].map(|name| folder.path().join(name));
    fs::write(&files[0], "weights").unwrap();
    fs::write(&files[1], "other weights").unwrap();
    let recipes = [
        RECIPE,
        Recipe {
            format: "test 2",
            ..RECIPE
        },
        Recipe {
            network: "three layers",
            ..RECIPE
        },
        Recipe {
            precision: "int8",
            ..RECIPE
        },
        Recipe {
            weights: &files[..1],
            ..RECIPE
        },
        Recipe {
            weights: &files[1..],
            ..RECIPE
        },
        Recipe {
            weights: &files,
            ..RECIPE
        },
    ];
    let digests = recipes.map(|recipe| model.fingerprint(recipe).unwrap());
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), recipes.len());
    let gone = [folder.path().join("gone.bin")];
    let error = model.fingerprint(Recipe {
        weights: &gone,
        ..RECIPE
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Missing);
}
