//! Networks built from a checkpoint compute what BERT computes.

use memory_assets::{DEFAULT_MODEL, cache_dir, model_dir};
use memory_core::{EmbedRole, Embedder as _, ErrorKind, cosine};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision};
use safetensors::Dtype;

use super::bert::Bert;
use super::tiny::{HIDDEN, Tiny};
use super::{difference, opened, refs, shared, shared_int8, small, turns};

const TEXTS: [&str; 4] = [
    "mill",
    "Who owns the mill by the river?",
    "Tam sold me a lame horse at the spring fair; I will not trade with him again.",
    "Zażółć gęślą jaźń — naïve café, 川のそば!",
];

#[tokio::test]
async fn full_precision_equals_a_plain_forward_pass() {
    let oracle = Bert::open(&model_dir(&cache_dir().unwrap(), DEFAULT_MODEL));
    let embedder = shared().await;
    let together = embedder.embed(&TEXTS, EmbedRole::Passage).await.unwrap();
    for (text, vector) in TEXTS.iter().zip(&together) {
        let expected = oracle.embed(text, false);
        let cosine = cosine(vector, &expected);
        assert!(cosine >= 0.99999, "{text}: cosine {cosine}");
        let off = difference(vector, &expected);
        assert!(off <= 1e-5, "{text}: off by {off}");
    }
}

#[tokio::test]
async fn eight_bits_lose_little() {
    let (full, int8) = (shared().await, shared_int8().await);
    assert_ne!(full.profile().fingerprint, int8.profile().fingerprint);
    let texts = turns(80);
    let mut texts = refs(&texts);
    texts.extend(TEXTS);
    let exact = full.embed(&texts, EmbedRole::Passage).await.unwrap();
    let lossy = int8.embed(&texts, EmbedRole::Passage).await.unwrap();
    let cosines: Vec<f32> = exact
        .iter()
        .zip(&lossy)
        .map(|(a, b)| cosine(a, b))
        .collect();
    let least = cosines.iter().copied().fold(1.0, f32::min);
    let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
    assert!(least >= 0.99 && mean >= 0.997, "least {least}, mean {mean}");
    assert!(mean < 0.999_999, "that was no loss at all: {mean}");
}

/// A small model equals the oracle in both precisions.
async fn assert_equal(tiny: &Tiny, dtype: Dtype, prefix: &str) {
    let plain = tiny.folder(Dtype::F32, "");
    let oracle = Bert::open(plain.path());
    let folder = tiny.folder(dtype, prefix);
    for (precision, least) in [(Precision::Full, 0.99999), (Precision::Int8, 0.99)] {
        let options = small().model_dir(folder.path()).precision(precision);
        let embedder = opened(options).await;
        assert_eq!(embedder.profile().dimensions, HIDDEN);
        let vectors = embedder.embed(&TEXTS, EmbedRole::Query).await.unwrap();
        for (text, vector) in TEXTS.iter().zip(&vectors) {
            let cosine = cosine(vector, &oracle.embed(text, tiny.cls));
            assert!(cosine >= least, "{text}: cosine {cosine} in {precision:?}");
        }
    }
}

#[tokio::test]
async fn sizes_that_fill_no_block_are_computed() {
    assert_equal(&Tiny::new(), Dtype::F32, "").await;
}

#[tokio::test]
async fn the_first_token_alone_is_taken_where_the_model_says_so() {
    let tiny = Tiny {
        cls: true,
        ..Tiny::new()
    };
    assert_equal(&tiny, Dtype::F32, "").await;
}

#[tokio::test]
async fn half_precision_is_widened_and_a_head_s_prefix_is_known() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        assert_equal(&Tiny::new().rounded(dtype), dtype, "bert.").await;
    }
}

#[tokio::test]
async fn a_weight_that_is_missing_or_of_another_shape_is_named() {
    for name in [
        "embeddings.position_embeddings.weight",
        "embeddings.LayerNorm.bias",
        "encoder.layer.1.attention.self.key.weight",
        "encoder.layer.1.attention.self.value.bias",
        "encoder.layer.0.intermediate.dense.bias",
        "encoder.layer.1.output.LayerNorm.weight",
    ] {
        let mut missing = Tiny::new();
        let (shape, numbers) = missing.tensors.remove(name).unwrap();
        let mut misshapen = Tiny::new();
        let other = vec![1, shape.iter().product()];
        misshapen.tensors.insert(name.to_owned(), (other, numbers));
        for tiny in [missing, misshapen] {
            let folder = tiny.folder(Dtype::F32, "");
            let options = small().model_dir(folder.path());
            let error = OnnxEmbedder::open(options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let text = error.to_string();
            assert!(
                text.contains(name) && text.contains("model.safetensors"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_without_a_vector_harms_only_its_own_text() {
    let mut tiny = Tiny::new();
    let words = "embeddings.word_embeddings.weight";
    let (shape, numbers) = tiny.tensors.get_mut(words).unwrap();
    // "mill" is number 4,971 of the tokenizer.
    *shape = vec![4_000, HIDDEN];
    numbers.truncate(4_000 * HIDDEN);
    let folder = tiny.folder(Dtype::F32, "");
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("30522", "4000")).unwrap();
    let embedder = opened(small().model_dir(folder.path())).await;
    let good = embedder.embed(&["the river"], EmbedRole::Query);
    let bad = embedder.embed(&["the mill"], EmbedRole::Query);
    let (good, bad) = tokio::join!(good, bad);
    assert!(good.is_ok());
    let error = bad.unwrap_err();
    assert!(error.to_string().contains("4000 rows"), "{error}");
}

#[tokio::test]
async fn both_precisions_are_opened_beside_each_other() {
    let default = OnnxOptions::new();
    let (full, int8) = (
        opened(default.clone()).await,
        opened(default.precision(Precision::Int8)).await,
    );
    assert_ne!(full.profile().fingerprint, int8.profile().fingerprint);
}
