//! Import: valid lines are stored once, invalid lines are named.

use crate::test_dir::{Run, TestDir, parse};

/// Ten lines, of which the 2nd, 4th, 6th, 8th and 9th are bad and the 5th is
/// blank; the 10th is cut short by the end of the file.
fn mixed() -> Vec<u8> {
    let long = "a".repeat(10_001);
    let lines: [&[u8]; 10] = [
        br#"{"entity":"mira","content":"The river froze."}"#,
        br#"{"entity":"mira","content":"The river froze.""#,
        br#"{"entity":"mira","content":"The ice broke.","kind":"world"}"#,
        &[
            br#"{"entity":"mira","content":""#.as_slice(),
            long.as_bytes(),
            b"\"}",
        ]
        .concat(),
        b"  ",
        br#"{"entity":"mira","content":"The ice broke.","knid":"world"}"#,
        br#"{"entity":"tam","content":"Mira owes me two coins.","kind":"opinion"}"#,
        b"{\"entity\":\"mira\",\"content\":\"\xFF\"}",
        br#"{"entity":"mira","content":"A secret.","kind":"dream"}"#,
        br#"{"entity":"mira","content":"Ne"#,
    ];
    lines.join(b"\n".as_slice())
}

#[test]
fn valid_lines_are_imported_and_invalid_lines_named() {
    let dir = TestDir::new();
    dir.write("mixed.jsonl", mixed());
    let run = dir.run(&["import", "mixed.jsonl", "--batch", "2"]).code(3);
    assert!(
        run.out
            .starts_with("imported 3, already there 0, refused 6 in "),
        "{run:?}"
    );
    assert!(run.out.ends_with(" memories/s)\n"), "{run:?}");
    let reported: Vec<&str> = run.err.lines().collect();
    for (reported, (line, reason)) in reported.iter().zip([
        (2, "EOF"),
        (4, "content has 10001 characters; at most 10000"),
        (6, "unknown field `knid`"),
        (8, "not valid UTF-8"),
        (9, "it must be world, experience, opinion or observation"),
        (10, "EOF"),
    ]) {
        assert!(
            reported.starts_with(&format!("refused: line {line}: ")),
            "{reported}"
        );
        assert!(reported.contains(reason), "{reported}");
    }
    assert_eq!(
        reported[6..],
        ["error: 6 of 9 lines were refused; the others were imported"]
    );
    assert!(
        !run.err.contains("secret") && !run.err.contains("froze"),
        "{}",
        run.err
    );

    // The same again: nothing is added, for machines this time.
    let run = dir.run(&["--json", "import", "mixed.jsonl"]).code(3);
    let figures = run.json();
    assert_eq!(figures["imported"], 0);
    assert_eq!(figures["already_there"], 3);
    assert_eq!(figures["refused"], 6);
    assert!(
        figures["seconds"].is_f64() && figures["per_second"].is_f64(),
        "{figures}"
    );
    let first = parse(run.err.lines().next().expect("refusals are reported"));
    assert_eq!(first["refused"]["line"], 2);
    assert_eq!(first["refused"]["kind"], "invalid_input");
    assert_eq!(run.json_error()["kind"], "invalid_input");

    let stats = dir.run(&["--json", "stats"]).code(0).json();
    assert_eq!(
        (&stats["entities"], &stats["memories"]),
        (&2.into(), &3.into()),
        "{stats}"
    );
}

#[test]
fn equal_lines_are_separate_memories_and_equal_ids_are_not() {
    let dir = TestDir::new();
    let id = "0192d3a0-0000-7000-8000-00000000000";
    let with_id = |n: u32, content: &str| {
        format!(r#"{{"entity":"mira","id":"{id}{n}","content":"{content}"}}"#)
    };
    let plain = r#"{"entity":"mira","content":"Good morning."}"#.to_owned();
    let lines = [
        plain.clone(),
        plain,
        with_id(1, "Rain."),
        with_id(1, "Rain."), // already there
        with_id(1, "Sun."),  // conflict within the batch
        with_id(2, "Snow."),
        with_id(1, "Clouds."), // conflict with a batch before
        with_id(3, "Fog."),
    ];
    dir.write("lines.jsonl", lines.join("\n"));
    let run = dir.run(&["import", "lines.jsonl", "--batch", "5"]).code(5);
    assert!(
        run.out
            .starts_with("imported 5, already there 1, refused 2 in"),
        "{run:?}"
    );
    let reported: Vec<&str> = run.err.lines().collect();
    assert!(
        reported[0].starts_with("refused: line 5: ") && reported[0].contains("line 3"),
        "{reported:?}"
    );
    assert!(
        reported[1].starts_with("refused: line 7: ") && reported[1].contains(id),
        "{reported:?}"
    );

    let run = dir.run(&["import", "lines.jsonl", "--batch", "3"]).code(5);
    assert!(
        run.out
            .starts_with("imported 0, already there 6, refused 2 in"),
        "{run:?}"
    );
    let listed = dir.run(&["list", "mira"]).code(0);
    let count = |content: &str| listed.out.matches(content).count();
    assert_eq!(
        (count("Good morning."), count("Rain.")),
        (2, 1),
        "{}",
        listed.out
    );
    assert_eq!((count("Sun."), count("Clouds.")), (0, 0), "{}", listed.out);
}

#[test]
fn unreadable_input_is_refused_before_anything_is_created() {
    let dir = TestDir::new();
    let missing = dir.run(&["--json", "import", "nowhere.jsonl"]);
    assert!(missing.fails(1, "io").contains("nowhere.jsonl"));
    dir.run(&["--json", "import", "."]).fails(1, "io");
    dir.run(&["--json", "import", "-", "--entity", " "])
        .fails(3, "invalid_input");
    dir.run(&["--json", "import", "-", "--batch", "0"])
        .fails(2, "usage");
    assert_eq!(dir.names(), [""; 0], "no database was created");
}

#[test]
fn entities_beyond_one_page_are_counted_and_exported() {
    let dir = TestDir::new();
    let line = |n| format!("{{\"entity\":\"npc {n}\",\"content\":\"Good morning.\"}}\n");
    let file: String = (0..205).map(line).collect();
    dir.run_on(&["import", "-", "--batch", "1000"], file)
        .code(0);
    let stats = dir.run(&["--json", "stats"]).code(0).json();
    assert_eq!(
        (&stats["entities"], &stats["memories"]),
        (&205.into(), &205.into())
    );
    assert!(stats["database_bytes"].as_u64() > Some(100_000), "{stats}");
    let human = dir.run(&["stats", "npc 7"]).code(0);
    assert!(
        human.out.contains("memories  1\n") && human.out.contains("npc 7"),
        "{human:?}"
    );
    assert_eq!(dir.run(&["export"]).code(0).out.lines().count(), 205);
}

#[test]
fn input_that_is_not_jsonl_is_named_and_creates_no_database() {
    let dir = TestDir::new();
    let one = r#"{"entity":"a","content":"x"}"#;
    let utf16: Vec<u8> = format!("\u{feff}{one}\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (input, expected) in [
        (utf16.as_slice(), "standard input: it is UTF-16 text"),
        (&utf16[2..], "standard input: it is UTF-16 text"),
        (b"\x1F\x8B\x08\0\0\0", "compressed with gzip"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "a ZIP archive"),
        (
            format!("{one}\r{one}\r").as_bytes(),
            "carriage return (\\r); lines must end in \\n or \\r\\n",
        ),
        (
            format!("{one}\u{feff}{one}\n").as_bytes(),
            "byte order mark (U+FEFF)",
        ),
        (
            b"{\"entity\":\"a\",\"content\":\"\xE9\"}",
            "line 1: the line is not valid UTF-8 at byte 26",
        ),
        (b"{\"entity\":\"a\",\0\"content\":\"x\"}", "NUL byte"),
        (
            format!("[{one}]").as_bytes(),
            "JSON array; write one JSON object per line",
        ),
        (
            b"{\n\"entity\": \"a\"\n}",
            "one complete JSON object on one line",
        ),
        (
            br#"{"entity":"a","content":"x","metadata":{"page":null}}"#,
            r#"the value of "page" is null"#,
        ),
        (
            br#"{"entity":"a","content":"x","metadata":{"k":"a","k":"b"}}"#,
            r#"the key "k" is repeated"#,
        ),
    ] {
        let run = dir.run_on(&["import", "-"], input).code(3);
        assert!(run.err.contains(expected), "{expected}: {run:?}");
        assert!(!run.err.contains("the others"), "{run:?}");
        assert_eq!(dir.names(), [""; 0], "no database was created");
    }
    // Nothing to import is no failure.
    for input in ["", "\n\r\n  \n", "\u{feff}"] {
        let run = dir.run_on(&["import", "-"], input).code(0);
        assert!(
            run.out
                .starts_with("imported 0, already there 0, refused 0"),
            "{run:?}"
        );
    }
    assert_eq!(dir.names(), [""; 0], "no database was created");
    for (input, expected) in [
        (utf16.as_slice(), "standard input is UTF-16 text"),
        (b"ab\xFFc", "not valid UTF-8 at byte 3"),
    ] {
        let run = dir.run_on(&["retain", "a", "-"], input).code(3);
        assert!(run.err.contains(expected), "{expected}: {run:?}");
    }
}

#[test]
fn byte_order_marks_and_scalar_metadata_are_accepted() {
    let dir = TestDir::new();
    let lines = concat!(
        "\u{feff}{\"entity\":\"a\",\"content\":\"one\"}\n",
        "\u{feff}{\"entity\":\"a\",\"content\":\"two\",",
        "\"metadata\":{\"page\":12,\"ratio\":1.50,\"done\":true,\"text\":\"t\"}}\r\n",
    );
    let run = dir.run_on(&["import", "-"], lines).code(0);
    assert!(run.out.starts_with("imported 2,"), "{run:?}");
    let listed = dir
        .run(&["--json", "list", "a", "--meta", "page=12"])
        .code(0)
        .json();
    let memory = &listed["memories"][0]["memory"];
    let expected = parse(r#"{"done":"true","page":"12","ratio":"1.50","text":"t"}"#);
    assert_eq!(memory["metadata"], expected, "{listed}");
}

/// Vectors come with the lines; a recall compares them with the model's.
#[test]
fn embeddings_of_lines_are_stored_or_refused_by_line() {
    let dir = TestDir::new();
    let line = |content: &str, vector: &[f32]| {
        let vector = serde_json::to_string(vector).expect("numbers");
        format!(r#"{{"entity":"mira","content":"{content}","embedding":{vector}}}"#)
    };
    let axis: Vec<f32> = (0..384).map(|n| if n == 7 { 3.0 } else { 0.0 }).collect();
    let lines = [
        line("Rain.", &axis),
        line("Snow.", &axis[..383]),
        r#"{"entity":"mira","content":"Hail."}"#.to_owned(),
    ];
    dir.write("given.jsonl", lines.join("\n"));
    let run = dir.run(&["import", "given.jsonl"]).code(3);
    assert!(run.out.starts_with("imported 2, "), "{run:?}");
    assert!(
        run.err
            .contains("refused: line 2: a vector has 383 dimensions; 384 are needed"),
        "{run:?}"
    );
    let recalled = dir
        .run(&["--json", "recall", "mira", "Rain."])
        .code(0)
        .json();
    assert_eq!(recalled["without_vectors"], 0);
    let memories = recalled["memories"].as_array().expect("a list");
    let rain = memories
        .iter()
        .find(|it| it["memory"]["content"] == "Rain.");
    let similarity = rain.and_then(|it| it["similarity"].as_f64());
    // Its own vector has another direction than the model's, whose cosine is 1.
    assert!(similarity.is_some_and(|x| x.abs() < 0.5), "{recalled}");
}

#[test]
fn an_entity_that_is_full_does_not_end_the_import() {
    let dir = TestDir::new();
    let line =
        |entity: &str, content: &str| format!(r#"{{"entity":"{entity}","content":"{content}"}}"#);
    let lines = [
        line("mira", "Rain."),
        line("mira", "Snow."),
        line("mira", "Fog."),
        line("mira", "Sun."),
        line("tam", "Ice."),
        line("tam", "Hail."),
    ];
    dir.write("lines.jsonl", lines.join("\n"));
    for counts in ["imported 4, already there 0", "imported 0, already there 4"] {
        let mut command = dir.command(&["import", "lines.jsonl"]);
        command.env("MEMORY_MAX_MEMORIES_PER_ENTITY", "2");
        let run = Run::of(command.output().expect("it starts")).code(5);
        assert!(
            run.out.starts_with(&format!("{counts}, refused 2 in")),
            "{run:?}"
        );
        for line in [3, 4] {
            let says = format!("refused: line {line}: entity mira would have 4 memories");
            assert!(run.err.contains(&says), "{run:?}");
        }
        assert!(
            run.err.contains("error: 2 of 6 lines were refused"),
            "{run:?}"
        );
    }
    let mut command = dir.command(&["--json", "import", "lines.jsonl"]);
    command.env("MEMORY_MAX_MEMORIES_PER_ENTITY", "2");
    let run = Run::of(command.output().expect("it starts")).code(5);
    assert_eq!(run.json_error()["kind"], "limit_reached");
    let first = parse(run.err.lines().next().expect("refusals are reported"));
    assert_eq!(first["refused"]["kind"], "limit_reached");
}

#[test]
fn an_export_of_an_earlier_version_is_restored_without_links_of_memories_to_themselves() {
    let dir = TestDir::new();
    let [own, summary] = [1, 2].map(|n| format!("0192d3a0-0000-7000-8000-00000000000{n}"));
    let line = format!(
        r#"{{"entity":"mira","id":"{own}","content":"Rain.","related":{{"{own}":"next"}},"archived_by":"{summary}"}}"#
    );
    dir.write("old.jsonl", line);
    let run = dir.run(&["import", "old.jsonl"]).code(0);
    assert!(
        run.out
            .starts_with("imported 1, already there 0, refused 0 in")
    );
    for says in [
        "1 link of a memory to itself was left out",
        "1 archived memory had no summary after it in the file, or one that was refused, and remains live",
    ] {
        assert!(run.err.contains(says), "{run:?}");
    }
}

#[test]
fn a_summary_of_itself_is_refused_and_creates_nothing() {
    let dir = TestDir::new();
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let line = format!(r#"{{"entity":"mira","id":"{id}","content":"Rain.","archived_by":"{id}"}}"#);
    dir.write("own.jsonl", line);
    let run = dir.run(&["import", "own.jsonl"]).code(3);
    let says = "refused: line 1: `archived_by` is the memory's own id";
    assert!(run.err.contains(says), "{run:?}");
    assert_eq!(dir.names(), ["own.jsonl"], "no database was created");
}
