//! Import: good lines in, bad lines named, nothing twice.

use crate::bench::{Bench, parse};

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
fn good_lines_are_imported_and_bad_lines_named() {
    let bench = Bench::new();
    bench.write("mixed.jsonl", mixed());
    let run = bench
        .run(&["import", "mixed.jsonl", "--batch", "2"])
        .code(3);
    assert!(
        run.out
            .starts_with("imported 3, already there 0, refused 6 in "),
        "{run:?}"
    );
    assert!(run.out.ends_with(" memories/s)\n"), "{run:?}");
    let told: Vec<&str> = run.err.lines().collect();
    for (told, (line, reason)) in told.iter().zip([
        (2, "EOF"),
        (4, "content has 10001 characters; at most 10000"),
        (6, "unknown field `knid`"),
        (8, "not UTF-8"),
        (
            9,
            "`kind` must be world, experience, opinion or observation",
        ),
        (10, "EOF"),
    ]) {
        assert!(
            told.starts_with(&format!("refused: line {line}: ")),
            "{told}"
        );
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(
        told[6..],
        ["error: 6 of 9 lines were refused; the others are imported"]
    );
    assert!(
        !run.err.contains("secret") && !run.err.contains("froze"),
        "{}",
        run.err
    );

    // The same again: nothing is added, for machines this time.
    let run = bench.run(&["--json", "import", "mixed.jsonl"]).code(3);
    let figures = run.json();
    assert_eq!(figures["imported"], 0);
    assert_eq!(figures["already_there"], 3);
    assert_eq!(figures["refused"], 6);
    assert!(
        figures["seconds"].is_f64() && figures["per_second"].is_f64(),
        "{figures}"
    );
    let first = parse(run.err.lines().next().expect("refusals are told"));
    assert_eq!(first["refused"]["line"], 2);
    assert_eq!(first["refused"]["kind"], "invalid_input");
    assert_eq!(run.json_error()["kind"], "invalid_input");

    let stats = bench.run(&["--json", "stats"]).code(0).json();
    assert_eq!(
        (&stats["entities"], &stats["memories"]),
        (&2.into(), &3.into()),
        "{stats}"
    );
}

#[test]
fn equal_lines_are_memories_of_their_own_and_equal_ids_are_not() {
    let bench = Bench::new();
    let id = "0192d3a0-0000-7000-8000-00000000000";
    let with_id = |n: u32, content: &str| {
        format!(r#"{{"entity":"mira","id":"{id}{n}","content":"{content}"}}"#)
    };
    let plain = r#"{"entity":"mira","content":"Good morning."}"#.to_owned();
    let lines = [
        plain.clone(),
        plain,
        with_id(1, "Rain."),
        with_id(1, "Rain."), // there already
        with_id(1, "Sun."),  // conflict within the batch
        with_id(2, "Snow."),
        with_id(1, "Clouds."), // conflict with a batch before
        with_id(3, "Fog."),
    ];
    bench.write("lines.jsonl", lines.join("\n"));
    let run = bench
        .run(&["import", "lines.jsonl", "--batch", "4"])
        .code(5);
    assert!(
        run.out
            .starts_with("imported 5, already there 1, refused 2 in"),
        "{run:?}"
    );
    let told: Vec<&str> = run.err.lines().collect();
    assert!(
        told[0].starts_with("refused: line 5: ") && told[0].contains("line 3"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("refused: line 7: ") && told[1].contains(id),
        "{told:?}"
    );

    let run = bench
        .run(&["import", "lines.jsonl", "--batch", "3"])
        .code(5);
    assert!(
        run.out
            .starts_with("imported 0, already there 6, refused 2 in"),
        "{run:?}"
    );
    let listed = bench.run(&["list", "mira"]).code(0);
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
fn what_cannot_be_read_is_told_before_anything_is_made() {
    let bench = Bench::new();
    let missing = bench.run(&["--json", "import", "nowhere.jsonl"]);
    assert!(missing.fails(1, "io").contains("nowhere.jsonl"));
    bench.run(&["--json", "import", "."]).fails(1, "io");
    bench
        .run(&["--json", "import", "-", "--entity", " "])
        .fails(3, "invalid_input");
    bench
        .run(&["--json", "import", "-", "--batch", "0"])
        .fails(2, "usage");
    assert_eq!(bench.names(), [""; 0], "no database was made");
}

#[test]
fn more_entities_than_a_page_are_all_counted_and_exported() {
    let bench = Bench::new();
    let line = |n| format!("{{\"entity\":\"npc {n}\",\"content\":\"Good morning.\"}}\n");
    let file: String = (0..205).map(line).collect();
    bench
        .run_on(&["import", "-", "--batch", "1000"], file)
        .code(0);
    let stats = bench.run(&["--json", "stats"]).code(0).json();
    assert_eq!(
        (&stats["entities"], &stats["memories"]),
        (&205.into(), &205.into())
    );
    assert!(stats["database_bytes"].as_u64() > Some(100_000), "{stats}");
    let human = bench.run(&["stats", "npc 7"]).code(0);
    assert!(
        human.out.contains("memories  1\n") && human.out.contains("npc 7"),
        "{human:?}"
    );
    assert_eq!(bench.run(&["export"]).code(0).out.lines().count(), 205);
}
