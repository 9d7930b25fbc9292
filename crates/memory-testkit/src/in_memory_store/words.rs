//! Cutting text into words.

/// The words of a text, in lower case: runs of letters and digits.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_cuts_and_case_is_folded() {
        let got: Vec<String> = words("Ticket INC-90312, re: naïve Übergabe!").collect();
        assert_eq!(got, ["ticket", "inc", "90312", "re", "naïve", "übergabe"]);
        assert_eq!(words(" …!? ").count(), 0);
    }
}
