//! `memory recall`: the memories most relevant to a text.

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use memory::{ExcludedHits, Explanation, RecallRequest};

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::Filters;
use crate::output::{Output, count_noun, note};
use crate::rows::Row;
use memory_json::{RankingName, RecallAnswer, time};

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

    /// Recall what was known at this RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = time::parse_exact)]
    as_of: Option<DateTime<Utc>>,

    /// Print how each score came about
    #[arg(long)]
    explain: bool,

    /// Ranking of the results
    #[arg(long, value_name = "RANKING", value_parser = ranking_parser(), default_value = "default")]
    ranking: RankingName,
}

/// The name of a ranking on the command line.
const fn argument(name: RankingName) -> &'static str {
    match name {
        RankingName::Default => "default",
        RankingName::WeightedSum => "weighted-sum",
    }
}

fn ranking_parser() -> impl TypedValueParser<Value = RankingName> {
    /// An earlier name.
    const ALIAS: (&str, RankingName) = ("seed", RankingName::WeightedSum);
    let values = RankingName::ALL.map(|name| {
        let value = PossibleValue::new(argument(name)).help(name.description());
        match name == ALIAS.1 {
            true => value.alias(ALIAS.0),
            false => value,
        }
    });
    PossibleValuesParser::new(values).map(|text| {
        let mut names = RankingName::ALL.into_iter();
        // No other text is let through.
        names
            .find(|name| argument(*name) == text)
            .unwrap_or(ALIAS.1)
    })
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
    request.as_of = args.as_of;
    request.validate()?;
    let system = database.open_for_recall().await?;
    let report = system.recall_report(args.entity, &request).await?;
    if output.is_json() {
        let answer = RecallAnswer::new(&report, args.explain).with_parts(&request.ranking);
        return output.write_json(&answer);
    }
    note_without_vectors(report.without_vectors, report.by_previous_model);
    let (found, excluded) = (report.hits, report.below_min_relevance);
    if let Some(min_relevance) = args.min_relevance {
        note_excluded(excluded, min_relevance, found.is_empty());
    }
    if found.is_empty() {
        if excluded.count == 0 {
            note(format_args!("no memory matches"));
        }
        return Ok(());
    }
    let header = Row::new().id("id").cell("score").cell("relevance");
    output.write_row(&header.cell("similarity").memory_header())?;
    for hit in &found {
        // A memory found by its words alone has no similarity.
        let similarity = hit
            .similarity
            .map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.3}"));
        let row = Row::new()
            .id(hit.memory.id)
            .cell(format!("{:5.3}", hit.score))
            .cell(format!("{:>9.3}", hit.relevance))
            .cell(format!("{similarity:>10}"));
        output.write_row(&row.memory(&hit.memory))?;
        if args.explain {
            explain(&hit.explanation, output)?;
        }
    }
    Ok(())
}

/// Prints the inputs of a score below it.
fn explain(explanation: &Explanation, output: &mut Output) -> Result<(), Failure> {
    let Explanation {
        similarity,
        lexical,
        pairs,
        neighbors,
        mentioned,
        date,
        importance,
        recency,
        newer,
        reranker_score,
        ..
    } = explanation;
    let of = |value: Option<f32>| value.map_or_else(|| "-".to_owned(), |it| format!("{it:.3}"));
    output.write_parts(&[
        format!("similarity {}", of(*similarity)),
        format!("words {lexical:.3}"),
        format!("word pairs {pairs:.3}"),
        format!("neighbors {neighbors:.3}"),
        format!("mentioned {mentioned}"),
        format!("date {date:.3}"),
        format!("importance {importance:.3}"),
        format!("recency {recency:.3}"),
        format!("newer {newer:.3}"),
        format!("reranker {}", of(*reranker_score)),
    ])
}

/// Notes by which model memories were compared, if it was not the current one, and how
/// many could not be, if any.
pub(super) fn note_without_vectors(count: u64, by_previous_model: bool) {
    if by_previous_model {
        note(format_args!(
            "compared by the previous model, as more memories have its vectors; memory reembed computes those of the current one"
        ));
    }
    if count > 0 {
        let memories = count_noun(count, "memory has", "memories have");
        let model = if by_previous_model {
            "that"
        } else {
            "the current"
        };
        note(format_args!(
            "{memories} no vector of {model} model and can be found by words only; memory reembed computes vectors"
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
