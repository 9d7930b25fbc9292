//! The reference cache passes the suite.

use memory_testkit::{MapBackend, cache};

#[test]
fn the_reference_cache_conforms() {
    let report = cache::conformance(&MapBackend);
    report.assert();
    assert_eq!(report.outcomes().len(), cache::table::<MapBackend>().len());
}

#[test]
fn the_reference_cache_never_lies() {
    cache::model_check(&MapBackend, 200, 200).assert();
}
