//! The configuration presets, by name.

use std::fmt;

use super::{ByteSize, MemoryConfig};

/// A named configuration; [`MemoryConfig`] compares them.
///
/// ```
/// use memory_core::Preset;
/// assert_eq!(Preset::from_name("low_memory"), Some(Preset::LowMemory));
/// assert_eq!(Preset::LowMemory.config().cache_max_capacity, 1_000);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// Balanced: up to about 1,000 requests a minute.
    #[default]
    Default,
    /// For servers with many busy entities and memory to spare.
    HighTraffic,
    /// For small machines: the whole process stays below 512 MB.
    LowMemory,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 3] = [Self::Default, Self::HighTraffic, Self::LowMemory];

    /// The name in files, variables and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::HighTraffic => "high_traffic",
            Self::LowMemory => "low_memory",
        }
    }

    /// The preset of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// The values of the preset.
    #[must_use]
    pub fn config(self) -> MemoryConfig {
        match self {
            Self::Default => MemoryConfig::default(),
            Self::HighTraffic => MemoryConfig::high_traffic(),
            Self::LowMemory => MemoryConfig::low_memory(),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl MemoryConfig {
    /// For servers with many busy entities and memory to spare.
    #[must_use]
    pub fn high_traffic() -> Self {
        Self {
            cache_max_capacity: 50_000,
            cache_ttl_seconds: 600,
            cache_tti_seconds: 120,
            embedding_cache_capacity: 5_000,
            embedding_cache_ttl_seconds: 1_200,
            memory_cache_max_bytes: ByteSize::mebibytes(256),
            entity_cache_max_bytes: ByteSize::mebibytes(1_024),
            embedding_cache_max_bytes: ByteSize::mebibytes(64),
            ..Self::default()
        }
    }

    /// For small machines.
    #[must_use]
    pub fn low_memory() -> Self {
        Self {
            cache_max_capacity: 1_000,
            cache_ttl_seconds: 60,
            cache_tti_seconds: 30,
            embedding_cache_capacity: 100,
            embedding_cache_ttl_seconds: 300,
            memory_cache_max_bytes: ByteSize::mebibytes(8),
            entity_cache_max_bytes: ByteSize::mebibytes(32),
            embedding_cache_max_bytes: ByteSize::mebibytes(2),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_presets_and_all_are_valid() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_name(preset.name()), Some(preset));
            preset.config().validate().unwrap();
        }
        assert_eq!(Preset::from_name("LOW_MEMORY"), None);
    }
}
