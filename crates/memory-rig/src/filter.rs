//! Filters of rig as filters of a recall.

use chrono::{DateTime, TimeDelta, Utc};
use memory::{MemoryFilter, MemoryId, MemoryKind, MemoryTagMode};
use rig_core::vector_store::request::{Filter, FilterError};
use serde_json::Value;

/// The keys that a filter can have, for errors.
const KEYS: &str = "be kind, tags, timestamp, entities, relates_to or metadata.KEY: memories \
                    are filtered by nothing else";

/// Each comparison as a condition; `and` adds conditions, `or` unites kinds or tags.
///
/// # Errors
/// [`FilterError`] for keys that memories do not have, comparisons that a key does not
/// support, values of another form, and combinations that a [`MemoryFilter`] cannot express.
/// It names the key and what is allowed, never the value.
pub(crate) fn to_memory_filter(filter: &Filter<Value>) -> Result<MemoryFilter, FilterError> {
    match filter {
        Filter::Eq(key, value) => equal(key, value),
        Filter::Gt(key, value) => {
            let (micros, _) = time(key, value)?;
            // The next moment: `since` includes its own.
            Ok(MemoryFilter::new().since(next_microsecond(key, micros)?))
        }
        Filter::Lt(key, value) => {
            let (micros, is_whole) = time(key, value)?;
            let until = if is_whole {
                micros
            } else {
                next_microsecond(key, micros)?
            };
            Ok(MemoryFilter::new().until(until))
        }
        Filter::And(left, right) => both(to_memory_filter(left)?, to_memory_filter(right)?),
        Filter::Or(left, right) => either(to_memory_filter(left)?, to_memory_filter(right)?),
    }
}

fn equal(key: &str, value: &Value) -> Result<MemoryFilter, FilterError> {
    let filter = MemoryFilter::new();
    if let Some(name) = key.strip_prefix("metadata.") {
        return Ok(filter.metadata(name, text(key, value)?));
    }
    match key {
        "kind" => {
            let kind = text(key, value)?.parse::<MemoryKind>();
            let kind = kind.map_err(|_| {
                let names = MemoryKind::ALL.map(MemoryKind::as_str).join(", ");
                must(key, format!("be one of {names}"))
            })?;
            Ok(filter.kind(kind))
        }
        "tags" => Ok(filter.tags([text(key, value)?], MemoryTagMode::AnyStrict)),
        "entities" => Ok(filter.involves(text(key, value)?)),
        "relates_to" => {
            let id = text(key, value)?.parse::<MemoryId>();
            let id = id.map_err(|_| must(key, "be the id of a memory"))?;
            Ok(filter.relates_to(id))
        }
        "timestamp" => Err(must(key, "be compared by gt or lt")),
        _ => Err(must(key, KEYS)),
    }
}

/// The moment to the microsecond, as memories have it, and whether that is all of it.
fn time(key: &str, value: &Value) -> Result<(DateTime<Utc>, bool), FilterError> {
    match key {
        "timestamp" => {}
        "kind" | "tags" | "entities" | "relates_to" => {
            return Err(must(key, "be compared by eq"));
        }
        _ if key.starts_with("metadata.") => return Err(must(key, "be compared by eq")),
        _ => return Err(must(key, KEYS)),
    }
    let expected = "be an RFC 3339 time such as 2026-03-01T09:30:00Z";
    let exact = DateTime::parse_from_rfc3339(text(key, value)?)
        .map_err(|_| must(key, expected))?
        .to_utc();
    let micros = DateTime::from_timestamp_micros(exact.timestamp_micros())
        .ok_or_else(|| must(key, expected))?;
    Ok((micros, micros == exact))
}

fn next_microsecond(key: &str, moment: DateTime<Utc>) -> Result<DateTime<Utc>, FilterError> {
    let next = moment.checked_add_signed(TimeDelta::microseconds(1));
    next.ok_or_else(|| must(key, "be before the last moment that can be represented"))
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, FilterError> {
    value.as_str().ok_or_else(|| must(key, "be a string"))
}

/// Memories that match both.
fn both(left: MemoryFilter, right: MemoryFilter) -> Result<MemoryFilter, FilterError> {
    let mut all = left;
    if all.kinds.is_empty() {
        all.kinds = right.kinds;
    } else if !right.kinds.is_empty() {
        all.kinds.retain(|kind| right.kinds.contains(kind));
        if all.kinds.is_empty() {
            // No kinds at all would be every kind.
            return Err(must("kind", "be united by or: a memory has one kind"));
        }
    }
    if all.tags.is_empty() {
        (all.tags, all.tag_mode) = (right.tags, right.tag_mode);
    } else if !right.tags.is_empty() {
        let united = [(&all.tags, all.tag_mode), (&right.tags, right.tag_mode)];
        let mut united = united.iter();
        if united.any(|(tags, mode)| tags.len() > 1 && !mode.requires_all()) {
            return Err(must("tags", "be joined by and, or by or, not by both"));
        }
        all.tags.extend(right.tags);
        if all.tags.len() > 1 {
            all.tag_mode = MemoryTagMode::AllStrict;
        }
    }
    all.since = all.since.max(right.since);
    all.until = match (all.until, right.until) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    };
    for (key, value) in right.metadata {
        let previous = all.metadata.insert(key.clone(), value.clone());
        if previous.is_some_and(|previous| previous != value) {
            return Err(must(&format!("metadata.{key}"), ONE_VALUE));
        }
    }
    all.involves = one("entities", all.involves, right.involves)?;
    all.relates_to = one("relates_to", all.relates_to, right.relates_to)?;
    Ok(all)
}

/// Whether no moment is in the filter's time range, which a recall refuses.
pub(crate) fn matches_nothing(filter: &MemoryFilter) -> bool {
    let range = filter.since.zip(filter.until);
    range.is_some_and(|(since, until)| until <= since)
}

const ONE_VALUE: &str = "have one value: a recall cannot ask for two";

fn one<T: PartialEq>(
    key: &str,
    left: Option<T>,
    right: Option<T>,
) -> Result<Option<T>, FilterError> {
    match (left, right) {
        (Some(left), Some(right)) if left != right => Err(must(key, ONE_VALUE)),
        (left, right) => Ok(left.or(right)),
    }
}

/// Memories that match one of them or both: kinds with kinds, tags with tags.
fn either(left: MemoryFilter, right: MemoryFilter) -> Result<MemoryFilter, FilterError> {
    let mut united = MemoryFilter::new();
    if left.tags.is_empty() {
        united.kinds = left.kinds.union(&right.kinds).copied().collect();
    } else {
        united.tags = left.tags.union(&right.tags).cloned().collect();
        united.tag_mode = MemoryTagMode::AnyStrict;
    }
    // Has kinds alone, or tags alone that are not joined by `and`.
    let is_part = |part: &MemoryFilter| {
        let (kinds, tags) = (part.kinds.clone(), part.tags.clone());
        let has_one = kinds.is_empty() != tags.is_empty();
        let alone = MemoryFilter {
            kinds,
            tags,
            ..united.clone()
        };
        has_one && *part == alone
    };
    let is_same = left.tags.is_empty() == right.tags.is_empty();
    if is_same && is_part(&left) && is_part(&right) {
        return Ok(united);
    }
    Err(FilterError::TypeError(
        "or, except between kinds and between tags".to_owned(),
    ))
}

fn must(key: &str, requirement: impl Into<String>) -> FilterError {
    FilterError::Must(key.to_owned(), requirement.into())
}

#[cfg(test)]
mod tests {
    use rig_core::vector_store::request::SearchFilter;
    use serde_json::json;

    use super::*;

    type Json = Filter<Value>;

    fn kind(name: &str) -> Json {
        Json::eq("kind", json!(name))
    }

    fn tag(name: &str) -> Json {
        Json::eq("tags", json!(name))
    }

    fn translated(filter: &Json) -> MemoryFilter {
        to_memory_filter(filter).unwrap_or_else(|error| panic!("{filter:?}: {error}"))
    }

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn every_key_is_translated() {
        let all = kind("World")
            .and(tag("market"))
            .and(tag("spring"))
            .and(Json::eq("entities", json!("tam")))
            .and(Json::eq("metadata.price", json!("12")))
            .and(Json::eq(
                "relates_to",
                json!("0192d3a0-0000-7000-8000-000000000001"),
            ))
            .and(Json::gt("timestamp", json!("2026-03-01T09:30:00Z")))
            .and(Json::lt("timestamp", json!("2026-03-02T10:30:00+01:00")));
        let expected = MemoryFilter::new()
            .kind(MemoryKind::World)
            .tags(["market", "spring"], MemoryTagMode::AllStrict)
            .involves("tam")
            .metadata("price", "12")
            .relates_to("0192d3a0-0000-7000-8000-000000000001".parse().unwrap())
            .since(moment("2026-03-01T09:30:00.000001Z"))
            .until(moment("2026-03-02T09:30:00Z"));
        assert_eq!(translated(&all), expected);
    }

    #[test]
    fn kinds_and_tags_are_united_by_or() {
        let kinds = translated(&kind("world").or(kind("opinion")).or(kind("world")));
        let expected = MemoryFilter::new().kind(MemoryKind::World);
        assert_eq!(kinds, expected.kind(MemoryKind::Opinion));
        let tags = translated(&tag("a").or(tag("b")).and(kind("world")));
        let expected = MemoryFilter::new().tags(["a", "b"], MemoryTagMode::AnyStrict);
        assert_eq!(tags, expected.kind(MemoryKind::World));
    }

    #[test]
    fn conditions_on_one_key_narrow_each_other() {
        let kinds = kind("world").or(kind("opinion")).and(kind("opinion"));
        let expected = MemoryFilter::new().kind(MemoryKind::Opinion);
        assert_eq!(translated(&kinds), expected);
        let after = |text: &str| Json::gt("timestamp", json!(text));
        let before = |text: &str| Json::lt("timestamp", json!(text));
        let times = after("2026-03-01T00:00:00Z")
            .and(after("2026-03-02T00:00:00Z"))
            .and(before("2026-03-05T00:00:00Z"))
            .and(before("2026-03-04T00:00:00Z"));
        let expected = MemoryFilter::new()
            .since(moment("2026-03-02T00:00:00.000001Z"))
            .until(moment("2026-03-04T00:00:00Z"));
        assert_eq!(translated(&times), expected);
    }

    #[test]
    fn parts_of_a_microsecond_are_compared_exactly() {
        // Memories have whole microseconds: the next one is the first after it, and the
        // one that it is in is before it.
        let fraction = json!("2026-03-01T00:00:00.0000015Z");
        let next = moment("2026-03-01T00:00:00.000002Z");
        let after = translated(&Json::gt("timestamp", fraction.clone()));
        assert_eq!(after, MemoryFilter::new().since(next));
        let before = translated(&Json::lt("timestamp", fraction));
        assert_eq!(before, MemoryFilter::new().until(next));
    }

    #[test]
    fn what_cannot_be_expressed_is_an_error_that_says_what_can() {
        let refused = [
            (
                Json::eq("price", json!("secret")),
                "'price' must be kind, tags,",
            ),
            (
                Json::lt("price", json!("secret")),
                "'price' must be kind, tags,",
            ),
            (
                Json::gt("kind", json!("world")),
                "'kind' must be compared by eq",
            ),
            (
                Json::gt("metadata.x", json!("1")),
                "'metadata.x' must be compared by eq",
            ),
            (
                Json::eq("timestamp", json!("x")),
                "'timestamp' must be compared by gt or lt",
            ),
            (
                Json::gt("timestamp", json!("secret")),
                "'timestamp' must be an RFC 3339 time",
            ),
            (
                Json::gt("timestamp", json!(17)),
                "'timestamp' must be a string",
            ),
            (kind("secret"), "'kind' must be one of world, experience,"),
            (
                Json::eq("relates_to", json!("secret")),
                "'relates_to' must be the id",
            ),
            (
                kind("world").and(kind("opinion")),
                "'kind' must be united by or",
            ),
            (
                tag("a").or(tag("b")).and(tag("c")),
                "'tags' must be joined by and, or by or",
            ),
            (
                Json::eq("entities", json!("a")).and(Json::eq("entities", json!("secret"))),
                "'entities' must have one value",
            ),
            (
                Json::eq("metadata.a", json!("1")).and(Json::eq("metadata.a", json!("secret"))),
                "'metadata.a' must have one value",
            ),
            (
                kind("world").or(tag("secret")),
                "Cannot compile 'or, except between",
            ),
            (
                kind("world").and(tag("a")).or(kind("world").and(tag("b"))),
                "Cannot compile 'or, except between",
            ),
            (
                tag("a").and(tag("b")).or(tag("c")),
                "Cannot compile 'or, except between",
            ),
            (
                Json::lt("timestamp", json!("2026-03-01T00:00:00Z")).or(kind("world")),
                "Cannot compile 'or, except between",
            ),
        ];
        for (filter, expected) in refused {
            let error = to_memory_filter(&filter).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}\n{expected}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
