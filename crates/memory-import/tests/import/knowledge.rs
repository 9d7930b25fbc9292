//! mem0 and the MCP server for memory.

use memory::{EntityId, MemoryBatchItem, MemoryKind};
use memory_import::{Format, ImportOptions, ReadLimits};
use serde_json::json;

use crate::support::{fixture, options, read, read_with, write};

#[test]
fn mem0_memories_keep_their_values() {
    let export = read(Format::Mem0, &fixture("mem0"));
    assert_eq!(
        export.contents(),
        [
            "Likes to play cricket on weekends",
            "Allergic to nuts",
            "Of no user"
        ]
    );
    let cricket = export.item("Likes to play cricket on weekends");
    assert_eq!(cricket.entity_id.as_str(), "mira");
    assert_eq!(cricket.kind, MemoryKind::World);
    let time = memory_json::time::format_exact(cricket.timestamp.unwrap());
    assert_eq!(time, "2024-07-26T08:29:36.630547Z");
    assert_eq!(cricket.context.as_deref(), Some("session 12"));
    assert!(cricket.tags.contains("sports") && cricket.tags.contains("leisure"));
    assert_eq!(cricket.entities[&EntityId::from("alice")], "user");
    assert_eq!(cricket.entities[&EntityId::from("travel-agent")], "agent");
    for (key, value) in [
        ("category", "hobbies"),
        ("confidence", "0.9"),
        ("checked", "true"),
        ("source_turns", "[1,2]"),
        ("source", "mem0"),
        ("source_id", "892db2ae-06d9-49e5-8b3e-585ef9b85b8e"),
        ("updated_at", "2024-07-27T01:29:36.630547-07:00"),
    ] {
        assert_eq!(cricket.metadata[key], value, "{key}");
    }
    assert_eq!(cricket.metadata.len(), 7);
    assert_eq!(export.refused.len(), 1);
    assert_eq!(export.refused[0].0, "memories.json, memory 3");
    assert_eq!(export.report.unknown_fields.len(), 1);
    assert_eq!(export.report.unknown_fields["memory.mood"], 1);
}

#[test]
fn mem0_memories_belong_to_their_users_where_no_entity_is_given() {
    let (_, export) = read_with(Format::Mem0, &fixture("mem0"), &ImportOptions::default());
    let export = export.unwrap();
    let owners: Vec<&str> = export
        .items
        .iter()
        .map(|(_, item)| item.entity_id.as_str())
        .collect();
    assert_eq!(owners, ["alice", "bob"]);
    // The owner is no participant.
    let cricket = export.item("Likes to play cricket on weekends");
    assert_eq!(cricket.entities.len(), 1);
    let (origin, reason) = &export.refused[1];
    assert_eq!(origin, "memories.json, memory 4");
    assert!(reason.contains("names no user"), "{reason}");
}

#[test]
fn mem0_memories_may_be_an_array() {
    let folder = tempfile::tempdir().unwrap();
    let memories = json!([{"id": "1", "memory": "Rain."}, 7, {"memory": "No id."}]);
    let path = write(folder.path(), "m.json", memories.to_string());
    let export = read(Format::Mem0, &path);
    assert_eq!(export.contents(), ["Rain."]);
    assert_eq!(export.refused.len(), 2);
}

#[test]
fn observations_and_relations_of_the_mcp_server_are_memories() {
    let export = read(Format::McpMemory, &fixture("mcp-memory"));
    assert_eq!(
        export.contents(),
        [
            "Tam: Sells horses",
            "Tam: Pays late",
            "Northbridge Mill (place)",
            "Tam lives near Northbridge Mill",
            "Edda: Mends carts",
        ]
    );
    let late = export.item("Tam: Pays late");
    assert_eq!(late.entities[&EntityId::from("Tam")], "person");
    assert_eq!(late.context.as_deref(), Some("Tam"));
    assert_eq!(late.timestamp, None);
    let relation = export.item("Tam lives near Northbridge Mill");
    assert_eq!(relation.metadata["relation"], "lives_near");
    assert_eq!(relation.entities[&EntityId::from("Tam")], "subject");
    assert_eq!(
        relation.entities[&EntityId::from("Northbridge Mill")],
        "object"
    );
    let refused: Vec<&str> = export.refused.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(
        refused,
        [
            "memory.jsonl, line 5, observation 2",
            "memory.jsonl, line 6"
        ]
    );
    assert_eq!(export.skipped("lines of an unknown type"), 1);
    assert_eq!(export.report.unknown_fields["entity.mood"], 1);
}

#[test]
fn a_graph_as_one_object_gives_the_same_memories() {
    let folder = tempfile::tempdir().unwrap();
    let graph = json!({
        "entities": [
            {"name": "Tam", "entityType": "person", "observations": ["Sells horses", "Pays late"]},
            {"name": "Northbridge Mill", "entityType": "place", "observations": []},
            {"entityType": "person"},
        ],
        "relations": [
            {"from": "Tam", "to": "Northbridge Mill", "relationType": "lives_near"},
            {"from": "Tam", "to": "Edda"},
        ],
    });
    let text = serde_json::to_string_pretty(&graph).unwrap();
    let path = write(folder.path(), "memory.json", text);
    let export = read(Format::McpMemory, &path);
    assert_eq!(export.refused.len(), 2, "{:?}", export.refused);
    let lines = read(Format::McpMemory, &fixture("mcp-memory/memory.jsonl"));
    let of_lines = lines.ids();
    for (id, content) in export.ids() {
        assert_eq!(of_lines.get(&id), Some(&content));
    }
    assert_eq!(export.items.len(), 4);

    let empty = write(folder.path(), "empty.jsonl", "");
    assert_eq!(read(Format::McpMemory, &empty).contents(), [""; 0]);
}

#[test]
fn a_damaged_first_line_is_refused_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let good =
        r#"{"type":"entity","name":"Tam","entityType":"person","observations":["Pays late"]}"#;
    for bad in [
        "{\"type\":\"entity\",\"name\"",
        "nonsense",
        "[1]",
        r#"{"name":"Edda","entityType":"person","observations":["Mends carts"]}"#,
    ] {
        let path = write(
            folder.path(),
            "memory.jsonl",
            format!("{bad}\n{good}\n{bad}\n"),
        );
        let export = read(Format::McpMemory, &path);
        assert_eq!(export.contents(), ["Tam: Pays late"], "{bad}");
        let lost = export.refused.len() as u64 + export.skipped("lines of an unknown type");
        assert_eq!(lost, 2, "{bad}: {export:?}");
    }
    // A graph one of whose lines looks like an element.
    let graph = format!("{{\"entities\":[\n{good}\n],\"relations\":[]}}");
    let path = write(folder.path(), "memory.json", graph);
    let export = read(Format::McpMemory, &path);
    assert_eq!(export.contents(), ["Tam: Pays late"]);
    assert!(export.refused.is_empty(), "{export:?}");
}

#[test]
fn memories_of_mem0_whose_owner_is_no_entity_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let long = "n".repeat(300);
    let owners = ["ann", " ann", &long, "ann"];
    let memories: Vec<_> = (0..)
        .zip(owners)
        .map(|(n, owner)| json!({"id": n.to_string(), "memory": "Rain.", "user_id": owner}))
        .collect();
    let path = write(folder.path(), "m.json", json!(memories).to_string());
    let export = read_with(Format::Mem0, &path, &ImportOptions::default()).1;
    let export = export.unwrap();
    let owners: Vec<&str> = export
        .items
        .iter()
        .map(|(_, item)| item.entity_id.as_str())
        .collect();
    assert_eq!(owners, ["ann"; 2]);
    let refused: Vec<&str> = export.refused.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(refused, ["m.json, memory 2", "m.json, memory 3"]);
}

#[test]
fn half_a_character_takes_no_observation_with_it() {
    let folder = tempfile::tempdir().unwrap();
    // As a program writes it that cuts a text in the middle of an emoji.
    let entity = r#"{"type":"entity","name":"Tam","entityType":"person",
        "observations":["Pays late \ud83d","Sells horses"]}"#;
    let line = entity.replace('\n', "");
    let graph = format!("{{\"entities\":[{entity}],\"relations\":[]}}");
    for text in [line, graph] {
        let path = write(folder.path(), "memory.json", &text);
        let export = read(Format::McpMemory, &path);
        assert_eq!(
            export.contents(),
            ["Tam: Pays late \u{fffd}", "Tam: Sells horses"],
            "{text}"
        );
        assert_eq!(export.skipped("halves of characters, now U+FFFD"), 1);
    }
}

#[test]
fn a_line_of_the_mcp_server_may_be_as_long_as_an_item() {
    let folder = tempfile::tempdir().unwrap();
    let entity = |name: &str, bytes: usize| {
        let observation = format!("{name} {}", "x".repeat(4_000));
        let observations = vec![observation; bytes / 4_000];
        json!({"type": "entity", "name": name, "entityType": "t", "observations": observations})
            .to_string()
    };
    // More than a line of JSONL.
    let long = entity("Tam", 5 << 20);
    let small = entity("Edda", 4_000);
    for text in [
        long.clone(),
        format!("{small}\n{long}\n"),
        format!("{long}\n{small}\n"),
    ] {
        let path = write(folder.path(), "memory.jsonl", &text);
        let export = read(Format::McpMemory, &path);
        assert!(export.refused.is_empty(), "{:?}", export.refused);
        let of_tam = export
            .contents()
            .iter()
            .filter(|it| it.starts_with("Tam: "))
            .count();
        assert_eq!(of_tam, (5 << 20) / 4_000);
    }
    let limits = ReadLimits {
        max_item_bytes: 1 << 20,
        ..ReadLimits::default()
    };
    let limited = ImportOptions {
        limits,
        ..options()
    };
    let path = write(folder.path(), "memory.jsonl", format!("{small}\n{long}\n"));
    let export = read_with(Format::McpMemory, &path, &limited).1.unwrap();
    assert_eq!(export.items.len(), 1);
    assert!(
        export.refused[0].1.contains("1048576 bytes"),
        "{:?}",
        export.refused
    );
}

#[test]
fn equal_observations_of_an_entity_are_memories_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let entity = |observations: &[&str]| json!({"type": "entity", "name": "Tam", "entityType": "p", "observations": observations});
    let twice = entity(&["Sells horses", "Sells horses"]).to_string();
    let twice = read(Format::McpMemory, &write(folder.path(), "2.jsonl", twice));
    assert_eq!(twice.contents(), ["Tam: Sells horses"; 2]);
    let once = entity(&["Sells horses"]).to_string();
    let once = read(Format::McpMemory, &write(folder.path(), "1.jsonl", once));
    let id = |items: &[(String, MemoryBatchItem)], index: usize| items[index].1.id;
    let (twice, once) = (twice.items, once.items);
    assert_eq!(id(&twice, 0), id(&once, 0), "ids stay what they were");
    assert_ne!(id(&twice, 0), id(&twice, 1));
}

#[test]
fn mem0_metadata_keeps_the_digits_of_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"results": [{"id": "1", "memory": "An order.", "metadata":
        {"order": 12345678901234567890123, "v": 1.10, "all": [0.1000000000000000055, 1E5]}}]}"#;
    let export = read(Format::Mem0, &write(folder.path(), "m.json", text));
    let order = export.item("An order.");
    for (key, value) in [
        ("order", "12345678901234567890123"),
        ("v", "1.10"),
        ("all", "[0.1000000000000000055,1E5]"),
    ] {
        assert_eq!(order.metadata[key], value, "{key}");
    }
}
