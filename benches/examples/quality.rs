//! Retrieval quality: LoCoMo scoring through the real system, with one row for
//! each part of the ranking switched off.
//!
//! `cargo xtask quality --data FILE [--int8] [--json] [--at-least SHARE]
//! [--default-only]`

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::error::Error;
use std::path::{Path, PathBuf};

use memory::onnx::Precision;
use memory::{MemorySystem, Ranking, RecallRequest};
use memory_benches::locomo::{self, Conversation};
use memory_benches::metrics::{recall_at, reciprocal_rank};
use serde::Serialize;

/// Turns retained in one call.
const BATCH: usize = 256;

/// The scored categories with their names.
const CATEGORIES: [(u8, &str); 4] = [
    (4, "single-hop"),
    (1, "multi-hop"),
    (2, "temporal"),
    (3, "open domain"),
];

struct Arguments {
    data: PathBuf,
    precision: Precision,
    json: bool,
    /// Measure only the default ranking.
    default_only: bool,
    /// The minimum recall@10 of the default ranking, 0 to 1.
    at_least: Option<f64>,
}

/// The scores of one ranking, in percent except for the MRR.
#[derive(Serialize)]
struct Row {
    ranking: &'static str,
    questions: usize,
    recall_at_5: f64,
    recall_at_10: f64,
    recall_at_20: f64,
    mrr: f64,
    /// recall@10 of each category.
    by_category: Vec<(&'static str, f64)>,
    /// recall@10 of each conversation.
    by_conversation: Vec<(String, f64)>,
}

/// One question's outcome.
struct Outcome {
    conversation: usize,
    category: u8,
    at_5: f64,
    at_10: f64,
    at_20: f64,
    reciprocal: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let conversations = locomo::read(&arguments.data)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let rows = runtime.block_on(measure(&conversations, &arguments))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print_table(&rows);
    }
    match (arguments.at_least, rows.first()) {
        (Some(least), Some(row)) if row.recall_at_10 < 100.0 * least => Err(format!(
            "recall@10 is {:.1} %, below {:.1} %",
            row.recall_at_10,
            100.0 * least
        )
        .into()),
        _ => Ok(()),
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut parsed = Arguments {
        data: PathBuf::new(),
        precision: Precision::Full,
        json: false,
        default_only: false,
        at_least: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--int8" => parsed.precision = Precision::Int8,
            "--json" => parsed.json = true,
            "--default-only" => parsed.default_only = true,
            "--data" => parsed.data = given.next().ok_or("--data needs a file")?.into(),
            "--at-least" => {
                parsed.at_least = Some(given.next().ok_or("--at-least needs a share")?.parse()?);
            }
            other => return Err(format!("unknown argument {other:?}").into()),
        }
    }
    if parsed.data == Path::new("") {
        return Err("--data FILE is required: conversations in the LoCoMo format".into());
    }
    Ok(parsed)
}

/// The default, then each part switched off, then single retrievers and the
/// original weighted sum.
fn rankings() -> Vec<(&'static str, Ranking)> {
    let default = Ranking::default();
    let bare = Ranking {
        neighbors: 0.0,
        mention: 0.0,
        importance: 0.0,
        recency: 0.0,
        newer: 0.0,
        pairs: 0.0,
        date: 0.0,
        when: 0.0,
        ..default
    };
    vec![
        ("default", default),
        (
            "without neighbors",
            Ranking {
                neighbors: 0.0,
                ..default
            },
        ),
        (
            "without the discount for chunks",
            Ranking {
                chunk_discount: 0.0,
                ..default
            },
        ),
        (
            "without pairs",
            Ranking {
                pairs: 0.0,
                ..default
            },
        ),
        (
            "without unknown tokens",
            Ranking {
                unknown: 0.0,
                ..default
            },
        ),
        (
            "without the discount for words",
            Ranking {
                neighbor_words: 0.0,
                ..default
            },
        ),
        (
            "without dates",
            Ranking {
                date: 0.0,
                ..default
            },
        ),
        (
            "without when",
            Ranking {
                when: 0.0,
                ..default
            },
        ),
        (
            "without newer",
            Ranking {
                newer: 0.0,
                ..default
            },
        ),
        (
            "without mention",
            Ranking {
                mention: 0.0,
                ..default
            },
        ),
        (
            "without lexical",
            Ranking {
                lexical: 0.0,
                ..default
            },
        ),
        (
            "without dense",
            Ranking {
                similarity: 0.0,
                ..default
            },
        ),
        (
            "without importance",
            Ranking {
                importance: 0.0,
                ..default
            },
        ),
        (
            "without recency",
            Ranking {
                recency: 0.0,
                ..default
            },
        ),
        ("blend alone", bare),
        (
            "dense alone",
            Ranking {
                lexical: 0.0,
                ..bare
            },
        ),
        (
            "lexical alone",
            Ranking {
                similarity: 0.0,
                ..bare
            },
        ),
        ("weighted sum", Ranking::weighted_sum()),
    ]
}

async fn measure(
    conversations: &[Conversation],
    arguments: &Arguments,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("quality.db").display());
    let system = MemorySystem::builder()
        .url(&url)
        .precision(arguments.precision);
    let memory = system.build().await?;
    for conversation in conversations {
        for batch in conversation.turns.chunks(BATCH) {
            memory.retain_batch(batch.to_vec()).await?;
        }
    }
    let mut rows = Vec::new();
    let count = if arguments.default_only {
        1
    } else {
        usize::MAX
    };
    for (name, ranking) in rankings().into_iter().take(count) {
        rows.push(score(&memory, conversations, name, ranking).await?);
    }
    memory.close().await?;
    Ok(rows)
}

async fn score(
    memory: &MemorySystem,
    conversations: &[Conversation],
    ranking_name: &'static str,
    ranking: Ranking,
) -> memory::MemoryResult<Row> {
    let mut outcomes = Vec::new();
    for (number, conversation) in conversations.iter().enumerate() {
        for question in &conversation.questions {
            let request = RecallRequest::new(&question.text)
                .limit(20)
                .ranking(ranking)
                .as_of(conversation.end);
            let recalled = memory.recall(conversation.name.as_str(), request).await?;
            let ids: Vec<String> = recalled
                .iter()
                .filter_map(|r| r.memory.metadata.get("dia_id").cloned())
                .collect();
            outcomes.push(Outcome {
                conversation: number,
                category: question.category,
                at_5: recall_at(5, &ids, &question.evidence),
                at_10: recall_at(10, &ids, &question.evidence),
                at_20: recall_at(20, &ids, &question.evidence),
                reciprocal: reciprocal_rank(&ids, &question.evidence),
            });
        }
    }
    let all = |_: &&Outcome| true;
    Ok(Row {
        ranking: ranking_name,
        questions: outcomes.len(),
        recall_at_5: 100.0 * mean(&outcomes, all, |o| o.at_5),
        recall_at_10: 100.0 * mean(&outcomes, all, |o| o.at_10),
        recall_at_20: 100.0 * mean(&outcomes, all, |o| o.at_20),
        mrr: mean(&outcomes, all, |o| o.reciprocal),
        by_category: CATEGORIES
            .iter()
            .map(|&(code, name)| {
                (
                    name,
                    100.0 * mean(&outcomes, |o| o.category == code, |o| o.at_10),
                )
            })
            .collect(),
        by_conversation: conversations
            .iter()
            .enumerate()
            .map(|(number, conversation)| {
                let share = mean(&outcomes, |o| o.conversation == number, |o| o.at_10);
                (conversation.name.clone(), 100.0 * share)
            })
            .collect(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn mean(
    outcomes: &[Outcome],
    which: impl Fn(&&Outcome) -> bool,
    value: impl Fn(&Outcome) -> f64,
) -> f64 {
    let count = outcomes.iter().filter(&which).count();
    let sum: f64 = outcomes.iter().filter(&which).map(value).sum();
    sum / count.max(1) as f64
}

fn print_table(rows: &[Row]) {
    print!("| ranking | @5 | @10 | @20 | MRR |");
    CATEGORIES.iter().for_each(|(_, name)| print!(" {name} |"));
    println!("\n|---|---|---|---|---|{}", "---|".repeat(CATEGORIES.len()));
    for row in rows {
        print!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.3} |",
            row.ranking, row.recall_at_5, row.recall_at_10, row.recall_at_20, row.mrr
        );
        row.by_category
            .iter()
            .for_each(|(_, share)| print!(" {share:.1} |"));
        println!();
    }
    if let Some(row) = rows.first() {
        println!(
            "\n{} questions; recall@10 of the default by conversation:",
            row.questions
        );
        for (name, share) in &row.by_conversation {
            println!("- {name}: {share:.1} %");
        }
    }
}
