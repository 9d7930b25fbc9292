//! Files, folders and archives: the same memories from each, and what they must not do.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use memory_import::{Format, ImportError, ImportOptions, ReadLimits};

use crate::support::{archive, fixture, options, read, read_error, read_with, write};

/// Every format with its fixture.
const FIXTURES: [(Format, &str); 6] = [
    (Format::ChatGpt, "chatgpt"),
    (Format::Claude, "claude"),
    (Format::Mem0, "mem0"),
    (Format::McpMemory, "mcp-memory"),
    (Format::Markdown, "markdown"),
    (Format::BasicMemory, "basic-memory"),
];

/// The files of a folder, with their paths in it.
fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.push((name.to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files
}

#[test]
fn an_archive_and_its_folder_have_the_same_memories() {
    for (format, name) in FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        let files = files_of(&fixture(name));
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        let path = archive(folder.path(), &files);
        let (zipped, plain) = (read(format, &path), read(format, &fixture(name)));
        assert!(!plain.items.is_empty(), "{format}");
        assert_eq!(zipped.ids(), plain.ids(), "{format}");
        assert_eq!(zipped.origins(), plain.origins(), "{format}");
        assert_eq!(zipped.report, plain.report, "{format}");
        // Reading again gives the same ids, and another entity others.
        assert_eq!(read(format, &path).ids(), plain.ids(), "{format}");
        let other = ImportOptions {
            entity: Some("tam".into()),
            ..ImportOptions::default()
        };
        let other = read_with(format, &path, &other).1.unwrap();
        assert!(other.ids().keys().all(|id| !plain.ids().contains_key(id)));
    }
}

#[test]
fn files_of_a_large_export_are_read_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let conversation = |id: &str| {
        format!(
            r#"[{{"uuid":"{id}","chat_messages":[{{"uuid":"{id}","sender":"human","text":"{id}"}}]}}]"#
        )
    };
    write(folder.path(), "conversations-001.json", conversation("b"));
    write(folder.path(), "conversations-000.json", conversation("a"));
    write(folder.path(), "users.json", "[]");
    write(folder.path(), ".hidden/conversations.json", "damaged");
    write(folder.path(), "__MACOSX/conversations.json", "damaged");
    let export = read(Format::Claude, folder.path());
    assert_eq!(export.contents(), ["a", "b"]);
    assert_eq!((export.report.files, export.skipped("other files")), (2, 1));
}

/// A folder that is too deep for a path stands for one that this user may not read, as root
/// may read every folder.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_listed_takes_no_other_with_it() {
    use std::os::fd::AsRawFd;

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.md", "Before.");
    write(folder.path(), "z/b.md", "After.");
    let name = "n".repeat(250);
    let mut deepest = fs::File::open(folder.path()).unwrap();
    // Paths have fewer than 4,096 bytes.
    for _ in 0..17 {
        let path = format!("/proc/self/fd/{}/{name}", deepest.as_raw_fd());
        fs::create_dir(&path).unwrap();
        deepest = fs::File::open(&path).unwrap();
    }
    let export = read(Format::Markdown, folder.path());
    assert_eq!(export.contents(), ["Before.", "After."]);
    let [(origin, reason)] = &export.refused[..] else {
        panic!("{:?}", export.refused);
    };
    assert!(origin.starts_with("nnn"), "{origin}");
    assert!(reason.starts_with("it cannot be read: "), "{reason}");
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let outside = write(folder.path(), "outside/secret.md", "Outside.");
    write(folder.path(), "notes/a.md", "Inside.");
    let notes = folder.path().join("notes");
    std::os::unix::fs::symlink(&outside, notes.join("b.md")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("outside"), notes.join("c")).unwrap();
    std::os::unix::fs::symlink(&notes, notes.join("d")).unwrap();
    let export = read(Format::Markdown, &notes);
    assert_eq!(export.contents(), ["Inside."]);
    assert_eq!(export.skipped("symbolic links"), 3);
    // A folder that the caller names may be a link.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&notes, &link).unwrap();
    assert_eq!(read(Format::Markdown, &link).ids(), export.ids());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_as_a_file() {
    let mut exports: Vec<(Format, Vec<u8>)> = FIXTURES
        .into_iter()
        .flat_map(|(format, name)| {
            let files = files_of(&fixture(name)).into_iter();
            files.map(move |(_, bytes)| (format, bytes))
        })
        .collect();
    let entity = r#"{"type":"entity","name":"Tam","entityType":"person","observations":["Sells"]}"#;
    for lines in [
        format!("{{\n\"entities\":\n[{entity}]}}"),
        format!("damaged\n{entity}\n"),
        format!("\n \n{entity}\n{entity}"),
        // More than a pipe holds.
        format!("{entity}\n").repeat(10_000),
    ] {
        exports.push((Format::McpMemory, lines.into_bytes()));
    }
    for (number, (format, bytes)) in exports.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let plain = write(folder.path(), "plain/export", &bytes);
        fs::create_dir(folder.path().join("pipe")).unwrap();
        let pipe = folder.path().join("pipe/export");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let (piped, written) = std::thread::scope(|threads| {
            let writer = threads.spawn(|| fs::write(&pipe, &bytes));
            let piped = read_with(format, &pipe, &options());
            (piped, writer.join().unwrap())
        });
        written.unwrap();
        let plain = read_with(format, &plain, &options());
        assert_eq!(piped.0.len(), plain.0.len(), "{format}, {number}");
        let [piped, plain] = [piped, plain].map(|(_, export)| {
            let export = export.map_err(|error| error.to_string());
            export.map(|it| (format!("{:?}", it.ids()), it.refused, it.report))
        });
        assert_eq!(piped, plain, "{format}, {number}");
    }
}

#[test]
fn names_that_leave_the_archive_are_refused() {
    for name in ["../a.md", "/a.md", "a/../../b.md", "C:\\a.md"] {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &[("fine.md", b"Fine."), (name, b"Not.")]);
        let (items, outcome) = read_with(Format::Markdown, &path, &options());
        let error = outcome.unwrap_err();
        assert!(matches!(error, ImportError::UnsafeName { .. }), "{error}");
        assert!(error.to_string().contains("export.zip"), "{error}");
        assert!(items.is_empty(), "{name}: nothing is read");
    }
}

#[test]
fn unusual_names_that_stay_in_the_archive_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 3] = [
        ("./a.md", b"One."),
        ("Q: why..md", b"Two."),
        ("b/\u{1b}[31m.md", b"Three."),
    ];
    let export = read(Format::Markdown, &archive(folder.path(), &files));
    assert_eq!(export.origins(), ["Q: why..md", "a.md", "b/\\u{1b}[31m.md"]);
}

#[test]
fn what_an_archive_unpacks_to_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    // About a thousandth of its size in the archive.
    let zeros = vec![b' '; 8 << 20];
    let path = archive(folder.path(), &[("conversations.json", zeros.as_slice())]);
    assert!(fs::metadata(&path).unwrap().len() < 32 << 10);
    let limits = ReadLimits {
        max_bytes: 1 << 20,
        ..ReadLimits::default()
    };
    let limited = ImportOptions {
        limits,
        ..options()
    };
    for format in [Format::ChatGpt, Format::Claude] {
        let error = read_with(format, &path, &limited).1.unwrap_err();
        let ImportError::TooLarge { max, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(max, 1 << 20);
    }
    let notes = [("a.md", zeros.as_slice()), ("b.md", zeros.as_slice())];
    let path = archive(folder.path(), &notes);
    let error = read_with(Format::Markdown, &path, &limited).1.unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
}

#[test]
fn what_is_held_in_memory_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let text = "x".repeat(4_000);
    let small = r#"{"uuid":"1","chat_messages":[{"uuid":"1","sender":"human","text":"Small."}]}"#;
    let large = format!(r#"{{"uuid":"2","chat_messages":[],"summary":"{text}"}}"#);
    let limits = ReadLimits {
        max_item_bytes: 1_000,
        ..ReadLimits::default()
    };
    let limited = ImportOptions {
        limits,
        ..options()
    };
    let many = vec![small; 100].join(",");
    let path = write(folder.path(), "a.json", format!("[{many},{large},{small}]"));
    let (items, outcome) = read_with(Format::Claude, &path, &limited);
    assert_eq!(items.len(), 101, "small conversations are not added up");
    let (origin, reason) = &outcome.unwrap().refused[0];
    assert_eq!(origin, "a.json, conversation 101");
    assert!(reason.contains("1000 bytes"), "{reason}");

    write(folder.path(), "notes/a.md", &text);
    write(folder.path(), "notes/b.md", "Small.");
    let (_, export) = read_with(Format::Markdown, &folder.path().join("notes"), &limited);
    let export = export.unwrap();
    assert_eq!(export.contents(), ["Small."]);
    assert!(export.refused[0].1.contains("1000 bytes"), "{export:?}");
}

#[test]
fn the_number_of_files_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..4 {
        write(folder.path(), &format!("notes/{n}.md"), "Rain.");
    }
    let limited = |max_files| ImportOptions {
        limits: ReadLimits {
            max_files,
            ..ReadLimits::default()
        },
        ..options()
    };
    let notes = folder.path().join("notes");
    let error = read_with(Format::Markdown, &notes, &limited(3))
        .1
        .unwrap_err();
    assert!(
        matches!(error, ImportError::TooManyFiles { max: 3, .. }),
        "{error}"
    );
    assert!(read_with(Format::Markdown, &notes, &limited(4)).1.is_ok());
    let path = archive(folder.path(), &[("a.md", b"A."), ("b.md", b"B.")]);
    let error = read_with(Format::Markdown, &path, &limited(1))
        .1
        .unwrap_err();
    assert!(
        matches!(error, ImportError::TooManyFiles { max: 1, .. }),
        "{error}"
    );
}

#[test]
fn reading_ends_when_the_caller_wants_no_more() {
    for (format, name) in FIXTURES {
        let mut count = 0;
        let report = memory_import::read(format, &fixture(name), &options(), &mut |_| {
            count += 1;
            ControlFlow::Break(())
        });
        assert!(report.is_ok(), "{format}");
        assert_eq!(count, 1, "{format}");
    }
}

#[test]
fn an_entity_is_needed_and_nothing_is_read_without() {
    for (format, name) in FIXTURES {
        let outcome = read_with(format, &fixture(name), &ImportOptions::default()).1;
        match format {
            Format::Mem0 => assert!(outcome.is_ok()),
            _ => assert!(
                matches!(outcome, Err(ImportError::EntityMissing { .. })),
                "{format}"
            ),
        }
    }
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let error = read_error(format, &folder.path().join("nowhere")).to_string();
        assert!(error.contains("nowhere"), "{error}");
        write(folder.path(), "empty/readme.txt", "Nothing.");
        let error = read_error(format, &folder.path().join("empty"));
        assert!(matches!(error, ImportError::NothingFound { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("empty") && text.contains(format.expected_files()),
            "{text}"
        );
    }
}
