//! Building a statement together with its parameters.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use sqlx::{Arguments, AssertSqlSafe, Encode, Type};

/// The text of a statement and its parameters. The text comes from this crate
/// alone; everything that a caller passes is a parameter.
pub(crate) struct SqlBuilder {
    text: String,
    values: PgArguments,
    count: usize,
    failure: Option<BoxDynError>,
}

impl SqlBuilder {
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

    /// Inserts text at the beginning.
    #[cfg(test)]
    pub(crate) fn prepend(&mut self, text: &str) {
        self.text.insert_str(0, text);
    }

    /// Adds a parameter and returns its placeholder, which may be repeated. The
    /// cast leaves no type for the server to infer.
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

/// A text as an SQL string literal, for where no parameter is allowed.
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
    fn quoted_text_cannot_end_its_literal() {
        assert_eq!(quoted("mira"), "'mira'");
        assert_eq!(quoted("o'b"), "'o''b'");
        assert_eq!(quoted("\\'; --"), "E'\\\\''; --'");
    }
}
