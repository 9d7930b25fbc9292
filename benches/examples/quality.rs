//! Retrieval quality on conversations in the LoCoMo format: see docs/quality.md.
//!
//! `cargo xtask quality --data FILE…`

#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use memory::embed::Embedder;
use memory::onnx::{OnnxEmbedder, OnnxOptions, Precision};
use memory_benches::quality::{
    CachedEmbedder, DataSet, DataSetReport, Measurement, RelevanceReport, Report, cross_validate,
};

#[derive(Default)]
struct Arguments {
    model: Option<String>,
    data: Vec<Data>,
    /// The folder of the vectors of earlier runs.
    vectors: PathBuf,
    precision: Precision,
    json: bool,
    /// Measure only the default ranking.
    default_only: bool,
    cross_validate: bool,
    /// Measure only the relevance.
    calibrate: bool,
    /// The folder of documents to write the tables to.
    docs: Option<PathBuf>,
}

/// A file, and the lowest recall@10 in percent and MRR of the default ranking.
struct Data {
    file: PathBuf,
    at_least: Option<(f64, f64)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure(&arguments))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}\n{:.0} s.", report.tables(), report.seconds);
    }
    if let Some(docs) = &arguments.docs {
        report.write(docs)?;
    }
    check(&report, &arguments.data)
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut parsed = Arguments::default();
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--model" => parsed.model = Some(value()?),
            "--int8" => parsed.precision = Precision::Int8,
            "--json" => parsed.json = true,
            "--default-only" => parsed.default_only = true,
            "--cross-validate" => parsed.cross_validate = true,
            "--calibrate" => parsed.calibrate = true,
            "--docs" => parsed.docs = Some(value()?.into()),
            "--vectors" => parsed.vectors = value()?.into(),
            "--data" => parsed.data.push(Data {
                file: value()?.into(),
                at_least: None,
            }),
            "--at-least" => {
                let limits = value()?;
                let (recall, mrr) = limits.split_once(',').ok_or("--at-least RECALL,MRR")?;
                let data = parsed.data.last_mut().ok_or("--at-least follows --data")?;
                data.at_least = Some((recall.parse()?, mrr.parse()?));
            }
            other => return Err(format!("unknown argument {other:?}").into()),
        }
    }
    if parsed.data.is_empty() || parsed.vectors.as_os_str().is_empty() {
        return Err("--data FILE and --vectors FOLDER are required".into());
    }
    Ok(parsed)
}

async fn measure(arguments: &Arguments) -> Result<Report, Box<dyn Error>> {
    let start = Instant::now();
    let mut options = OnnxOptions::default().precision(arguments.precision);
    if let Some(model) = &arguments.model {
        options = options.model(model);
    }
    let model = OnnxEmbedder::open(options).await?;
    let embedder = Arc::new(CachedEmbedder::open(model, &arguments.vectors)?);
    let mut sets = Vec::new();
    let mut data_sets = Vec::new();
    for data in &arguments.data {
        let shared = Arc::clone(&embedder) as Arc<dyn Embedder>;
        let set = Measurement::new(DataSet::read(&data.file)?, shared).await?;
        if !arguments.cross_validate && !arguments.calibrate {
            data_sets.push(DataSetReport::measure(&set, !arguments.default_only).await?);
        }
        embedder.save()?;
        sets.push(set);
    }
    let cross_validation = match arguments.cross_validate {
        true => Some(cross_validate(&sets).await?),
        false => None,
    };
    let relevance = match arguments.default_only || arguments.cross_validate {
        false => Some(RelevanceReport::measure(&sets).await?),
        true => None,
    };
    embedder.save()?;
    Ok(Report {
        data_sets,
        cross_validation,
        relevance,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Fails if a data set is below its limits.
fn check(report: &Report, data: &[Data]) -> Result<(), Box<dyn Error>> {
    let mut below = Vec::new();
    for (set, data) in report.data_sets.iter().zip(data) {
        let Some((min_recall, min_mrr)) = data.at_least else {
            continue;
        };
        let (recall, mrr) = (set.default.recall_at_10.mean, set.default.mrr.mean);
        if recall < min_recall || mrr < min_mrr {
            below.push(format!(
                "{}: recall@10 is {recall:.1} % (at least {min_recall} %), MRR {mrr:.3} (at least {min_mrr})",
                set.name
            ));
        }
    }
    if below.is_empty() {
        Ok(())
    } else {
        Err(below.join("; ").into())
    }
}
