//! A database whose vectors come from another model.

use std::process::Stdio;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::sqlite::SqliteStore;
use memory::{MemoryKind, MemoryResult, MemorySystem};
use serde_json::Value;

use crate::test_dir::TestDir;

/// A model of eight dimensions that gives every text the same vector.
#[derive(Debug)]
struct OtherModel(EmbedderProfile);

#[async_trait]
impl Embedder for OtherModel {
    fn profile(&self) -> &EmbedderProfile {
        &self.0
    }

    async fn embed(&self, texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let mut vector = vec![0.0; 8];
        vector[0] = 1.0;
        Ok(vec![vector; texts.len()])
    }
}

/// Retains memories with the vectors of [`OtherModel`].
fn retain_with_other_model(dir: &TestDir, contents: &[&str]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let retained = runtime.block_on(retain(dir, contents));
    retained.expect("the database is created");
}

async fn retain(dir: &TestDir, contents: &[&str]) -> MemoryResult<()> {
    let store = SqliteStore::open(dir.path("memory.db").to_str().expect("UTF-8")).await?;
    let system = MemorySystem::builder()
        .store(Arc::new(store))
        .embedder(Arc::new(OtherModel(EmbedderProfile::new(
            "other", "other-8", 8,
        ))))
        .build()
        .await?;
    for content in contents {
        system.retain("mira", MemoryKind::World, *content).await?;
    }
    system.close().await
}

#[test]
fn vectors_of_another_model_are_replaced_by_reembed() {
    let dir = TestDir::new();
    let contents = [
        "The mill stands north of the bridge.",
        "Tam sold me a lame horse.",
        "Bread is expensive this spring.",
    ];
    retain_with_other_model(&dir, &contents);
    let similarities = || {
        let recall = ["--json", "recall", "mira", "Who cheated over an animal?"];
        let found = dir.run(&recall).code(0).json();
        let memories = found["memories"].as_array().expect("a list").clone();
        let similarities = memories.iter().map(|memory| memory["similarity"].as_f64());
        (similarities.collect::<Vec<_>>(), found)
    };
    let (before, found) = similarities();
    assert_eq!(found["without_vectors"], 3);
    assert!(before.iter().all(Option::is_none), "{before:?}");
    let human = dir.run(&["recall", "mira", "Tam"]).code(0);
    let expected = "3 memories have no vector of the current model";
    assert!(human.err.starts_with(expected), "{human:?}");
    let human = dir.run(&["reflect", "mira", "Tam"]).code(0);
    assert!(human.err.starts_with(expected), "{human:?}");
    let reflected = dir.run(&["--json", "reflect", "mira", "Tam"]).code(0);
    assert_eq!(reflected.json()["without_vectors"], 3);

    let doctor = dir.run(&["doctor"]);
    assert_eq!(doctor.code, Some(8), "{doctor:?}");
    assert!(
        doctor.out.contains("3 of 3 memories lack vectors"),
        "{doctor:?}"
    );
    assert!(
        doctor.out.contains("fix: memory reembed --all"),
        "{doctor:?}"
    );

    for args in [&["reembed"][..], &["reembed", "mira", "--all"]] {
        dir.run(&[&["--json"], args].concat()).fails(2, "usage");
    }
    let done = dir.run(&["--json", "reembed", "--all"]).code(0).json();
    for (key, count) in [("entities", 1), ("reembedded", 3), ("cleared", 3)] {
        assert_eq!(done[key], count, "{done}");
    }
    assert_eq!(done["incomplete"], 0, "{done}");
    let (after, found) = similarities();
    assert_eq!(after.len(), 3);
    assert_eq!(found["without_vectors"], 0);
    assert!(after.iter().all(Option::is_some), "{after:?}");
    assert_eq!(
        found["memories"][0]["memory"]["content"],
        "Tam sold me a lame horse."
    );
    let again = dir.run(&["reembed", "mira"]).code(0);
    assert_eq!(again.out, "embedded 0 of 3 memories of 1 entity\n");
    let forced = dir.run(&["reembed", "mira", "--force"]).code(0);
    assert_eq!(forced.out, "embedded 3 of 3 memories of 1 entity\n");
    dir.run(&["doctor"]).code(0);
}

/// How many memories have vectors of each model, the most first.
fn counts_by_model(dir: &TestDir) -> Vec<u64> {
    let stats = dir.run(&["--json", "stats", "--models"]).code(0).json();
    let models = stats["by_entity"][0]["models"].as_object().cloned();
    let models = models.expect("counts by model");
    let mut counts: Vec<u64> = models.values().filter_map(Value::as_u64).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

#[test]
fn vectors_of_the_other_model_can_be_kept() {
    let dir = TestDir::new();
    retain_with_other_model(&dir, &["Bread is expensive this spring."]);
    let kept = dir.run(&["reembed", "mira", "--keep-others"]).code(0);
    assert_eq!(kept.out, "embedded 1 of 1 memory of 1 entity\n");
    assert_eq!(counts_by_model(&dir), [1, 1]);
    let human = dir.run(&["stats", "--models"]).code(0);
    assert_eq!(human.out.matches("1 memory by ").count(), 2, "{human:?}");
    let removed = dir.run(&["reembed", "mira"]).code(0);
    assert_eq!(
        removed.out,
        "embedded 0 of 1 memory of 1 entity; removed the vectors of other models of 1\n"
    );
    assert_eq!(counts_by_model(&dir), [1]);
}

#[test]
fn a_killed_run_is_continued_by_the_next() {
    const MEMORIES: usize = 60;
    let dir = TestDir::new();
    let contents: Vec<String> = (0..MEMORIES).map(|n| format!("Day {n} was dry.")).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    retain_with_other_model(&dir, &contents);
    let mut child = dir
        .command(&["reembed", "--all", "--rate", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let start = Instant::now();
    while counts_by_model(&dir).len() < 2 {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "nothing is done"
        );
        assert!(child.try_wait().expect("it can be asked").is_none());
        sleep(Duration::from_millis(20));
    }
    // Without a chance to clean up.
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let counts = counts_by_model(&dir);
    let done = counts[1];
    assert_eq!(
        counts[0], MEMORIES as u64,
        "nothing is removed before the end"
    );
    assert!(done > 0 && done < MEMORIES as u64, "{counts:?}");
    let rest = dir.run(&["--json", "reembed", "--all"]).code(0).json();
    assert_eq!(rest["reembedded"], MEMORIES as u64 - done, "{rest}");
    assert_eq!(rest["cleared"], MEMORIES, "{rest}");
    assert_eq!(counts_by_model(&dir), [MEMORIES as u64]);
    dir.run(&["doctor"]).code(0);
}

/// The previous model searches until the entity is embedded by the current one.
#[test]
fn the_previous_model_is_a_setting() {
    let dir = TestDir::new();
    dir.write("memory.toml", "previous_model = './not-there'\n");
    let with_config = |arguments: &[&str]| {
        let arguments = [&["--json", "--config", "memory.toml"], arguments].concat();
        dir.run(&arguments)
    };
    let message = with_config(&["retain", "mira", "Rain."]).fails(6, "missing");
    assert!(message.contains("./not-there"), "{message}");
    assert_eq!(dir.names(), ["memory.toml"], "no database was created");

    dir.write("memory.toml", "previous_model = 'all-MiniLM-L6-v2'\n");
    dir.run(&["retain", "mira", "Bread is expensive this spring."])
        .code(0);
    let new_model = |arguments: &[&str]| {
        let model = [
            "--config",
            "memory.toml",
            "--model",
            "multilingual-e5-small",
        ];
        dir.run(&[&model, arguments].concat()).code(0)
    };
    let recall = ["recall", "mira", "What does a loaf cost?"];
    let found = |by_previous: bool| {
        let found = new_model(&[&["--json"], &recall[..]].concat()).json();
        assert_eq!(found["by_previous_model"], by_previous, "{found}");
        assert_eq!(found["without_vectors"], 0, "{found}");
        assert!(
            found["memories"][0]["similarity"].as_f64() > Some(0.2),
            "{found}"
        );
    };
    found(true);
    let noted = new_model(&recall).err;
    assert!(noted.contains("compared by the previous model"), "{noted}");
    new_model(&["reembed", "mira"]);
    found(false);
    assert_eq!(counts_by_model(&dir), [1]);
}
