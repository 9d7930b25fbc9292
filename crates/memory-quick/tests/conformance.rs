//! QuickCache keeps the contract of a cache.

use memory_quick::QuickBackend;
use memory_testkit::cache;

#[test]
fn quick_cache_conforms() {
    cache::conformance(&QuickBackend).assert();
}

#[test]
fn quick_cache_never_lies() {
    cache::model_check(&QuickBackend, 400, 300).assert();
}
