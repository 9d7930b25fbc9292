//! What only a real server shows: statements counted, crashes survived, limits
//! kept, schemas refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod approximate;
mod commit;
mod crash;
mod limits;
mod line;
mod program;
mod robust;
mod schema;
mod security;
mod statements;
mod watch;

use memory_core::{EmbeddedMemory, EntityId};
use memory_testkit::{SeededRng, population};

/// So many varied memories of one entity.
fn memories(entity: &str, size: usize) -> Vec<EmbeddedMemory> {
    let mut chance = SeededRng::new(size as u64);
    population::population(&EntityId::from(entity), size, &mut chance)
}
