//! The caches that are compared.

use std::error::Error;

use memory_core::CacheBackend;
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;

use super::third_party::{FoyerBackend, LruBackend, MiniMokaBackend, MokaFutureBackend};

/// A measurement that runs on any cache backend.
pub trait Experiment {
    /// Runs the measurement on one backend.
    ///
    /// # Errors
    /// Whatever made the measurement fail.
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>>;
}

/// Runs the experiment on every registered cache, one after the other. To
/// register a cache, add a line.
///
/// # Errors
/// The first error of the experiment.
pub fn run_on_each(experiment: &mut impl Experiment) -> Result<(), Box<dyn Error>> {
    experiment.run(MokaBackend)?;
    experiment.run(QuickBackend)?;
    experiment.run(MokaFutureBackend)?;
    experiment.run(MiniMokaBackend)?;
    experiment.run(FoyerBackend::TINY_LFU)?;
    experiment.run(FoyerBackend::S3_FIFO)?;
    experiment.run(LruBackend)?;
    Ok(())
}
