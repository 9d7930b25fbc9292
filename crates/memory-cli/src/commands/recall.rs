//! `memory recall`: the memories most relevant to a text.

use clap::ValueEnum;
use memory::{ExcludedHits, Ranking, RecallHit, RecallRequest};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::jsonl::Line;
use crate::output::{Output, count_noun, format_row, note};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity whose memories to search
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Query text, 1 to 10,000 characters
    #[arg(value_name = "TEXT")]
    text: String,

    /// Maximum number of memories, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = RecallRequest::DEFAULT_LIMIT)]
    limit: usize,

    #[command(flatten)]
    filters: Filters,

    /// Minimum cosine similarity, -1 to 1
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_similarity: Option<f32>,

    /// Minimum relevance, 0 to 1: the estimated probability that a memory answers TEXT
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_relevance: Option<f32>,

    /// Ranking of the results
    #[arg(long, value_name = "RANKING", value_enum, default_value_t)]
    ranking: RankingName,
}

/// The named rankings.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum RankingName {
    /// Meaning, words and neighbors; importance and recency settle ties
    #[default]
    Default,
    /// Weighted sum: 60 % similarity, 30 % importance, 10 % recency
    #[value(alias = "seed")]
    WeightedSum,
}

impl From<RankingName> for Ranking {
    fn from(name: RankingName) -> Self {
        match name {
            RankingName::Default => Self::default(),
            RankingName::WeightedSum => Self::weighted_sum(),
        }
    }
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut request = RecallRequest::new(args.text)
        .filter(args.filters.into_filter()?)
        .limit(args.limit)
        .ranking(args.ranking.into());
    request.min_similarity = args.min_similarity;
    request.min_relevance = args.min_relevance;
    request.validate()?;
    let system = database.open_for_recall().await?;
    let report = system.recall_report(args.entity, request).await?;
    let (found, without_vectors) = (report.hits, report.without_vectors);
    let excluded = report.below_min_relevance;
    if output.is_json() {
        let memories = found.iter().map(RecallEntry::from).collect();
        return output.write_json(&Answer {
            memories,
            without_vectors,
            below_min_relevance: Excluded {
                count: excluded.count,
                max_relevance: excluded.max_relevance,
            },
        });
    }
    note_without_vectors(without_vectors);
    if let Some(min_relevance) = args.min_relevance {
        note_excluded(excluded, min_relevance, found.is_empty());
    }
    if found.is_empty() {
        if excluded.count == 0 {
            note(format_args!("no memory matches"));
        }
        return Ok(());
    }
    output.write_line(format_args!(
        "score  relevance  similarity  time                  kind         content"
    ))?;
    for RecallHit {
        memory,
        score,
        relevance,
        similarity,
        ..
    } in &found
    {
        // A memory found by its words alone has no similarity.
        let similarity = similarity.map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.3}"));
        output.write_line(format_args!(
            "{score:5.3}  {relevance:>9.3}  {similarity:>10}  {}",
            format_row(memory)
        ))?;
    }
    Ok(())
}

/// Notes how many memories could not be compared by similarity, if any.
pub(super) fn note_without_vectors(count: u64) {
    if count > 0 {
        let memories = count_noun(count, "memory has", "memories have");
        note(format_args!(
            "{memories} no vector of the current model and can be found by words only; memory reembed computes vectors"
        ));
    }
}

/// Notes how many memories are below the minimum of relevance, if any.
fn note_excluded(excluded: ExcludedHits, min_relevance: f32, is_all: bool) {
    let Some(max_relevance) = excluded.max_relevance else {
        return;
    };
    let memories = count_noun(excluded.count as u64, "memory", "memories");
    if is_all {
        note(format_args!(
            "no memory is relevant enough: {memories} found, the highest relevance is {max_relevance:.3}, below the minimum of {min_relevance}"
        ));
    } else {
        note(format_args!(
            "{memories} left out below the minimum relevance of {min_relevance}; the highest relevance of them is {max_relevance:.3}"
        ));
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    memories: Vec<RecallEntry<'a>>,
    /// Memories that could not be compared by similarity.
    without_vectors: u64,
    below_min_relevance: Excluded,
}

/// Memories below the minimum of relevance.
#[derive(Serialize)]
struct Excluded {
    count: usize,
    max_relevance: Option<f32>,
}

#[derive(Serialize)]
struct RecallEntry<'a> {
    score: f32,
    relevance: f32,
    similarity: Option<f32>,
    memory: Line<'a>,
}

impl<'a> From<&'a RecallHit> for RecallEntry<'a> {
    fn from(hit: &'a RecallHit) -> Self {
        Self {
            score: hit.score,
            relevance: hit.relevance,
            similarity: hit.similarity,
            memory: Line::from(&*hit.memory),
        }
    }
}
