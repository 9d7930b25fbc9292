//! Which entries of the lexical index were made by this program's analysis of texts.

use memory_core::{ErrorKind, MemoryError};
use memory_text::ANALYSIS_VERSION;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::error::Failure;
use crate::rows::EntityRow;
use crate::rows::row_keys;

/// The version of this program.
pub(crate) const VERSION: i64 = ANALYSIS_VERSION as i64;

/// The row of the table `text_analysis`, see its migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnalysisState {
    /// The version of all entries; while they are made again, the negative of the one that
    /// those up to the key have.
    version: i64,
    converted_key: i64,
    /// How many conversions have begun.
    conversion: i64,
}

/// The columns that [`AnalysisState::decode`] reads, as a literal for `concat!`; the table
/// is `t`.
macro_rules! analysis_columns {
    () => {
        "t.version, t.converted_key, t.conversion"
    };
}
pub(crate) use analysis_columns;

impl AnalysisState {
    pub(crate) async fn read(conn: &mut SqliteConnection) -> Result<Self, Failure> {
        const READ: &str = concat!("SELECT ", analysis_columns!(), " FROM text_analysis AS t");
        Self::decode(&sqlx::query(READ).fetch_one(conn).await?, 0)
    }

    /// Decodes the columns of [`analysis_columns`], from this column on.
    pub(crate) fn decode(row: &SqliteRow, first: usize) -> Result<Self, Failure> {
        Ok(Self {
            version: row.try_get(first)?,
            converted_key: row.try_get(first + 1)?,
            conversion: row.try_get(first + 2)?,
        })
    }

    /// Refuses entries of a version that this program does not know: it would search them
    /// for other words, and add entries that the newer program takes for its own.
    ///
    /// # Errors
    /// [`ErrorKind::NewerSchema`].
    pub(crate) fn check(self, operation: &'static str) -> Result<Self, Failure> {
        let version = self.version.abs();
        if version <= VERSION {
            return Ok(self);
        }
        let message = format!(
            "the words of the database have version {version} of the analysis of texts, and this program knows versions up to {VERSION}; use the newer version of this program that converted them"
        );
        let error = MemoryError::store(ErrorKind::NewerSchema, operation, message);
        Err(Failure::Refused(error))
    }

    /// Whether no conversion to this program's version has begun.
    pub(crate) const fn is_outdated(self) -> bool {
        self.version.abs() != VERSION
    }

    /// Whether all entries are of this program's version.
    pub(crate) const fn is_converted(self) -> bool {
        self.version == VERSION
    }

    /// Whether entries are being converted to this program's version.
    pub(crate) const fn is_converting(self) -> bool {
        self.version == -VERSION
    }

    /// Entries up to this key are converted; only for one that is being converted.
    pub(crate) const fn converted_key(self) -> i64 {
        self.converted_key
    }

    /// The number that pages of words have that are of this program's version. `None` where
    /// there are no such pages.
    pub(crate) fn conversion(self) -> Option<i64> {
        (!self.is_outdated()).then_some(self.conversion)
    }

    /// Whether the entry with this key may be of another version.
    pub(crate) const fn is_key_outdated(self, key: i64) -> bool {
        self.version != VERSION && (self.is_outdated() || key > self.converted_key)
    }

    /// The first number of an entity whose entry may be of another version, up to that of
    /// its next memory: all before it are of this program's.
    pub(crate) fn first_outdated(self, entity: &EntityRow) -> i64 {
        let first_key = row_keys::key(entity.key, 0);
        if self.version == VERSION {
            return entity.next_number;
        }
        if self.is_outdated() {
            return 0;
        }
        let converted = self
            .converted_key
            .saturating_sub(first_key)
            .saturating_add(1);
        converted.clamp(0, entity.next_number)
    }
}

#[cfg(test)]
mod tests {
    use memory_core::Generation;

    use super::*;

    #[test]
    fn a_conversion_divides_the_entity_that_it_has_come_to() {
        let entity = |key| EntityRow {
            key,
            generation: Generation(1),
            memory_count: 10,
            archived_count: 0,
            word_count: 10,
            next_number: 10,
            tombstone_count: 0,
            tombstone_floor: Generation(0),
        };
        let state = |version, converted_key| AnalysisState {
            version,
            converted_key,
            conversion: 3,
        };
        let firsts = |state: AnalysisState| [1, 2, 3].map(|key| state.first_outdated(&entity(key)));
        assert_eq!(firsts(state(VERSION, 0)), [10, 10, 10]);
        assert_eq!(firsts(state(VERSION - 1, 0)), [0, 0, 0]);
        assert_eq!(firsts(state(1 - VERSION, row_keys::key(2, 4))), [0, 0, 0]);
        let converting = state(-VERSION, row_keys::key(2, 4));
        assert_eq!(firsts(converting), [10, 5, 0]);
        assert!(!converting.is_key_outdated(row_keys::key(2, 4)));
        assert!(converting.is_key_outdated(row_keys::key(2, 5)));
        assert_eq!(firsts(state(-VERSION, 0)), [0, 0, 0]);
        assert_eq!(converting.conversion(), Some(3));
        assert_eq!(state(VERSION - 1, 0).conversion(), None);
        assert!(state(VERSION, 0).check("search").is_ok());
        for newer in [VERSION + 1, -VERSION - 1] {
            let error = state(newer, 0).check("search").unwrap_err();
            let error = error.into_error("search");
            assert_eq!(error.kind(), ErrorKind::NewerSchema);
        }
    }
}
