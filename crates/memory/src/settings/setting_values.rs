//! The values of all settings.

use std::num::NonZeroU32;
use std::time::Duration;

use memory_core::{ByteSize, DEFAULT_ANN_TARGET_RECALL, MemoryConfig, Preset};

/// A share from 0 to 1, which is always a number.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl Eq for Share {}

/// The values of all settings.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) db: Option<String>,
    pub(super) model: Option<String>,
    pub(super) previous_model: Option<String>,
    pub(super) db_replicas: Vec<String>,
    pub(super) shared_cache: Option<String>,
    pub(super) http_rate_limit: Option<NonZeroU32>,
    pub(super) http_allowed_origins: Vec<String>,
    pub(super) http_max_body_bytes: ByteSize,
    pub(super) http_max_import_bytes: ByteSize,
    pub(super) http_request_timeout_seconds: u64,
    pub(super) http_drain_timeout_seconds: u64,
    pub(super) shared_cache_budget: Duration,
    pub(super) ann_target_recall: Share,
    pub(super) preset: Preset,
    pub(super) config: MemoryConfig,
}

impl Values {
    pub(super) fn of(preset: Preset) -> Self {
        Self {
            db: None,
            model: None,
            previous_model: None,
            db_replicas: Vec::new(),
            shared_cache: None,
            http_rate_limit: None,
            http_allowed_origins: Vec::new(),
            http_max_body_bytes: ByteSize::mebibytes(8),
            http_max_import_bytes: ByteSize::mebibytes(1_024),
            http_request_timeout_seconds: 30,
            http_drain_timeout_seconds: 10,
            shared_cache_budget: memory_engine::DEFAULT_SHARED_CACHE_BUDGET,
            ann_target_recall: Share(DEFAULT_ANN_TARGET_RECALL),
            preset,
            config: preset.config(),
        }
    }
}
