//! Networks built from a checkpoint, compared with a reference implementation.

use memory_assets::{DEFAULT_MODEL, cache_dir, model_dir};
use memory_core::{EmbedRole, Embedder as _, ErrorKind, cosine};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision};
use safetensors::Dtype;
use tempfile::TempDir;

use super::random_bert::{HIDDEN, RandomBert};
use super::reference_bert::ReferenceBert;
use super::{difference, opened, refs, shared, shared_int8, small, turns};

const TEXTS: [&str; 4] = [
    "mill",
    "Who owns the mill by the river?",
    "Tam sold me a lame horse at the spring fair; I will not trade with him again.",
    "Zażółć gęślą jaźń — naïve café, 川のそば!",
];

#[tokio::test]
async fn full_precision_equals_the_reference_implementation() {
    let reference = ReferenceBert::open(&model_dir(&cache_dir().unwrap(), DEFAULT_MODEL));
    let embedder = shared().await;
    let together = embedder.embed(&TEXTS, EmbedRole::Passage).await.unwrap();
    for (text, vector) in TEXTS.iter().zip(&together) {
        let expected = reference.embed(text, false);
        let cosine = cosine(vector, &expected);
        assert!(cosine >= 0.99999, "{text}: cosine {cosine}");
        let off = difference(vector, &expected);
        assert!(off <= 1e-5, "{text}: off by {off}");
    }
}

#[tokio::test]
async fn eight_bits_change_vectors_little() {
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
    let min = cosines.iter().copied().fold(1.0, f32::min);
    let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
    assert!(min >= 0.99 && mean >= 0.997, "min {min}, mean {mean}");
    assert!(mean < 0.999_999, "the vectors do not differ: {mean}");
}

/// Compares a small model with the reference in both precisions.
pub(crate) async fn assert_equal(model: &RandomBert, dtype: Dtype, prefix: &str) {
    assert_folder_equal(model, &model.folder(dtype, prefix)).await;
}

/// Like [`assert_equal`], for a directory with the weights of the model.
pub(crate) async fn assert_folder_equal(model: &RandomBert, folder: &TempDir) {
    let plain = model.folder(Dtype::F32, "");
    let reference = ReferenceBert::open(plain.path());
    for (precision, min) in [(Precision::Full, 0.99999), (Precision::Int8, 0.99)] {
        let options = small().model_dir(folder.path()).precision(precision);
        let embedder = opened(options).await;
        assert_eq!(embedder.profile().dimensions, HIDDEN);
        let vectors = embedder.embed(&TEXTS, EmbedRole::Query).await.unwrap();
        for (text, vector) in TEXTS.iter().zip(&vectors) {
            let cosine = cosine(vector, &reference.embed(text, model.cls));
            assert!(cosine >= min, "{text}: cosine {cosine} in {precision:?}");
        }
    }
}

#[tokio::test]
async fn sizes_that_are_no_multiple_of_a_block_are_supported() {
    assert_equal(&RandomBert::new(), Dtype::F32, "").await;
}

#[tokio::test]
async fn cls_pooling_is_supported() {
    let mut model = RandomBert::new();
    model.cls = true;
    assert_equal(&model, Dtype::F32, "").await;
}

#[tokio::test]
async fn half_precision_and_the_prefix_of_a_head_are_supported() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        assert_equal(&RandomBert::new().rounded(dtype), dtype, "bert.").await;
    }
}

#[tokio::test]
async fn a_weight_that_is_missing_or_has_another_shape_is_named() {
    for name in [
        "embeddings.position_embeddings.weight",
        "embeddings.LayerNorm.bias",
        "encoder.layer.1.attention.self.key.weight",
        "encoder.layer.1.attention.self.value.bias",
        "encoder.layer.0.intermediate.dense.bias",
        "encoder.layer.1.output.LayerNorm.weight",
    ] {
        let mut missing = RandomBert::new();
        let (shape, numbers) = missing.tensors.remove(name).unwrap();
        let mut misshapen = RandomBert::new();
        let other = vec![1, shape.iter().product()];
        misshapen.tensors.insert(name.to_owned(), (other, numbers));
        for model in [missing, misshapen] {
            let folder = model.folder(Dtype::F32, "");
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
async fn a_token_without_a_vector_affects_only_its_own_text() {
    let mut model = RandomBert::new();
    let words = "embeddings.word_embeddings.weight";
    let (shape, numbers) = model.tensors.get_mut(words).unwrap();
    // "mill" is token 4,971.
    *shape = vec![4_000, HIDDEN];
    numbers.truncate(4_000 * HIDDEN);
    let folder = model.folder(Dtype::F32, "");
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
async fn both_precisions_can_be_open_at_the_same_time() {
    let default = OnnxOptions::new();
    let (full, int8) = (
        opened(default.clone()).await,
        opened(default.precision(Precision::Int8)).await,
    );
    assert_ne!(full.profile().fingerprint, int8.profile().fingerprint);
}
