//! Refinements of 8-bit codes to 16 bits a component.
//!
//! A row is kept as its codes ([`quantized`](crate::quantized)), which a scan reads, and
//! one more byte a component, which says where in the code's step the component is. Both
//! together are within 1 part in 64,516 of the row's largest component: a row of
//! components up to 0.2 is off by 3e-6 in each, where half precision is off by 6e-5.

/// Steps of a refinement in one step of a code: 127 to each side.
const STEPS: f32 = 254.0;

/// Appends the refinements of a row's codes, one byte per component, in two's
/// complement. Returns an upper limit of the length of the difference between the row
/// and its refined codes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "clamped to -127..=127; dimensions are a few thousand"
)]
pub fn refine(row: &[f32], codes: &[u8], scale: f32, refinements: &mut Vec<u8>) -> f32 {
    let step = scale / STEPS;
    if !step.is_normal() {
        refinements.resize(refinements.len() + codes.len(), 0);
        return 0.0;
    }
    let round = |(number, code): (&f32, &u8)| {
        let rest = number - f32::from(code.cast_signed()) * scale;
        let steps = (rest / step).round().clamp(-127.0, 127.0);
        (steps as i8).cast_unsigned()
    };
    refinements.extend(row.iter().zip(codes).map(round));
    // Half a step in each component, and as much for the arithmetic.
    step * (codes.len() as f32).sqrt()
}

/// The dot product of a query and a row of refined codes. Its additions are in the
/// same order on every processor, so that all have the same result.
#[must_use]
pub fn refined_dot(query: &[f32], codes: &[u8], refinements: &[u8], scale: f32) -> f32 {
    let step = scale / STEPS;
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the features.
            return step * unsafe { x86::avx512(query, codes, refinements) };
        }
        if is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "instructions that were detected")]
            // SAFETY: the processor has the feature.
            return step * unsafe { x86::avx2(query, codes, refinements) };
        }
    }
    step * portable(query, codes, refinements)
}

/// Compiled to the instructions that its caller may use.
#[inline(always)]
fn portable(query: &[f32], codes: &[u8], refinements: &[u8]) -> f32 {
    const LANES: usize = 16;
    let product = |query: f32, code: u8, refinement: u8| {
        let (code, refinement) = (code.cast_signed(), refinement.cast_signed());
        query * f32::from(i16::from(code) * 254 + i16::from(refinement))
    };
    let (queries, codes) = (query.chunks_exact(LANES), codes.chunks_exact(LANES));
    let refinements = refinements.chunks_exact(LANES);
    let rest = queries.remainder().iter().zip(codes.remainder());
    let rest = rest.zip(refinements.remainder());
    let rest: f32 = rest
        .map(|((q, code), fine)| product(*q, *code, *fine))
        .sum();
    let mut sums = [0.0f32; LANES];
    for ((query, codes), refinements) in queries.zip(codes).zip(refinements) {
        for lane in 0..LANES {
            sums[lane] += product(query[lane], codes[lane], refinements[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(query: &[f32], codes: &[u8], refinements: &[u8]) -> f32 {
        super::portable(query, codes, refinements)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn avx512(query: &[f32], codes: &[u8], refinements: &[u8]) -> f32 {
        super::portable(query, codes, refinements)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cosine;
    use crate::quantized::quantize;

    proptest! {
        #[test]
        fn the_difference_is_within_its_limit_and_equal_on_every_processor(
            (query, row) in (1usize..300).prop_flat_map(|dimensions| {
                let number = || prop_oneof![-1.0f32..1.0, Just(0.0), -1e-30f32..1e-30];
                let vector = move || prop::collection::vec(number(), dimensions);
                (vector(), vector())
            }),
        ) {
            let (mut codes, mut refinements) = (Vec::new(), Vec::new());
            let scale = quantize(&row, &mut codes).scale;
            let error = refine(&row, &codes, scale, &mut refinements);
            prop_assert_eq!(refinements.len(), row.len());
            let dot = refined_dot(&query, &codes, &refinements, scale);
            let plain = portable(&query, &codes, &refinements) * (scale / STEPS);
            prop_assert_eq!(dot.to_bits(), plain.to_bits());
            let (query_length, length) = (cosine(&query, &query).sqrt(), cosine(&row, &row).sqrt());
            let limit = query_length * (error + 1e-5 * length) + 1e-30;
            let difference = (dot - cosine(&query, &row)).abs();
            prop_assert!(difference <= limit, "{difference} > {limit}");
        }
    }
}
