//! Processes that are killed while they write to one SQLite file with a million memories of
//! one entity: no acknowledged write is lost, and a snapshot and the store find the same.
//!
//! `cargo run --profile profiling -p memory --example kill -- 1000000` (`--kills 10`,
//! `--dimensions 384`, `--max-delay 60` seconds, `--only snapshots` or `--only conversion`,
//! `--folder` for the files).
//!
//! A file of a million memories takes some 4 GB, with 6 GB at times for its log and its
//! snapshot pages. There is one file at a time, in a folder of its own in `--folder` (the
//! folder for temporary files by default), which is removed at the end, also after a failure or
//! Ctrl+C, but not where another signal ends the program.

mod check;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use check::{Child, KillCheck, Workload};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this is what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    if let Some(child) = Child::from_env()? {
        return child.run().await;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let position = arguments.iter().position(|argument| argument == name);
        position.and_then(|position| arguments.get(position + 1))
    };
    let number = |name: &str, default: u64| value(name).map_or(Ok(default), |it| it.parse());
    let parent = value("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let workloads = match value("--only").map(String::as_str) {
        None => vec![Workload::Snapshots, Workload::Conversion],
        Some(name) => vec![name.parse()?],
    };
    let program = std::env::current_exe()?;
    let folder = tempfile::Builder::new()
        .prefix("memory-kill-")
        .tempdir_in(&parent)?;
    // One for the whole run: Ctrl+C does not end the process by itself any more.
    tokio::spawn(remove_when_interrupted(folder.path().to_owned()));
    for workload in workloads {
        let files = folder.path().join(workload.to_string());
        std::fs::create_dir(&files)?;
        let kills = KillCheck {
            path: files.join("kill.db"),
            workload,
            memories: arguments.first().map_or(Ok(1_000_000), |it| it.parse())?,
            dimensions: number("--dimensions", 384)?.try_into()?,
            kills: number("--kills", 10)?,
            max_delay: Duration::from_secs(number("--max-delay", 60)?),
        };
        let command = || Command::new(&program);
        let report = kills.run(&command, &|line| println!("{line}")).await?;
        println!("{workload}: {report}");
        std::fs::remove_dir_all(files)?;
    }
    folder.close()?;
    Ok(())
}

/// Ends this process at Ctrl+C, and with it its child, which may make files until then.
async fn remove_when_interrupted(folder: PathBuf) {
    if tokio::signal::ctrl_c().await.is_ok() {
        for _ in 0..10 {
            // Nobody is left to be told.
            let _ = std::fs::remove_dir_all(&folder);
        }
        std::process::exit(130);
    }
}
