//! One of two systems loses its connection to the server: its answers stay right, it
//! waits for one call at most, and the other one goes on sharing.

use memory_testkit::InMemoryStore;

use crate::forwarder::{Forwarder, Network};
use crate::process::ValkeyProcess;
use crate::system::{System, is_computed, question, wait_until_shared};

async fn assert_survives(cut: Network) {
    const TEXT: &str = "the miller hides the key under the stone";
    let (store, server) = (InMemoryStore::new(), ValkeyProcess::start());
    let network = Forwarder::start(server.socket()).await;
    let connected = System::new(&store, &server);
    let partitioned = System::at(&store, &network.url("namespace=game"));
    connected.retain("the miller saw the mill at night").await;
    let forgotten = partitioned.retain(TEXT).await;
    wait_until_shared(&connected, &partitioned, 10_000).await;
    wait_until_shared(&partitioned, &connected, 20_000).await;
    assert!(!is_computed(&store, &server, TEXT).await, "it is shared");

    let failed = partitioned.calls.failed();
    network.set(cut);
    partitioned
        .assert_right(&store, 100, "without the server")
        .await;
    let waited_for = partitioned.calls.failed() - failed;
    assert!(waited_for <= 1, "{waited_for} calls failed");
    let answered = connected.calls.answered();
    connected.assert_right(&store, 200, "with the server").await;
    assert_eq!(connected.calls.failed(), 0);
    assert!(connected.calls.answered() >= answered + 20, "it is used");

    // What is forgotten now is removed before the server is used again.
    partitioned.forget(forgotten).await;
    partitioned.recall(&question(300)).await;
    assert_eq!(partitioned.calls.failed() - failed, waited_for);
    assert!(!is_computed(&store, &server, TEXT).await, "not removed yet");
    network.set(Network::Connected);
    wait_until_shared(&connected, &partitioned, 30_000).await;
    wait_until_shared(&partitioned, &connected, 40_000).await;
    assert!(is_computed(&store, &server, TEXT).await, "removed");
    for system in [&connected, &partitioned] {
        system.calls.assert_none_while_away();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_whose_packets_are_lost() {
    assert_survives(Network::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_whose_connections_are_closed() {
    assert_survives(Network::Closed).await;
}
