//! Limits of every input, and the checks that enforce them.
//!
//! A check returns an [`InvalidInput`] that names the limit. Checks run before
//! any work: a refused input is never embedded and never written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::error::InvalidInput;
use crate::id::{EntityId, MemoryId};

/// Longest content, in characters (not bytes).
pub const MAX_CONTENT_CHARS: usize = 10_000;
/// Longest entity name, in characters.
pub const MAX_ENTITY_ID_CHARS: usize = 256;
/// Maximum number of tags on a memory.
pub const MAX_TAGS: usize = 64;
/// Longest tag, in characters.
pub const MAX_TAG_CHARS: usize = 128;
/// Maximum number of bytes of metadata, keys and values together.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Longest context, in characters.
pub const MAX_CONTEXT_CHARS: usize = 1_024;
/// Maximum number of links of a memory: to other memories, and to involved entities each.
pub const MAX_LINKS: usize = 256;
/// Longest role of an involved entity or relation to a memory, in characters.
pub const MAX_ROLE_CHARS: usize = 128;
/// Maximum number of memories that one list or recall returns.
pub const MAX_LIMIT: usize = 1_000;
/// Maximum number of dimensions of a vector.
pub const MAX_DIMENSIONS: usize = 8_192;
/// Longest fingerprint of a model, in characters.
pub const MAX_FINGERPRINT_CHARS: usize = 256;
/// Longest query of a recall, in characters.
pub const MAX_QUERY_CHARS: usize = 10_000;

/// The earliest timestamp: 0001-01-01T00:00:00Z.
///
/// The range is that of RFC 3339's four-digit years, so that every
/// store, and every export, can represent the timestamps of every other.
pub const MIN_TIMESTAMP_MICROS: i64 = -62_135_596_800_000_000;
/// The latest timestamp: 9999-12-31T23:59:59.999999Z.
pub const MAX_TIMESTAMP_MICROS: i64 = 253_402_300_799_999_999;

type Check<T = ()> = Result<T, InvalidInput>;

/// Content: not blank, at most [`MAX_CONTENT_CHARS`] characters, no NUL.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_content(content: &str) -> Check {
    if content.trim().is_empty() {
        return Err(InvalidInput::EmptyContent);
    }
    let chars = content.chars().count();
    if chars > MAX_CONTENT_CHARS {
        return Err(InvalidInput::ContentTooLong {
            chars,
            max: MAX_CONTENT_CHARS,
        });
    }
    no_nul("content", content)
}

/// A recall's text: not blank, at most [`MAX_QUERY_CHARS`] characters, no NUL.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_query(text: &str) -> Check {
    if text.trim().is_empty() {
        return Err(InvalidInput::EmptyQuery);
    }
    at_most_chars("query", text, MAX_QUERY_CHARS)?;
    no_nul("query", text)
}

/// Importance: a number from 0 to 1.
///
/// # Errors
/// [`InvalidInput::Importance`], also for NaN.
pub fn check_importance(importance: f32) -> Check {
    if (0.0..=1.0).contains(&importance) {
        Ok(())
    } else {
        Err(InvalidInput::Importance { value: importance })
    }
}

/// Decay per day: a finite number from 0 on.
///
/// # Errors
/// [`InvalidInput::DecayRate`], also for NaN.
pub fn check_decay_rate(decay_rate: f32) -> Check {
    if decay_rate.is_finite() && decay_rate >= 0.0 {
        Ok(())
    } else {
        Err(InvalidInput::DecayRate { value: decay_rate })
    }
}

/// Tags: at most [`MAX_TAGS`], none blank, none over [`MAX_TAG_CHARS`].
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_tags(tags: &BTreeSet<String>) -> Check {
    if tags.len() > MAX_TAGS {
        return Err(InvalidInput::TooManyTags {
            count: tags.len(),
            max: MAX_TAGS,
        });
    }
    for tag in tags {
        if tag.trim().is_empty() {
            return Err(InvalidInput::EmptyTag);
        }
        let chars = tag.chars().count();
        if chars > MAX_TAG_CHARS {
            return Err(InvalidInput::TagTooLong {
                chars,
                max: MAX_TAG_CHARS,
            });
        }
        no_nul("tag", tag)?;
    }
    Ok(())
}

/// Metadata: at most [`MAX_METADATA_BYTES`] of keys and values, no empty key.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_metadata(metadata: &BTreeMap<String, String>) -> Check {
    let bytes: usize = metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        return Err(InvalidInput::MetadataTooLarge {
            bytes,
            max: MAX_METADATA_BYTES,
        });
    }
    for (key, value) in metadata {
        if key.is_empty() {
            return Err(InvalidInput::EmptyMetadataKey);
        }
        no_nul("metadata", key)?;
        no_nul("metadata", value)?;
    }
    Ok(())
}

/// Context: at most [`MAX_CONTEXT_CHARS`] characters, no NUL.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_context(context: Option<&str>) -> Check {
    let Some(context) = context else {
        return Ok(());
    };
    at_most_chars("context", context, MAX_CONTEXT_CHARS)?;
    no_nul("context", context)
}

/// Involved entities: at most [`MAX_LINKS`], valid names, short roles.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_entities(entities: &BTreeMap<EntityId, String>) -> Check {
    at_most_links("involved entities", entities.len())?;
    for (entity, role) in entities {
        check_entity(entity)?;
        check_link_text("role", role)?;
    }
    Ok(())
}

/// Related memories: at most [`MAX_LINKS`], short relations.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded.
pub fn check_related(related: &BTreeMap<MemoryId, String>) -> Check {
    at_most_links("related memories", related.len())?;
    related
        .values()
        .try_for_each(|relation| check_link_text("relation", relation))
}

/// Related memories of the memory `id`: as [`check_related`], and none is that memory.
///
/// # Errors
/// [`InvalidInput`] naming the limit that is exceeded, or
/// [`InvalidInput::SelfRelation`].
pub fn check_related_of(id: &MemoryId, related: &BTreeMap<MemoryId, String>) -> Check {
    if related.contains_key(id) {
        return Err(InvalidInput::SelfRelation);
    }
    check_related(related)
}

/// A timestamp that every store can represent.
///
/// # Errors
/// [`InvalidInput::Timestamp`] outside the years 1 to 9999.
pub fn check_timestamp(timestamp: DateTime<Utc>) -> Check {
    let micros = timestamp.timestamp_micros();
    if (MIN_TIMESTAMP_MICROS..=MAX_TIMESTAMP_MICROS).contains(&micros) {
        Ok(())
    } else {
        Err(InvalidInput::Timestamp { found: timestamp })
    }
}

/// A limit from 1 to [`MAX_LIMIT`].
///
/// # Errors
/// [`InvalidInput::Limit`].
pub fn check_limit(limit: usize) -> Check {
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(())
    } else {
        Err(InvalidInput::Limit {
            value: limit,
            max: MAX_LIMIT,
        })
    }
}

/// A vector of `dimensions` finite numbers, not all zero.
///
/// # Errors
/// [`InvalidInput`] naming what is wrong.
pub fn check_vector(vector: &[f32], dimensions: usize) -> Check {
    if vector.len() != dimensions {
        return Err(InvalidInput::VectorDimensions {
            expected: dimensions,
            found: vector.len(),
        });
    }
    if let Some(index) = vector.iter().position(|x| !x.is_finite()) {
        return Err(InvalidInput::VectorNotFinite { index });
    }
    if vector.iter().all(|x| *x == 0.0) {
        return Err(InvalidInput::VectorZero);
    }
    Ok(())
}

/// An entity's name, as [`EntityId::validate`], for use among other checks.
///
/// # Errors
/// [`InvalidInput::EntityId`].
pub fn check_entity(entity: &EntityId) -> Check {
    let name = entity.as_str();
    let chars = name.chars().count();
    if name.trim().is_empty() || chars > MAX_ENTITY_ID_CHARS || name.chars().any(char::is_control) {
        return Err(InvalidInput::EntityId {
            chars,
            max: MAX_ENTITY_ID_CHARS,
        });
    }
    Ok(())
}

/// Truncates a timestamp to whole microseconds, the precision of stores. A leap second
/// becomes the second after it, as in a store.
#[must_use]
pub fn to_micros(timestamp: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(timestamp.timestamp_micros()).unwrap_or(timestamp)
}

/// The first whole microsecond at or after a moment, in microseconds since 1970: stored
/// times at or after it are those at or after the moment. None is within a leap second, so
/// that what is at or after one begins with the next second.
#[must_use]
pub fn micros_rounded_up(moment: DateTime<Utc>) -> i64 {
    const SECOND: u32 = 1_000_000;
    let micros = moment.timestamp_subsec_nanos().div_ceil(1_000).min(SECOND);
    moment.timestamp() * i64::from(SECOND) + i64::from(micros)
}

/// A role or a relation, as `field` says.
fn check_link_text(field: &'static str, text: &str) -> Check {
    at_most_chars(field, text, MAX_ROLE_CHARS)?;
    no_nul(field, text)
}

fn at_most_chars(field: &'static str, text: &str, max: usize) -> Check {
    let chars = text.chars().count();
    if chars > max {
        Err(InvalidInput::TextTooLong { field, chars, max })
    } else {
        Ok(())
    }
}

pub(crate) fn at_most_links(field: &'static str, count: usize) -> Check {
    if count > MAX_LINKS {
        return Err(InvalidInput::TooManyLinks {
            field,
            count,
            max: MAX_LINKS,
        });
    }
    Ok(())
}

fn no_nul(field: &'static str, text: &str) -> Check {
    if text.contains('\0') {
        Err(InvalidInput::NulCharacter { field })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_characters_and_not_bytes() {
        assert!(check_content(&"記".repeat(MAX_CONTENT_CHARS)).is_ok());
        assert!(matches!(
            check_content(&"a".repeat(MAX_CONTENT_CHARS + 1)),
            Err(InvalidInput::ContentTooLong {
                chars: 10_001,
                max: 10_000
            })
        ));
        for blank in ["", " \n\t", "\u{3000}"] {
            assert!(matches!(
                check_content(blank),
                Err(InvalidInput::EmptyContent)
            ));
        }
        assert!(matches!(
            check_content("a\0b"),
            Err(InvalidInput::NulCharacter { .. })
        ));
    }

    #[test]
    fn importance_is_a_number_from_0_to_1() {
        for good in [0.0, 0.5, 1.0] {
            assert!(check_importance(good).is_ok());
        }
        for bad in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
            assert!(check_importance(bad).is_err());
        }
    }

    #[test]
    fn timestamps_end_with_the_four_digit_years() {
        let at = |micros| DateTime::from_timestamp_micros(micros).unwrap();
        assert_eq!(
            at(MIN_TIMESTAMP_MICROS).to_rfc3339(),
            "0001-01-01T00:00:00+00:00"
        );
        assert!(
            at(MAX_TIMESTAMP_MICROS)
                .to_rfc3339()
                .starts_with("9999-12-31T23:59:59.999999")
        );
        assert!(check_timestamp(at(MAX_TIMESTAMP_MICROS)).is_ok());
        assert!(check_timestamp(at(MAX_TIMESTAMP_MICROS + 1)).is_err());
        assert!(check_timestamp(at(MIN_TIMESTAMP_MICROS - 1)).is_err());
        assert!(check_timestamp(DateTime::<Utc>::MAX_UTC).is_err());
    }

    #[test]
    fn timestamps_are_what_a_store_returns() {
        let micros = |text: &str| to_micros(text.parse().unwrap()).to_rfc3339();
        assert_eq!(
            micros("2016-12-31T23:59:60.1234567Z"),
            "2017-01-01T00:00:00.123456+00:00",
            "a leap second"
        );
        assert_eq!(
            micros("1969-12-31T23:59:59.9999999Z"),
            "1969-12-31T23:59:59.999999+00:00"
        );
    }

    #[test]
    fn a_vector_is_finite_whole_and_not_zero() {
        assert!(check_vector(&[0.6, 0.8], 2).is_ok());
        assert!(check_vector(&[0.6], 2).is_err());
        assert!(check_vector(&[0.0, 0.0], 2).is_err());
        assert!(check_vector(&[0.0, f32::NAN], 2).is_err());
    }

    #[test]
    fn errors_call_a_role_and_a_relation_by_their_names() {
        for text in ["r".repeat(MAX_ROLE_CHARS + 1), "a\0b".to_owned()] {
            let role = check_entities(&BTreeMap::from([("tam".into(), text.clone())]));
            let related = BTreeMap::from([(MemoryId::new(), text)]);
            let relation = check_related(&related);
            for (checked, name) in [(role, "role"), (relation, "relation")] {
                let message = checked.unwrap_err().to_string();
                assert!(message.starts_with(name), "{message}");
            }
        }
    }

    #[test]
    fn tags_and_metadata_are_bounded() {
        let tags: BTreeSet<String> = (0..65).map(|n| n.to_string()).collect();
        assert!(check_tags(&tags).is_err());
        assert!(check_tags(&BTreeSet::from([" ".to_owned()])).is_err());
        assert!(check_tags(&BTreeSet::from(["x".repeat(129)])).is_err());
        let big = BTreeMap::from([("k".to_owned(), "v".repeat(MAX_METADATA_BYTES))]);
        assert!(check_metadata(&big).is_err());
    }

    /// As chrono orders moments, at every fraction of a second, before and after 1970.
    #[test]
    fn stored_times_from_a_moment_on_are_those_from_its_rounded_one_on() {
        for seconds in [-1_000_001, -1, 0, 1_483_228_799] {
            for nanos in [
                0,
                1,
                999,
                1_000,
                1_001,
                999_999_001,
                1_000_000_000,
                1_999_999_999,
            ] {
                // A leap second ends a minute; whether there was one does not matter here.
                let Some(moment) = DateTime::from_timestamp(seconds, nanos) else {
                    assert!(nanos >= 1_000_000_000);
                    continue;
                };
                let first = micros_rounded_up(moment);
                let at = |micros| DateTime::from_timestamp_micros(micros).unwrap();
                assert!(at(first) >= moment && at(first - 1) < moment, "{moment:?}");
            }
        }
    }
}
