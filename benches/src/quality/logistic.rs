//! Logistic regression of the relevance, by Newton's method.

use memory_engine::RelevanceModel;

/// The features of a result, and whether it answers its question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) features: [f64; FEATURES],
    pub(super) is_answer: bool,
}

const FEATURES: usize = RelevanceModel::FEATURES.len();

/// Holds a coefficient near 0 that the data do not determine, such as that of the
/// number of chunks where all texts are short; too small to move others.
const RIDGE: f64 = 1e-4;

/// Newton's method doubles the correct digits with each step; ten are enough.
const STEPS: usize = 50;

/// Fits the coefficients to data sets that count alike, whatever their size.
///
/// The slopes are fitted with an intercept of its own for each data set, so that
/// they tell answers from others within a data set, and not one data set from
/// another by how common answers are. One intercept for all is then fitted with
/// these slopes (McCullagh and Nelder, "Generalized Linear Models", 1989, chapter
/// 4, for the method: iteratively reweighted least squares).
pub(super) fn fit(sets: &[&[Sample]]) -> RelevanceModel {
    let size = FEATURES + sets.len();
    let mut coefficients = vec![0.0; size];
    for _ in 0..STEPS {
        let mut gradient: Vec<f64> = coefficients[..FEATURES]
            .iter()
            .map(|value| -RIDGE * value)
            .chain(sets.iter().map(|_| 0.0))
            .collect();
        let mut hessian = vec![vec![0.0; size]; size];
        for (at, row) in hessian.iter_mut().enumerate() {
            row[at] = RIDGE;
        }
        for (number, set) in sets.iter().enumerate() {
            let weight = 1.0 / count(set);
            for sample in *set {
                let mut row = vec![0.0; size];
                row[..FEATURES].copy_from_slice(&sample.features);
                row[FEATURES + number] = 1.0;
                let predicted = logistic(dot(&coefficients, &row));
                let error = weight * (target(sample) - predicted);
                let curvature = weight * predicted * (1.0 - predicted);
                for a in 0..size {
                    gradient[a] += error * row[a];
                    for b in 0..size {
                        hessian[a][b] += curvature * row[a] * row[b];
                    }
                }
            }
        }
        let step = solve(hessian, gradient);
        let largest = step
            .iter()
            .fold(0.0, |max: f64, value| max.max(value.abs()));
        for (coefficient, change) in coefficients.iter_mut().zip(step) {
            *coefficient += change;
        }
        if largest < 1e-10 {
            break;
        }
    }
    let mut weights = [0.0; FEATURES];
    weights.copy_from_slice(&coefficients[..FEATURES]);
    let intercepts = &coefficients[FEATURES..];
    let mean = intercepts.iter().sum::<f64>() / count(intercepts);
    RelevanceModel {
        intercept: fit_intercept(sets, &weights, mean),
        weights,
    }
}

/// The intercept with which the predictions add up to what was observed.
fn fit_intercept(sets: &[&[Sample]], weights: &[f64; FEATURES], start: f64) -> f64 {
    let mut intercept = start;
    for _ in 0..STEPS {
        let (mut gradient, mut curvature) = (0.0, RIDGE);
        for set in sets {
            let weight = 1.0 / count(set);
            for sample in *set {
                let predicted = logistic(intercept + dot(weights, &sample.features));
                gradient += weight * (target(sample) - predicted);
                curvature += weight * predicted * (1.0 - predicted);
            }
        }
        intercept += gradient / curvature;
    }
    intercept
}

fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

fn target(sample: &Sample) -> f64 {
    f64::from(u8::from(sample.is_answer))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand samples")]
fn count<T>(items: &[T]) -> f64 {
    items.len().max(1) as f64
}

/// The solution of a system of linear equations with a positive definite matrix,
/// by Gaussian elimination.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for pivot in 0..size {
        let pivot_row = matrix[pivot].clone();
        for row in pivot + 1..size {
            let factor = matrix[row][pivot] / pivot_row[pivot];
            for (value, above) in matrix[row].iter_mut().zip(&pivot_row) {
                *value -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    let mut solution = vec![0.0; size];
    for row in (0..size).rev() {
        let known = dot(&matrix[row][row + 1..], &solution[row + 1..]);
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use memory_testkit::SeededRng;

    use super::*;

    #[test]
    fn linear_equations_are_solved() {
        let solution = solve(vec![vec![4.0, 1.0], vec![1.0, 3.0]], vec![9.0, 5.0]);
        assert!((solution[0] - 2.0).abs() < 1e-12 && (solution[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_coefficients_that_made_the_data_are_found() {
        let truth = RelevanceModel {
            intercept: -1.0,
            weights: [2.0, 1.0, -1.5, 0.0, 0.5, 0.0, 0.0],
        };
        let mut random = SeededRng::new(3);
        let mut draw = |lift: f64| {
            let samples = (0..20_000).map(|_| {
                let mut features = [0.0; FEATURES];
                for feature in &mut features[..5] {
                    *feature = f64::from(random.unit());
                }
                let model = RelevanceModel {
                    intercept: truth.intercept + lift,
                    ..truth
                };
                Sample {
                    features,
                    is_answer: f64::from(random.unit()) < model.probability(&features),
                }
            });
            samples.collect::<Vec<_>>()
        };
        // One has more answers, for a reason that no feature tells.
        let (one, other) = (draw(0.7), draw(-0.7));
        let fitted = fit(&[&one, &other]);
        assert!(
            (fitted.intercept - truth.intercept).abs() < 0.15,
            "{fitted:?}"
        );
        for (found, expected) in fitted.weights.iter().zip(truth.weights) {
            assert!((found - expected).abs() < 0.15, "{fitted:?}");
        }
    }
}
