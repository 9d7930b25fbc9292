//! The contract of `Embedder::chunk`, on texts of many shapes.

use std::sync::LazyLock;

use memory_core::EmbedRole;
use proptest::prelude::*;

use super::*;
use crate::{MaxTokens, ModelDir, ModelOptions};

fn tokenizer(max_length: usize) -> Tokenizer {
    let folder = ModelOptions::default().resolve_model_dir().unwrap();
    of_folder(&folder, max_length)
}

/// A small Unigram tokenizer.
fn unigram(max_length: usize) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    memory_testkit::write_model_dir(folder.path()).unwrap();
    let content = memory_testkit::unigram_tokenizer();
    std::fs::write(folder.path().join("tokenizer.json"), content).unwrap();
    of_folder(folder.path(), max_length)
}

fn of_folder(folder: &std::path::Path, max_length: usize) -> Tokenizer {
    let options = ModelOptions {
        max_sequence: Some(MaxTokens(max_length)),
        ..ModelOptions::default()
    };
    let model = ModelDir::read(folder, &options).unwrap_or_else(|error| panic!("{error}"));
    Tokenizer::new(&model).unwrap()
}

/// Checks the contract and returns the chunks.
fn checked(tokenizer: &Tokenizer, text: &str) -> Vec<Range<usize>> {
    let chunks = chunk(tokenizer, text).unwrap();
    let (first, last) = (chunks.first().unwrap(), chunks.last().unwrap());
    assert_eq!((first.start, last.end), (0, text.len()));
    for range in &chunks {
        // Slicing also checks the character boundaries.
        let tokens = tokenizer.offsets(&text[range.clone()]).unwrap().len();
        assert!(
            tokens <= tokenizer.max_content_tokens(),
            "{tokens} tokens in {range:?}"
        );
    }
    for pair in chunks.windows(2) {
        assert!(pair[0].start < pair[1].start, "{pair:?} does not advance");
        assert!(pair[1].start < pair[0].end, "{pair:?} do not overlap");
        assert!(pair[0].end < pair[1].end, "{pair:?} adds nothing");
    }
    if chunks.len() > 1 {
        assert!(tokenizer.offsets(text).unwrap().len() > tokenizer.max_content_tokens());
    }
    chunks
}

#[test]
fn a_text_that_fits_is_one_range() {
    let tokenizer = tokenizer(256);
    for text in [
        "",
        " ",
        " a mill ",
        &"mill ".repeat(254),
        &" \n".repeat(9_000),
    ] {
        #[expect(clippy::single_range_in_vec_init, reason = "one range is meant")]
        let whole = [0..text.len()];
        assert_eq!(checked(&tokenizer, text), whole);
    }
    assert_eq!(checked(&tokenizer, &"mill ".repeat(255)).len(), 2);
}

#[test]
fn a_very_long_word_that_fits_as_a_whole_is_one_range() {
    let tokenizer = tokenizer(16);
    let long_word = "b".repeat(150);
    assert!(tokenizer.offsets(&long_word[..84]).unwrap().len() > tokenizer.max_content_tokens());
    assert_eq!(checked(&tokenizer, &long_word).len(), 1);
}

#[test]
fn prose_is_divided_between_sentences_and_each_sentence_is_complete_in_a_chunk() {
    let tokenizer = tokenizer(256);
    let sentences: Vec<String> = (0..120)
        .map(|n| {
            format!("On day {n} the miller of Tarn walked to the river and counted {n} boats.")
        })
        .collect();
    let text = sentences.join(" ");
    let chunks = checked(&tokenizer, &text);
    for range in &chunks {
        let chunk = &text[range.clone()];
        assert!(
            chunk.starts_with("On day") && chunk.ends_with("boats."),
            "{chunk}"
        );
    }
    for sentence in &sentences {
        assert!(
            chunks
                .iter()
                .any(|range| text[range.clone()].contains(sentence.as_str()))
        );
    }
    // Neighbors share two sentences of 19 tokens: 15 % of the maximum length.
    let shared: usize = chunks
        .windows(2)
        .map(|pair| pair[0].end - pair[1].start)
        .sum();
    let share = shared * 100 / text.len();
    assert!((10..=25).contains(&share), "{share} %");
}

#[test]
fn without_sentences_words_stay_complete() {
    let tokenizer = tokenizer(64);
    let text: String = (0..900).map(|n| format!("word{n} ")).collect();
    for range in checked(&tokenizer, &text) {
        let chunk = text[range].trim_end();
        assert!(chunk.starts_with("word") && chunk.ends_with(|c: char| c.is_ascii_digit()));
        assert!(
            text.contains(&format!("{chunk} ")),
            "ends in the middle of a word"
        );
    }
}

#[test]
fn without_words_characters_stay_complete() {
    let tokenizer = tokenizer(32);
    for text in [
        "水車".repeat(2_000),
        "가나다".repeat(1_000),
        "-".repeat(5_000),
        "é,".repeat(3_000),
        format!("{}{}", "a".repeat(99), "-".repeat(900)),
        format!("start {} end", "x".repeat(20_000)),
        "a.b?c!".repeat(700),
    ] {
        checked(&tokenizer, &text);
    }
}

/// A word with a character that the model does not know is one token, and many
/// without that character: what two chunks share can then fill the next one.
#[test]
fn shared_text_leaves_room_for_more() {
    let tokenizer = tokenizer(16);
    for letters in 80..86 {
        let unknown = format!("{}\u{aa40}", "bdqfj".repeat(20).split_at(letters).0);
        for start in 0..14 {
            checked(
                &tokenizer,
                &format!("{}{}", "!".repeat(start), format!("{unknown};").repeat(9)),
            );
        }
    }
}

#[test]
fn a_prompt_reduces_the_size_of_every_chunk() {
    let prompt = "represent this passage for retrieval: ";
    let options = ModelOptions {
        passage_prefix: Some(prompt.to_owned()),
        ..ModelOptions::default()
    };
    let folder = options.resolve_model_dir().unwrap();
    let model = ModelDir::read(&folder, &options).unwrap();
    let tokenizer = Tokenizer::new(&model).unwrap();
    let text = "The mill stands north of the bridge. ".repeat(200);
    for range in checked(&tokenizer, &text) {
        let chunk = &text[range];
        // One more token still fits, so nothing was truncated.
        let tokens = tokenizer.encode(chunk, EmbedRole::Passage).unwrap().len();
        let more = tokenizer
            .encode(&format!("{chunk} more"), EmbedRole::Passage)
            .unwrap();
        assert!(more.len() > tokens || tokens == 256);
    }
}

/// Short maximum lengths, which have the edge cases.
const MAX_LENGTHS: [usize; 3] = [16, 33, 128];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn text_of_any_shape_fulfills_the_contract(
        words in prop::collection::vec("[a-z]{0,12}|\\PC{0,6}|[.?!,;\n \u{3000}。]{1,3}|[가-힣]{1,4}", 0..400),
        glue in prop::sample::select(vec![" ", "", ". ", "\n"]),
        max_length in 0..MAX_LENGTHS.len(),
    ) {
        static TOKENIZERS: LazyLock<[Tokenizer; 3]> = LazyLock::new(|| MAX_LENGTHS.map(tokenizer));
        static UNIGRAM: LazyLock<[Tokenizer; 3]> = LazyLock::new(|| MAX_LENGTHS.map(unigram));
        checked(&TOKENIZERS[max_length], &words.join(glue));
        checked(&UNIGRAM[max_length], &words.join(glue));
    }
}
