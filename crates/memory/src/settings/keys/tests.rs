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
