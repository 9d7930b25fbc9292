//! Systems that share a server, and the server's faults: answers stay right, and a
//! caller waits for one call at most.

use std::time::{Duration, Instant};

use memory_testkit::InMemoryStore;

use crate::process::ValkeyProcess;
use crate::system::{System, is_computed, wait_until_shared};

/// Waits until the server has this many values: the engine puts them in the background.
async fn wait_for_keys(server: &ValkeyProcess, keys: u64) {
    let began = Instant::now();
    while server.run::<u64>(&["DBSIZE"]) < keys {
        assert!(began.elapsed() < Duration::from_secs(30), "no {keys} keys");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_systems_embed_a_text_once() {
    const QUESTIONS: usize = 20;
    let (store, server) = (InMemoryStore::new(), ValkeyProcess::start());
    let mut embedded = 0;
    for number in 0..4 {
        let system = System::new(&store, &server);
        if number == 0 {
            system.retain("the miller saw the mill at night").await;
        }
        system.assert_right(&store, 0, "shared").await;
        // And the passage.
        wait_for_keys(&server, QUESTIONS as u64 + 1).await;
        embedded += system.embedded();
    }
    assert_eq!(
        embedded,
        QUESTIONS as u64 + 1,
        "each text once, by one of four"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_removed_before_the_answer_or_before_the_server_is_used_again() {
    const TEXT: &str = "the miller hides the key under the stone";
    let (store, server) = (InMemoryStore::new(), ValkeyProcess::start());
    let system = System::new(&store, &server);
    let id = system.retain(TEXT).await;
    wait_for_keys(&server, 1).await;
    assert!(!is_computed(&store, &server, TEXT).await, "it is shared");
    system.forget(id).await;
    assert!(is_computed(&store, &server, TEXT).await, "it was removed");

    // The last line has put it again. While it is forgotten, the server is silent.
    let id = system.retain(TEXT).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        !is_computed(&store, &server, TEXT).await,
        "it is shared again"
    );
    server.signal("STOP");
    system.forget(id).await;
    server.signal("CONT");
    let other = System::new(&store, &server);
    wait_until_shared(&system, &other, 0).await;
    assert!(
        is_computed(&store, &server, TEXT).await,
        "it was removed later"
    );
}

/// Asks many new questions while the server is in this state: each answer is right,
/// and all of them together cost one budget at most.
async fn assert_right_and_quick(store: &InMemoryStore, system: &System, from: usize, what: &str) {
    let failed = system.calls.failed();
    system.assert_right(store, from, what).await;
    let failed = system.calls.failed() - failed;
    assert!(failed <= 1, "{what}: {failed} calls failed");
    system.calls.assert_none_while_away();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_change_no_answer_and_callers_wait_for_one_call_at_most() {
    let (store, mut server) = (InMemoryStore::new(), ValkeyProcess::start());
    let shared = System::new(&store, &server);
    let other = System::new(&store, &server);
    shared.retain("the miller saw the mill at night").await;
    wait_until_shared(&shared, &other, 10_000).await;
    let _: String = server.run(&["SAVE"]);
    let forgotten = shared.retain("the smith saw the mill too").await;

    server.signal("STOP");
    assert_right_and_quick(&store, &shared, 100, "silent").await;
    shared.forget(forgotten).await;
    assert_right_and_quick(&store, &shared, 200, "silent, after a write").await;
    server.signal("CONT");
    wait_until_shared(&shared, &other, 20_000).await;

    let _: String = server.run(&["FLUSHALL"]);
    assert_right_and_quick(&store, &shared, 300, "flushed").await;
    wait_until_shared(&shared, &other, 30_000).await;

    let _: String = server.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let _: String = server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_right_and_quick(&store, &shared, 400, "full").await;
    let _: String = server.run(&["CONFIG", "SET", "maxmemory", "64mb"]);
    wait_until_shared(&shared, &other, 40_000).await;

    server.kill();
    assert_right_and_quick(&store, &shared, 500, "dead").await;
    let started_while_dead = System::new(&store, &server);
    assert_right_and_quick(&store, &started_while_dead, 600, "dead at the start").await;
    server.restart();
    assert_right_and_quick(&store, &shared, 700, "with old data").await;
    wait_until_shared(&shared, &other, 50_000).await;
    wait_until_shared(&shared, &started_while_dead, 60_000).await;
}
