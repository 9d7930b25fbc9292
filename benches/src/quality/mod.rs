//! Retrieval quality on conversations with questions whose evidence is known:
//! `cargo xtask quality`.

mod cached_embedder;
mod cross_validation;
mod data_set;
mod intervals;
mod logistic;
mod measurement;
mod rankings;
mod relevance;
mod report;
mod scores;

pub use cached_embedder::CachedEmbedder;
pub use cross_validation::{CrossValidation, cross_validate};
pub use data_set::DataSet;
pub use measurement::Measurement;
pub use relevance::RelevanceReport;
pub use report::{DataSetReport, Report};
