//! A cluster of three servers.

use std::time::{Duration, Instant};

use crate::conformance::assert_conformant;
use crate::process::{ValkeyProcess, free_port};

/// The slots of a cluster.
const SLOTS: u16 = 16_384;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_conforms() {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let (port, bus) = (free_port().to_string(), free_port().to_string());
        let arguments = ["--cluster-enabled", "yes", "--port", &port];
        let arguments = [&arguments[..], &["--cluster-port", &bus]].concat();
        nodes.push((
            ValkeyProcess::start_with(&arguments),
            port.clone(),
            bus.clone(),
        ));
    }
    for (n, (node, ..)) in (0..).zip(&nodes) {
        let (first, end) = (n * SLOTS / 3, (n + 1) * SLOTS / 3);
        let (first, last) = (first.to_string(), (end - 1).to_string());
        let _: String = node.run(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        let (_, port, bus) = &nodes[0];
        let _: String = node.run(&["CLUSTER", "MEET", "127.0.0.1", port, bus]);
    }
    let started = Instant::now();
    let is_ready = |(node, ..): &(ValkeyProcess, String, String)| {
        let info: String = node.run(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
    };
    while !nodes.iter().all(is_ready) {
        assert!(started.elapsed() < Duration::from_secs(60), "no cluster");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let port = &nodes[1].1;
    assert_conformant(&format!("valkey://127.0.0.1:{port}?cluster=true")).await;
    for (node, ..) in &nodes {
        let keys: u64 = node.run(&["DBSIZE"]);
        assert!(keys > 0, "a node of the cluster has no keys");
    }
}
