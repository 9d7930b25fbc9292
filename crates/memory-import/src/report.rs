//! What was not imported, and unknown fields.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::escape;

/// The maximum number of distinct unknown fields that are named.
const MAX_FIELDS: usize = 100;

/// The maximum number of files that are named.
const MAX_FILES: usize = 100;

/// Counts of what was read and not imported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// The number of files that were read.
    pub files: u64,
    /// How often something was left out, by what it is, such as
    /// `messages without text`.
    pub skipped: BTreeMap<&'static str, u64>,
    /// How often a field occurred that this version does not know, by its name, such
    /// as `conversation.mood`. At most 100 names, escaped and shortened; further ones
    /// count as `…`.
    pub unknown_fields: BTreeMap<String, u64>,
    /// Notes with fields of their front matter that are not valid YAML, which are left
    /// out. At most 100 names of files; `skipped` has the number of all, as
    /// [`INVALID_FRONT_MATTER`](Self::INVALID_FRONT_MATTER).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid_front_matter: Vec<String>,
}

impl ImportReport {
    /// What `skipped` calls notes with fields of their front matter that are left out.
    pub const INVALID_FRONT_MATTER: &str = "front matter in invalid YAML";

    pub(crate) fn skip(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.skipped.entry(what).or_default() += count;
        }
    }

    /// Counts a file, by its label, whose front matter could not be read as a whole.
    pub(crate) fn count_invalid_front_matter(&mut self, label: &str) {
        self.skip(Self::INVALID_FRONT_MATTER, 1);
        if self.invalid_front_matter.len() < MAX_FILES {
            self.invalid_front_matter.push(label.to_owned());
        }
    }

    pub(crate) fn count_unknown(&mut self, object: &str, field: &str) {
        let name = escape(&format!("{object}.{field}"));
        let is_counted =
            self.unknown_fields.len() < MAX_FIELDS || self.unknown_fields.contains_key(&name);
        let name = if is_counted { name } else { "…".to_owned() };
        *self.unknown_fields.entry(name).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_their_number_is_limited() {
        let mut report = ImportReport::default();
        report.count_unknown("message", "a\u{1b}b");
        assert_eq!(report.unknown_fields["message.a\\u{1b}b"], 1);
        for n in 0..200 {
            report.count_unknown("message", &n.to_string());
            report.count_unknown("message", "0");
        }
        assert_eq!(report.unknown_fields.len(), MAX_FIELDS + 1);
        assert_eq!(report.unknown_fields["message.0"], 201);
        assert_eq!(report.unknown_fields["…"], 200 - (MAX_FIELDS as u64 - 1));
    }
}
