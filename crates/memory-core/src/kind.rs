//! The four kinds of memory.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{InvalidInput, MemoryError};

/// The kind of a memory, which decides how fast its importance decays.
///
/// The decay rates are those of the original system, per day: a fact about the world
/// halves its importance in 139 days (ln 2 / 0.005), an observation in 35.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MemoryKind {
    /// A fact about the world: "the mill stands north of the bridge".
    World,
    /// Something the entity lived through: "Tam sold me a lame horse".
    Experience,
    /// What the entity thinks: "Tam is not to be trusted".
    Opinion,
    /// Something seen in passing: "the mill's wheel stood still today".
    Observation,
}

impl MemoryKind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 4] = [
        Self::World,
        Self::Experience,
        Self::Opinion,
        Self::Observation,
    ];

    /// Decay of importance per day: the λ of `exp(−λ · age_days)`.
    #[must_use]
    pub const fn decay_rate(self) -> f32 {
        match self {
            Self::World => 0.005,
            Self::Experience | Self::Opinion => 0.01,
            Self::Observation => 0.02,
        }
    }

    /// The name in files and databases: `world`, `experience`, `opinion`,
    /// `observation`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::World => "world",
            Self::Experience => "experience",
            Self::Opinion => "opinion",
            Self::Observation => "observation",
        }
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MemoryKind {
    type Err = MemoryError;

    /// Reads a kind's name; upper and lower case are the same.
    ///
    /// # Errors
    /// [`InvalidInput::UnknownKind`] for any other word.
    fn from_str(name: &str) -> Result<Self, MemoryError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| InvalidInput::UnknownKind { found: name.into() }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_name() {
        for kind in MemoryKind::ALL {
            assert_eq!(kind.as_str().parse::<MemoryKind>().unwrap(), kind);
            assert_eq!(
                kind.as_str().to_uppercase().parse::<MemoryKind>().unwrap(),
                kind
            );
        }
        assert!("dream".parse::<MemoryKind>().is_err());
    }
}
