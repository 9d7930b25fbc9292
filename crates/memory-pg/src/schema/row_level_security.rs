//! Row-level security: creating the policies, and checking that they apply to
//! the current role.

use memory_core::ErrorKind;
use sqlx::Row;

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::Attempts;
use crate::error::Failure;
use crate::rows::sql;
use crate::schema::migrations::begin_exclusive;
use crate::schema::refusal;

const POLICIES: &str = include_str!("../../migrations/optional/row_level_security.sql");

/// The tables with policies, in the order in which they get them.
const TABLES: [&str; 8] = [
    "memory",
    "memory_access",
    "memory_entity",
    "memory_embedding",
    "memory_tombstone",
    "memory_approximate",
    "snapshot_page",
    "entity",
];

/// Creates the policies where the options ask for them, and refuses a schema that
/// contradicts the options: under policies, a transaction that names no entity
/// finds every table empty.
pub(crate) async fn prepare(
    database: &Database,
    mut connection: Connection,
) -> Result<(), Failure> {
    let required = database.options.row_level_security;
    let mut active = read_active(&mut connection).await?;
    if required && active.len() < TABLES.len() && database.may_migrate() {
        connection.disable_timeout();
        let missing = |table: &&&str| !active.iter().any(|active| active == **table);
        for table in TABLES.iter().filter(missing) {
            create_policies(&mut connection, table).await?;
        }
        connection.restore_timeout();
        active = read_active(&mut connection).await?;
    }
    match (required, active.len()) {
        (true, count) if count == TABLES.len() => {
            connection.release();
            Ok(())
        }
        (false, 0) => {
            connection.release();
            Ok(())
        }
        (true, _) => Err(refusal(
            ErrorKind::Configuration,
            "row-level security is not in effect: the role is a superuser or has BYPASSRLS, or \
             migrations/postgres/optional/row_level_security.sql has not been applied",
        )),
        (false, _) => Err(refusal(
            ErrorKind::Configuration,
            "the tables have row-level security enabled; open with \
             PgOptions::row_level_security(true) or ?row_level_security=on",
        )),
    }
}

/// The statements for one table. All tables in one transaction would be locked one after the
/// other, while readers that have one of them wait for another.
fn policies_of(table: &str) -> Vec<String> {
    let mut statements = sql::statements(POLICIES);
    if let Some(for_each) = statements.first_mut()
        && let Some((before, list)) = for_each.split_once("ARRAY[")
        && let Some((_, after)) = list.split_once(']')
    {
        *for_each = format!("{before}ARRAY['{table}']{after}");
    }
    // What follows is about the names of entities.
    if table != "entity" {
        statements.truncate(1);
    }
    statements
}

/// Creates the policies of a table. A deadlock with others that lock tables in another order is
/// tried again.
async fn create_policies(connection: &mut Connection, table: &str) -> Result<(), Failure> {
    let mut attempts = Attempts::new();
    loop {
        begin_exclusive(connection).await?;
        match connection.execute_all(&policies_of(table)).await {
            Ok(()) => return connection.execute_batch("COMMIT").await,
            Err(failure) => {
                attempts.after(failure).await?;
                connection.execute_batch("ROLLBACK").await?;
            }
        }
    }
}

/// The tables whose policies apply to the current role.
async fn read_active(connection: &mut Connection) -> Result<Vec<String>, Failure> {
    connection.execute_batch("BEGIN").await?;
    let query = sqlx::query(
        "SELECT c.relname::text AS name \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname = ANY ($1::text[]) \
         AND c.relrowsecurity AND row_security_active(c.oid)",
    );
    let rows = connection.fetch_all(query.bind(TABLES.as_slice())).await?;
    connection.execute_batch("COMMIT").await?;
    let names = rows.iter().map(|row| row.try_get("name"));
    Ok(names.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_about_these_tables_and_names() {
        let script = sql::statements(POLICIES);
        for table in TABLES {
            assert!(script[0].contains(&format!("'{table}'")), "{table}");
            let statements = policies_of(table);
            assert!(statements[0].contains(&format!("ARRAY ARRAY['{table}']")));
            assert_eq!(
                statements[1..],
                script[if table == "entity" { 1 } else { 3 }..]
            );
        }
    }
}
