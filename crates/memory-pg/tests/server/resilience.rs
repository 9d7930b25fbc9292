//! Cancelled calls, deadlocks, retries, and a server that stops answering.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use memory_core::{EntityId, ErrorKind, ListRequest, MemoryFilter, MemoryId, Store};
use memory_pg::{PgOptions, PgStore, Pooler};
use memory_testkit::fixtures;

use crate::fault_proxy::{FaultProxy, PASS, SILENT};
use crate::memories;
use crate::support::{connect, run, with_database};

/// How long anything here may take.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// More polls than any call here takes.
const POLLS: usize = 200;

/// Polls a future a number of times and drops it. Returns its output if it
/// finished.
async fn poll_times<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Every call is dropped at every await point, on a pool of one connection, which
/// has to stay usable.
#[tokio::test(flavor = "multi_thread")]
async fn calls_can_be_dropped_at_every_await_point() {
    with_database(|url| async move {
        // With a pooler, reads take transactions, which could be left open.
        for pooler in [Pooler::None, Pooler::Transaction] {
            let options = PgOptions::new().max_connections(1).pooler(pooler);
            let store = options.connect(&url).await.unwrap();
            let entity = EntityId::from(format!("{pooler:?}"));
            let all = memories(entity.as_str(), POLLS * 2);
            for (times, batch) in all.chunks(2).enumerate() {
                let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
                let inserted = poll_times(times, store.insert(batch)).await;
                let read = poll_times(times, store.get(&entity, &ids)).await;
                let page = ListRequest::new(10);
                let listed = poll_times(times, store.list(&entity, &page)).await;
                let model = fixtures::fingerprint();
                let since = memory_core::Generation::ZERO;
                let changes = store.changes_since(&entity, since, &model);
                let changed = poll_times(times, changes).await;
                // Whether or not the write happened, it can be retried and is complete.
                store.insert(batch).await.unwrap();
                let found = store.get(&entity, &ids).await.unwrap();
                assert_eq!(found.memories.iter().flatten().count(), 2);
                assert_no_open_transaction(&url).await;
                if inserted.is_some() && read.is_some() && listed.is_some() && changed.is_some() {
                    assert!(times > 1, "nothing was dropped in the middle");
                    break;
                }
                assert!(times < POLLS - 1, "no call ever ended");
            }
            let removed = poll_times(1, store.delete(&entity, &[all[0].memory.id])).await;
            assert!(removed.is_none());
            // The write continues without its caller.
            wait_until_removed(&store, &entity, all[0].memory.id).await;
            store.close().await.unwrap();
        }
    })
    .await;
}

async fn wait_until_removed(store: &PgStore, entity: &EntityId, gone: MemoryId) {
    let start = Instant::now();
    while store.get(entity, &[gone]).await.unwrap().memories[0].is_some() {
        assert!(start.elapsed() < Duration::from_secs(10), "it never ended");
    }
}

async fn assert_no_open_transaction(url: &str) {
    let mut other = connect(url).await;
    let start = Instant::now();
    loop {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(&mut other)
        .await
        .unwrap();
        if open == 0 {
            return;
        }
        // The server takes a moment to notice a closed connection.
        assert!(start.elapsed() < Duration::from_secs(5), "left open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A deadlock in which the server aborts the store's transaction: it is retried.
#[tokio::test(flavor = "multi_thread")]
async fn deadlock_victim_is_retried() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        for name in ["a", "b"] {
            store.insert(&memories(name, 1)).await.unwrap();
        }
        let mut other = connect(&url).await;
        // The other waits longer before it checks for a deadlock, so the store's
        // transaction is the one that is aborted.
        run(
            &mut other,
            "SET deadlock_timeout = '60s'; BEGIN; \
             UPDATE entity SET generation = generation WHERE entity_id = 'b'",
        )
        .await;
        let mut both = memories("a", 2).split_off(1);
        both.extend(memories("b", 2).split_off(1));
        let ours = store.clone();
        let ours = tokio::spawn(async move { ours.insert(&both).await });
        wait_for_a_lock(&url).await;
        run(
            &mut other,
            "UPDATE entity SET generation = generation WHERE entity_id = 'a'; COMMIT",
        )
        .await;
        let outcome = ours.await.unwrap().unwrap();
        assert_eq!(outcome.inserted, [true, true]);
        wait_for_a_deadlock(&url).await;
    })
    .await;
}

/// Waits until the server has counted a deadlock: a backend reports its counts up
/// to a second later.
async fn wait_for_a_deadlock(url: &str) {
    let mut other = connect(url).await;
    let start = Instant::now();
    loop {
        let deadlocks: i64 = sqlx::query_scalar(
            "SELECT pg_stat_get_db_deadlocks(oid) FROM pg_database \
             WHERE datname = current_database()",
        )
        .fetch_one(&mut other)
        .await
        .unwrap();
        if deadlocks > 0 {
            return;
        }
        assert!(start.elapsed() < MAX_WAIT, "no deadlock was counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn wait_for_a_lock(url: &str) {
    let mut other = connect(url).await;
    let start = Instant::now();
    loop {
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock')",
        )
        .fetch_one(&mut other)
        .await
        .unwrap();
        if waits {
            return;
        }
        assert!(start.elapsed() < MAX_WAIT, "nothing waits for a lock");
    }
}

/// A transaction that always fails is given up with an error.
#[tokio::test(flavor = "multi_thread")]
async fn retries_are_limited() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        let mut other = connect(&url).await;
        // The sequence counts attempts: it is not rolled back with them.
        run(
            &mut other,
            "CREATE SEQUENCE attempts; \
             CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               PERFORM nextval('attempts'); \
               RAISE EXCEPTION 'serialization failure' USING ERRCODE = '40001'; \
             END $$; \
             CREATE TRIGGER lose BEFORE INSERT ON memory FOR EACH STATEMENT EXECUTE FUNCTION lose()",
        )
        .await;
        let refused = store.insert(&memories("mira", 2)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert!(refused.is_retryable());
        let attempts: i64 = sqlx::query_scalar("SELECT last_value FROM attempts")
            .fetch_one(&mut other)
            .await
            .unwrap();
        assert_eq!(attempts, 6);
        run(&mut other, "DROP TRIGGER lose ON memory").await;
        store.insert(&memories("mira", 2)).await.unwrap();
    })
    .await;
}

/// The server stops answering and no connection is closed. Calls time out, and
/// the only slot in the pool is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_server_times_out_and_recovers() {
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let options = PgOptions::new()
            .statement_timeout(Duration::from_millis(200))
            .acquire_timeout(Duration::from_millis(500));
        let store = proxy.connect(options).await;
        let mira = EntityId::from("mira");
        store.insert(&memories("mira", 2)).await.unwrap();
        for _ in 0..2 {
            proxy.set_mode(SILENT);
            let start = Instant::now();
            let refused = store.count(&mira, &MemoryFilter::new()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
            let refused = store.insert(&memories("tam", 2)).await.unwrap_err();
            assert!(refused.is_retryable(), "{refused}");
            assert!(start.elapsed() < Duration::from_secs(20));
            proxy.set_mode(PASS);
            let found = store.count(&mira, &MemoryFilter::new()).await.unwrap();
            assert_eq!(found, 2);
        }
        proxy.remove();
    })
    .await;
}

/// The server stops answering during a write, whose transaction is then not rolled back on
/// the same connection: that would wait as long again.
#[tokio::test(flavor = "multi_thread")]
async fn unanswered_write_waits_once() {
    with_database(|url| async move {
        let proxy = FaultProxy::new(&url).await;
        let limit = Duration::from_millis(500);
        let store = proxy
            .connect(PgOptions::new().statement_timeout(limit))
            .await;
        store.insert(&memories("mira", 2)).await.unwrap();
        let mut other = connect(&url).await;
        run(
            &mut other,
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               PERFORM pg_sleep(0.4); RETURN NULL; END $$; \
             CREATE TRIGGER wait AFTER INSERT ON memory FOR EACH STATEMENT EXECUTE FUNCTION wait()",
        )
        .await;
        let start = Instant::now();
        let writing = store.clone();
        let writing = tokio::spawn(async move { writing.insert(&memories("tam", 2)).await });
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event = 'PgSleep')";
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&mut other)
            .await
            .unwrap()
        {
            assert!(start.elapsed() < MAX_WAIT, "it does not write");
        }
        proxy.set_mode(SILENT);
        let refused = writing.await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        // The limit of an answer is 5.5 seconds.
        assert!(
            start.elapsed() < Duration::from_secs(9),
            "{:?}",
            start.elapsed()
        );
        proxy.set_mode(PASS);
        store.insert(&memories("tam", 2)).await.unwrap();
        proxy.remove();
    })
    .await;
}
