//! The report: tables in Markdown, or JSON.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Instant;

use memory::Ranking;
use serde::Serialize;

use super::cross_validation::CrossValidation;
use super::intervals::{Estimate, estimate};
use super::measurement::Measurement;
use super::rankings::ablations;
use super::relevance::RelevanceReport;
use super::scores::{Difference, QuestionScore, Scores};
use crate::report::replace_generated;

/// The figures of all data sets.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each file, in the order of the arguments.
    pub data_sets: Vec<DataSetReport>,
    /// Of the weights, if requested.
    pub cross_validation: Option<CrossValidation>,
    /// Of the relevance, if requested.
    pub relevance: Option<RelevanceReport>,
    /// How long everything took.
    pub seconds: f64,
}

/// The figures of a data set.
#[derive(Debug, Serialize)]
pub struct DataSetReport {
    /// Its name.
    pub name: String,
    /// How many conversations, each an entity.
    pub conversations: usize,
    /// How many memories in all.
    pub memories: usize,
    /// The scores of the default ranking.
    pub default: Scores,
    /// Those of each category.
    pub categories: Vec<(String, Scores)>,
    /// Those of other rankings.
    pub rankings: Vec<RankingRow>,
    /// The share of the first ten results that snapshot and push-down agree on,
    /// in percent.
    pub overlap: Option<Estimate>,
    /// How long the questions took.
    pub seconds: f64,
}

/// The scores of a ranking.
#[derive(Debug, Serialize)]
pub struct RankingRow {
    /// Its name.
    pub name: &'static str,
    /// Its scores.
    pub scores: Scores,
    /// How much better than the default it is.
    pub difference: Difference,
}

impl DataSetReport {
    /// Measures the default ranking, and if `is_full` all others and both paths of
    /// a recall.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn measure(set: &Measurement, is_full: bool) -> Result<Self, Box<dyn Error>> {
        let start = Instant::now();
        let default = set.score(Ranking::default()).await?;
        let mut rankings = Vec::new();
        let mut overlap = None;
        if is_full {
            for (name, ranking) in ablations() {
                let scores = set.score(ranking).await?;
                rankings.push(RankingRow::new(name, &scores, &default));
            }
            let overlaps = set.overlaps(Ranking::default()).await?;
            let percent: Vec<f64> = overlaps.iter().map(|share| 100.0 * share).collect();
            overlap = Some(estimate(&percent));
        }
        let data = &set.data;
        Ok(Self {
            name: data.name.clone(),
            conversations: data.conversations.len(),
            memories: data.conversations.iter().map(|one| one.turns.len()).sum(),
            default: Scores::of(&default),
            categories: data
                .categories
                .iter()
                .map(|(code, name)| {
                    let of_category = default.iter().filter(|score| score.category == *code);
                    let scores: Vec<QuestionScore> = of_category.copied().collect();
                    (name.clone(), Scores::of(&scores))
                })
                .collect(),
            rankings,
            overlap,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The tables of this data set.
    fn tables(&self) -> String {
        let mut text = format!(
            "### {}\n\n{} memories of {} entities, {} questions.\n\n",
            self.name, self.memories, self.conversations, self.default.questions
        );
        text.push_str(
            "| questions | number | @5 | @10 | @20 | MRR |\n|---|---:|---|---|---|---|\n",
        );
        let all = ("all".to_owned(), self.default);
        for (name, scores) in [&all].into_iter().chain(&self.categories) {
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {} |",
                scores.questions,
                percent(scores.recall_at_5),
                percent(scores.recall_at_10),
                percent(scores.recall_at_20),
                rank(scores.mrr)
            );
        }
        if let Some(overlap) = self.overlap {
            let _ = writeln!(
                text,
                "\nSnapshot and push-down agree on {} % of the first ten results.",
                percent(overlap)
            );
        }
        if !self.rankings.is_empty() {
            text.push_str(
                "\n| ranking | @5 | @10 | @20 | MRR | difference @10 | difference MRR |\n",
            );
            text.push_str("|---|---:|---:|---:|---:|---|---|\n");
            text.push_str(&row("default", &self.default, "", ""));
            for RankingRow {
                name,
                scores,
                difference,
            } in &self.rankings
            {
                let recall = signed(difference.recall_at_10, 1);
                text.push_str(&row(name, scores, &recall, &signed(difference.mrr, 3)));
            }
        }
        text
    }
}

impl RankingRow {
    fn new(name: &'static str, scores: &[QuestionScore], default: &[QuestionScore]) -> Self {
        Self {
            name,
            scores: Scores::of(scores),
            difference: Difference::new(scores, default),
        }
    }
}

impl Report {
    /// Writes the tables between their markers in `quality.md` of a folder.
    ///
    /// # Errors
    /// If the page cannot be read or written, or has no markers.
    pub fn write(&self, docs: &Path) -> Result<(), Box<dyn Error>> {
        let page = docs.join("quality.md");
        let mut text = fs::read_to_string(&page)?;
        if !self.data_sets.is_empty() {
            let tables: Vec<String> = self.data_sets.iter().map(DataSetReport::tables).collect();
            text = replace_generated(&text, "quality", &tables.join("\n"))?;
        }
        if let Some(found) = &self.cross_validation {
            text = replace_generated(&text, "cross_validation", &cross_validation(found))?;
        }
        if let Some(found) = &self.relevance {
            text = replace_generated(&text, "relevance", &found.tables())?;
        }
        Ok(fs::write(page, text)?)
    }

    /// All tables.
    #[must_use]
    pub fn tables(&self) -> String {
        let mut sections: Vec<String> = self.data_sets.iter().map(DataSetReport::tables).collect();
        sections.extend(self.cross_validation.as_ref().map(cross_validation));
        sections.extend(self.relevance.as_ref().map(RelevanceReport::tables));
        sections.join("\n")
    }
}

fn cross_validation(found: &CrossValidation) -> String {
    let mut text = format!("{} settings, five folds.\n\n", found.settings);
    text.push_str("| data set | default @10 | fold held out @10 | data set left out @10 | worst setting @10 | default MRR | fold held out MRR | data set left out MRR | worst setting MRR |\n");
    text.push_str("|---|---|---|---|---:|---|---|---|---:|\n");
    for set in &found.data_sets {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} | {} | {} | {} | {:.3} |",
            set.name,
            percent(set.default.recall_at_10),
            percent(set.held_out.recall_at_10),
            percent(set.left_out.recall_at_10),
            set.worst.0,
            rank(set.default.mrr),
            rank(set.held_out.mrr),
            rank(set.left_out.mrr),
            set.worst.1
        );
    }
    text.push_str("\nChosen without each fold:\n\n");
    for weights in &found.chosen {
        let _ = writeln!(text, "- {}", named_weights(weights));
    }
    text.push_str("\nChosen without each data set:\n\n");
    for set in &found.data_sets {
        let _ = writeln!(
            text,
            "- {}: {}",
            set.name,
            named_weights(&set.chosen_without)
        );
    }
    text
}

fn named_weights(weights: &[(&'static str, f32)]) -> String {
    let weights: Vec<String> = weights
        .iter()
        .map(|(name, value)| format!("`{name}` {value}"))
        .collect();
    weights.join(", ")
}

fn row(name: &str, scores: &Scores, recall: &str, mrr: &str) -> String {
    format!(
        "| {name} | {:.1} | {:.1} | {:.1} | {:.3} | {recall} | {mrr} |\n",
        scores.recall_at_5.mean,
        scores.recall_at_10.mean,
        scores.recall_at_20.mean,
        scores.mrr.mean
    )
}

fn percent(value: Estimate) -> String {
    format!("{:.1} ({:.1}–{:.1})", value.mean, value.low, value.high)
}

fn rank(value: Estimate) -> String {
    format!("{:.3} ({:.3}–{:.3})", value.mean, value.low, value.high)
}

fn signed(value: Estimate, digits: usize) -> String {
    format!(
        "{:+.digits$} ({:+.digits$} to {:+.digits$})",
        value.mean, value.low, value.high
    )
}
