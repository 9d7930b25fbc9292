//! Every public item of the crates below can be named through the facade.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Items that users of the facade never need.
const INTERNAL: &[(&str, &[&str])] = &[
    (
        "memory-core",
        &[
            "PendingWork",
            "WorkPermit",
            "access_boost",
            "check_target_recall",
            "current_importance",
        ],
    ),
    (
        "memory-engine",
        &[
            "DEFAULT_SHARED_CACHE_BUDGET",
            "Engine",
            "EngineBuilder",
            "Reembedding",
        ],
    ),
    ("memory-moka", &[]),
    ("memory-onnx", &["HubModel"]),
    ("memory-openai", &[]),
    ("memory-pg", &[]),
    ("memory-sqlite", &[]),
    ("memory-valkey", &[]),
];

/// The names that a crate's root re-exports with `pub use`.
fn public_names(crate_name: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = fs::read_to_string(root.join(crate_name).join("src/lib.rs")).unwrap();
    let uses = source.split("pub use ").skip(1);
    let lists = uses.map(|rest| rest.split(';').next().unwrap());
    let names = lists.flat_map(|list| list.rsplit("::").next().unwrap().split(','));
    names
        .map(|name| name.trim_matches(|c: char| c.is_whitespace() || c == '{' || c == '}'))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_public_item_can_be_named_through_the_facade() {
    let facade = public_names("memory");
    let mut missing = Vec::new();
    for (crate_name, internal) in INTERNAL {
        let names = public_names(crate_name);
        assert!(!names.is_empty(), "no re-exports found in {crate_name}");
        for name in names {
            if !facade.contains(&name) && !internal.contains(&name.as_str()) {
                missing.push(format!("{crate_name}::{name}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "missing in crates/memory/src/lib.rs: {missing:#?}"
    );
}
