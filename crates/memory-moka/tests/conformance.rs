//! moka keeps the contract of a cache.

use memory_moka::MokaBackend;
use memory_testkit::cache;

#[test]
fn it_conforms() {
    cache::conformance(&MokaBackend).assert();
}

#[test]
fn it_never_lies() {
    cache::model_check(&MokaBackend, 300, 200).assert();
}
