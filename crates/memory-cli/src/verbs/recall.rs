//! `memory recall`: what matters to a text.

use clap::ValueEnum;
use memory::{Ranking, RecallHit, RecallRequest};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::jsonl::Line;
use crate::output::{Output, remark, row};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who remembers
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The question, 1 to 10,000 characters
    #[arg(value_name = "TEXT")]
    text: String,

    /// How many at most, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = RecallRequest::DEFAULT_LIMIT)]
    limit: usize,

    #[command(flatten)]
    filters: Filters,

    /// The least cosine, -1 to 1, that a memory must have
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_similarity: Option<f32>,

    /// How what is found is ordered
    #[arg(long, value_name = "RANKING", value_enum, default_value_t)]
    ranking: Order,
}

/// The rankings that have a name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Order {
    /// By similarity; importance and recency settle ties
    #[default]
    Default,
    /// 60 % similarity, 30 % importance, 10 % recency
    #[value(alias = "seed")]
    WeightedSum,
}

impl From<Order> for Ranking {
    fn from(order: Order) -> Self {
        match order {
            Order::Default => Self::default(),
            Order::WeightedSum => Self::weighted_sum(),
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
    request.validate()?;
    let system = database.open().await?;
    let found = system.recall(args.entity, request).await?;
    system.close().await?;
    if output.is_json() {
        let memories = found.iter().map(Found::from).collect();
        return output.document(&Answer { memories });
    }
    if found.is_empty() {
        remark(format_args!("nothing recalled"));
        return Ok(());
    }
    output.line(format_args!(
        "score  similarity  time                  kind         content"
    ))?;
    for RecallHit {
        memory,
        score,
        similarity,
        ..
    } in &found
    {
        // What was found by its words alone has no similarity.
        let similarity = similarity.map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.3}"));
        output.line(format_args!(
            "{score:5.3}  {similarity:>10}  {}",
            row(memory)
        ))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    memories: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    score: f32,
    similarity: Option<f32>,
    memory: Line<'a>,
}

impl<'a> From<&'a RecallHit> for Found<'a> {
    fn from(recalled: &'a RecallHit) -> Self {
        Self {
            score: recalled.score,
            similarity: recalled.similarity,
            memory: Line::from(&*recalled.memory),
        }
    }
}
