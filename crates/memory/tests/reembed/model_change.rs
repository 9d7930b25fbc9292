//! The whole change: by a service and a run, and by two runs.

use std::time::Instant;

use futures_util::StreamExt;
use memory::ReembedRequest;

use crate::other_process::{OtherProcess, TestDatabase};
use crate::{MEMORIES, content, fill, open, second_model};

/// Changes the model while a service runs with the first one, and then that of the
/// service.
pub(crate) async fn run(database: &TestDatabase) {
    fill(database).await;
    let entity = &*database.entity;
    let mut service = OtherProcess::start(database, "serve").await;
    let second = open(&database.url, second_model()).await;
    let began = Instant::now();
    let request = ReembedRequest::new().keep_others(true);
    let mut steps = second.reembed_stream(entity, request).enumerate();
    while let Some((step, report)) = steps.next().await {
        let report = report.unwrap();
        assert_eq!(report.cleared, 0);
        if step % 5 == 0 {
            // A reader with the second model finds by words, and says so.
            let wanted = content(2 * step);
            let found = second.recall_report(entity, &*wanted).await.unwrap();
            assert!(found.iter().any(|hit| hit.memory.content == wanted));
            let least = report.total.saturating_sub(report.reembedded);
            assert!(found.without_vectors >= least, "{report:?}");
        }
    }
    let reembedded = began.elapsed();
    assert!(service.is_running(), "see its output");
    service.stop().await;

    // Its successor has the second model. What it wrote last is embedded here.
    let began = Instant::now();
    let report = second.reembed(entity, ReembedRequest::new()).await.unwrap();
    println!(
        "embedded in {reembedded:?}, finished in {:?}",
        began.elapsed()
    );
    assert!(report.is_complete, "{report:?}");
    let total = MEMORIES as u64 + database.reported();
    assert_eq!((report.checked, report.cleared), (total, total));
    let models = second.count_by_model(entity).await.unwrap();
    assert_eq!(models.into_values().collect::<Vec<_>>(), [total]);
    for wanted in ["note 0 of the service", &content(1)] {
        let found = second.recall_report(entity, wanted).await.unwrap();
        assert!(found.hits[0].memory.content.starts_with(wanted));
        assert!(found.hits[0].similarity.is_some() && found.without_vectors == 0);
    }
    second.close().await.unwrap();
}

/// Embeds an entity here and in another process, which is in the middle of it.
pub(crate) async fn two_processes(database: &TestDatabase) {
    fill(database).await;
    let entity = &*database.entity;
    let other = OtherProcess::start(database, "embed").await;
    let second = open(&database.url, second_model()).await;
    let report = second.reembed(entity, ReembedRequest::new()).await.unwrap();
    assert!(report.is_complete, "{report:?}");
    other.wait().await;
    let models = second.count_by_model(entity).await.unwrap();
    let total = MEMORIES as u64;
    assert_eq!(models.into_values().collect::<Vec<_>>(), [total]);
    second.close().await.unwrap();
}
