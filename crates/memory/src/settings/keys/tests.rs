//! Tests of single settings.

use memory_core::MemoryError;

use super::super::Settings;
use super::super::tests::{read, refused};
use super::*;

#[test]
fn the_target_recall_is_a_share() {
    let of_variable = |value| {
        let variables = [("MEMORY_ANN_TARGET_RECALL", value)];
        let settings = Settings::builder().variables(variables).build()?;
        Ok::<f64, MemoryError>(settings.ann_target_recall())
    };
    for (value, recall) in [("0.98", 0.98), ("1", 1.0), (" 0.5 ", 0.5)] {
        assert!(
            (of_variable(value).unwrap() - recall).abs() < 1e-12,
            "{value}"
        );
    }
    for value in ["0", "1.01", "-0.5", "nan", "95%"] {
        let message = of_variable(value).unwrap_err().to_string();
        let expected = format!("is {value:?}; it must be a number above 0 and at most 1");
        assert!(message.contains(&expected), "{message}");
    }
    let from_file = read("ann_target_recall = 0.99").unwrap();
    assert!((from_file.ann_target_recall() - 0.99).abs() < 1e-12);
    for (line, rest) in [
        (
            "ann_target_recall = '0.95'",
            "is a text; it must be a number",
        ),
        (
            "ann_target_recall = [0.95]",
            "is an array; it must be a number",
        ),
        (
            "ann_target_recall = 1.5",
            "is 1.5; it must be a number above 0",
        ),
        ("ann_target_recall = 0", "is 0; it must be a number above 0"),
        (
            "ann_target_recall = nan",
            "is nan; it must be a number above 0",
        ),
        ("preset = 1.5", "is a number with a fraction; it must be"),
    ] {
        let message = refused(line);
        assert!(message.contains(rest), "{message}");
    }
}

#[test]
fn the_budget_of_the_shared_cache_is_a_duration_of_more_than_zero() {
    let read = |value| {
        let variables = [("MEMORY_SHARED_CACHE_BUDGET", value)];
        Settings::builder().variables(variables).build()
    };
    let budget = read("250 us").unwrap().shared_cache_budget();
    assert_eq!(budget, Duration::from_micros(250));
    for value in ["0 ms", "5", "soon"] {
        let message = read(value).unwrap_err().to_string();
        let expected = format!("is {value:?}; it must be a duration of more than zero");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn at_most_a_thousand_entities_are_loaded_after_a_start() {
    let read = |value| {
        let variables = [("MEMORY_WARM_ENTITIES", value)];
        Settings::builder().variables(variables).build()
    };
    for (value, entities) in [("0", 0), ("1000", 1_000)] {
        assert_eq!(read(value).unwrap().config().warm_entities, entities);
    }
    let message = read("1001").unwrap_err().to_string();
    assert!(message.contains("from 0 to 1000"), "{message}");
}

#[test]
fn keys_of_the_http_server_have_limits() {
    let settings =
        read("http_rate_limit = 50\nhttp_allowed_origins = 'https://a.example http://b'");
    let settings = settings.unwrap();
    assert_eq!(settings.http_rate_limit().map(u32::from), Some(50));
    assert_eq!(
        settings.http_allowed_origins(),
        ["https://a.example", "http://b"]
    );
    for limit in ["0", "4294967296", "'many'"] {
        let message = refused(&format!("http_rate_limit = {limit}"));
        assert!(message.contains("at least 1, or \"none\""), "{message}");
    }
    let message = refused("http_allowed_origins = '*'");
    assert!(message.contains("https://app.example"), "{message}");

    let settings = read(
        "http_max_body_bytes = '1 MiB'\nhttp_max_import_bytes = 2048\n\
         http_request_timeout_seconds = '2 min'\nhttp_drain_timeout_seconds = 0",
    );
    let settings = settings.unwrap();
    assert_eq!(settings.http_max_body_bytes().0, 1 << 20);
    assert_eq!(settings.http_max_import_bytes().0, 2_048);
    assert_eq!(settings.http_request_timeout().as_secs(), 120);
    assert_eq!(settings.http_drain_timeout().as_secs(), 0);
    for (setting, allowed) in [
        ("http_max_body_bytes = 1000", "1 KiB to 1 GiB"),
        ("http_max_body_bytes = '2 GiB'", "1 KiB to 1 GiB"),
        ("http_max_import_bytes = 0", "1 KiB to 1 PiB"),
        ("http_request_timeout_seconds = 0", "1 s to 1 day"),
        ("http_drain_timeout_seconds = '2 days'", "up to 1 day"),
    ] {
        let message = refused(setting);
        assert!(message.contains(allowed), "{message}");
    }
}
