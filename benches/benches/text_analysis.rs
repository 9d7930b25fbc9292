//! What finding the words of texts costs: of memories, next to retaining them without a
//! model, and of questions.
//!
//! `cargo bench --bench text_analysis [-- FILTER]`
//!
//! `retain/words` is what retaining does for the index of the store, `snapshot/words`
//! what loading a snapshot does.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark whose operations fail has no result"
)]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use memory::{MemoryBatchItem, MemoryKind, MemorySystem};
use memory_benches::recorded_criterion::{Case, RecordedCriterion};
use memory_testkit::HashEmbedder;
use memory_text::{QueryTerms, TextAnalysis, question_tokens, stems, word_digests};

/// Memories retained in one call.
const BATCH: u64 = 500;

/// Language, memory, question.
const TEXTS: [(&str, &str, &str); 4] = [
    (
        "english",
        "Tam sold the lame horses at the market by the river, and didn't regret it.",
        "Who sold the lame horses at the market?",
    ),
    (
        "german",
        "Tam hat die lahmen Pferde auf dem Markt am Fluss verkauft und es nicht bereut.",
        "Wer hat die lahmen Pferde auf dem Markt verkauft?",
    ),
    (
        "chinese",
        "田中昨天在河边的市场上把那几匹跛马卖掉了，他一点也不后悔。",
        "谁在市场上把那几匹跛马卖掉了？",
    ),
    (
        "thai",
        "เมื่อวานพี่ชายขายม้าที่ตลาดริมแม่น้ำและไม่เสียใจเลย",
        "ใครขายม้าที่ตลาดริมแม่น้ำ",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    let mut bench = RecordedCriterion::start("text_analysis", criterion)?;
    let folder = tempfile::tempdir()?;
    for (language, text, question) in TEXTS {
        let texts: Vec<String> = (0..BATCH).map(|n| format!("{text} {n}")).collect();
        let file = folder.path().join(format!("{language}.db"));
        let system = MemorySystem::builder()
            .url(format!("sqlite://{}", file.display()))
            .embedder(HashEmbedder::new().with_dimensions(384))
            .build();
        let memory = bench.runtime().block_on(system)?;
        let mut entities = 0;
        bench.bench(case("retain/all", language), async || {
            entities += 1;
            let entity = format!("mira-{entities}");
            let item = |text: &String| MemoryBatchItem::new(&*entity, MemoryKind::World, text);
            let items: Vec<MemoryBatchItem> = texts.iter().map(item).collect();
            let start = Instant::now();
            memory.retain_batch(items).await.unwrap();
            start.elapsed()
        })?;
        bench.runtime().block_on(memory.close())?;
        bench.bench(case("retain/words", language), async || {
            let start = Instant::now();
            for text in &texts {
                black_box(stems(text, None));
            }
            start.elapsed()
        })?;
        bench.bench(case("snapshot/words", language), async || {
            let start = Instant::now();
            for text in &texts {
                black_box(TextAnalysis::of(text, None));
            }
            start.elapsed()
        })?;
        let once = Case {
            size: 1,
            elements: 1,
            ..case("question/words", language)
        };
        bench.bench_short(once, async || {
            let terms = QueryTerms::new(question, None, false);
            let tokens = question_tokens(question, terms.languages());
            black_box((terms, tokens, word_digests(question)));
        })?;
    }
    bench.finish()
}

fn case<'a>(operation: &'a str, language: &'a str) -> Case<'a> {
    Case {
        operation,
        subject: language,
        size: BATCH,
        elements: BATCH,
    }
}
