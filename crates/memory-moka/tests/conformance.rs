//! MokaCache passes the conformance suite and the model check.

use memory_moka::MokaBackend;
use memory_testkit::cache;

#[test]
fn moka_cache_conforms() {
    cache::conformance(&MokaBackend).assert();
}

#[test]
fn moka_cache_matches_the_model() {
    cache::model_check(&MokaBackend, 300, 200).assert();
}
