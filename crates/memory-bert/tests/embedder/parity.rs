//! Two independent implementations agree on one checkpoint.

use memory_core::{EmbedRole, Embedder as _, cosine};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision, WeightSource};

use super::shared;

/// The minimum cosine between the vectors of libtorch and ONNX Runtime for one text
/// in single precision; the order of additions affects the sixth digit.
const MIN_COSINE: f32 = 0.9999;

#[tokio::test]
async fn vectors_equal_those_of_memory_onnx_in_full_precision() {
    let options = OnnxOptions::new()
        .weight_source(WeightSource::Checkpoint)
        .precision(Precision::Full);
    let onnx = OnnxEmbedder::open(options).await;
    let onnx = onnx.unwrap_or_else(|error| panic!("{error}"));
    let bert = shared().await;
    let texts = texts();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    for role in [EmbedRole::Passage, EmbedRole::Query] {
        let ours = bert.embed(&refs, role).await.unwrap();
        let theirs = onnx.embed(&refs, role).await.unwrap();
        for ((text, a), b) in texts.iter().zip(&ours).zip(&theirs) {
            let agreement = cosine(a, b);
            assert!(
                agreement >= MIN_COSINE,
                "{agreement} in a text of {} bytes",
                text.len()
            );
        }
    }
    // The chunks agree too, so that vectors of one can be searched by the other.
    assert_eq!(
        bert.chunk(&refs).await.unwrap(),
        onnx.chunk(&refs).await.unwrap()
    );
}

/// Short and long texts of several languages and scripts, and unusual ones.
pub(crate) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = WRITTEN.iter().map(|text| (*text).to_owned()).collect();
    // Around the maximum length of 256 tokens and beyond it.
    for words in [120, 253, 254, 255, 600] {
        texts.push("mill ".repeat(words));
    }
    // Of every length up to 40 words.
    let words: Vec<&str> = WRITTEN.iter().flat_map(|text| text.split(' ')).collect();
    texts.extend((1..=40).map(|count| words[count..2 * count].join(" ")));
    texts
}

const WRITTEN: &[&str] = &[
    "",
    " ",
    "?",
    "Who owns the mill?",
    "Hey Mel! Good to see you! How have you been?",
    "I went to the support group yesterday and it was so powerful.",
    "Wow, that is cool! What happened there, did you hear any inspiring stories?",
    "The transgender stories were so inspiring! I was so happy and thankful for all the support.",
    "Tam sold me a lame horse at the spring market, and when I asked for my eleven silver back \
     he laughed and said that a horse with three good legs is still three quarters of a horse.",
    "The flood of '42 took the old bridge; since then everyone crosses by the ferry of Aldous \
     Finch, who charges two coppers by day, four by night, and nothing at all if you bring him \
     news of his daughter in Harrow.",
    "call me at +44 20 7946 0018 before 18:30 or mail mira@example.com",
    "fn main() { println!(\"{}\", 6 * 7); }",
    "Die Mühle am Fluß gehört dem Müller, sagt man.",
    "Le moulin n'appartient à personne, hélas !",
    "水車は川のほとりにある。",
    "Мельница стоит у реки.",
    "الطاحونة على النهر",
    "🐎🐎 three legs 🙃",
    "UPPER lower MiXeD café CAFÉ cafe\u{301}",
    "tabs\tand\nnew lines\r\nand \u{a0}other\u{2003}spaces",
    "antidisestablishmentarianism supercalifragilisticexpialidocious",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "[CLS] [SEP] [PAD] [MASK] ##ing",
];
