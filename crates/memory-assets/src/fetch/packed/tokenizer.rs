//! The tokenizer of a packed model as a `tokenizer.json`.

use std::fmt::Write as _;

use super::file::{PackedTokenizer, Problem, problem};

/// Removed from texts: control characters. A character class, with JSON's escapes.
const REMOVED: &str = r"[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]";
/// Replaced by a space: white space that NFKC does not change, marks without width and
/// direction, and the mark of a space in pieces.
const SPACES: &str = r"[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]";

/// The content of the file.
///
/// The packed model has a table of what each character is normalized to. The table is
/// that of `nmt_nfkc` (SentencePiece): NFKC, except for the two lists above, for the
/// fullwidth tilde, which it keeps, and for characters newer than the table. NFKC also
/// composes what is written as several characters, which the model's own tokenizer
/// does and a table of characters cannot.
///
/// Written without a library for JSON because its bytes are pinned.
pub(super) fn json(packed: &PackedTokenizer<'_>) -> Result<String, Problem> {
    let PackedTokenizer {
        pieces,
        begin,
        end,
        pad,
        unknown,
    } = packed;
    let mask = pieces.len().saturating_sub(1);
    let mut added = String::new();
    for (id, content) in [
        (*begin, "<s>"),
        (*pad, "<pad>"),
        (*end, "</s>"),
        (*unknown, "<unk>"),
        (mask, "<mask>"),
    ] {
        if pieces.get(id).is_none_or(|(piece, _)| *piece != content) {
            return Err(problem(format!("its token {id} is not {content}")));
        }
        let separator = if added.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            added,
            r#"{separator}{{"id":{id},"content":"{content}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
        );
    }
    let mut vocabulary = String::new();
    for (id, (piece, score)) in pieces.iter().enumerate() {
        let separator = if id == 0 { "" } else { ",\n" };
        let _ = write!(vocabulary, "{separator}[\"");
        escape(piece, &mut vocabulary);
        let _ = write!(vocabulary, "\",{:?}]", f64::from(*score));
    }
    let begin_token = r#"{"SpecialToken":{"id":"<s>","type_id":0}}"#;
    let end_token = r#"{"SpecialToken":{"id":"</s>","type_id":0}}"#;
    let [a, b] = ["A", "B"].map(|id| format!(r#"{{"Sequence":{{"id":"{id}","type_id":0}}}}"#));
    Ok(format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{added}],
"normalizer":{{"type":"Sequence","normalizers":[
{{"type":"Replace","pattern":{{"Regex":"{REMOVED}"}},"content":""}},
{{"type":"Replace","pattern":{{"Regex":"{SPACES}"}},"content":" "}},
{{"type":"NFKC"}},
{{"type":"Replace","pattern":{{"Regex":" {{2,}}"}},"content":" "}}]}},
"pre_tokenizer":{{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}},
"post_processor":{{"type":"TemplateProcessing",
"single":[{begin_token},{a},{end_token}],
"pair":[{begin_token},{a},{end_token},{end_token},{b},{end_token}],
"special_tokens":{{"<s>":{{"id":"<s>","ids":[{begin}],"tokens":["<s>"]}},"</s>":{{"id":"</s>","ids":[{end}],"tokens":["</s>"]}}}}}},
"decoder":{{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}},
"model":{{"type":"Unigram","unk_id":{unknown},"byte_fallback":false,"vocab":[
{vocabulary}]}}}}
"#
    ))
}

/// Writes text as the inside of a JSON string.
fn escape(text: &str, target: &mut String) {
    for character in text.chars() {
        match character {
            '"' | '\\' => target.extend(['\\', character]),
            '\0'..='\x1f' => {
                let _ = write!(target, "\\u{:04x}", u32::from(character));
            }
            other => target.push(other),
        }
    }
}
