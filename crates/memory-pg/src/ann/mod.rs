//! Approximate indexes of very large entities (approximate nearest neighbors).

pub(crate) mod ann_index;
pub(crate) mod ann_search;
pub(crate) mod maintenance;
pub(crate) mod recall_estimate;
