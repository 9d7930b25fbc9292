//! Markdown and Basic Memory.

use memory::{EntityId, MemoryKind};
use memory_import::Format;

use crate::support::{fixture, read, write};

#[test]
fn sections_of_markdown_notes_are_linked_memories() {
    let export = read(Format::Markdown, &fixture("markdown"));
    assert_eq!(
        export.contents(),
        [
            "The valley is a day's walk from the sea.",
            "## North\n\nThe road north goes past the mill.\n\n```sh\n# not a heading\n```",
            "## South\n\nThe road south is flooded in spring.",
            "Packing\n=======\n\nBread, rope and a lantern.",
        ]
    );
    assert_eq!(
        export.origins(),
        [
            "guide.md",
            "guide.md, heading 2",
            "guide.md, heading 3",
            "travel/packing.md, heading 1"
        ]
    );
    let items: Vec<_> = export.items.iter().map(|(_, item)| item).collect();
    let south = items[2];
    assert_eq!(south.kind, MemoryKind::World);
    assert_eq!(south.context.as_deref(), Some("Guide to the valley"));
    assert_eq!(south.related[&items[1].id.unwrap()], "previous part");
    assert_eq!(south.related.len(), 1);
    let tags: Vec<&str> = south.tags.iter().map(String::as_str).collect();
    assert_eq!(tags, ["travel", "valley"]);
    let time = memory_json::time::format_exact(south.timestamp.unwrap());
    assert_eq!(time, "2026-03-01T07:30:00.000002Z");
    for (key, value) in [
        ("author", "Edda"),
        ("places", "mill, bridge"),
        ("heading", "Roads > South"),
        ("source", "markdown"),
        ("source_id", "guide.md#Roads/South"),
    ] {
        assert_eq!(south.metadata[key], value, "{key}");
    }
    assert_eq!(south.metadata.len(), 5);

    let packing = items[3];
    assert_eq!(packing.context.as_deref(), Some("Packing"));
    assert!(packing.timestamp.is_some(), "that of its file");
    assert!(packing.related.is_empty());
    assert_eq!(export.skipped("headings without text"), 1);
    assert_eq!(export.report.unknown_fields.len(), 1);
    assert_eq!(export.report.unknown_fields["front_matter.shape"], 1);
    assert_eq!(export.report.files, 2);
}

#[test]
fn equal_sections_are_separate_memories_and_a_changed_one_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.md", "# A\n\nLater.\n\n# A\n\nLater.\n");
    let first = read(Format::Markdown, &path);
    assert_eq!(first.ids().len(), 2);
    write(folder.path(), "a.md", "# A\n\nLater.\n\n# A\n\nDone.\n");
    let second = read(Format::Markdown, &path);
    let (first, second) = (first.ids(), second.ids());
    let kept = second.keys().filter(|id| first.contains_key(*id));
    assert_eq!(kept.count(), 1);
}

#[test]
fn damaged_notes_are_refused_and_the_others_read() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "bad.md", b"Caf\xE9\n");
    write(folder.path(), "utf16.md", b"\xFF\xFEa\0");
    write(folder.path(), "yaml.md", "---\na: [1\n---\nKept.\n");
    write(folder.path(), "blank.md", "\n \n");
    write(folder.path(), "nul.md", "a\0b\n");
    write(
        folder.path(),
        "marked.md",
        "\u{feff}---\ntitle: T\n---\nMarked.\n",
    );
    let export = read(Format::Markdown, folder.path());
    assert_eq!(export.contents(), ["Marked.", "Kept."]);
    assert_eq!(export.item("Marked.").context.as_deref(), Some("T"));
    let refused: Vec<&str> = export.refused.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(refused, ["bad.md", "nul.md", "utf16.md"]);
    assert!(
        export.refused[0].1.contains("byte 4"),
        "{:?}",
        export.refused
    );
    assert!(
        export.refused[2].1.contains("UTF-16"),
        "{:?}",
        export.refused
    );
    assert_eq!(export.skipped("front matter in invalid YAML"), 1);
    assert_eq!(export.report.invalid_front_matter, ["yaml.md"]);
}

#[test]
fn an_invalid_field_of_front_matter_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let note =
        "---\ntitle: Coffee: how to brew it\ntags: [drinks]\ndate: 2026-03-01\n---\nSlowly.\n";
    write(folder.path(), "a.md", note);
    let export = read(Format::Markdown, folder.path());
    let item = export.item("Slowly.");
    assert_eq!(item.context.as_deref(), Some("Coffee: how to brew it"));
    assert!(item.tags.contains("drinks"), "{item:?}");
    assert_eq!(
        item.timestamp.unwrap().to_rfc3339(),
        "2026-03-01T00:00:00+00:00"
    );
    assert!(export.report.invalid_front_matter.is_empty());
}

#[test]
fn front_matter_that_is_not_valid_as_a_whole_gives_no_title_to_contents_and_ids() {
    let folder = tempfile::tempdir().unwrap();
    let note = "---\ntitle: Coffee Brewing\nsummary: a: b\n---\n- [method] Pour slowly #x\n\
                - uses [[Tea]]\n";
    write(folder.path(), "coffee.md", note);
    let export = read(Format::BasicMemory, folder.path());
    // As they were when such front matter was not read at all.
    let ids: Vec<(String, &str)> = export.ids().into_iter().collect();
    assert_eq!(
        ids,
        [
            (
                "56faa41b-c169-5071-8d61-d14818c6c383".to_owned(),
                "coffee uses Tea"
            ),
            (
                "eddd9264-d2f4-5a8c-bd0e-72159ff72e2f".to_owned(),
                "coffee: Pour slowly #x"
            ),
        ]
    );
    for (_, item) in &export.items {
        assert_eq!(item.context.as_deref(), Some("Coffee Brewing"));
        assert_eq!(item.metadata["summary"], "a: b");
        assert!(item.entities.contains_key(&EntityId::from("coffee")));
    }
    let heading = note.replace("- [method]", "# Drinks\n\n- [method]");
    write(folder.path(), "coffee.md", heading);
    let export = read(Format::BasicMemory, folder.path());
    export.item("Drinks: Pour slowly #x");
    export.item("Drinks uses Tea");
}

#[test]
fn observations_and_relations_of_basic_memory_are_memories() {
    let export = read(Format::BasicMemory, &fixture("basic-memory"));
    assert_eq!(
        export.contents(),
        [
            "Coffee Brewing Methods: Pour over gives more clarity than a press #clarity",
            "Coffee Brewing Methods: Water at 96 degrees is best",
            "Coffee Brewing Methods: Grind just before brewing #fresh",
            "Coffee Brewing Methods relates to Coffee Bean Origins",
            "Coffee Brewing Methods is part of Inn Handbook",
            "# Coffee Brewing Methods\n\nHow the coffee of the inn is made.",
            "## Observations\n- [ ] buy a kettle\n- [x] clean the press",
            "## Relations\n- see also the notes of [[Tam]]\n\n\
             > [!info] Callouts are no observations\n> - [note] neither is this\n\n\
             ```\n- [code] nor this\n```",
        ]
    );
    let method = &export.items[0].1;
    assert_eq!(method.metadata["category"], "method");
    assert_eq!(
        method.metadata["observation_context"],
        "personal experience"
    );
    assert_eq!(method.metadata["permalink"], "coffee/brewing-methods");
    let tags: Vec<&str> = method.tags.iter().map(String::as_str).collect();
    assert_eq!(tags, ["brewing", "clarity", "coffee"]);
    let title = EntityId::from("Coffee Brewing Methods");
    assert_eq!(method.entities[&title], "note");
    let time = memory_json::time::format_exact(method.timestamp.unwrap());
    assert_eq!(time, "2026-03-01T00:00:00.000000Z");

    let part = &export.items[4].1;
    assert_eq!(part.entities[&title], "subject");
    assert_eq!(part.entities[&EntityId::from("Inn Handbook")], "object");
    assert_eq!(part.metadata["relation"], "is part of");
    assert_eq!(part.metadata["relation_context"], "chapter 2");
    assert_eq!(part.metadata["source"], "basic-memory");

    let prose = &export.items[5].1;
    assert_eq!(prose.metadata["heading"], "Coffee Brewing Methods");
    assert_eq!(prose.entities[&title], "note");
    assert_eq!(prose.related.len(), 1);
    assert!(export.refused.is_empty(), "{:?}", export.refused);
    assert_eq!(export.ids().len(), 8);
}

#[test]
fn items_of_basic_memory_that_differ_in_their_category_alone_are_separate_memories() {
    let folder = tempfile::tempdir().unwrap();
    let once = "# Mira\n\n- [likes] Tea\n- drinks [[Tea]] (in winter)\n";
    let path = write(folder.path(), "mira.md", once);
    let first = read(Format::BasicMemory, &path);
    let more = format!("{once}- [dislikes] Tea\n- drinks [[Tea]] (in summer)\n");
    let path = write(folder.path(), "mira.md", more);
    let export = read(Format::BasicMemory, &path);
    let values = |content: &str, key: &str| -> Vec<String> {
        let items = export.items.iter().map(|(_, item)| item);
        let items = items.filter(|item| item.content == content);
        items.map(|item| item.metadata[key].clone()).collect()
    };
    assert_eq!(values("Mira: Tea", "category"), ["likes", "dislikes"]);
    assert_eq!(
        values("Mira drinks Tea", "relation_context"),
        ["in winter", "in summer"]
    );
    assert_eq!(export.ids().len(), 4);
    for (id, content) in first.ids() {
        assert_eq!(
            export.ids().get(&id),
            Some(&content),
            "the first ones keep their ids"
        );
    }
}
