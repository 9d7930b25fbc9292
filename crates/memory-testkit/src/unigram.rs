//! A small tokenizer of the kind that XLM-RoBERTa has, for tests of how embedders
//! tokenize.

use std::fmt::Write as _;

/// The control tokens at the beginning of the vocabulary.
const CONTROL: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// The pieces that have more than one character.
const WORDS: [&str; 12] = [
    "▁the",
    "▁mill",
    "▁river",
    "▁who",
    "▁owns",
    "▁by",
    "ing",
    "er",
    "▁query",
    "▁passage",
    "水車",
    "川の",
];

/// The single characters, `▁` first: it marks the start of a word.
const CHARACTERS: &str =
    "▁abcdefghijklmnopqrstuvwxyz0123456789.,:;?!<>/[]()'\"-MASKCLEP水車川のそば";

/// The number of tokens in the vocabulary of [`unigram_tokenizer`].
#[must_use]
pub fn unigram_vocabulary() -> usize {
    CONTROL.len() + WORDS.len() + CHARACTERS.chars().count() + 1
}

/// The content of a `tokenizer.json` with a Unigram model and the control tokens of
/// XLM-RoBERTa: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, and `<mask>` last. Most
/// capital letters and scripts are unknown to it.
#[must_use]
pub fn unigram_tokenizer() -> String {
    let mut vocabulary = String::new();
    let mut add = |piece: &str, score: f64| {
        let separator = if vocabulary.is_empty() { "" } else { "," };
        // Writing to a string cannot fail. The pieces contain one quotation mark.
        let piece = piece.replace('"', "\\\"");
        let _ = write!(vocabulary, "{separator}[\"{piece}\",{score:?}]");
    };
    CONTROL.iter().for_each(|piece| add(piece, 0.0));
    WORDS.iter().for_each(|piece| add(piece, -6.0));
    for character in CHARACTERS.chars() {
        add(character.encode_utf8(&mut [0; 4]), -8.0);
    }
    add("<mask>", 0.0);
    let mask = unigram_vocabulary() - 1;
    let added = CONTROL
        .iter()
        .copied()
        .zip(0..)
        .chain([("<mask>", mask)])
        .map(|(content, id)| {
            format!(
                r#"{{"id":{id},"content":"{content}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
            )
        });
    let added = added.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{added}],
        "normalizer":{{"type":"Sequence","normalizers":[{{"type":"NFKC"}},
            {{"type":"Replace","pattern":{{"Regex":" {{2,}}"}},"content":" "}}]}},
        "pre_tokenizer":{{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}},
        "post_processor":{{"type":"TemplateProcessing",
            "single":[{{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},{{"SpecialToken":{{"id":"</s>","type_id":0}}}}],
            "pair":[{{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},{{"SpecialToken":{{"id":"</s>","type_id":0}}}},{{"Sequence":{{"id":"B","type_id":0}}}},{{"SpecialToken":{{"id":"</s>","type_id":0}}}}],
            "special_tokens":{{"<s>":{{"id":"<s>","ids":[0],"tokens":["<s>"]}},"</s>":{{"id":"</s>","ids":[2],"tokens":["</s>"]}}}}}},
        "decoder":null,
        "model":{{"type":"Unigram","unk_id":3,"vocab":[{vocabulary}],"byte_fallback":false}}}}"#
    )
}
