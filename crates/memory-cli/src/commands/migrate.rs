//! `memory migrate`: creates the database, or updates its schema.

use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::Output;

pub(crate) async fn run(database: &Database, output: &mut Output) -> Result<(), Failure> {
    database.open_for_migration().await?;
    output.set_done("the schema is current");
    if output.is_json() {
        return output.write_json(&Migrated { current: true });
    }
    output.write_line(format_args!("the schema is current"))
}

#[derive(Serialize)]
struct Migrated {
    /// Whether the schema is the one that this program needs.
    current: bool,
}
