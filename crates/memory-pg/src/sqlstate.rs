//! The server's error codes (SQLSTATE): what each means to callers.

use memory_core::ErrorKind;

/// The code of a statement that was canceled, also by its timeout.
pub(crate) const CANCELED: &str = "57014";

/// The kind and message for a SQLSTATE.
pub(crate) fn classify(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    match code {
        "XX001" | "XX002" => (Kind::Corrupt, "the server reported corrupt data"),
        "53100" => (Kind::Full, "the server's disk is full"),
        "25006" => (Kind::ReadOnly, "the server or the transaction is read-only"),
        "40001" | "40P01" => (
            Kind::Unavailable,
            "the server undid the transaction because of a conflict with others",
        ),
        "25P03" | "25P04" => (
            Kind::Unavailable,
            "the server ended the transaction, which was idle or open for too long",
        ),
        "55P03" => (Kind::Unavailable, "timed out waiting for a lock"),
        CANCELED => (Kind::Unavailable, "the server canceled the statement"),
        "42704" => (
            Kind::Missing,
            "something that the statement names does not exist for the role; the extensions \
             vector and btree_gin must be in a schema of its search_path",
        ),
        "42501" => (Kind::Configuration, "the role lacks a privilege"),
        "42P01" | "42703" | "42804" | "42883" | "42P10" => (
            Kind::ForeignData,
            "the tables are not those that this program creates",
        ),
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" | "57" => (
                Kind::Unavailable,
                "the server is overloaded, starting or shutting down",
            ),
            "28" | "3D" => (Kind::Configuration, "the server refused the connection"),
            "3F" => (
                Kind::Configuration,
                "no schema in the role's search_path exists",
            ),
            "58" => (Kind::Unavailable, "the server reported a system error"),
            // Where a node of a distributed server is lost, this is what the others report.
            "XX" => (Kind::Unavailable, "the server reported an internal error"),
            _ => (Kind::Other, "the server rejected the statement"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_transactions_may_be_retried() {
        assert_eq!(classify("25P03").0, ErrorKind::Unavailable);
        assert_eq!(classify("25P04").0, ErrorKind::Unavailable);
    }

    /// An internal error is also what is left of a distributed server when it lost a
    /// node: the write may be repeated.
    #[test]
    fn internal_errors_are_not_corrupt_data() {
        assert_eq!(classify("XX000").0, ErrorKind::Unavailable);
        assert_eq!(classify("XX001").0, ErrorKind::Corrupt);
        assert_eq!(classify("XX002").0, ErrorKind::Corrupt);
    }
}
