use super::*;

fn refused(text: &str) -> String {
    parse(text, None).unwrap_err()
}

/// A line with these additional fields.
fn with(fields: &str) -> String {
    format!(r#"{{"entity":"mira","content":"Rain.",{fields}}}"#)
}

/// The memory that an item becomes.
fn memory(item: MemoryBatchItem) -> Memory {
    let now = time::parse("2026-03-01T09:30:00Z").unwrap();
    item.into_memory(now).unwrap()
}

#[test]
fn minimal_line_has_the_documented_defaults() {
    let item = parse(r#"{"content":"Rain."}"#, Some(&"mira".into()))
        .unwrap()
        .item;
    let expected = MemoryBatchItem::new("mira", MemoryKind::Experience, "Rain.");
    assert_eq!(item, expected);
    let nulls = with(r#""kind":null,"tags":null,"importance":null,"id":null,"related":null"#);
    assert_eq!(parse(&nulls, None).unwrap().item, expected);
}

#[test]
fn entity_of_the_line_overrides_the_default() {
    let item = parse(&with(r#""kind":"world""#), Some(&"tam".into()))
        .unwrap()
        .item;
    assert_eq!(item.entity_id.as_str(), "mira");
}

#[test]
fn serialized_lines_parse_back() {
    let id = MemoryId::new();
    let item = MemoryBatchItem::new(
        "mira",
        MemoryKind::Opinion,
        "Tam \"cheats\".\n\u{1}水车\u{7f}",
    )
    .with_id(id)
    .with_timestamp(time::parse("0001-01-01T00:00:00.000001Z").unwrap())
    .with_context("spring")
    .with_importance(0.1)
    .with_tag("b")
    .with_tag("a")
    .with_metadata("k", "")
    .with_entity("tam", "seller")
    .with_related(MemoryId::new(), "causes");
    let text = serde_json::to_string(&Line::from(&memory(item.clone()))).unwrap();
    assert_eq!(parse(&text, None).unwrap().item, item);
    assert!(text.contains(r#""importance":0.1,"#), "{text}");
    assert!(
        text.contains(r#""timestamp":"0001-01-01T00:00:00.000001Z""#),
        "{text}"
    );
}

#[test]
fn importance_survives_bit_for_bit() {
    // Every exponent of the range, with mantissas that are awkward in decimal.
    let every = (0..=1.0_f32.to_bits()).step_by(99_991).map(f32::from_bits);
    for value in every.chain([f32::MIN_POSITIVE, 0.3, 0.1 + 0.2, 1.0 - f32::EPSILON / 2.0]) {
        let written = serde_json::to_string(&value).unwrap();
        let item = parse(&with(&format!(r#""importance":{written}"#)), None)
            .unwrap()
            .item;
        assert_eq!(
            item.importance.unwrap().to_bits(),
            value.to_bits(),
            "{written}"
        );
    }
}

#[test]
fn malformed_json_is_refused_with_its_column() {
    assert_eq!(
        refused("[1]"),
        "the line is a JSON array; write one JSON object per line"
    );
    assert_eq!(refused("plain text"), "the line is not a JSON object");
    let cut = refused(r#"{"entity":"mira","content":"Ra"#);
    assert!(cut.contains("EOF") && cut.contains("column 30"), "{cut}");
    let tail = refused(&(with(r#""kind":"world""#) + " {}"));
    assert!(tail.contains("trailing characters"), "{tail}");
    let escape = refused(r#"{"entity":"mira","content":"\ud800."}"#);
    assert!(escape.starts_with("`content`: "), "{escape}");
}

#[test]
fn unknown_and_repeated_keys_are_refused_by_name() {
    let unknown = refused(&with(r#""improtance":0.9"#));
    assert!(unknown.contains("unknown field `improtance`"), "{unknown}");
    let repeated = refused(&with(r#""content":"Sun.""#));
    assert!(repeated.contains("duplicate field `content`"), "{repeated}");
    let inner = refused(&with(r#""metadata":{"k":"a","k":"b"}"#));
    assert_eq!(inner, r#"`metadata`: the key "k" is repeated"#);
    let long = refused(&with(&format!(r#""{}\u001b[31m":1"#, "k".repeat(5_000))));
    assert!(long.len() < 400 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn kinds_ids_and_times_are_quoted_in_short() {
    for (field, expected) in [
        (
            r#""kind":"dream""#,
            r#"`kind` is "dream"; it must be world,"#,
        ),
        (r#""kind":7"#, "`kind` is 7; it must be world,"),
        (
            r#""kind":["dream"]"#,
            "`kind` is an array; it must be world,",
        ),
        (
            r#""id":"x\u001b[2J""#,
            r#"`id` is "x\u{1b}[2J"; it must be a UUID"#,
        ),
        (r#""id":null"#, "accepted"),
        (
            r#""timestamp":"2026-03-01""#,
            r#"`timestamp` is "2026-03-01"; it must be an RFC 3339"#,
        ),
        (
            r#""timestamp":1700000000"#,
            "`timestamp` is 1700000000; it must be an RFC 3339",
        ),
    ] {
        let parsed = parse(&with(field), None).map(|_| "accepted".to_owned());
        let reason = parsed.unwrap_or_else(|reason| reason);
        assert!(reason.starts_with(expected), "{field}: {reason}");
    }
    let long = refused(&with(&format!(r#""kind":"{}""#, "k".repeat(5_000))));
    assert!(long.len() < 150, "{long}");
}

#[test]
fn lines_that_are_no_objects_name_what_they_contain() {
    for (line, expected) in [
        ("\0{\0", "NUL byte"),
        ("x\ry", "carriage return"),
        ("\u{feff}\u{feff}x", "byte order mark"),
        ("null", "not a JSON object"),
        ("[]", "JSON array"),
    ] {
        let reason = refused(line);
        assert!(reason.contains(expected), "{line:?}: {reason}");
    }
}

#[test]
fn wrong_types_name_the_key_and_do_not_quote_the_value() {
    for (field, key) in [
        (r#""importance":"secret""#, "importance"),
        (r#""importance":"0.5""#, "importance"),
        (r#""importance":true"#, "importance"),
        (r#""context":["secret"]"#, "context"),
        (r#""tags":"secret""#, "tags"),
        (r#""tags":["a",1]"#, "tags"),
        (r#""metadata":{"k":["secret"]}"#, "metadata"),
        (r#""metadata":["secret"]"#, "metadata"),
        (r#""entities":["secret"]"#, "entities"),
        (r#""entities":{"tam":7}"#, "entities"),
    ] {
        let reason = refused(&with(field));
        assert!(reason.starts_with(&format!("`{key}`")), "{field}: {reason}");
        assert!(!reason.contains("secret"), "{field}: {reason}");
    }
    assert_eq!(
        refused(&with(r#""tags":["a",["secret"]]"#)),
        "`tags`: tag 2 is an array; it must be a string"
    );
    assert_eq!(refused(r#"{"entity":"mira"}"#), "`content` is missing");
    assert!(refused(r#"{"content":"Rain."}"#).contains("name the entity"));
}

#[test]
fn every_limit_is_named() {
    let tags: Vec<String> = (0..65).map(|n| format!("\"t{n}\"")).collect();
    for (line, limit) in [
        (
            r#"{"entity":"mira","content":" \n"}"#.to_owned(),
            "empty or blank",
        ),
        (
            format!(r#"{{"entity":"mira","content":"{}"}}"#, "a".repeat(10_001)),
            "10001",
        ),
        (
            r#"{"entity":"mira","content":"a\u0000b"}"#.to_owned(),
            "NUL",
        ),
        (
            r#"{"entity":" ","content":"Rain."}"#.to_owned(),
            "entity id",
        ),
        (with(r#""importance":1.01"#), "0 to 1"),
        (with(r#""importance":-1e-9"#), "0 to 1"),
        (with(r#""importance":1e999"#), "0 to 1"),
        (
            with(&format!(r#""tags":[{}]"#, tags.join(","))),
            "65 tags; at most 64",
        ),
        (with(r#""tags":[""]"#), "1 to 128"),
        (
            with(&format!(r#""tags":["{}"]"#, "t".repeat(129))),
            "at most 128",
        ),
        (
            with(&format!(r#""metadata":{{"k":"{}"}}"#, "v".repeat(65_536))),
            "at most 65536",
        ),
        (
            with(&format!(r#""context":"{}""#, "c".repeat(1_025))),
            "at most 1024",
        ),
        (with(r#""timestamp":"0000-12-31T23:59:59Z""#), "0001-01-01"),
        (
            with(r#""timestamp":"9999-12-31T23:59:59-01:00""#),
            "9999-12-31",
        ),
    ] {
        let reason = refused(&line);
        assert!(reason.contains(limit), "{limit}: {reason}");
    }
    let wide = "水".repeat(limits::MAX_CONTENT_CHARS);
    let fits = format!(r#"{{"entity":"mira","content":"{wide}","tags":["t","t"]}}"#);
    assert_eq!(
        parse(&fits, None).unwrap().item.tags.len(),
        1,
        "duplicates are merged"
    );
}

#[test]
fn export_only_fields_parse_back() {
    let item = parse(&with(r#""kind":"world""#), None).unwrap().item;
    let last = time::parse("2026-03-01T09:30:00.000001Z").unwrap();
    let summary = MemoryId::new();
    let written = Memory {
        decay_rate: 0.1 + 0.2,
        access_count: i64::MAX.unsigned_abs(),
        last_accessed: Some(last),
        archived_by: Some(summary),
        ..memory(item)
    };
    let text = serde_json::to_string(&Line::from(&written)).unwrap();
    let parsed = parse(&text, None).unwrap();
    assert_eq!(parsed.archived_by, Some(summary));
    let live = Memory {
        archived_by: None,
        ..written.clone()
    };
    let item = parsed.into_restore_item(written.id, last).unwrap();
    assert_eq!(item, RestoreItem::from(live.clone()));

    let plain = Memory {
        decay_rate: MemoryKind::World.decay_rate(),
        access_count: 0,
        last_accessed: None,
        ..live
    };
    let text = serde_json::to_string(&Line::from(&plain)).unwrap();
    for key in ["decay_rate", "access_count", "last_accessed", "archived_by"] {
        assert!(!text.contains(key), "{text}");
    }
    for (field, expected) in [
        (r#""decay_rate":-0.1"#, "-0.1"),
        (
            r#""decay_rate":"0.1""#,
            "`decay_rate` is a string; it must be a number",
        ),
        (
            r#""access_count":-1"#,
            "`access_count` is -1; it must be a whole number",
        ),
        (
            r#""access_count":1.5"#,
            "`access_count` is 1.5; it must be a whole number",
        ),
        (r#""last_accessed":"now""#, "`last_accessed`"),
        (
            r#""archived_by":"nobody""#,
            r#"`archived_by` is "nobody"; it must be a UUID"#,
        ),
    ] {
        let reason = refused(&with(field));
        assert!(reason.contains(expected), "{field}: {reason}");
    }
}

#[test]
fn what_no_value_can_hold_is_named_inside_objects_and_arrays() {
    for (field, expected) in [
        (r#""metadata":{"\ud800":"v"}"#, "`metadata`: "),
        (r#""entities":{"\udc00":"seller"}"#, "`entities`: "),
        (r#""related":{"\ud800x":"r"}"#, "`related`: "),
        (
            r#""embedding":[1,1e999]"#,
            "`embedding`: number out of range",
        ),
        (
            r#""access_count":1e999"#,
            "`access_count` is 1e999; it must be",
        ),
    ] {
        let reason = refused(&with(field));
        assert!(reason.starts_with(expected), "{field}: {reason}");
        assert!(!reason.contains("it must be an"), "{field}: {reason}");
    }
}

#[test]
fn scalar_metadata_is_taken_as_its_text() {
    let line = with(
        r#""metadata":{"page":12,"ratio":1.50,"big":12345678901234567890123,"exp":-1e5,"done":true,"open":false,"text":"a \u0022b\u0022"}"#,
    );
    let metadata = parse(&line, None).unwrap().item.metadata;
    let expected = [
        ("page", "12"),
        ("ratio", "1.50"),
        ("big", "12345678901234567890123"),
        ("exp", "-1e5"),
        ("done", "true"),
        ("open", "false"),
        ("text", "a \"b\""),
    ];
    assert_eq!(metadata.len(), expected.len());
    for (key, text) in expected {
        assert_eq!(metadata[key], text, "{key}");
    }
}

#[test]
fn unusable_map_values_are_refused_by_key_and_cause() {
    for (field, expected) in [
        (
            r#""metadata":{"ok":"y","page":null}"#,
            r#"`metadata`: the value of "page" is null; it must be a string, a number or a boolean"#,
        ),
        (
            r#""metadata":{"page":{"n":1}}"#,
            r#"`metadata`: the value of "page" is an object; it must be a string, a number or a boolean"#,
        ),
        (
            r#""metadata":{"page":[1]}"#,
            r#"`metadata`: the value of "page" is an array; it must be a string, a number or a boolean"#,
        ),
        (
            r#""metadata":{"page":1,"page":1}"#,
            r#"`metadata`: the key "page" is repeated"#,
        ),
        (
            r#""metadata":"x""#,
            "`metadata` is a string; it must be an object",
        ),
        (
            r#""entities":{"tam":true}"#,
            r#"`entities`: the value of "tam" is a boolean; it must be a string"#,
        ),
        (
            r#""entities":{"tam":"a","tam":"b"}"#,
            r#"`entities`: the key "tam" is repeated"#,
        ),
        (
            r#""related":{"tam":"a"}"#,
            r#"`related`: the key "tam" is not the UUID of a memory"#,
        ),
        (
            r#""related":{"0192d3a0-0000-7000-8000-000000000001":1}"#,
            r#"`related`: the value of "0192d3a0-0000-7000-8000-000000000001" is a number; it must be a string"#,
        ),
    ] {
        assert_eq!(refused(&with(field)), expected);
    }
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let twice = format!(r#""related":{{"{id}":"a","{}":"b"}}"#, id.to_uppercase());
    assert!(refused(&with(&twice)).contains("is repeated"));
    let long = refused(&with(&format!(
        r#""metadata":{{"{}\u001b":null}}"#,
        "k".repeat(500)
    )));
    assert!(long.len() < 200 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn malformed_lines_name_the_cause() {
    let one = r#"{"entity":"a","content":"x"}"#;
    for (line, expected) in [
        (format!("{one}\r{one}"), "carriage return (\\r)"),
        (format!("{one}\u{feff}{one}"), "byte order mark"),
        (format!("{{\0{}", &one[1..]), "NUL byte"),
        ("{".to_owned(), "one complete JSON object on one line"),
        (
            r#"{"content":"x","#.to_owned(),
            "one complete JSON object on one line",
        ),
    ] {
        let reason = refused(&line);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    let in_content = parse("{\"entity\":\"a\",\"content\":\"x\u{feff}y\"}", None);
    assert!(in_content.is_ok(), "a zero-width no-break space is content");
}

#[test]
fn an_embedding_is_an_array_of_numbers_that_has_a_direction() {
    let parsed = parse(&with(r#""embedding":[0.6,-8e-1,0]"#), None).unwrap();
    let item = parsed
        .into_restore_item(
            MemoryId::new(),
            time::parse("2026-03-01T09:30:00Z").unwrap(),
        )
        .unwrap();
    assert_eq!(item.embedding, Some(vec![0.6, -0.8, 0.0]));
    for (value, why) in [
        (
            r#""0.6""#,
            "`embedding` is a string; it must be an array of numbers",
        ),
        ("[0.6,null]", "it must be an array of numbers"),
        ("[]", "0 dimensions"),
        ("[0,0]", "all zeros"),
        ("[1e39,0]", "component 0"),
    ] {
        let reason = refused(&with(&format!(r#""embedding":{value}"#)));
        assert!(reason.contains(why), "{value}: {reason}");
        assert!(!reason.contains("1e39"), "{reason}");
    }
}

#[test]
fn a_memory_is_not_related_to_itself() {
    let id = MemoryId::new();
    let other = MemoryId::new();
    let line = |related| with(&format!(r#""id":"{id}","related":{{"{related}":"like"}}"#));
    assert!(parse(&line(other), None).is_ok());
    let reason = refused(&line(id));
    assert!(reason.contains("related to itself"), "{reason}");
}

#[test]
fn an_access_count_is_what_every_store_can_keep() {
    let with_count = |count: u64| parse(&with(&format!(r#""access_count":{count}"#)), None);
    let most = i64::MAX.unsigned_abs();
    assert_eq!(with_count(most).unwrap().access_count, most);
    for beyond in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        let reason = refused(&with(&format!(r#""access_count":{beyond}"#)));
        let says = "it must be a whole number from 0 to 9223372036854775807";
        assert!(reason.contains(beyond) && reason.contains(says), "{reason}");
    }
}
