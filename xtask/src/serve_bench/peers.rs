//! The same work by other products, where they run without internet and language model.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;

use super::data::Data;
use super::ingest::{import, write_lines};
use super::results::Peer;
use super::server::{MemoryCommand, Server, parse};
use crate::error::TaskError;
use crate::{shell, venv};

/// The script that runs them, and the packages that it needs.
const SCRIPT: &str = "benches/http/peers.py";
const REQUIREMENTS: &str = "benches/http/requirements.txt";

/// The products, in an order in which each finds what it needs of those before it.
const PRODUCTS: [&str; 2] = ["chroma", "mem0"];

/// Questions that each answers.
const QUESTIONS: usize = 300;

/// Measures every product in this folder; returns those that did the work, and how many
/// failed.
pub(super) fn measure(
    cache: &Path,
    folder: &Path,
    data: &Data,
) -> Result<(Vec<Peer>, usize), TaskError> {
    let requirements = shell::root().join(REQUIREMENTS);
    let python = venv::install(cache, "http-peers", &requirements)?;
    let questions: Vec<_> = data.questions.iter().take(QUESTIONS).collect();
    let work = folder.join("work.json");
    let content = json!({"texts": data.texts, "questions": questions});
    fs::write(&work, content.to_string()).map_err(|source| TaskError::Write {
        path: work.clone(),
        source,
    })?;
    let (mut peers, mut failed) = (Vec::new(), 0);
    for product in PRODUCTS {
        let mut script = Command::new(&python);
        script
            .arg(shell::root().join(SCRIPT))
            .arg(product)
            .arg(&work);
        script.arg(cache.join("models").join("all-MiniLM-L6-v2"));
        script.arg(folder.join(product));
        let output = shell::read_stdout(&mut script);
        match output.and_then(|output| peer(product, &output)) {
            Ok(peer) => peers.push(peer),
            Err(error) => {
                crate::error::print(&error);
                failed += 1;
            }
        }
    }
    Ok((peers, failed))
}

/// What the script printed last.
fn peer(product: &str, output: &str) -> Result<Peer, TaskError> {
    let answer = output.lines().last().unwrap_or_default();
    println!("{answer}");
    serde_json::from_str(answer).map_err(|source| {
        let what = product.to_owned();
        super::BenchError::Answer { what, source }.into()
    })
}

/// Imports the texts with the vectors that [`measure`] left in the folder; returns the
/// seconds, or nothing if there are none.
pub(super) fn import_with_vectors(
    memory: &MemoryCommand,
    folder: &Path,
    data: &Data,
) -> Result<Option<f64>, TaskError> {
    let Ok(vectors) = fs::read_to_string(folder.join("vectors.json")) else {
        return Ok(None);
    };
    let vectors = parse("peers", &vectors)?;
    let file = folder.join("vectors.jsonl");
    let lines = data.texts.iter().enumerate().map(|(number, text)| {
        let mut line = Data::line(number, text);
        line["embedding"] = vectors["texts"][number].clone();
        line
    });
    write_lines(&file, lines)?;
    let server = Server::start(memory, &folder.join("vectors.db"))?;
    let started = Instant::now();
    import(&server.client, &file, data.texts.len())?;
    Ok(Some(started.elapsed().as_secs_f64()))
}
