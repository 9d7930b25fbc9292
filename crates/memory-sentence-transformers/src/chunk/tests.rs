//! The promises of `Embedder::chunk`, on text of many shapes.

use std::sync::LazyLock;

use memory_core::EmbedRole;
use proptest::prelude::*;

use super::*;
use crate::{Folder, FolderOptions, MaxTokens};

fn tokenizer(window: usize) -> Tokenizer {
    let options = FolderOptions {
        max_sequence: Some(MaxTokens(window)),
        ..FolderOptions::default()
    };
    let folder = options.resolve_model_dir().unwrap();
    let model = Folder::read(&folder, &options).unwrap_or_else(|error| panic!("{error}"));
    Tokenizer::new(&model).unwrap()
}

/// Checks every promise and gives the chunks.
fn checked(tokenizer: &Tokenizer, text: &str) -> Vec<Range<usize>> {
    let chunks = chunk(tokenizer, text).unwrap();
    let (first, last) = (chunks.first().unwrap(), chunks.last().unwrap());
    assert_eq!((first.start, last.end), (0, text.len()));
    for range in &chunks {
        // Slicing also checks the character boundaries.
        let tokens = tokenizer.offsets(&text[range.clone()]).unwrap().len();
        assert!(tokens <= tokenizer.room(), "{tokens} tokens in {range:?}");
    }
    for pair in chunks.windows(2) {
        assert!(pair[0].start < pair[1].start, "{pair:?} stands still");
        assert!(pair[1].start < pair[0].end, "{pair:?} do not overlap");
        assert!(pair[0].end < pair[1].end, "{pair:?} goes nowhere");
    }
    if chunks.len() > 1 {
        assert!(tokenizer.offsets(text).unwrap().len() > tokenizer.room());
    }
    chunks
}

#[test]
fn what_fits_is_one_range_the_whole() {
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
fn an_endless_word_that_fits_as_a_whole_stays_whole() {
    let tokenizer = tokenizer(16);
    let endless = "b".repeat(150);
    assert!(tokenizer.offsets(&endless[..84]).unwrap().len() > tokenizer.room());
    assert_eq!(checked(&tokenizer, &endless).len(), 1);
}

#[test]
fn prose_is_cut_between_sentences_and_every_sentence_is_whole_somewhere() {
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
    // Neighbors share two sentences of 19 tokens: 15 % of the window.
    let shared: usize = chunks
        .windows(2)
        .map(|pair| pair[0].end - pair[1].start)
        .sum();
    let share = shared * 100 / text.len();
    assert!((10..=25).contains(&share), "{share} %");
}

#[test]
fn without_sentences_words_stay_whole() {
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
fn without_words_characters_stay_whole() {
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

#[test]
fn a_prompt_takes_its_room_from_every_chunk() {
    let prompt = "represent this passage for retrieval: ";
    let options = FolderOptions {
        passage_prefix: Some(prompt.to_owned()),
        ..FolderOptions::default()
    };
    let folder = options.resolve_model_dir().unwrap();
    let model = Folder::read(&folder, &options).unwrap();
    let tokenizer = Tokenizer::new(&model).unwrap();
    let text = "The mill stands north of the bridge. ".repeat(200);
    for range in checked(&tokenizer, &text) {
        let chunk = &text[range];
        // One token more and it would still be read: nothing was cut off.
        let tokens = tokenizer.encode(chunk, EmbedRole::Passage).unwrap().len();
        let more = tokenizer
            .encode(&format!("{chunk} more"), EmbedRole::Passage)
            .unwrap();
        assert!(more.len() > tokens || tokens == 256);
    }
}

/// Short windows, where the odd cases are.
const WINDOWS: [usize; 3] = [16, 33, 128];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn text_of_any_shape_keeps_the_promises(
        words in prop::collection::vec("[a-z]{0,12}|\\PC{0,6}|[.?!,;\n \u{3000}。]{1,3}|[가-힣]{1,4}", 0..400),
        glue in prop::sample::select(vec![" ", "", ". ", "\n"]),
        window in 0..WINDOWS.len(),
    ) {
        static TOKENIZERS: LazyLock<[Tokenizer; 3]> = LazyLock::new(|| WINDOWS.map(tokenizer));
        checked(&TOKENIZERS[window], &words.join(glue));
    }
}
