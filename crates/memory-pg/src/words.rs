//! How long a text is, for BM25.

/// Words of a text: runs of letters and digits. Stored beside the memory, as
/// the mean over an entity is part of every score.
pub(crate) fn count(text: &str) -> i32 {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    i32::try_from(words.count()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_no_words() {
        assert_eq!(count("Ticket INC-90312, re: naïve Übergabe!"), 6);
        assert_eq!(count(" …!? "), 0);
    }
}
