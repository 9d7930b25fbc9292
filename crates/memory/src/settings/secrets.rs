//! Database URLs without their passwords.

use crate::url_scheme::split_scheme;

/// The URL without user, password and parameters. Where a password cannot be told
/// from the rest, only the scheme is left.
pub(super) fn redact_url(url: &str) -> String {
    const HIDDEN: &str = "…";
    let Some((scheme, rest)) = split_scheme(url) else {
        // A path; or a URL whose scheme was forgotten, or keys and values of libpq.
        let is_path = !url.contains(['@', '=', '?', ':']);
        return if is_path { url } else { HIDDEN }.to_owned();
    };
    if scheme == "sqlite" {
        return url.to_owned();
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return format!("{scheme}:{HIDDEN}");
    };
    let parameters = rest.find(['?', '#']);
    let address = match (rest.rfind('@'), parameters) {
        (Some(at), Some(question)) if question < at => return format!("{scheme}://{HIDDEN}"),
        (Some(at), question) => {
            let end = question.unwrap_or(rest.len());
            format!("{HIDDEN}@{}", rest.get(at + 1..end).unwrap_or_default())
        }
        (None, question) => rest[..question.unwrap_or(rest.len())].to_owned(),
    };
    // Keys and values of libpq after a scheme.
    if address.contains(|c: char| c == '=' || c.is_whitespace()) {
        return format!("{scheme}://{HIDDEN}");
    }
    let parameters = if parameters.is_some() { "?…" } else { "" };
    format!("{scheme}://{address}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_password_is_left() {
        for url in [
            "postgres://app:hunter2@host/db",
            "postgres://app:hun@ter2@host/db",
            "postgres://app:hunter2/x@host:5432/db?sslmode=require",
            "postgres://app:x?hunter2@host/db",
            "postgres://app:x#hunter2@host/db",
            "postgres://host/db?user=app&password=hunter2",
            "postgres://host/db?password=a@hunter2",
            "postgres:app:hunter2@host",
            "app:hunter2@host/db",
            "hunter2@host/db",
            "host=db user=app password=hunter2",
            "user=app password=hunter2 hostaddr=::1",
            "password=hunter2 host=/run/postgresql:5432",
            "host/db?password=hunter2",
            "host:5432/db?password=hunter2",
            "postgres://host=db password=hunter2",
            "postgres://app@host/db password=hunter2",
        ] {
            let shown = redact_url(url);
            assert!(
                !shown.contains("unter2") && !shown.contains("hun"),
                "{shown}"
            );
        }
        assert_eq!(
            redact_url("postgres://app:hunter2@host:5432/db?sslmode=require"),
            "postgres://…@host:5432/db?…"
        );
        assert_eq!(redact_url("sqlite://agent.db"), "sqlite://agent.db");
        assert_eq!(redact_url("agent.db"), "agent.db");
        assert_eq!(redact_url("data/my agent.db"), "data/my agent.db");
    }
}
