//! Short texts for `repr()`.

/// More characters of a text are not shown.
const MAX_CHARS: usize = 40;

/// The beginning of a text, in quotation marks.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// An optional number.
pub(super) fn number(value: Option<f32>) -> String {
    value.map_or_else(|| "None".to_owned(), |value| format!("{value:.3}"))
}
