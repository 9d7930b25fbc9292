//! Reads from replicas.

pub(crate) mod replica;
pub(crate) mod replica_reads;
pub(crate) mod write_positions;
