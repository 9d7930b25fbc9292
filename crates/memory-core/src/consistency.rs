//! How soon a read sees what other processes wrote.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{MemoryError, MemoryResult};

/// Who else writes to the store, and so what the tiers may be trusted with.
///
/// What this system itself wrote is seen at once under each of them.
///
/// ```
/// use std::time::Duration;
/// use memory_core::{Consistency, MemoryConfig};
/// let config = MemoryConfig {
///     consistency: Some(Consistency::Bounded(Duration::from_secs(2))),
///     ..MemoryConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Consistency {
    /// Only this system writes to the store: cached values are used without a
    /// check. Another's writes are seen when a cache entry expires.
    Local,
    /// Others write too, and a read sees everything committed before it began.
    /// Where the store has a [change marker](crate::Store::change_marker) (a
    /// SQLite file), an unchanged marker is all that a cached read checks. Else,
    /// or after a commit, a recall asks the store for the entity's generation
    /// (one small statement) and reads only what changed; a get reads from the
    /// store.
    Checked,
    /// Others write too, and a read sees whatever they wrote at least so long
    /// before it began: above 0, at most [`MAX_BOUND`](Self::MAX_BOUND). A
    /// recall asks for the generation when that was last done longer ago; a
    /// memory that was read longer ago is read again. Where the store tells of
    /// writes ([`Store::watch`](crate::Store::watch)) they are mostly seen
    /// sooner, and while it cannot tell, this is [`Checked`](Self::Checked).
    Bounded(Duration),
}

impl Consistency {
    /// The longest bound: a day. For longer ones use [`Local`](Self::Local) with a
    /// matching expiry.
    pub const MAX_BOUND: Duration = Duration::from_secs(86_400);

    /// Checks the bound of [`Bounded`](Self::Bounded).
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for a bound of 0, which would be
    /// [`Checked`](Self::Checked), or one beyond
    /// [`MAX_BOUND`](Self::MAX_BOUND).
    pub fn validate(&self) -> MemoryResult<()> {
        match self {
            Self::Bounded(bound) if bound.is_zero() || *bound > Self::MAX_BOUND => {
                Err(MemoryError::configuration(format!(
                    "the consistency is bounded by {bound:?}; it must be above 0 (0 would be \
                     `checked`) and at most {:?}",
                    Self::MAX_BOUND
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_above_nothing_and_at_most_a_day() {
        for good in [Duration::from_nanos(1), Consistency::MAX_BOUND] {
            Consistency::Bounded(good).validate().unwrap();
        }
        for bad in [
            Duration::ZERO,
            Consistency::MAX_BOUND + Duration::from_nanos(1),
        ] {
            let said = Consistency::Bounded(bad).validate().unwrap_err();
            assert!(said.to_string().contains("at most 86400s"), "{said}");
        }
    }
}
