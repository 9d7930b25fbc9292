//! Shared parts of the benchmarks: conversations and their scoring, generated
//! corpora, the cache comparison, policies of the tiers, the load tests of the presets
//! and of many processes, recorded values and the report; arguments of the programs.

pub mod arguments;
pub mod cache_comparison;
pub mod cache_policies;
pub mod cluster_load;
pub mod corpus;
pub mod counting_allocator;
pub mod locomo;
pub mod machine;
pub mod metrics;
pub mod preset_load;
pub mod quality;
pub mod ratios;
pub mod recorded_criterion;
pub mod records;
pub mod report;
pub mod samples;
pub mod short_texts;
pub mod test_schema;
pub mod warm_up;
