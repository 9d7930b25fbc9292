//! What the log says of damaged snapshot pages.

use memory_core::{MemoryId, Store};
use memory_testkit::TraceLog;

use crate::snapshot_pages::{PAGES, kept, populated, read};
use crate::support::{connect, run, with_database};

/// By the id at its end, which is no content.
#[tokio::test]
async fn a_damaged_page_is_named_in_the_log() {
    let warnings = TraceLog::warnings();
    // All tasks run on this thread.
    let _guard = tracing::subscriber::set_default(warnings.clone());
    with_database(move |url| async move {
        let (store, _) = populated(&url).await;
        let mut connection = connect(&url).await;
        let ids: Vec<MemoryId> = sqlx::query_scalar("SELECT last_id FROM snapshot_page ORDER BY 1")
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .into_iter()
            .map(|id: uuid::Uuid| MemoryId::from(id))
            .collect();
        let damage = format!(
            "UPDATE snapshot_page SET checksum = checksum + 1 WHERE last_id IN ('{}', '{}')",
            ids[1], ids[3]
        );
        run(&mut connection, &damage).await;
        assert_eq!(kept(&read(&store).await).len(), PAGES - 2);
        let warned = warnings.since(0);
        for (index, id) in ids.iter().enumerate() {
            let is_named = warned.matches(&id.to_string()).count() == 1;
            assert_eq!(is_named, [1, 3].contains(&index), "{warned}");
        }
        store.close().await.unwrap();
    })
    .await;
}
