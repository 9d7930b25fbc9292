//! Networks of the XLM-RoBERTa family and Unigram tokenizers.

use memory_core::{EmbedRole, Embedder as _, ErrorKind, cosine};
use memory_onnx::OnnxEmbedder;
use safetensors::Dtype;

use super::checkpoint::{assert_equal, assert_folder_equal};
use super::random_bert::RandomBert;
use super::reference_bert::ReferenceBert;
use super::{opened, small};

#[tokio::test]
async fn positions_start_after_the_padding_token_s() {
    assert_equal(&RandomBert::xlm_roberta(), Dtype::F32, "").await;
}

#[tokio::test]
async fn cls_pooling_half_precision_and_the_prefix_of_a_head_are_supported() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        let mut model = RandomBert::xlm_roberta().rounded(dtype);
        model.cls = true;
        assert_equal(&model, dtype, "roberta.").await;
    }
}

#[tokio::test]
async fn a_checkpoint_in_several_files_is_supported() {
    for model in [RandomBert::xlm_roberta(), RandomBert::new()] {
        assert_folder_equal(&model, &model.sharded_folder()).await;
    }
}

#[tokio::test]
async fn a_missing_or_foreign_file_of_the_index_is_named() {
    let model = RandomBert::xlm_roberta();
    let folder = model.sharded_folder();
    let second = "model-00002-of-00002.safetensors";
    std::fs::remove_file(folder.path().join(second)).unwrap();
    let error = OnnxEmbedder::open(small().model_dir(folder.path())).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    assert!(error.to_string().contains(second), "{error}");

    let folder = model.sharded_folder();
    let index = folder.path().join("model.safetensors.index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replace(second, "../outside.safetensors")).unwrap();
    let error = OnnxEmbedder::open(small().model_dir(folder.path())).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("index.json"), "{error}");
}

/// The longest text uses the last position, and no text one beyond it.
#[tokio::test]
async fn a_text_longer_than_the_positions_is_truncated() {
    let folder = RandomBert::xlm_roberta().folder(Dtype::F32, "");
    let embedder = opened(small().model_dir(folder.path())).await;
    // 128 positions, of which two are reserved.
    assert_eq!(embedder.profile().max_tokens, 126);
    let long = "the mill by the river ".repeat(200);
    let texts = [long.as_str(), &long[..11 * 22], "the mill"];
    let vectors = embedder.embed(&texts, EmbedRole::Passage).await.unwrap();
    assert!(cosine(&vectors[0], &vectors[2]) < 0.9999);
    let ranges = embedder.chunk(&[&long]).await.unwrap();
    assert!(ranges[0].len() > 5, "{ranges:?}");
}

#[tokio::test]
async fn prompts_of_the_folder_are_prepended_by_role() {
    let model = RandomBert::xlm_roberta().with_prompts("query: ", "passage: ");
    let folder = model.folder(Dtype::F32, "");
    let reference = ReferenceBert::open(folder.path());
    let embedder = opened(small().model_dir(folder.path())).await;
    for (role, prompt) in [
        (EmbedRole::Query, "query: "),
        (EmbedRole::Passage, "passage: "),
    ] {
        let vectors = embedder.embed(&["who owns the mill"], role).await.unwrap();
        let expected = reference.embed(&format!("{prompt}who owns the mill"), false);
        assert!(cosine(&vectors[0], &expected) >= 0.99999, "{role:?}");
    }
}

/// A control token in a text has the vector of its characters.
#[tokio::test]
async fn control_tokens_in_a_text_are_text() {
    let folder = RandomBert::xlm_roberta().folder(Dtype::F32, "");
    let reference = ReferenceBert::open(folder.path());
    let embedder = opened(small().model_dir(folder.path())).await;
    for text in ["the </s> mill", "<mask>", "<s>"] {
        let vectors = embedder.embed(&[text], EmbedRole::Query).await.unwrap();
        // The reference takes them for control tokens.
        let cosine = cosine(&vectors[0], &reference.embed(text, false));
        assert!(cosine < 0.99, "{text}: cosine {cosine}");
    }
    assert_eq!(embedder.unknown_token_share("the mill"), 0.0);
    assert_eq!(embedder.unknown_token_share("мельница"), 1.0);
}

#[tokio::test]
async fn other_families_are_refused_by_name() {
    for (family, config) in [
        (
            "roberta",
            r#"{"model_type":"roberta","hidden_size":48,"max_position_embeddings":64}"#,
        ),
        ("t5", r#"{"model_type":"t5","d_model":48}"#),
        (
            "gpt2",
            r#"{"model_type":"gpt2","n_embd":48,"n_positions":64}"#,
        ),
    ] {
        let folder = RandomBert::xlm_roberta().folder(Dtype::F32, "");
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let error = OnnxEmbedder::open(small().model_dir(folder.path())).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        for part in [family, "xlm-roberta", "model.onnx"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
