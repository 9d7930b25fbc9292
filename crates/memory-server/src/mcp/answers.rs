//! What the tools answer: JSON within a number of characters.
//!
//! Memories are quoted in the order given, until the next one does not fit. The first
//! one is always there: what is too long of it is cut off and marked. So no answer is
//! longer than its caller can read, and none is silently incomplete.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use memory::{EntityId, Memory, MemoryId, MemoryKind, RecallHit, Reflection};
use memory_json::time;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::arguments::MIN_CHARS;
use super::refusal::Refusal;

/// The largest length of an answer in characters.
const MAX_CHARS: usize = 1_000_000;

/// What an answer has apart from the entries: keys, a cursor, and a note of at most
/// [`MAX_NOTE_CHARS`] characters.
const RESERVED_CHARS: usize = 300;

/// The length of the longest note.
#[cfg(test)]
const MAX_NOTE_CHARS: usize = 150;

/// A memory, with the keys that `retain` takes.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    id: MemoryId,
    content: Cow<'a, str>,
    /// Whether the content goes on, or other values were left out.
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
    kind: MemoryKind,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    relevance: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    importance: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    #[serde(skip_serializing_if = "is_empty")]
    tags: Option<&'a BTreeSet<String>>,
    #[serde(skip_serializing_if = "is_empty_map")]
    metadata: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_empty_map")]
    entities: Option<&'a BTreeMap<EntityId, String>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn is_empty(set: &Option<&BTreeSet<String>>) -> bool {
    set.is_none_or(BTreeSet::is_empty)
}

fn is_empty_map<K>(map: &Option<&BTreeMap<K, String>>) -> bool {
    map.is_none_or(BTreeMap::is_empty)
}

impl<'a> From<&'a Memory> for Entry<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            id: memory.id,
            content: Cow::Borrowed(&memory.content),
            truncated: false,
            kind: memory.kind,
            timestamp: time::format_seconds(memory.timestamp),
            relevance: None,
            importance: Some(memory.importance),
            context: memory.context.as_deref(),
            tags: Some(&memory.tags),
            metadata: Some(&memory.metadata),
            entities: Some(&memory.entities),
        }
    }
}

impl<'a> From<&'a RecallHit> for Entry<'a> {
    fn from(hit: &'a RecallHit) -> Self {
        Self {
            // More digits are noise to a model.
            relevance: Some((hit.relevance * 100.0).round() / 100.0),
            ..Self::from(&*hit.memory)
        }
    }
}

impl Entry<'_> {
    /// The entry in at most `max_chars` characters, if its other values leave room for
    /// some of the content; else without those.
    fn shorten(mut self, max_chars: usize) -> Result<Box<RawValue>, Refusal> {
        let content = std::mem::take(&mut self.content);
        self.truncated = true;
        let mut others = length(&to_raw_value(&self)?);
        if others > max_chars / 2 {
            self.importance = None;
            self.context = None;
            self.tags = None;
            self.metadata = None;
            self.entities = None;
            others = length(&to_raw_value(&self)?);
        }
        let content = truncate(&content, max_chars.saturating_sub(others));
        self.content = Cow::Owned(content.into_owned());
        Ok(to_raw_value(&self)?)
    }
}

/// The beginning of a text that takes at most `max_chars` characters as JSON.
fn truncate(text: &str, max_chars: usize) -> Cow<'_, str> {
    let escaped = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        _ => 1,
    };
    if text.chars().map(escaped).sum::<usize>() <= max_chars {
        return Cow::Borrowed(text);
    }
    let mut left = max_chars.saturating_sub(1);
    let mut short: String = text
        .chars()
        .take_while(|&c| {
            let fits = escaped(c) <= left;
            left = left.saturating_sub(escaped(c));
            fits
        })
        .collect();
    short.push('…');
    Cow::Owned(short)
}

fn length(value: &RawValue) -> usize {
    value.get().chars().count()
}

/// Entries that fit, in the order given.
#[derive(Debug)]
pub(super) struct Fitted {
    entries: Vec<Box<RawValue>>,
    left: usize,
}

impl Fitted {
    /// Nothing yet, in an answer of at most `max_chars` characters.
    pub(super) fn new(max_chars: usize) -> Result<Self, Refusal> {
        if !(MIN_CHARS..=MAX_CHARS).contains(&max_chars) {
            return Err(Refusal::new(format!(
                "`max_chars` is {max_chars}; it must be {MIN_CHARS} to {MAX_CHARS}. Call again."
            )));
        }
        Ok(Self {
            entries: Vec::new(),
            left: max_chars - RESERVED_CHARS,
        })
    }

    /// Adds memories until one does not fit; shortens the first if need be.
    pub(super) fn add_memories<'a>(
        &mut self,
        memories: impl Iterator<Item = Entry<'a>>,
    ) -> Result<(), Refusal> {
        for memory in memories {
            let entry = to_raw_value(&memory)?;
            if self.try_add(entry) {
                continue;
            }
            if self.entries.is_empty() {
                let entry = memory.shorten(self.left.saturating_sub(1))?;
                self.left = 0;
                self.entries.push(entry);
            }
            break;
        }
        Ok(())
    }

    /// Adds values until one does not fit.
    pub(super) fn add_values<T: Serialize>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), Refusal> {
        for value in values {
            if !self.try_add(to_raw_value(&value)?) {
                break;
            }
        }
        Ok(())
    }

    fn try_add(&mut self, entry: Box<RawValue>) -> bool {
        // One more for the comma.
        let length = length(&entry) + 1;
        let fits = length <= self.left;
        if fits {
            self.left -= length;
            self.entries.push(entry);
        }
        fits
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Ends these entries and continues with others in the same answer.
    pub(super) fn split(self) -> (Vec<Box<RawValue>>, Self) {
        let others = Self {
            entries: Vec::new(),
            left: self.left,
        };
        (self.entries, others)
    }

    pub(super) fn into_entries(self) -> Vec<Box<RawValue>> {
        self.entries
    }
}

/// Memories, in order.
#[derive(Debug, Default, Serialize)]
pub(super) struct MemoriesAnswer {
    pub(super) memories: Vec<Box<RawValue>>,
    /// How many more there are that did not fit.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) omitted: usize,
    /// What to give as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(super) fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What a question found: `hits`, and `omitted` more that were left out already. `note` is
/// added where all of it fits.
pub(super) fn recalled(
    hits: &[RecallHit],
    omitted: usize,
    max_chars: usize,
    note: Option<&'static str>,
) -> Result<MemoriesAnswer, Refusal> {
    let mut fitted = Fitted::new(max_chars)?;
    fitted.add_memories(hits.iter().map(Entry::from))?;
    let omitted = omitted + hits.len() - fitted.len();
    let note = note_omitted(omitted).or(note);
    Ok(MemoriesAnswer {
        memories: fitted.into_entries(),
        omitted,
        next: None,
        note,
    })
}

/// What to say where so many did not fit.
pub(super) fn note_omitted(omitted: usize) -> Option<&'static str> {
    (omitted > 0).then_some(OMITTED)
}

pub(super) const NOTHING_FOUND: &str =
    "No memory matches. Do not guess: say that you do not remember, or ask the user.";
pub(super) const NO_MEMORIES: &str = "This entity has no memories at all. Do not guess: say so, and \
     that its name may be misspelled: capitals and small letters differ.";
pub(super) const NOTHING_STORED: &str = "Nothing has been stored yet. Do not guess: say that you \
     do not remember, or ask the user.";
pub(super) const OMITTED: &str = "Not all fit: raise max_chars, or ask something narrower.";
pub(super) const OMITTED_OF_RESOURCE: &str =
    "Not all fit: the tools list and get read the rest, page by page.";
pub(super) const ANSWER_YOURSELF: &str =
    "This server has no language model: answer the question from these memories.";

/// An answer of a language model, and the memories that it is from.
#[derive(Debug, Serialize)]
pub(super) struct ReflectAnswer<'a> {
    answer: Cow<'a, str>,
    sources: Vec<Box<RawValue>>,
    /// How many more memories were found, which the answer is not from, or whose ids did
    /// not fit.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl<'a> ReflectAnswer<'a> {
    /// The answer is shortened first: three quarters of the characters are for it.
    pub(super) fn new(
        answer: &'a str,
        reflection: &Reflection,
        max_chars: usize,
    ) -> Result<Self, Refusal> {
        let mut fitted = Fitted::new(max_chars)?;
        let sources = &reflection.memories;
        let answer = truncate(answer, fitted.left / 4 * 3);
        fitted.left /= 4;
        fitted.add_values(sources.iter().map(|hit| hit.memory.id))?;
        let omitted = reflection.omitted + sources.len() - fitted.len();
        Ok(Self {
            answer,
            sources: fitted.into_entries(),
            omitted,
            note: note_omitted(omitted),
        })
    }
}

#[cfg(test)]
mod tests {
    use memory::MemoryBatchItem;

    use super::*;

    fn memory(content: &str, metadata: usize) -> Memory {
        let mut item = MemoryBatchItem::new("mira", MemoryKind::World, content);
        item.metadata = BTreeMap::from([("k".to_owned(), "v".repeat(metadata))]);
        item.into_memory(chrono::Utc::now()).unwrap()
    }

    fn answer_of(memories: &[Memory], max_chars: usize) -> (String, usize) {
        let mut fitted = Fitted::new(max_chars).unwrap();
        fitted
            .add_memories(memories.iter().map(Entry::from))
            .unwrap();
        let included = fitted.len();
        let answer = MemoriesAnswer {
            memories: fitted.into_entries(),
            omitted: memories.len() - included,
            next: Some("2026-03-01T09:30:00.000000Z/0192d3a0-0000-7000-8000-000000000001".into()),
            note: Some(NOTHING_FOUND),
        };
        (serde_json::to_string(&answer).unwrap(), included)
    }

    #[test]
    fn answers_never_exceed_their_length_and_never_hide_everything() {
        let contents = [
            "Short.".to_owned(),
            "\"\\\n\u{1}ü".repeat(400),
            "x".repeat(10_000),
            "漢".repeat(1_000),
        ];
        for first in &contents {
            for metadata in [0, 300, 20_000] {
                let memories = [memory(first, metadata), memory("Another.", 0)];
                for max_chars in [500, 501, 640, 800, 1_000, 5_000, 12_000, 100_000] {
                    let (text, included) = answer_of(&memories, max_chars);
                    let length = text.chars().count();
                    assert!(length <= max_chars, "{length} > {max_chars}: {text}");
                    assert!(included >= 1, "{max_chars}");
                    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
                    let entry = &parsed["memories"][0];
                    let is_whole = entry["content"] == first.as_str();
                    assert!(is_whole || entry["truncated"] == true, "{text}");
                    assert!(entry["content"].as_str().unwrap().chars().count() > 3);
                }
            }
        }
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        for max_chars in [0, 499, 1_000_001] {
            let Refusal(text) = Fitted::new(max_chars).unwrap_err();
            assert!(text.contains("500 to 1000000"), "{text}");
        }
    }

    #[test]
    fn notes_fit_what_is_reserved_for_them() {
        for note in [
            NOTHING_FOUND,
            NO_MEMORIES,
            NOTHING_STORED,
            OMITTED,
            OMITTED_OF_RESOURCE,
            ANSWER_YOURSELF,
        ] {
            assert!(note.len() <= MAX_NOTE_CHARS, "{note}");
        }
    }
}
