//! The generated parts of pages, between markers. `xtask` has this file as well.

use std::error::Error;

/// Replaces the text between the markers of this name by `generated`.
///
/// # Errors
/// If a marker is missing, or the end marker precedes the start marker.
pub fn replace_generated(
    text: &str,
    name: &str,
    generated: &str,
) -> Result<String, Box<dyn Error>> {
    let (begin, end) = (
        format!("<!-- {name}: begin"),
        format!("<!-- {name}: end -->"),
    );
    let missing = || format!("the page has no markers {begin} and {end}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (marker, rest) = rest.split_once("-->").ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!(
        "{before}{begin}{marker}-->\n\n{}\n\n{end}{after}",
        generated.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_the_markers_is_replaced() {
        let begin = "<!-- a: begin, written by cargo xtask bench-report -->";
        let text = format!("1\n{begin}\nold\n<!-- a: end -->\n2\n");
        let new = replace_generated(&text, "a", "new\n").unwrap();
        assert_eq!(new, format!("1\n{begin}\n\nnew\n\n<!-- a: end -->\n2\n"));
        assert_eq!(
            replace_generated(&new, "a", "new").unwrap(),
            new,
            "replacing is idempotent"
        );
        assert!(replace_generated(&text, "b", "new").is_err());
    }
}
