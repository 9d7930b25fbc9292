//! The scheme of a URL, and what may be shown of a text that should be one.

/// The text before and after the first colon, if what precedes it is a scheme (RFC 3986):
/// a letter, then letters, digits, `+`, `-` and `.`. Any other text before a colon may
/// hold a password, such as that of `password=… hostaddr=::1`, and must not be shown.
pub(crate) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_allowed);
    is_scheme.then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scheme_is_one() {
        for (url, parts) in [
            ("sqlite::memory:", ("sqlite", ":memory:")),
            ("PostgreSQL://host/db", ("PostgreSQL", "//host/db")),
            ("a+b-c.9:", ("a+b-c.9", "")),
        ] {
            assert_eq!(split_scheme(url), Some(parts));
        }
        for text in [
            "",
            "agent.db",
            ":memory:",
            "9p://host",
            "host=db password=hunter2 hostaddr=::1",
            "./models:1",
            "pöstgres://host",
        ] {
            assert_eq!(split_scheme(text), None, "{text}");
        }
    }
}
