//! What only a real server shows: statements counted, crashes survived, limits
//! kept, schemas refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod commit;
mod crash;
mod limits;
mod program;
mod schema;
mod statements;

use memory_core::{EntityId, PreparedMemory};
use memory_testkit::{Seeded, population};

/// So many varied memories of one entity.
fn memories(entity: &str, size: usize) -> Vec<PreparedMemory> {
    let mut chance = Seeded::new(size as u64);
    population::population(&EntityId::from(entity), size, &mut chance)
}
