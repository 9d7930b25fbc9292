//! Consolidation, reflection, limits, relations and access counts, on the
//! reference store.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod access_counts;
mod automatic_consolidation;
mod consolidate;
mod fixture;
mod forget;
mod history;
mod limits;
mod metrics;
mod reflect;
mod relations;
mod restore;
