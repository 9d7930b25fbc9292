//! A short check of processes that are killed while they write to one SQLite file.

#[path = "../../examples/kill/check/mod.rs"]
mod check;

use std::process::Command;
use std::time::Duration;

use check::{Child, KillCheck, KillReport, Workload};

/// Runs the check; `test` is the name of the test that calls this, which is the child as
/// well.
async fn run_check(workload: Workload, test: &str) -> Option<KillReport> {
    if let Some(child) = Child::from_env().unwrap() {
        child.run().await.unwrap();
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let kills = KillCheck {
        path: folder.path().join("kill.db"),
        workload,
        memories: 3_000,
        dimensions: 32,
        kills: 4,
        max_delay: Duration::from_millis(400),
    };
    let command = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", test]);
        command
    };
    let report = kills.run(&command, &|_| {}).await.unwrap();
    assert!(report.kills >= 4 && report.memories == 3_000);
    assert!(report.writes >= 4 && report.common > 0);
    assert!(!report.to_string().is_empty());
    Some(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_survive_kills_while_snapshots_are_loaded_and_their_pages_written() {
    const TEST: &str =
        "kill::writes_survive_kills_while_snapshots_are_loaded_and_their_pages_written";
    if let Some(report) = run_check(Workload::Snapshots, TEST).await {
        assert!(report.loads > 0, "no child had loaded a snapshot");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_survive_kills_while_words_are_converted() {
    const TEST: &str = "kill::writes_survive_kills_while_words_are_converted";
    if let Some(report) = run_check(Workload::Conversion, TEST).await {
        assert!(report.while_converting > 0, "every conversion had ended");
    }
}
