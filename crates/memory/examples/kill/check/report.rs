//! What a check saw.

use std::fmt;
use std::time::Duration;

use super::fixtures::FIRST;

/// What a check saw.
#[derive(Debug, Default)]
pub(crate) struct KillReport {
    pub(crate) memories: u64,
    pub(crate) kills: u64,
    /// Kills that came before the conversion had ended.
    pub(crate) while_converting: u64,
    /// Snapshots that children had loaded.
    pub(crate) loads: u64,
    /// Writes that children had acknowledged.
    pub(crate) writes: u64,
    pub(super) file_bytes: u64,
    /// The longest time that opening took after a kill.
    pub(super) opening: Duration,
    /// The fewest memories that both have of the first of a snapshot and of the store.
    pub(crate) common: usize,
    pub(super) conversion: Option<ConversionReport>,
}

/// A conversion that no kill interrupted, while this process and another write.
#[derive(Debug, Default)]
pub(super) struct ConversionReport {
    pub(super) took: Duration,
    pub(super) searches: Vec<Duration>,
    pub(super) own_writes: Vec<Duration>,
    pub(super) other_writes: Vec<Duration>,
}

impl fmt::Display for KillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} memories of one entity, {} MB; {} kills, {} writes acknowledged, none lost; opened \
             after a kill in at most {:.2?}; at least {} of the first {FIRST} are the same",
            self.memories,
            self.file_bytes / 1_000_000,
            self.kills,
            self.writes,
            self.opening,
            self.common
        )?;
        if self.loads > 0 {
            write!(f, "; {} snapshots loaded", self.loads)?;
        }
        let Some(conversion) = &self.conversion else {
            return Ok(());
        };
        write!(
            f,
            "; {} kills during the conversion, which takes {:.1?} by itself",
            self.while_converting, conversion.took
        )?;
        for (name, times) in [
            ("searches of the entity", &conversion.searches),
            ("writes of the same process", &conversion.own_writes),
            ("writes of another process", &conversion.other_writes),
        ] {
            let mut times = times.clone();
            times.sort_unstable();
            let part = |percent: usize| times.get(times.len() * percent / 100);
            if let (Some(half), Some(most), Some(last)) = (part(50), part(99), times.last()) {
                write!(
                    f,
                    "; {} {name} meanwhile: median {half:.1?}, p99 {most:.1?}, longest {last:.1?}",
                    times.len()
                )?;
            }
        }
        Ok(())
    }
}
