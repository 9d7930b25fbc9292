//! The recall of an approximate search, estimated from a sample of questions.

/// The quantile of the standard normal distribution for a one-sided confidence of 95 %.
const Z: f64 = 1.644_853_627;

/// What a search of a sample of questions says about the recall of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RecallEstimate {
    /// How many questions there were.
    pub(crate) questions: u32,
    /// The share of the nearest that was found.
    pub(crate) recall: f64,
    /// What the recall is at least, with a confidence of 95 %.
    pub(crate) at_least: f64,
}

impl RecallEstimate {
    /// Of how many of the nearest were found, and how many there are, for each question.
    ///
    /// The lower bound is that of Wilson's score interval (E. B. Wilson, *Probable
    /// Inference, the Law of Succession, and Statistical Inference*, Journal of the
    /// American Statistical Association 22, 1927). It assumes independent trials, and the
    /// neighbors of one question are not: a question in a sparse region misses several.
    /// So the number of trials is divided by the design effect (L. Kish, *Survey
    /// Sampling*, 1965), the variance of the mean between questions in relation to that
    /// of independent trials: from 1 to the number of neighbors of a question.
    ///
    /// Of `n` trials that all succeed, the bound is `n / (n + 2.7)`: 0.9987 of 200
    /// questions with ten neighbors each. So no sample shows a recall of 1.
    pub(crate) fn of(found: &[(u32, u32)]) -> Self {
        let questions = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let trials: f64 = found.iter().map(|(_, of)| f64::from(*of)).sum();
        if trials == 0.0 {
            return Self {
                questions,
                recall: 0.0,
                at_least: 0.0,
            };
        }
        let successes: f64 = found.iter().map(|(found, _)| f64::from(*found)).sum();
        let recall = successes / trials;
        let count = f64::from(questions);
        let each = trials / count;
        // Of the ratio of two sums over questions (Kish, section 6.4).
        let squares = found.iter().map(|(found, of)| {
            let deviation = f64::from(*found) - recall * f64::from(*of);
            deviation * deviation
        });
        let between = squares.sum::<f64>() / ((count - 1.0).max(1.0) * each * each * count);
        let independent = recall * (1.0 - recall) / trials;
        let design_effect = match independent > 0.0 {
            true => (between / independent).clamp(1.0, each.max(1.0)),
            false => 1.0,
        };
        Self {
            questions,
            recall,
            at_least: wilson_lower_bound(recall, trials / design_effect),
        }
    }
}

/// The lower end of Wilson's interval for a share among `n` independent trials.
fn wilson_lower_bound(share: f64, n: f64) -> f64 {
    let squared = Z * Z / n;
    let center = share + squared / 2.0;
    let spread = Z * (share * (1.0 - share) / n + squared / (4.0 * n)).sqrt();
    ((center - spread) / (1.0 + squared)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-4, "{found}, {expected}");
    }

    #[test]
    fn bound_is_that_of_wilson() {
        // By hand, with z = 1.645.
        close(wilson_lower_bound(0.5, 100.0), 0.4189);
        close(wilson_lower_bound(0.95, 1_000.0), 0.9374);
        close(wilson_lower_bound(1.0, 2_000.0), 0.998_65);
        close(wilson_lower_bound(0.0, 10.0), 0.0);
    }

    #[test]
    fn nothing_found_and_nothing_asked_bound_by_zero() {
        assert!(RecallEstimate::of(&[]).at_least <= 0.0);
        assert!(RecallEstimate::of(&[(0, 0); 5]).at_least <= 0.0);
        assert!(RecallEstimate::of(&[(0, 10); 5]).at_least < 1e-9);
        close(RecallEstimate::of(&[(10, 10); 200]).at_least, 0.998_65);
        assert!(RecallEstimate::of(&[(10, 10); 200]).at_least < 1.0);
    }

    /// The same share of misses counts for less certainty where few questions have all.
    #[test]
    fn misses_of_few_questions_widen_the_interval() {
        let spread: Vec<(u32, u32)> = (0..200).map(|it| (9 + it % 2, 10)).collect();
        let clustered: Vec<(u32, u32)> = (0..200)
            .map(|it| (if it % 20 == 0 { 0 } else { 10 }, 10))
            .collect();
        let (spread, clustered) = (RecallEstimate::of(&spread), RecallEstimate::of(&clustered));
        close(spread.recall, 0.95);
        close(clustered.recall, 0.95);
        // As few trials as questions, and as many as neighbors.
        close(clustered.at_least, wilson_lower_bound(0.95, 200.0));
        close(spread.at_least, wilson_lower_bound(0.95, 2_000.0));
        assert!(clustered.at_least < spread.at_least);
    }
}
