//! Import: valid lines are stored once, invalid lines are named.

use crate::test_dir::{TestDir, parse};

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
        (
            9,
            "`kind` must be world, experience, opinion or observation",
        ),
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
    let run = dir.run(&["import", "lines.jsonl", "--batch", "4"]).code(5);
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
