//! The suites reject what is faulty, by the check that is there for it.

#![allow(clippy::panic)]

use memory_testkit::faulty::{
    CacheFault, EmbedderFault, FaultyBackend, FaultyEmbedder, FaultyReranker, FaultySharedCache,
    FaultyStore, RerankerFault, SharedCacheFault, StoreFault,
};
use memory_testkit::{Outcome, Report, Verdict, cache, embedder, reranker, shared_cache, store};

/// The check that the fault names must fail, and with a reason of its own.
fn assert_rejected(report: &Report, fault: impl std::fmt::Debug, by: &str) {
    let [Outcome { name, verdict }] = report.outcomes() else {
        panic!("{fault:?}: there is no check {by}");
    };
    assert_eq!(*name, by);
    match verdict {
        Verdict::Failed(why) => assert!(!why.contains("panicked"), "{fault:?}: {why}"),
        verdict => panic!("{fault:?} was not rejected by {by}: {verdict:?}"),
    }
}

#[tokio::test]
async fn every_faulty_store_is_rejected() {
    for &fault in StoreFault::ALL {
        let suite = store::Suite::new().reopens().only([fault.detected_by()]);
        let store = FaultyStore::new(fault);
        let report = suite.run(|| async { store.connect() }).await;
        assert_rejected(&report, fault, fault.detected_by());
    }
}

#[tokio::test]
async fn every_check_of_a_store_rejects_something() {
    let named = |name| StoreFault::ALL.iter().any(|it| it.detected_by() == name);
    for check in store::CHECKS.iter().filter(|check| !named(check.name)) {
        let suite = store::Suite::new().only([check.name]);
        let mut rejects = false;
        for &fault in StoreFault::ALL {
            let store = FaultyStore::new(fault);
            let report = suite.run(|| async { store.connect() }).await;
            rejects |= !report.is_conformant();
            if rejects {
                break;
            }
        }
        assert!(rejects, "{} rejects nothing", check.name);
    }
}

#[tokio::test]
async fn most_faulty_stores_are_rejected_by_the_model_too() {
    for fault in [
        StoreFault::LosesLastOfBatch,
        StoreFault::WritesUpToAConflict,
        StoreFault::CountsRepeatsAsWrites,
        StoreFault::KeepsDeletedIdsTaken,
        StoreFault::ReadsOtherEntities,
        StoreFault::LosesTiesBetweenPages,
        StoreFault::IgnoresTagStrictness,
        StoreFault::FiltersAfterTheLimit,
        StoreFault::OmitsDeletions,
        StoreFault::KeepsOldTombstones,
        StoreFault::ClearsUnsetFields,
        StoreFault::KeepsOldVectors,
        StoreFault::UpdatesWithoutGeneration,
        StoreFault::CountsOneAccess,
        StoreFault::MovesAccessBack,
        StoreFault::ListsEmptyEntities,
        StoreFault::IgnoresLinks,
        StoreFault::IgnoresTheLimit,
        StoreFault::CountsEntitiesTogether,
        StoreFault::EvictsOnRefusal,
        StoreFault::EvictsForRepeats,
        StoreFault::CountsArchivedInTheLimit,
        StoreFault::RevivesArchived,
        StoreFault::EvictsInAnotherWrite,
        StoreFault::FailsOnUnknownEvictions,
        StoreFault::IgnoresRestoredInTheLimit,
        StoreFault::ChangesArchived,
        StoreFault::ConsolidatesGroupByGroup,
        StoreFault::KeepsGroupsBeforeAnError,
        StoreFault::SkipsMissingSources,
        StoreFault::ConsolidatesWhatChanged,
        StoreFault::ReplacesTakenIds,
        StoreFault::RefusesRepeats,
        StoreFault::CountsEmptyConsolidations,
        StoreFault::ConsolidatesNoSummaries,
        StoreFault::LosesArchived,
        StoreFault::ListsArchivedAsLive,
        StoreFault::ListsSourcesOfAllSummaries,
        StoreFault::CountsArchivedAsLive,
        StoreFault::SearchesArchived,
        StoreFault::FiltersArchivedAfterTheLimit,
        StoreFault::OmitsArchivedFromChanges,
        StoreFault::HidesArchivedFromUpdates,
        StoreFault::IgnoresAccessesOfArchived,
        StoreFault::KeepsSummariesOfRemoved,
        StoreFault::RemovesSourcesWithTheirSummary,
        StoreFault::RestoresEveryLevel,
        StoreFault::ReportsRemovedAsRestored,
        StoreFault::RestoresWithoutVectors,
        StoreFault::SkipsUndoneConsolidations,
        StoreFault::ReplacesAllLinks,
        StoreFault::KeepsDanglingLinks,
        StoreFault::OmitsUnlinkedRestored,
    ] {
        let report = store::model_check(|| async { FaultyStore::new(fault) }, 120, 40).await;
        assert!(!report.is_conformant(), "the model accepts {fault:?}");
    }
}

#[tokio::test]
async fn a_rejection_by_the_model_shows_a_short_sequence() {
    let fault = StoreFault::UpdatesWithoutGeneration;
    let report = store::model_check(|| async { FaultyStore::new(fault) }, 120, 40).await;
    let Verdict::Failed(why) = &report.outcomes()[0].verdict else {
        panic!("{report}");
    };
    let count = |steps: &[&str]| -> usize {
        let counts = steps.iter().map(|step| why.matches(step).count());
        counts.sum()
    };
    assert_eq!(count(&["Insert(", "Squeeze "]), 1, "{why}");
    assert_eq!(count(&["Update ", "Link "]), 1, "{why}");
    let others = [
        "Consolidate ",
        "Again",
        "Delete ",
        "AccessUpdate ",
        "Read ",
        "Follow ",
    ];
    assert_eq!(count(&others), 0, "{why}");
}

#[tokio::test]
async fn every_faulty_embedder_is_rejected() {
    for &fault in EmbedderFault::ALL {
        let suite = embedder::Suite::new()
            .with_meaning()
            .only([fault.detected_by()]);
        let report = suite.run(&FaultyEmbedder::new(fault)).await;
        assert_rejected(&report, fault, fault.detected_by());
    }
}

#[test]
fn every_check_of_an_embedder_rejects_something() {
    for check in embedder::CHECKS.iter().chain(embedder::MEANING) {
        let mut faults = EmbedderFault::ALL.iter();
        let rejects = faults.any(|fault| fault.detected_by() == check.name);
        assert!(rejects, "{} rejects nothing", check.name);
    }
}

#[tokio::test]
async fn every_faulty_reranker_is_rejected() {
    for &fault in RerankerFault::ALL {
        let suite = reranker::Suite::new()
            .with_meaning()
            .only([fault.detected_by()]);
        let report = suite.run(&FaultyReranker::new(fault)).await;
        assert_rejected(&report, fault, fault.detected_by());
    }
}

#[test]
fn every_check_of_a_reranker_rejects_something() {
    for check in reranker::CHECKS.iter().chain(reranker::MEANING) {
        let mut faults = RerankerFault::ALL.iter();
        let rejects = faults.any(|fault| fault.detected_by() == check.name);
        assert!(rejects, "{} rejects nothing", check.name);
    }
}

#[test]
fn every_faulty_cache_is_rejected() {
    for &fault in CacheFault::ALL {
        let suite = cache::Suite::new().only([fault.detected_by()]);
        let report = suite.run(&FaultyBackend(fault));
        assert_rejected(&report, fault, fault.detected_by());
    }
}

#[test]
fn every_check_of_a_cache_rejects_something() {
    let named = |name| CacheFault::ALL.iter().any(|it| it.detected_by() == name);
    let checks = cache::table::<FaultyBackend>().into_iter();
    for check in checks.filter(|check| !named(check.name)) {
        let mut faults = CacheFault::ALL.iter();
        let rejects = faults.any(|fault| check.run(&FaultyBackend(*fault)).is_err());
        assert!(rejects, "{} rejects nothing", check.name);
    }
}

#[test]
fn lying_caches_are_rejected_by_the_model_too() {
    for fault in [
        CacheFault::KeepsTheFirst,
        CacheFault::KeepsTheOlder,
        CacheFault::RemovesLater,
        CacheFault::ClearsLater,
        CacheFault::IgnoresMaxEntries,
        CacheFault::IgnoresMaxBytes,
        CacheFault::WeighsRemoved,
    ] {
        let report = cache::model_check(&FaultyBackend(fault), 100, 100);
        assert!(!report.is_conformant(), "the model accepts {fault:?}");
    }
}

#[tokio::test]
async fn every_faulty_shared_cache_is_rejected() {
    for &fault in SharedCacheFault::ALL {
        let suite = shared_cache::Suite::new().only([fault.detected_by()]);
        let report = suite.run(&FaultySharedCache::new(fault)).await;
        assert_rejected(&report, fault, fault.detected_by());
    }
}

#[test]
fn every_check_of_a_shared_cache_is_named_by_a_fault() {
    for check in shared_cache::CHECKS {
        let named = |fault: &SharedCacheFault| fault.detected_by() == check.name;
        assert!(SharedCacheFault::ALL.iter().any(named), "{}", check.name);
    }
}
