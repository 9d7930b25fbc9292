//! The default model's tokenizer, from the cache directory, and a small Unigram one.

use tokenizers::NormalizedString;
use tokenizers::Normalizer;
use tokenizers::normalizers::BertNormalizer;

use super::*;
use crate::{MaxTokens, ModelDir, ModelOptions};

fn tokenizer(options: &ModelOptions) -> Tokenizer {
    let folder = options.resolve_model_dir().unwrap();
    let model = ModelDir::read(&folder, options).unwrap_or_else(|error| panic!("{error}"));
    Tokenizer::new(&model).unwrap()
}

/// The library's tokens of the whole text, without the shortcut.
fn plain(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer
        .inner
        .encode(text, true)
        .unwrap()
        .get_ids()
        .to_vec()
}

#[test]
fn the_maximum_length_is_the_model_s_and_not_that_of_tokenizer_json() {
    let tokenizer = tokenizer(&ModelOptions::default());
    assert_eq!(tokenizer.max_content_tokens(), 254);
    let ids = |text: &str| tokenizer.encode(text, EmbedRole::Query).unwrap().ids;
    assert_eq!(*ids(""), [101, 102]);
    assert_eq!(ids("mill").len(), 3, "no padding");
    let long = ids(&"mill ".repeat(300));
    assert_eq!((long.len(), long[0], long[255]), (256, 101, 102));
}

#[test]
fn a_long_text_has_the_tokens_of_the_whole_text() {
    let tokenizer = tokenizer(&ModelOptions::default());
    let words: String = (0..40_000).map(|n| format!("mill{} ", n % 97)).collect();
    for text in [
        words.clone(),
        format!("{}{words}", " ".repeat(50_000)),
        format!("{}{words}", "x".repeat(30_000)),
        "水車".repeat(20_000),
        "\u{301}".repeat(20_000),
        format!("{} end", "\n".repeat(90_000)),
        format!("a {}", "é".repeat(30_001)),
    ] {
        let tokens = tokenizer.encode(&text, EmbedRole::Passage).unwrap();
        assert_eq!(*tokens.ids, *plain(&tokenizer, &text));
    }
}

#[test]
fn a_prompt_reduces_the_tokens_available_for_text() {
    let options = ModelOptions {
        query_prefix: Some("query: ".to_owned()),
        passage_prefix: Some("a longer passage: ".to_owned()),
        ..ModelOptions::default()
    };
    let tokenizer = tokenizer(&options);
    assert_eq!(tokenizer.max_content_tokens(), 254 - 4);
    let ids = tokenizer.encode("mill", EmbedRole::Query).unwrap().ids;
    assert_eq!(*ids, *plain(&tokenizer, "query: mill"));
}

#[test]
fn a_prompt_that_leaves_too_few_tokens_is_rejected() {
    let options = ModelOptions {
        max_sequence: Some(MaxTokens(16)),
        query_prefix: Some("one two three four five six seven".to_owned()),
        ..ModelOptions::default()
    };
    let folder = options.resolve_model_dir().unwrap();
    let model = ModelDir::read(&folder, &options).unwrap_or_else(|error| panic!("{error}"));
    let error = Tokenizer::new(&model).unwrap_err();
    assert_eq!(error.kind(), memory_core::ErrorKind::Configuration);
}

#[test]
fn text_is_lowercased_before_a_cased_tokenizer() {
    let mut cased = tokenizer(&ModelOptions::default());
    cased
        .inner
        .with_normalizer(None::<NormalizerWrapper>)
        .unwrap();
    let lower = plain(&cased, "mill");
    assert_ne!(plain(&cased, "MILL"), lower);
    prepend_lowercase(&mut cased.inner).unwrap();
    assert_eq!(plain(&cased, "MILL"), lower);
}

#[test]
fn the_share_of_unknown_tokens_is_that_of_words_outside_the_vocabulary() {
    let tokenizer = tokenizer(&ModelOptions::default());
    let share = |text: &str| tokenizer.unknown_token_share(text);
    assert_eq!(share("Who owns the mill?"), 0.0);
    assert_eq!(share(""), 0.0);
    // An emoji is one token, and unknown: one of two.
    assert_eq!(share("mill \u{1f434}"), 0.5);
    assert_eq!(share(&"\u{1f434} ".repeat(10_000)), 1.0);
}

/// The assumption of [`Tokenizer::fits_by_len`], checked exhaustively.
#[test]
fn no_character_becomes_more_characters_than_it_has_bytes() {
    // Unicode assigns no characters beyond these.
    let assigned = (0..0x3_2400).chain(0xE_0000..0xE_0200);
    for character in assigned.filter_map(char::from_u32) {
        for (strip_accents, lowercase) in [(true, true), (true, false), (false, true)] {
            let normalizer = BertNormalizer::new(true, true, Some(strip_accents), lowercase);
            let mut text = NormalizedString::from(character.to_string());
            normalizer.normalize(&mut text).unwrap();
            let visible = text.get().chars().filter(|c| !c.is_whitespace()).count();
            assert!(
                visible <= character.len_utf8(),
                "{character:?} becomes {:?}",
                text.get()
            );
        }
    }
}

#[test]
fn a_text_that_fits_by_len_fits() {
    let tokenizer = tokenizer(&ModelOptions::default());
    for text in [
        "a.".repeat(127),
        "가나다".repeat(28),
        "é,".repeat(84),
        "ΐ".repeat(127),
    ] {
        assert!(tokenizer.fits_by_len(&text));
        assert!(tokenizer.encode(&text, EmbedRole::Query).unwrap().len() <= 256);
    }
    assert!(!tokenizer.fits_by_len(&"a".repeat(255)));
}

/// A small Unigram tokenizer.
fn unigram(change: impl Fn(String) -> String) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    memory_testkit::write_model_dir(folder.path()).unwrap();
    let content = change(memory_testkit::unigram_tokenizer());
    std::fs::write(folder.path().join("tokenizer.json"), content).unwrap();
    let model = ModelDir::read(folder.path(), &ModelOptions::default()).unwrap();
    Tokenizer::new(&model).unwrap_or_else(|error| panic!("{error}"))
}

/// The library's tokens of a text that has no control tokens.
fn by_the_library(text: &str) -> Vec<u32> {
    let content = memory_testkit::unigram_tokenizer();
    let tokenizer = tokenizers::Tokenizer::from_bytes(content).unwrap();
    tokenizer.encode(text, true).unwrap().get_ids().to_vec()
}

#[test]
fn a_unigram_tokenizer_has_the_library_s_tokens() {
    let tokenizer = unigram(|content| content);
    for text in [
        "",
        "the mill",
        "who owns the   mill?",
        " leading",
        "ｆｕｌｌ ｗｉｄｔｈ",
        "水車は川のそば",
        "Ünknown Ж letters",
        "(a/b) [c] <d>",
    ] {
        let tokens = tokenizer.encode(text, EmbedRole::Query).unwrap();
        assert_eq!(*tokens.ids, by_the_library(text), "{text}");
    }
}

#[test]
fn white_space_at_the_end_is_no_token() {
    let tokenizer = unigram(|content| content);
    let ids = |text: &str| tokenizer.encode(text, EmbedRole::Query).unwrap().ids;
    assert_eq!(ids("the mill \n "), ids("the mill"));
    assert_ne!(by_the_library("the mill "), by_the_library("the mill"));
}

#[test]
fn control_tokens_in_a_text_stay_text() {
    let mask = u32::try_from(memory_testkit::unigram_vocabulary() - 1).unwrap();
    // Each tokenizer with the ids of its control tokens, that of unknown tokens
    // excepted.
    let tokenizers = [
        (tokenizer(&ModelOptions::default()), [0, 101, 102, 103]),
        (unigram(|content| content), [0, 1, 2, mask]),
    ];
    for (tokenizer, control_ids) in &tokenizers {
        for control in [
            "[MASK]", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "<s>", "</s>", "<mask>", "<pad>",
        ] {
            for text in [control.to_owned(), format!("the {control} mill{control}")] {
                let ids = tokenizer.encode(&text, EmbedRole::Passage).unwrap().ids;
                let inner = &ids[1..ids.len() - 1];
                assert!(inner.len() > 2, "{text} has only {ids:?}");
                let found = inner.iter().find(|id| control_ids.contains(id));
                assert_eq!(found, None, "{text}: {ids:?}");
            }
        }
    }
}

#[test]
fn the_share_of_unknown_tokens_of_unigram_leaves_out_spaces() {
    let tokenizer = unigram(|content| content);
    let share = |text: &str| tokenizer.unknown_token_share(text);
    assert_eq!(share("who owns the mill"), 0.0);
    assert_eq!(share(""), 0.0);
    assert_eq!(share("мельница у реки"), 1.0);
    // One word of the vocabulary, and one unknown token for the run of letters.
    assert_eq!(share("the мельница"), 0.5);
}

#[test]
fn bytes_of_a_byte_fallback_count_as_unknown() {
    let with_bytes = |content: String| {
        let bytes = (0..=255).map(|byte| format!(r#",["<0x{byte:02X}>",-20.0]"#));
        let bytes: String = bytes.collect();
        let content = content.replace(r#"["<mask>",0.0]"#, &format!(r#"["<mask>",0.0]{bytes}"#));
        content.replace(r#""byte_fallback":false"#, r#""byte_fallback":true"#)
    };
    let tokenizer = unigram(with_bytes);
    let tokens = tokenizer.encode("Ж", EmbedRole::Query).unwrap();
    assert_eq!(tokens.len(), 5, "two control tokens, a space and two bytes");
    assert_eq!(tokenizer.unknown_token_share("Ж"), 1.0);
    assert_eq!(tokenizer.unknown_token_share("the mill"), 0.0);
}

/// A model cannot read it, and ONNX Runtime's rows would have no length.
#[test]
fn a_text_without_a_token_is_refused_where_there_are_no_special_tokens() {
    let tokenizer = unigram(|content| {
        let mut content: serde_json::Value = serde_json::from_str(&content).unwrap();
        content["post_processor"] = serde_json::Value::Null;
        content.to_string()
    });
    for text in ["", " \n", "\u{200b}"] {
        match tokenizer.encode(text, EmbedRole::Query) {
            Ok(tokens) => assert!(!tokens.is_empty(), "{text:?}"),
            Err(error) => assert!(error.to_string().contains("no token"), "{error}"),
        }
    }
    assert!(tokenizer.encode("", EmbedRole::Query).is_err());
    assert!(tokenizer.encode("the mill", EmbedRole::Query).is_ok());
}
