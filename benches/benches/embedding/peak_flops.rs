//! The peak single-precision throughput of this machine, measured with a loop of
//! fused multiply-adds on every core that needs no memory access.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Independent dependency chains: more than two units times the latency of one
/// operation in cycles.
const CHAINS: usize = 12;
/// Iterations of the loop: about half a second.
const ROUNDS: u64 = 100_000_000;

/// Billions of operations per second over all cores of this process; a
/// multiply-add counts as two. `None` on architectures without the loop.
pub(crate) fn gflops() -> Option<f64> {
    let Kernel { spin, lanes } = kernel()?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| black_box(spin(black_box(ROUNDS))));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for a table")]
    let operations = (2 * lanes * CHAINS * cores) as f64 * ROUNDS as f64;
    Some(operations / seconds / 1e9)
}

/// The loop.
struct Kernel {
    spin: fn(u64) -> f32,
    /// Values per instruction.
    lanes: usize,
}

#[cfg(not(target_arch = "x86_64"))]
fn kernel() -> Option<Kernel> {
    None
}

/// The widest loop that the processor supports.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "each loop is returned only after its CPU features were detected"
)]
fn kernel() -> Option<Kernel> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    if is_x86_feature_detected!("avx512f") {
        let spin = |rounds| unsafe { x86::wide(rounds) };
        Some(Kernel { spin, lanes: 16 })
    } else if avx2 {
        let spin = |rounds| unsafe { x86::narrow(rounds) };
        Some(Kernel { spin, lanes: 8 })
    } else {
        None
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    // Inputs pass through `black_box`, so that the loop is not computed at compile time.
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps,
        _mm512_reduce_add_ps, _mm512_set1_ps,
    };

    use std::hint::black_box;

    use super::CHAINS;

    #[target_feature(enable = "avx512f")]
    pub(super) fn wide(rounds: u64) -> f32 {
        let (a, b) = black_box((_mm512_set1_ps(0.999), _mm512_set1_ps(0.002)));
        let mut chains = black_box([_mm512_set1_ps(1.0); CHAINS]);
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, a, b);
            }
        }
        chains
            .into_iter()
            .map(|chain| _mm512_reduce_add_ps(chain))
            .sum()
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn narrow(rounds: u64) -> f32 {
        let (a, b) = black_box((_mm256_set1_ps(0.999), _mm256_set1_ps(0.002)));
        let mut chains = black_box([_mm256_set1_ps(1.0); CHAINS]);
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, a, b);
            }
        }
        let mut sum = _mm256_set1_ps(0.0);
        for chain in chains {
            sum = _mm256_add_ps(sum, chain);
        }
        _mm256_cvtss_f32(sum)
    }
}
