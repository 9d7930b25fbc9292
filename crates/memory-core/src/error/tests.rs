//! Tests of the errors and their messages.

use chrono::{DateTime, Utc};

use super::*;

#[test]
fn a_source_is_reached_by_downcast() {
    let lower = std::io::Error::other("device error");
    let error = MemoryError::store(ErrorKind::Other, "open", "failed").with_source(lower);
    let source = error
        .source()
        .unwrap()
        .downcast_ref::<std::io::Error>()
        .unwrap();
    assert_eq!(source.to_string(), "device error");
    assert_eq!(error.operation(), Some("open"));
    assert!(!error.clone().is_retryable());
}

#[test]
fn a_batch_error_names_its_item_and_its_limit() {
    let error = MemoryError::from(InvalidInput::ContentTooLong {
        chars: 10_001,
        max: 10_000,
    });
    let text = error.clone().with_item(7).to_string();
    assert!(
        text.contains("item 7") && text.contains("10001") && text.contains("10000"),
        "{text}"
    );
    let alone = error.with_item(0).without_item().to_string();
    assert!(alone.starts_with("invalid input: content has"), "{alone}");
}

#[test]
fn unavailable_and_unknown_outcomes_are_retryable() {
    for (kind, retry) in [
        (ErrorKind::Unavailable, true),
        (ErrorKind::OutcomeUnknown, true),
        (ErrorKind::Full, false),
        (ErrorKind::Corrupt, false),
    ] {
        assert_eq!(MemoryError::store(kind, "insert", "").is_retryable(), retry);
    }
}

/// The messages that users see most often, word by word.
#[test]
fn messages_say_what_happened_what_is_allowed_and_what_to_do() {
    let id: MemoryId = "0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04".parse().unwrap();
    let summary: MemoryId = "0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c05".parse().unwrap();
    let entity = EntityId::from("mira");
    let invalid = |problem: InvalidInput| MemoryError::from(problem);
    let table = [
        (
            invalid(InvalidInput::EmptyContent),
            "invalid input: content is empty or blank; it must have 1 to 10000 characters",
        ),
        (
            invalid(InvalidInput::ContentTooLong {
                chars: 10_001,
                max: 10_000,
            })
            .with_item(7),
            "invalid input in item 7 of the batch, counted from 0: content has 10001 characters; at most 10000 are allowed",
        ),
        (
            invalid(InvalidInput::ContextTooShort {
                found: 3,
                max_chars: 80,
                required: 112,
            }),
            "invalid input: none of the 3 memories found fits in a context of 80 characters; at least 112 are needed",
        ),
        (
            invalid(InvalidInput::NulCharacter { field: "context" }),
            "invalid input: context contains a NUL character; remove it",
        ),
        (
            invalid(InvalidInput::Importance { value: 1.5 }),
            "invalid input: importance is 1.5; it must be a number from 0 to 1",
        ),
        (
            invalid(InvalidInput::Limit {
                value: 0,
                max: 1_000,
            }),
            "invalid input: limit is 0; it must be from 1 to 1000",
        ),
        (
            invalid(InvalidInput::EntityId { chars: 0, max: 256 }),
            "invalid input: invalid entity id of 0 characters; it must have 1 to 256, \
             not only white space, and no control characters",
        ),
        (
            invalid(InvalidInput::MemoryId {
                found: "x\u{1b}[31m\n\u{202e}".into(),
            }),
            "invalid input: the memory id \"x\\u{1b}[31m\\n\\u{202e}\" is not a UUID; it must look like \
             0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04",
        ),
        (
            invalid(InvalidInput::UnknownKind {
                found: "dream".into(),
            }),
            "invalid input: unknown kind \"dream\"; it must be world, experience, opinion or \
             observation",
        ),
        (
            invalid(InvalidInput::UnknownTagMode {
                found: "é".repeat(100).as_str().into(),
            }),
            "invalid input: unknown tag mode \"éééééééééééééééééééééééééééééééééééééééé\"…; it \
             must be any, all, any-strict or all-strict",
        ),
        (
            invalid(InvalidInput::Timestamp {
                found: DateTime::<Utc>::MAX_UTC,
            }),
            "invalid input: the timestamp +262142-12-31T23:59:59.999999999Z is out of range; it \
             must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z",
        ),
        (
            invalid(InvalidInput::TimeRange),
            "invalid input: the time range is empty; its end must be after its start",
        ),
        (
            invalid(InvalidInput::NotASummary { id }),
            "invalid input: memory 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04 is not a summary, so \
             nothing was consolidated into it; give the id of a summary",
        ),
        (
            invalid(InvalidInput::DuplicateId { id }),
            "invalid input: memory id 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04 occurs twice in \
             the batch; it may occur once per entity",
        ),
        (
            MemoryError::NotFound {
                entity: entity.clone(),
                id,
            },
            "entity mira has no memory 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04",
        ),
        (
            MemoryError::Conflict {
                entity: entity.clone(),
                id,
            },
            "entity mira already has a memory 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04 with \
             other content; use a new id, or alter that memory",
        ),
        (
            MemoryError::Archived {
                entity: entity.clone(),
                id,
                summary,
            },
            "memory 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04 of entity mira is archived under \
             summary 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c05; undo that consolidation to \
             change it",
        ),
        (
            MemoryError::Changed {
                entity: entity.clone(),
                id,
            },
            "memory 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04 of entity mira changed since it \
             was read; read it again and retry",
        ),
        (
            MemoryError::LimitReached {
                entity,
                count: 101,
                max: 100,
            },
            "entity mira would have 101 memories; at most 100 are allowed: forget or \
             consolidate some, or raise the limit",
        ),
        (
            MemoryError::Unsupported {
                operation: "lexical search",
                backend: "map",
            },
            "map does not support lexical search",
        ),
        (
            MemoryError::store(ErrorKind::Closed, "get", "the store was closed"),
            "get: the store was closed",
        ),
        (
            MemoryError::configuration("cache_ttl_seconds is 0; it must be at least 1"),
            "configuration: cache_ttl_seconds is 0; it must be at least 1",
        ),
    ];
    for (error, message) in table {
        assert_eq!(error.to_string(), message);
    }
}
