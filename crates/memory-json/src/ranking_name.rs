//! The names of rankings.

use memory::Ranking;
use serde::Deserialize;

/// A ranking by name, as requests and the command line have it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RankingName {
    /// [`Ranking::default`].
    #[default]
    Default,
    /// [`Ranking::weighted_sum`].
    WeightedSum,
}

impl RankingName {
    /// Every name.
    pub const ALL: [Self; 2] = [Self::Default, Self::WeightedSum];

    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::WeightedSum => "weighted_sum",
        }
    }

    /// What it orders by, in one line.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Default => "Meaning, words and neighbors; importance and recency settle ties",
            Self::WeightedSum => "Weighted sum: 60 % similarity, 30 % importance, 10 % recency",
        }
    }
}

impl From<RankingName> for Ranking {
    fn from(name: RankingName) -> Self {
        match name {
            RankingName::Default => Self::default(),
            RankingName::WeightedSum => Self::weighted_sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_parses_back() {
        for name in RankingName::ALL {
            let json = format!("\"{}\"", name.as_str());
            assert_eq!(serde_json::from_str::<RankingName>(&json).unwrap(), name);
        }
    }
}
