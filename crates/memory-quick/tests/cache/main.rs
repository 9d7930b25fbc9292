//! QuickCache passes the conformance suite and the model check.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behavior;

use memory_quick::QuickBackend;
use memory_testkit::cache;

#[test]
fn quick_cache_conforms() {
    cache::conformance(&QuickBackend).assert();
}

#[test]
fn quick_cache_matches_the_model() {
    cache::model_check(&QuickBackend, 400, 300).assert();
}
