//! The package has everything that the facade has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use memory::ErrorKind;

/// Methods of the facade without one of the same name in Python, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("backup_with", "options are arguments of `backup`"),
    ("builder", "parts are arguments of `open`"),
    ("config", "the configuration that `open` takes"),
    (
        "consistency",
        "a part of the configuration that `open` takes",
    ),
    ("consolidate_with", "options are arguments of `consolidate`"),
    ("list_memories_as_of", "an argument of `list_memories`"),
    ("list_stream", "pages of `list_memories`"),
    ("maintain_indexes", "a job of the command"),
    ("reembed_stream", "`reembed` returns the last report"),
    ("retain_stream", "batches of `retain_batch`"),
    ("retain_stream_in", "batches of `retain_batch`"),
    ("with_pool", "a pool is a type of Rust"),
];

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap()
}

/// The names after each `start` in a text.
fn names_after(text: &str, start: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(start));
    let is_end = |c: char| !(c.is_alphanumeric() || c == '_');
    lines
        .filter_map(|line| line.split(is_end).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_classes_have_every_operation_of_the_facade() {
    let mut operations = BTreeSet::new();
    for file in ["system", "lifecycle", "administration", "stream"] {
        let text = read(&format!("../memory/src/{file}.rs"));
        operations.extend(names_after(&text, "    pub async fn "));
        operations.extend(names_after(&text, "    pub fn "));
    }
    for (name, why) in ELSEWHERE {
        assert!(operations.remove(*name), "{name}: {why}");
    }
    assert!(operations.len() > 25, "{operations:?}");

    let stub = read("python/memory/_native.pyi");
    for class in ["class MemorySystem:", "class AsyncMemorySystem:"] {
        let (_, after) = stub.split_once(class).unwrap();
        let body = after.split("\n@final").next().unwrap();
        let mut methods = names_after(body, "    def ");
        methods.extend(names_after(body, "    async def "));
        let missing: Vec<_> = operations.difference(&methods).collect();
        assert!(missing.is_empty(), "{class} lacks {missing:?}");
    }
}

#[test]
fn every_kind_of_error_has_an_exception() {
    let kinds = [
        ErrorKind::InvalidInput,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Archived,
        ErrorKind::Changed,
        ErrorKind::LimitReached,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
        ErrorKind::OutcomeUnknown,
        ErrorKind::Full,
        ErrorKind::ReadOnly,
        ErrorKind::ForeignData,
        ErrorKind::NewerSchema,
        ErrorKind::Corrupt,
        ErrorKind::Missing,
        ErrorKind::Closed,
        ErrorKind::Configuration,
    ];
    let errors = read("python/memory/errors.py");
    for kind in kinds {
        // The class is named as the kind is here: `NotFound`, `NotFoundError`.
        let entry = format!("    \"{}\": {kind:?}Error,", kind.name());
        assert!(errors.contains(&entry), "{entry}");
    }
}
