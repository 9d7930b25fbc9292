//! A statement that is put together while it is written.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use sqlx::{Arguments, AssertSqlSafe, Encode, Type};

/// The text of a statement and the values that go with it. Text comes from this
/// crate alone; whatever a caller gave is a value.
pub(crate) struct Sql {
    text: String,
    values: PgArguments,
    count: usize,
    failure: Option<BoxDynError>,
}

impl Sql {
    pub(crate) fn new() -> Self {
        Self {
            text: String::new(),
            values: PgArguments::default(),
            count: 0,
            failure: None,
        }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.text.push_str(text.as_ref());
        self
    }

    /// Puts text before what is there.
    #[cfg(test)]
    pub(crate) fn prepend(&mut self, text: &str) {
        self.text.insert_str(0, text);
    }

    /// Adds a value and gives what stands for it in the text, any number of
    /// times. The cast leaves the server nothing to guess.
    pub(crate) fn value<'v, T>(&mut self, value: T, cast: &str) -> String
    where
        T: Encode<'v, Postgres> + Type<Postgres>,
    {
        if let Err(error) = self.values.add(value) {
            self.failure.get_or_insert(error);
        }
        self.count += 1;
        format!("${}::{cast}", self.count)
    }

    /// The statement, ready to run.
    pub(crate) fn query(self) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
        match self.failure {
            Some(error) => Err(sqlx::Error::Encode(error)),
            None => Ok(sqlx::query_with(AssertSqlSafe(self.text), self.values)),
        }
    }
}

/// A text as a constant of SQL, for what cannot be a value.
pub(crate) fn quoted(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') {
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_constant() {
        assert_eq!(quoted("mira"), "'mira'");
        assert_eq!(quoted("o'b"), "'o''b'");
        assert_eq!(quoted("\\'; --"), "E'\\\\''; --'");
    }
}
