//! Building statements together with their parameters.

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

    /// The statement, to be run on one server and perhaps on another afterward.
    pub(crate) fn copy_query(&self) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
        match &self.failure {
            Some(error) => Err(sqlx::Error::Encode(error.to_string().into())),
            None => {
                let text = AssertSqlSafe(self.text.clone());
                Ok(sqlx::query_with(text, self.values.clone()))
            }
        }
    }

    /// The statement, ready to run.
    pub(crate) fn query(self) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
        match self.failure {
            Some(error) => Err(sqlx::Error::Encode(error)),
            None => Ok(sqlx::query_with(AssertSqlSafe(self.text), self.values)),
        }
    }
}

/// An insert of rows, given as columns.
///
/// Several rows are one parameter per column, an array, and `unnest` in the select
/// list streams them; in `FROM` the server would write large arrays to a temporary
/// file first. A single row is inserted with `VALUES`, which a distributed server
/// sends to one node as it is, instead of planning a query over arrays.
pub(crate) struct RowInsert {
    sql: SqlBuilder,
    table: &'static str,
    is_single: bool,
    names: Vec<&'static str>,
    values: Vec<String>,
}

impl RowInsert {
    /// Of this many rows; every column has one value for each.
    pub(crate) fn new(table: &'static str, rows: usize) -> Self {
        Self {
            sql: SqlBuilder::new(),
            table,
            is_single: rows == 1,
            names: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Adds a column of an SQL type.
    pub(crate) fn column<'v, T>(
        &mut self,
        name: &'static str,
        sql_type: &str,
        values: Vec<T>,
    ) -> &mut Self
    where
        T: Encode<'v, Postgres> + Type<Postgres>,
        Vec<T>: Encode<'v, Postgres> + Type<Postgres>,
    {
        let value = if self.is_single {
            let value = values.into_iter().next();
            value.map(|value| self.sql.value(value, sql_type))
        } else {
            let array = self.sql.value(values, &format!("{sql_type}[]"));
            Some(format!("unnest({array})"))
        };
        self.names.push(name);
        self.values.push(value.unwrap_or_else(|| "NULL".to_owned()));
        self
    }

    /// Adds a column whose values are converted from one type to another.
    pub(crate) fn converted_column<'v, T>(
        &mut self,
        name: &'static str,
        [from, to]: [&str; 2],
        values: Vec<T>,
    ) -> &mut Self
    where
        T: Encode<'v, Postgres> + Type<Postgres>,
        Vec<T>: Encode<'v, Postgres> + Type<Postgres>,
    {
        self.column(name, from, values);
        if let Some(value) = self.values.last_mut() {
            value.push_str("::");
            value.push_str(to);
        }
        self
    }

    /// The statement, with what follows the rows: `ON CONFLICT`, `RETURNING`.
    pub(crate) fn query(
        mut self,
        tail: &str,
    ) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
        let (table, names) = (self.table, self.names.join(", "));
        let values = self.values.join(", ");
        self.sql.push(if self.is_single {
            format!("INSERT INTO {table} ({names}) VALUES ({values}) {tail}")
        } else {
            format!("INSERT INTO {table} ({names}) SELECT {values} {tail}")
        });
        self.sql.query()
    }
}

/// The statements of a script, without its comments. It knows what our own scripts
/// contain: comments to the end of the line, texts in single quotes and between `$$`.
pub(crate) fn statements(script: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '-' if rest.starts_with("--") => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after);
                continue;
            }
            ';' => {
                statements.push(String::new());
                rest = &rest[1..];
                continue;
            }
            // A doubled quote ends one text and begins another.
            '\'' => rest[1..].find('\'').map(|end| end + 2),
            '$' if rest.starts_with("$$") => rest[2..].find("$$").map(|end| end + 4),
            _ => Some(c.len_utf8()),
        };
        let (text, after) = rest.split_at(length.unwrap_or(rest.len()));
        if let Some(statement) = statements.last_mut() {
            statement.push_str(text);
        }
        rest = after;
    }
    let statements = statements.iter().map(|it| it.trim().to_owned());
    statements.filter(|it| !it.is_empty()).collect()
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
    fn script_is_split_at_semicolons_outside_of_texts() {
        let script = "-- One; not a statement.\nSELECT ';', 'it''s; one'; \
                      DO $$ BEGIN NULL; END $$;\n\n-- The end\nSELECT 1";
        let expected = [
            "SELECT ';', 'it''s; one'",
            "DO $$ BEGIN NULL; END $$",
            "SELECT 1",
        ];
        assert_eq!(statements(script), expected);
        assert!(statements("-- nothing").is_empty());
    }

    #[test]
    fn quoted_text_cannot_end_its_literal() {
        assert_eq!(quoted("mira"), "'mira'");
        assert_eq!(quoted("o'b"), "'o''b'");
        assert_eq!(quoted("\\'; --"), "E'\\\\''; --'");
    }
}
