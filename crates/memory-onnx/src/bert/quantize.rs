//! Block-wise 8-bit quantization of weights.

/// The weights per scale. A power of two that divides the common sizes, so that
/// blocks need no padding.
pub(super) const BLOCK: usize = 128;

/// The zero point, which is the default of the operator.
const ZERO: f32 = 128.0;
/// The maximum distance from the zero point, the same on both sides.
const MAX_STEPS: f32 = 127.0;

/// Quantizes the rows of a matrix block by block, symmetrically around zero:
/// `scale = max |x| / 127` and `q = round(x / scale) + 128`. The last block of a row
/// is padded with zeros.
///
/// `quantized` has a multiple of [`BLOCK`] bytes per row, `scales` one number per
/// block.
pub(super) fn quantize(weights: &[f32], columns: usize, quantized: &mut [u8], scales: &mut [f32]) {
    let blocks = columns.div_ceil(BLOCK);
    let rows = weights.chunks_exact(columns);
    let targets = quantized
        .chunks_exact_mut(blocks * BLOCK)
        .zip(scales.chunks_exact_mut(blocks));
    for (row, (quantized, scales)) in rows.zip(targets) {
        let targets = quantized.chunks_exact_mut(BLOCK).zip(scales);
        for (block, (quantized, scale)) in row.chunks(BLOCK).zip(targets) {
            let largest = block.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            *scale = largest / MAX_STEPS;
            let inverse = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
            quantized.fill(to_byte(ZERO));
            for (byte, x) in quantized.iter_mut().zip(block) {
                *byte = to_byte((x * inverse).round_ties_even() + ZERO);
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float to integer keeps within the integer's range"
)]
fn to_byte(value: f32) -> u8 {
    value as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_is_within_half_a_step() {
        let columns = BLOCK + 40;
        let weights: Vec<f32> = (0..3 * columns)
            .map(|n| ((n * 37 % 101) as f32 - 50.0) * if n < columns { 0.01 } else { 3.0 })
            .collect();
        let mut quantized = vec![0; 3 * 2 * BLOCK];
        let mut scales = vec![0.0; 3 * 2];
        quantize(&weights, columns, &mut quantized, &mut scales);
        for (n, weight) in weights.iter().enumerate() {
            let (row, column) = (n / columns, n % columns);
            let scale = scales[row * 2 + column / BLOCK];
            let back = (f32::from(quantized[row * 2 * BLOCK + column]) - ZERO) * scale;
            assert!(
                (back - weight).abs() <= scale * 0.501,
                "{weight} became {back}"
            );
        }
        // The padding of the last block is zero.
        assert!(
            quantized[columns..2 * BLOCK]
                .iter()
                .all(|byte| *byte == 128)
        );
    }

    #[test]
    fn a_block_of_zeros_stays_zero() {
        let (mut quantized, mut scales) = (vec![0; BLOCK], vec![1.0]);
        quantize(&[0.0; BLOCK], BLOCK, &mut quantized, &mut scales);
        assert_eq!((scales[0], quantized[7]), (0.0, 128));
    }
}
