//! Page cursors as one word.

use memory::PageCursor;

use crate::time;

/// Formats a cursor as one word: `2026-03-01T09:30:00.000000Z/UUID`.
#[must_use]
pub fn format_cursor(cursor: &PageCursor) -> String {
    format!("{}/{}", time::format_exact(cursor.timestamp), cursor.id)
}

/// Parses what [`format_cursor`] wrote.
///
/// # Errors
/// What the word must be, for people; it completes "`after` is X; …".
pub fn parse_cursor(word: &str) -> Result<PageCursor, String> {
    let malformed = || "it must be a cursor that an earlier page named".to_owned();
    let (timestamp, id) = word.split_once('/').ok_or_else(malformed)?;
    Ok(PageCursor {
        timestamp: time::parse(timestamp).map_err(|_| malformed())?,
        id: id.parse().map_err(|_| malformed())?,
    })
}

#[cfg(test)]
mod tests {
    use memory::MemoryId;

    use super::*;

    #[test]
    fn formatted_cursors_parse_back() {
        let written = PageCursor {
            timestamp: time::parse("2026-03-01T09:30:00.000001Z").unwrap(),
            id: MemoryId::new(),
        };
        assert_eq!(parse_cursor(&format_cursor(&written)).unwrap(), written);
        for bad in ["", "/", "2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z/x"] {
            assert!(parse_cursor(bad).is_err(), "{bad}");
        }
    }
}
