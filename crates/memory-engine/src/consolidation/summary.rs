//! Summaries: the memory that replaces a group of sources.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use memory_core::limits::{MAX_CONTENT_CHARS, MAX_LINKS, MAX_METADATA_BYTES, MAX_TAGS};
use memory_core::{EntityId, Generation, Memory, MemoryId};

/// Importance of a summary relative to its most important source, capped at 1.
/// The original system's factor (10 % more).
const IMPORTANCE_FACTOR: f32 = 1.1;

/// Decay rate of a summary relative to its slowest decaying source. The
/// original system's factor.
const DECAY_FACTOR: f32 = 0.8;

/// The relation of a summary to each of its sources.
const RELATION: &str = "summarizes";

/// The metadata keys of a summary.
const FROM: &str = "consolidation.from";
const UNTIL: &str = "consolidation.until";
const SOURCES: &str = "consolidation.sources";
const READ_AT: &str = "consolidation.generation";
const CREATED: &str = "consolidation.created";
pub(super) const METADATA_PREFIX: &str = "consolidation.";

/// Whether this memory was written by a consolidation.
pub(crate) fn is_summary(memory: &Memory) -> bool {
    memory.metadata.contains_key(READ_AT)
}

/// The metadata that a consolidation wrote.
pub(crate) fn summary_metadata(memory: &Memory) -> impl Iterator<Item = (String, String)> {
    let own = |(key, _): &(&String, &String)| key.starts_with(METADATA_PREFIX);
    let all = memory.metadata.iter().filter(own);
    all.map(|(key, value)| (key.clone(), value.clone()))
}

/// The generation at which the sources of a summary were read.
pub(crate) fn source_generation(memory: &Memory) -> Option<Generation> {
    memory.metadata.get(READ_AT)?.parse().ok().map(Generation)
}

/// Since when a memory exists: a summary since its consolidation, any other
/// memory since its timestamp. A summary without that metadata is dated by its
/// id, which contains the time.
pub(crate) fn created_at(memory: &Memory) -> DateTime<Utc> {
    if !is_summary(memory) {
        return memory.timestamp;
    }
    let written = memory.metadata.get(CREATED);
    let written = written.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let by_id = || {
        let (seconds, nanoseconds) = memory.id.as_uuid().get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
    };
    written
        .map(|at| at.to_utc())
        .or_else(by_id)
        .unwrap_or(memory.timestamp)
}

/// Near-duplicate memories, oldest first; at least one.
pub(crate) struct Group {
    pub(crate) sources: Vec<Arc<Memory>>,
    /// The content of the summary where all sources say the same thing; otherwise a
    /// language model has to write it.
    pub(crate) content: Option<String>,
}

impl Group {
    pub(crate) fn ids(&self) -> Vec<MemoryId> {
        self.sources.iter().map(|memory| memory.id).collect()
    }

    /// The summary of this group: `content`, with everything else carried over
    /// from the sources as docs/guide.md describes.
    pub(crate) fn summary(
        &self,
        entity: &EntityId,
        content: String,
        generation: Generation,
        now: DateTime<Utc>,
    ) -> Memory {
        let sources = &self.sources;
        let latest = sources.last();
        let max = |of: fn(&Memory) -> f32| sources.iter().map(|m| of(m)).fold(0.0, f32::max);
        let slowest = sources
            .iter()
            .map(|memory| memory.decay_rate)
            .fold(f32::INFINITY, f32::min);
        let kind = latest.map_or(memory_core::MemoryKind::Experience, |memory| memory.kind);
        Memory {
            id: MemoryId::new(),
            entity_id: entity.clone(),
            kind,
            content,
            timestamp: latest.map_or(now, |memory| memory.timestamp),
            last_accessed: sources.iter().filter_map(|m| m.last_accessed).max(),
            access_count: sources.iter().fold(0, |sum: u64, memory| {
                sum.saturating_add(memory.access_count)
            }),
            importance: (max(|memory| memory.importance) * IMPORTANCE_FACTOR).min(1.0),
            decay_rate: if slowest.is_finite() {
                slowest * DECAY_FACTOR
            } else {
                kind.decay_rate()
            },
            context: latest.and_then(|memory| memory.context.clone()),
            metadata: self.metadata(generation, now),
            related: self.related(),
            entities: self.entities(),
            tags: self.tags(),
            archived_by: None,
        }
    }

    /// The time span first, then every key of the sources with its latest
    /// value, up to the size limit.
    fn metadata(&self, generation: Generation, now: DateTime<Utc>) -> BTreeMap<String, String> {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let own = |memory: &Memory, key: &str| memory.metadata.get(key).cloned();
        let from = self
            .sources
            .iter()
            .map(|memory| own(memory, FROM).unwrap_or_else(|| time(memory.timestamp)))
            .min();
        let until = self.sources.last().map(|memory| time(memory.timestamp));
        let mut metadata = BTreeMap::from([
            (SOURCES.to_owned(), self.sources.len().to_string()),
            (READ_AT.to_owned(), generation.to_string()),
            (CREATED.to_owned(), time(now)),
        ]);
        metadata.extend(from.map(|from| (FROM.to_owned(), from)));
        metadata.extend(until.map(|until| (UNTIL.to_owned(), until)));
        let mut bytes: usize = metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        for (key, value) in self
            .sources
            .iter()
            .rev()
            .flat_map(|memory| &memory.metadata)
        {
            let grown = bytes + key.len() + value.len();
            if key.starts_with(METADATA_PREFIX)
                || metadata.contains_key(key)
                || grown > MAX_METADATA_BYTES
            {
                continue;
            }
            bytes = grown;
            metadata.insert(key.clone(), value.clone());
        }
        metadata
    }

    /// The sources, then the links of the sources to memories outside the group.
    fn related(&self) -> BTreeMap<MemoryId, String> {
        let ids: BTreeSet<MemoryId> = self.sources.iter().map(|memory| memory.id).collect();
        let mut related: BTreeMap<MemoryId, String> = ids
            .iter()
            .take(MAX_LINKS)
            .map(|id| (*id, RELATION.to_owned()))
            .collect();
        for (id, relation) in self.sources.iter().rev().flat_map(|memory| &memory.related) {
            if related.len() >= MAX_LINKS {
                break;
            }
            // The sources of a source that is itself a summary are reachable
            // through that source.
            if relation != RELATION {
                related.entry(*id).or_insert_with(|| relation.clone());
            }
        }
        related
    }

    /// The participants of all sources, each with its latest role.
    fn entities(&self) -> BTreeMap<EntityId, String> {
        let mut entities = BTreeMap::new();
        for (who, role) in self
            .sources
            .iter()
            .rev()
            .flat_map(|memory| &memory.entities)
        {
            if entities.len() >= MAX_LINKS {
                break;
            }
            entities.entry(who.clone()).or_insert_with(|| role.clone());
        }
        entities
    }

    /// Every tag; the most frequent ones where there are too many.
    fn tags(&self) -> BTreeSet<String> {
        let mut counts: HashMap<&String, usize> = HashMap::new();
        for tag in self.sources.iter().flat_map(|memory| &memory.tags) {
            *counts.entry(tag).or_default() += 1;
        }
        let mut tags: Vec<(&String, usize)> = counts.into_iter().collect();
        tags.sort_by(|(a, most), (b, more)| more.cmp(most).then_with(|| a.cmp(b)));
        let kept = tags.into_iter().take(MAX_TAGS);
        kept.map(|(tag, _)| tag.clone()).collect()
    }
}

/// Turns a completion into the content of a memory: removes NUL and surrounding
/// white space, and truncates after the last whole sentence (or else character)
/// within the limit. `None` if nothing is left.
pub(crate) fn sanitize_completion(answer: &str) -> Option<String> {
    let text = answer.replace('\0', "");
    let text = text.trim();
    let Some((limit, _)) = text.char_indices().nth(MAX_CONTENT_CHARS) else {
        return (!text.is_empty()).then(|| text.to_owned());
    };
    let head = &text[..limit];
    let mut end = 0;
    while end < head.len() {
        let next = end + first_sentence_end(&head[end..]).max(1);
        if next >= head.len() {
            break;
        }
        end = next;
    }
    let kept = if end == 0 { head } else { &head[..end] };
    Some(kept.trim().to_owned()).filter(|kept| !kept.is_empty())
}

/// The byte at which the first sentence of `text` ends: after a mark that is
/// followed by white space, an ideographic mark, or a line's end.
fn first_sentence_end(text: &str) -> usize {
    let mut is_marked = false;
    for (index, c) in text.char_indices() {
        match c {
            '\n' | '。' | '！' | '？' => return index + c.len_utf8(),
            c if c.is_whitespace() && is_marked => return index,
            '.' | '!' | '?' | '…' => is_marked = true,
            // Quotation marks and brackets close after the mark.
            '"' | '\'' | '”' | '’' | '»' | ')' | ']' if is_marked => {}
            _ => is_marked = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::*;

    fn source(day: i64) -> MemoryBatchItem {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(day);
        MemoryBatchItem::new("mira", MemoryKind::Observation, format!("day {day}"))
            .with_timestamp(at)
    }

    fn group(items: Vec<MemoryBatchItem>) -> Group {
        let made = items.into_iter().map(|item| item.into_memory(Utc::now()));
        Group {
            sources: made.map(|memory| Arc::new(memory.unwrap())).collect(),
            content: None,
        }
    }

    fn summary(group: &Group) -> Memory {
        group.summary(&"mira".into(), "all".into(), Generation(7), Utc::now())
    }

    #[test]
    fn everything_is_carried_over() {
        let other = MemoryId::new();
        let group = group(vec![
            source(1)
                .with_importance(0.4)
                .with_metadata("place", "mill")
                .with_metadata("who", "tam")
                .with_entity("tam", "seller")
                .with_tag("a")
                .with_related(other, "before"),
            source(3)
                .with_importance(0.8)
                .with_metadata("place", "bridge")
                .with_context("spring")
                .with_entity("tam", "buyer")
                .with_tag("b"),
        ]);
        let memory = summary(&group);
        memory.validate().unwrap();
        assert!((memory.importance - 0.88).abs() < 1e-6);
        assert!((memory.decay_rate - 0.016).abs() < 1e-6);
        assert_eq!(memory.timestamp, group.sources[1].timestamp);
        assert_eq!(memory.context.as_deref(), Some("spring"));
        assert_eq!(
            (&*memory.metadata["place"], &*memory.metadata["who"]),
            ("bridge", "tam")
        );
        assert_eq!(memory.metadata[FROM], "1970-01-02T00:00:00.000000Z");
        assert_eq!(memory.metadata[UNTIL], "1970-01-04T00:00:00.000000Z");
        assert_eq!(memory.entities[&EntityId::from("tam")], "buyer");
        assert_eq!(memory.tags.len(), 2);
        assert_eq!(memory.related.len(), 3);
        assert_eq!(memory.related[&group.sources[0].id], RELATION);
        assert_eq!(source_generation(&memory), Some(Generation(7)));
        assert!(is_summary(&memory) && !is_summary(&group.sources[0]));
    }

    #[test]
    fn every_limit_is_kept() {
        let full = |n: i64| {
            let base = source(n)
                .with_importance(1.0)
                .with_metadata(format!("key{n}"), "v".repeat(60_000));
            (0..64).fold(base, |item, tag| {
                let item = item.with_tag(format!("{n}-{tag}")).with_tag("shared");
                item.with_entity(format!("{n}-{tag}"), "r")
                    .with_related(MemoryId::new(), "r")
            })
        };
        let cut = |mut item: MemoryBatchItem| {
            while item.tags.len() > 64 {
                item.tags.pop_first();
            }
            item
        };
        let memory = summary(&group((0..8).map(|n| cut(full(n))).collect()));
        memory.validate().unwrap();
        assert_eq!(memory.importance, 1.0);
        assert!(
            memory.tags.contains("shared"),
            "the most frequent tags come first"
        );
        assert_eq!((memory.related.len(), memory.entities.len()), (256, 256));
        let links = memory
            .related
            .values()
            .filter(|relation| *relation == RELATION);
        assert_eq!(links.count(), 8);
    }

    #[test]
    fn sentences_end_after_marks_and_closing_quotes() {
        let ends = [
            ("He said \"No.\" Then", "He said \"No.\""),
            ("Then 3.5 miles! And", "Then 3.5 miles!"),
            ("New line 水。车 …", "New line 水。"),
            ("end", "end"),
        ];
        for (text, first) in ends {
            assert_eq!(&text[..first_sentence_end(text)], first);
        }
    }

    #[test]
    fn a_completion_becomes_content_within_the_limit() {
        assert_eq!(sanitize_completion(" \n\0 "), None);
        assert_eq!(sanitize_completion(" a\0b \n"), Some("ab".to_owned()));
        let long = "记号 one two. ".repeat(2_000);
        let cut = sanitize_completion(&long).unwrap();
        assert!(cut.chars().count() <= MAX_CONTENT_CHARS && cut.ends_with("two."));
        let endless = "记".repeat(20_000);
        assert_eq!(
            sanitize_completion(&endless).unwrap().chars().count(),
            MAX_CONTENT_CHARS
        );
    }
}
