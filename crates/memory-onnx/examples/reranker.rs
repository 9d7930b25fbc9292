//! Scores the lines of the standard input against a question with a
//! cross-encoder's directory, and measures it: try a model on your own memories
//! before you turn it on.
//!
//! ```text
//! cargo run --release -p memory-onnx --example reranker -- MODEL_DIR "QUESTION" [ROUNDS] < LINES
//! ```

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::error::Error;
use std::io::{self, Read};
use std::time::Instant;

use memory_core::Reranker as _;
use memory_onnx::{OnnxReranker, RerankerOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: reranker MODEL_DIR QUESTION [ROUNDS] < LINES";
    let folder = arguments.next().ok_or(usage)?;
    let question = arguments.next().ok_or(usage)?;
    let rounds: u32 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let texts: Vec<&str> = input.lines().collect();

    let begun = Instant::now();
    let reranker = OnnxReranker::open(RerankerOptions::new(folder)).await?;
    println!("opened {} in {:.1?}", reranker.model(), begun.elapsed());
    let mut scores = Vec::new();
    let begun = Instant::now();
    for _ in 0..rounds {
        scores = reranker.score(&question, &texts).await?;
    }
    let each = begun.elapsed() / rounds.max(1);
    println!("{} texts in {each:.1?}", texts.len());
    let mut ordered: Vec<_> = scores.iter().zip(&texts).collect();
    ordered.sort_by(|a, b| b.0.total_cmp(a.0));
    for (score, text) in ordered {
        println!("{score:8.4}  {text}");
    }
    Ok(())
}
