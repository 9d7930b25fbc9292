//! Processes of each kind on a store in memory break no rule, and their faults are
//! detected.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use memory::{Consistency, MemoryConfig, MemorySystem};
use memory_testkit::InMemoryStore;

use super::checker::{Checker, Finding, Rule};
use super::checker_tests::{broken, plan};
use super::content::{Class, embedder};
use super::database::{check_memories, fill_through};
use super::event::{Change, Entry, Event, EventSink};
use super::plan::Kind;
use super::worker::{Request, TestFault, Worker, WorkerOptions};

/// Collects the events of a process.
struct TestSink {
    process: u16,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl EventSink for TestSink {
    fn record(&self, event: Event) -> io::Result<()> {
        let process = self.process;
        self.entries.lock().unwrap().push(Entry { process, event });
        Ok(())
    }
}

async fn open(store: &InMemoryStore, consistency: Consistency) -> MemorySystem {
    let builder = MemorySystem::builder()
        .store(store.clone())
        .embedder(embedder())
        .config(MemoryConfig {
            consistency: Some(consistency),
            ..MemoryConfig::default()
        });
    builder.build().await.unwrap()
}

/// Runs the four kinds of processes in turn, each with this fault.
async fn run(test_fault: Option<TestFault>) -> BTreeMap<Rule, Finding> {
    const ROUNDS: usize = 60;
    let (store, plan) = (InMemoryStore::new(), plan(30));
    let system = open(&store, Consistency::Checked).await;
    fill_through(&system, &plan).await.unwrap();
    let entries = Arc::new(Mutex::new(Vec::new()));
    let mut workers = Vec::new();
    for (process, kind) in (1..).zip(Kind::ALL) {
        let consistency = match test_fault {
            Some(TestFault::StaleReads) => Consistency::Local,
            _ => Consistency::Checked,
        };
        let options = WorkerOptions {
            process,
            kind,
            plan: plan.clone(),
            test_fault,
        };
        let sink = TestSink {
            process,
            entries: Arc::clone(&entries),
        };
        sink.record(Event::Opened { bound: 0 }).unwrap();
        workers.push(Worker::new(options, open(&store, consistency).await, sink));
    }
    let [_, recall, maintenance, _] = &workers[..] else {
        panic!("a worker of each kind");
    };
    for round in 0..ROUNDS {
        let seen = entries.lock().unwrap().len();
        for (kind, worker) in Kind::ALL.iter().zip(&workers) {
            // An import is as large as many rounds of the others.
            if *kind != Kind::Import || round % 10 == 0 {
                worker.step().await.unwrap();
            }
        }
        // As the parent does.
        for entry in &entries.lock().unwrap()[seen..] {
            match &entry.event {
                Event::Began {
                    change:
                        Change::Retain {
                            entity, memories, ..
                        },
                    ..
                } => {
                    let (entity, memory) = (*entity, memories[0]);
                    if round % 2 == 0 && memory.class() == Class::Unique {
                        maintenance
                            .requests
                            .push(Request::Forget { entity, memory });
                    }
                    recall.requests.push(Request::Probe { entity, memory });
                }
                Event::Began {
                    change: Change::Forget { entity, memory },
                    ..
                } => recall.requests.push(Request::Probe {
                    entity: *entity,
                    memory: *memory,
                }),
                _ => {}
            }
        }
    }
    let entries = entries.lock().unwrap().clone();
    let mut checker = Checker::new(&entries, &[]);
    let system = open(&store, Consistency::Checked).await;
    let count = check_memories(&mut checker, &plan, &system).await.unwrap();
    assert!(count > plan.memories());
    checker.findings()
}

#[tokio::test]
async fn processes_of_each_kind_break_no_rule() {
    let findings = run(None).await;
    for (rule, finding) in &findings {
        assert_eq!(finding.broken, 0, "{rule}: {finding:?}");
    }
    for rule in [
        Rule::AcknowledgedIsThere,
        Rule::ForgottenIsGone,
        Rule::BatchIsWhole,
        Rule::TextIsUnchanged,
        Rule::ReadIsFresh,
        Rule::ReadHasNothingForgotten,
        Rule::ErrorsAreTransient,
    ] {
        assert!(findings[&rule].checked > 20, "{rule}: {findings:?}");
    }
}

#[tokio::test]
async fn faults_of_processes_are_detected() {
    for (fault, rules) in [
        (
            TestFault::LoseWrites,
            &[Rule::AcknowledgedIsThere, Rule::ReadIsFresh][..],
        ),
        (
            TestFault::KeepForgotten,
            &[Rule::ForgottenIsGone, Rule::ReadHasNothingForgotten],
        ),
        (TestFault::StaleReads, &[Rule::ReadIsFresh]),
    ] {
        let broken = broken(run(Some(fault)).await);
        for rule in rules {
            assert!(broken.contains(rule), "{fault:?}: {broken:?}");
        }
    }
}
