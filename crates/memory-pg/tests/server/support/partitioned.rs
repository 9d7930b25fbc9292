//! A database whose tables are partitioned by entity: where a plan on it reads one
//! partition of each table, a distributed server sends the statement to one node.

use std::collections::BTreeSet;

use super::{connect, run};

/// The tables that are partitioned.
pub(crate) const TABLES: [&str; 7] = [
    "entity",
    "memory",
    "memory_embedding",
    "memory_access",
    "memory_entity",
    "memory_tombstone",
    "snapshot_page",
];

/// Partitions the tables of a new store. Plans for parameters of any value would
/// name every partition, so there are none.
pub(crate) async fn partition_tables(url: &str) {
    let mut connection = connect(url).await;
    run(&mut connection, include_str!("partitioned.sql")).await;
    run(
        &mut connection,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_custom_plan', \
         current_database()); END $$",
    )
    .await;
}

/// The numbers of the partitions that a plan names.
pub(crate) fn partitions(plan: &str) -> BTreeSet<u32> {
    let words = plan.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let number = |word: &str| {
        let number = TABLES
            .iter()
            .find_map(|table| word.strip_prefix(table)?.strip_prefix("_p"))?;
        let end = number.find(|c: char| !c.is_ascii_digit());
        number[..end.unwrap_or(number.len())].parse().ok()
    };
    words.filter_map(number).collect()
}
