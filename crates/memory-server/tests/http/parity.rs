//! The server has every operation of the facade.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Operations of the facade with the endpoint that has each, below
/// `/v1/entities/{entity}` where it does not begin with a slash.
const ENDPOINTS: &[(&str, &str)] = &[
    ("alter_memory", "patch memories/{id}"),
    ("auto_consolidate_if_needed", "post consolidate"),
    ("cache_stats", "get /v1/caches"),
    ("check_embedder", "get /health/ready"),
    ("consolidate", "post consolidate"),
    ("consolidate_with", "post consolidate"),
    ("count_by_model", "get models"),
    ("count_memories", "post count"),
    ("delete_memory", "delete memories/{id}"),
    ("entity_generation", "get stats"),
    ("entity_stats", "get stats"),
    ("forget", "delete memories/{id}"),
    ("generate_embeddings_batch", "post /v1/embeddings"),
    ("get_memories", "post memories/get"),
    ("get_memory", "get memories/{id}"),
    ("invalidate_entity_cache", "delete cache"),
    ("invalidate_memory_cache", "delete memories/{id}/cache"),
    ("list_entities", "get /v1/entities"),
    ("list_memories", "get memories"),
    ("list_memories_as_of", "get memories"),
    ("list_stream", "get export"),
    ("prune_low_importance_memories", "post prune"),
    ("recall", "post recall"),
    ("recall_report", "post recall"),
    ("reembed", "post reembed"),
    ("reembed_stream", "post reembed"),
    ("reflect", "post reflect"),
    ("relate", "put memories/{id}/related/{to}"),
    ("related", "get memories/{id}/related"),
    ("restore_memories", "post import"),
    ("restore_summary", "post import"),
    ("retain", "post memories"),
    ("retain_batch", "post memories/batch"),
    ("retain_stream", "post import"),
    ("retain_stream_in", "post import"),
    ("undo_consolidation", "post memories/{id}/undo"),
    ("unrelate", "delete memories/{id}/related/{to}"),
];

/// Operations that are not for HTTP, and why.
const NOT_SERVED: &[(&str, &str)] = &[
    ("backup", "it writes a file of the server: `memory backup`"),
    (
        "backup_with",
        "it writes a file of the server: `memory backup`",
    ),
    ("builder", "the server has one system, made when it starts"),
    ("clear_all_caches", "one entity would slow down all others"),
    ("close", "the end of the server: a signal"),
    (
        "config",
        "settings of the server, which its administrator knows",
    ),
    (
        "consistency",
        "a setting of the server, which decides whether answers have an `ETag`",
    ),
    (
        "maintain_indexes",
        "minutes to hours: `memory maintain-indexes`",
    ),
    ("open", "the server has one system, made when it starts"),
    ("with_pool", "a pool is a type of Rust"),
];

/// The names of the facade's public methods.
fn operations() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in ["system", "lifecycle", "administration", "stream"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join(format!("../memory/src/{file}.rs"));
        let text = fs::read_to_string(path).expect("a source file");
        for line in text.lines() {
            let after = line
                .strip_prefix("    pub async fn ")
                .or_else(|| line.strip_prefix("    pub fn "));
            let is_end = |c: char| !(c.is_alphanumeric() || c == '_');
            names.extend(
                after
                    .and_then(|it| it.split(is_end).next())
                    .map(str::to_owned),
            );
        }
    }
    names
}

#[test]
fn every_operation_of_the_facade_has_an_endpoint_or_a_reason() {
    let operations = operations();
    assert!(operations.len() > 35, "{operations:?}");
    let served = ENDPOINTS.iter().map(|(name, _)| *name);
    let listed: Vec<_> = served
        .chain(NOT_SERVED.iter().map(|(name, _)| *name))
        .collect();
    for name in &operations {
        let count = listed.iter().filter(|it| *it == name).count();
        assert_eq!(count, 1, "{name} is listed {count} times");
    }
    for name in listed {
        assert!(operations.contains(name), "{name} is no operation");
    }

    let document = serde_json::to_value(memory_server::openapi()).expect("a document");
    for (name, endpoint) in ENDPOINTS {
        let (method, path) = endpoint.split_once(' ').expect("a method and a path");
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/v1/entities/{{entity}}/{path}"),
        };
        let operation = &document["paths"][&path][method];
        assert_ne!(*operation, Value::Null, "{name}: there is no {endpoint}");
    }
}
