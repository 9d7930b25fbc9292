//! Text between markers is generated; what stands around it is not touched.

use std::error::Error;

/// Puts `generated` between the markers of this name, in place of what was
/// there.
///
/// # Errors
/// When a marker is missing, or the end comes before the beginning.
pub(super) fn replace(text: &str, name: &str, generated: &str) -> Result<String, Box<dyn Error>> {
    let (begin, end) = (
        format!("<!-- {name}: begin, written by cargo xtask bench-report -->"),
        format!("<!-- {name}: end -->"),
    );
    let missing = || format!("the page lacks the markers {begin} and {end}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        generated.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let begin = "<!-- a: begin, written by cargo xtask bench-report -->";
        let text = format!("1\n{begin}\nold\n<!-- a: end -->\n2\n");
        let new = replace(&text, "a", "new\n").unwrap();
        assert_eq!(new, format!("1\n{begin}\n\nnew\n\n<!-- a: end -->\n2\n"));
        assert_eq!(replace(&new, "a", "new").unwrap(), new, "twice is once");
        assert!(replace(&text, "b", "new").is_err());
    }
}
