//! The conformance suite, with each way to reach a server.

use memory_testkit::shared_cache::{CHECKS, conformance};
use memory_valkey::ValkeyCache;

use crate::process::ValkeyProcess;

pub(crate) async fn assert_conformant(url: &str) {
    let report = conformance(&ValkeyCache::open(url).unwrap()).await;
    report.assert();
    assert_eq!(report.outcomes().len(), CHECKS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_conforms_and_every_key_expires() {
    let server = ValkeyProcess::start();
    assert_conformant(&server.url("namespace=game")).await;
    let keys: Vec<String> = server.run(&["KEYS", "*"]);
    assert!(!keys.is_empty());
    for key in keys {
        let digests = key.strip_prefix("game:1:{").unwrap();
        let is_digest = |c: char| c.is_ascii_hexdigit() || c == '}' || c == ':';
        assert!(digests.chars().all(is_digest), "{key}");
        let millis: i64 = server.run(&["PTTL", &key]);
        // -2: it expired just now.
        assert!(millis > 0 || millis == -2, "{key} never expires");
    }
}
