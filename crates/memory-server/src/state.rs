//! What all handlers share.

use std::sync::Arc;

use memory::MemorySystem;

use crate::conditional_write::ConditionalWrites;
use crate::import::ImportLimits;
use crate::import_slots::ImportSlots;
use crate::metrics::Metrics;
use crate::query_parameters::QueryParameters;
use crate::rate_limit::RateLimit;
use crate::readiness::Readiness;
use crate::tokens::Tokens;

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) memory: MemorySystem,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) rate_limit: Option<Arc<RateLimit>>,
    pub(crate) query_parameters: Arc<QueryParameters>,
    pub(crate) conditional_writes: Arc<ConditionalWrites>,
    pub(crate) max_body_bytes: usize,
    pub(crate) import_limits: ImportLimits,
    pub(crate) imports: Arc<ImportSlots>,
}
