//! Integration tests on a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

mod ann_index;
mod conformance;
mod crash;
mod damaged_pages;
mod distributed;
mod failed_reads;
mod fault_proxy;
mod index_maintenance;
mod large_batches;
mod loads;
mod migrations;
mod pgbouncer;
mod record_accesses;
mod reindex;
mod replicas;
mod resilience;
mod row_level_security;
mod schema;
mod server_process;
mod snapshot_pages;
mod stale_statistics;
mod standby;
mod statement_counts;
mod statement_log;
mod timeouts;
mod tls;
mod tombstones;
mod unknown_outcome;
mod watch;

use memory_core::{EmbeddedMemory, EntityId};
use memory_testkit::{SeededRng, fixtures};

/// `size` varied memories of one entity.
fn memories(entity: &str, size: usize) -> Vec<EmbeddedMemory> {
    let mut rng = SeededRng::new(size as u64);
    fixtures::varied_memories(&EntityId::from(entity), size, &mut rng)
}
