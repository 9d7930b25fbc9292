//! The register of caches.

use std::error::Error;

use memory_core::CacheBackend;
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;

use super::outside::{FoyerBackend, LruBackend, MiniMokaBackend, MokaFutureBackend};

/// A piece of work that any cache can be put to.
pub trait Trial {
    /// Puts one family of caches to the work.
    ///
    /// # Errors
    /// Whatever keeps the work from being done.
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>>;
}

/// Puts every cache to the same work, one after the other. To register a
/// cache, add a line.
///
/// # Errors
/// The first that a trial meets.
pub fn each(trial: &mut impl Trial) -> Result<(), Box<dyn Error>> {
    trial.run(MokaBackend)?;
    trial.run(QuickBackend)?;
    trial.run(MokaFutureBackend)?;
    trial.run(MiniMokaBackend)?;
    trial.run(FoyerBackend::TINY_LFU)?;
    trial.run(FoyerBackend::S3_FIFO)?;
    trial.run(LruBackend)?;
    Ok(())
}
