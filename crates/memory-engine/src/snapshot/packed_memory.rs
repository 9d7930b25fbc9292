//! Memories as a snapshot keeps them: packed into bytes.
//!
//! A [`Memory`] of two tags takes some 700 bytes and six allocations in addition to its
//! text, packed about 60 bytes. A search reads what it needs of many memories
//! in place; only its results are unpacked.
//!
//! ```text
//! kind, flags: 1 byte each
//! id: 16 · time: 12 · importance, decay rate: 4 each
//! number of accesses · time of the last one: 12, if any · archived by: 16, if it is
//! related, tags, participants, metadata: each its length in bytes, then its texts
//! context, if any · content to the end
//! ```
//! A time is seconds and nanoseconds. Numbers without a size are in LEB128, a byte per
//! 7 bits, and so is the length before each text.

use chrono::{DateTime, Utc};
use memory_core::{EntityId, Memory, MemoryFilter, MemoryId, MemoryKind};
use uuid::Uuid;

use crate::ranking::Attributes;

const HAS_LAST_ACCESS: u8 = 1;
const HAS_CONTEXT: u8 = 2;
const IS_ARCHIVED: u8 = 4;

/// A memory without the entity that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedMemory<'a>(pub(super) &'a [u8]);

/// What a packed memory has, read in place.
pub(super) struct MemoryParts<'a> {
    pub(super) kind: MemoryKind,
    pub(super) attributes: Attributes,
    pub(super) archived_by: Option<MemoryId>,
    related: Reader<'a>,
    tags: Reader<'a>,
    entities: Reader<'a>,
    metadata: Reader<'a>,
    pub(super) context: Option<&'a str>,
    content: &'a [u8],
}

impl<'a> PackedMemory<'a> {
    /// The bytes of a memory.
    pub(super) fn pack(memory: &Memory) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + memory.content.len());
        let kind = MemoryKind::ALL.iter().position(|it| *it == memory.kind);
        bytes.push(u8::try_from(kind.unwrap_or_default()).unwrap_or_default());
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        bytes.push(
            flag(memory.last_accessed.is_some(), HAS_LAST_ACCESS)
                | flag(memory.context.is_some(), HAS_CONTEXT)
                | flag(memory.archived_by.is_some(), IS_ARCHIVED),
        );
        put_id(&mut bytes, &memory.id);
        put_time(&mut bytes, memory.timestamp);
        bytes.extend(memory.importance.to_le_bytes());
        bytes.extend(memory.decay_rate.to_le_bytes());
        put_number(&mut bytes, memory.access_count);
        if let Some(last) = memory.last_accessed {
            put_time(&mut bytes, last);
        }
        if let Some(summary) = &memory.archived_by {
            put_id(&mut bytes, summary);
        }
        put_section(&mut bytes, |bytes| {
            for (id, relation) in &memory.related {
                put_id(bytes, id);
                put_text(bytes, relation);
            }
        });
        put_section(&mut bytes, |bytes| {
            memory.tags.iter().for_each(|tag| put_text(bytes, tag));
        });
        put_section(&mut bytes, |bytes| {
            for (entity, role) in &memory.entities {
                put_text(bytes, entity.as_str());
                put_text(bytes, role);
            }
        });
        put_section(&mut bytes, |bytes| {
            for (key, value) in &memory.metadata {
                put_text(bytes, key);
                put_text(bytes, value);
            }
        });
        if let Some(context) = &memory.context {
            put_text(&mut bytes, context);
        }
        bytes.extend(memory.content.as_bytes());
        bytes
    }

    /// Appends the bytes of the memory as it was before it was accessed.
    pub(super) fn put_without_accesses(self, bytes: &mut Vec<u8>) {
        self.put_with_accesses(0, None, bytes);
    }

    /// The bytes of the memory with these accesses in place of its own.
    pub(super) fn with_accesses(self, count: u64, last: Option<DateTime<Utc>>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() + 24);
        self.put_with_accesses(count, last, &mut bytes);
        bytes
    }

    fn put_with_accesses(self, count: u64, last: Option<DateTime<Utc>>, bytes: &mut Vec<u8>) {
        /// Everything before the number of accesses.
        const FIXED: usize = 2 + 16 + 12 + 4 + 4;
        let mut reader = Reader(self.0);
        let fixed: [u8; FIXED] = reader.array();
        reader.number();
        if fixed[1] & HAS_LAST_ACCESS != 0 {
            reader.time();
        }
        let flag = if last.is_some() { HAS_LAST_ACCESS } else { 0 };
        bytes.extend([fixed[0], (fixed[1] & !HAS_LAST_ACCESS) | flag]);
        bytes.extend(&fixed[2..]);
        put_number(bytes, count);
        if let Some(last) = last {
            put_time(bytes, last);
        }
        bytes.extend(reader.0);
    }

    pub(super) fn id(self) -> MemoryId {
        Reader(self.0.get(2..).unwrap_or_default()).id()
    }

    /// Reads everything but texts and lists, and where those are.
    pub(super) fn parts(self) -> MemoryParts<'a> {
        let mut reader = Reader(self.0);
        let [kind, flags] = reader.array();
        let (id, timestamp) = (reader.id(), reader.time());
        let importance = f32::from_le_bytes(reader.array());
        let decay_rate = f32::from_le_bytes(reader.array());
        let access_count = reader.number();
        let last_accessed = (flags & HAS_LAST_ACCESS != 0).then(|| reader.time());
        MemoryParts {
            kind: MemoryKind::ALL[usize::from(kind) % MemoryKind::ALL.len()],
            attributes: Attributes {
                id,
                timestamp,
                importance,
                decay_rate,
                access_count,
                last_accessed,
            },
            archived_by: (flags & IS_ARCHIVED != 0).then(|| reader.id()),
            related: reader.section(),
            tags: reader.section(),
            entities: reader.section(),
            metadata: reader.section(),
            context: (flags & HAS_CONTEXT != 0).then(|| reader.text()),
            content: reader.0,
        }
    }

    /// The memory, of this entity.
    pub(super) fn unpack(self, entity: &EntityId) -> Memory {
        let parts = self.parts();
        let attributes = &parts.attributes;
        Memory {
            id: attributes.id,
            entity_id: entity.clone(),
            kind: parts.kind,
            content: parts.content().to_owned(),
            timestamp: attributes.timestamp,
            last_accessed: attributes.last_accessed,
            access_count: attributes.access_count,
            importance: attributes.importance,
            decay_rate: attributes.decay_rate,
            context: parts.context.map(str::to_owned),
            metadata: owned_pairs(parts.metadata).collect(),
            related: parts
                .related()
                .map(|(id, relation)| (id, relation.to_owned()))
                .collect(),
            entities: owned_pairs(parts.entities)
                .map(|(entity, role)| (EntityId::from(entity), role))
                .collect(),
            tags: parts.tags.texts().map(str::to_owned).collect(),
            archived_by: parts.archived_by,
        }
    }

    /// As [`MemoryFilter::matches`] of the memory.
    pub(super) fn matches(self, filter: &MemoryFilter) -> bool {
        let parts = self.parts();
        let time = parts.attributes.timestamp;
        (filter.kinds.is_empty() || filter.kinds.contains(&parts.kind))
            && filter.since.is_none_or(|since| time >= since)
            && filter.until.is_none_or(|until| time < until)
            && parts.has_tags(filter)
            && filter.metadata.iter().all(|(key, value)| {
                let mut pairs = parts.metadata.pairs();
                pairs.any(|pair| pair == (key.as_str(), value.as_str()))
            })
            && filter.involves.as_ref().is_none_or(|who| {
                let mut entities = parts.entities.pairs();
                entities.any(|(entity, _)| entity == who.as_str())
            })
            && filter
                .relates_to
                .is_none_or(|wanted| parts.related().any(|(id, _)| id == wanted))
    }
}

impl<'a> MemoryParts<'a> {
    /// The text. Not among the fields: most of what is read of memories is something else,
    /// and that a long text is one is found out by reading all of it.
    pub(super) fn content(&self) -> &'a str {
        str::from_utf8(self.content).unwrap_or_default()
    }

    /// The memories that it is related to, and how.
    pub(super) fn related(&self) -> impl Iterator<Item = (MemoryId, &'a str)> + use<'a> {
        let mut reader = self.related;
        std::iter::from_fn(move || (!reader.0.is_empty()).then(|| (reader.id(), reader.text())))
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.tags.texts()
    }

    /// What a question can mention it by: tags, metadata values and participants.
    pub(super) fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let values = self.metadata.pairs().map(|(_, value)| value);
        let entities = self.entities.pairs().map(|(entity, _)| entity);
        self.tags.texts().chain(values).chain(entities)
    }

    /// Whether the tags match a filter's: see `MemoryTagMode::matches`.
    fn has_tags(&self, filter: &MemoryFilter) -> bool {
        let (wanted, mode) = (&filter.tags, filter.tag_mode);
        if wanted.is_empty() {
            return true;
        }
        if self.tags.0.is_empty() {
            return mode.matches_untagged();
        }
        let mut tags = self.tags.texts();
        if mode.requires_all() {
            tags.filter(|tag| wanted.contains(*tag)).count() == wanted.len()
        } else {
            tags.any(|tag| wanted.contains(tag))
        }
    }
}

fn owned_pairs(reader: Reader<'_>) -> impl Iterator<Item = (String, String)> {
    reader
        .pairs()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

fn put_id(bytes: &mut Vec<u8>, id: &MemoryId) {
    bytes.extend(id.as_uuid().as_bytes());
}

fn put_time(bytes: &mut Vec<u8>, time: DateTime<Utc>) {
    bytes.extend(time.timestamp().to_le_bytes());
    bytes.extend(time.timestamp_subsec_nanos().to_le_bytes());
}

/// Puts the length of what `put` adds before it.
fn put_section(bytes: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    put(bytes);
    let length = bytes.len() - start;
    put_number(bytes, length as u64);
    bytes[start..].rotate_left(length);
}

/// Reads what the functions above wrote. Past the end everything is empty.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap_or([0; N])
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let [byte] = self.array();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift >= u64::BITS {
                return number;
            }
        }
    }

    fn id(&mut self) -> MemoryId {
        Uuid::from_bytes(self.array()).into()
    }

    fn time(&mut self) -> DateTime<Utc> {
        let seconds = i64::from_le_bytes(self.array());
        let nanoseconds = u32::from_le_bytes(self.array());
        DateTime::from_timestamp(seconds, nanoseconds).unwrap_or_default()
    }

    fn section(&mut self) -> Self {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        Self(self.bytes(length))
    }

    fn text(&mut self) -> &'a str {
        str::from_utf8(self.section().0).unwrap_or_default()
    }

    fn texts(mut self) -> impl Iterator<Item = &'a str> {
        std::iter::from_fn(move || (!self.0.is_empty()).then(|| self.text()))
    }

    fn pairs(mut self) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::from_fn(move || (!self.0.is_empty()).then(|| (self.text(), self.text())))
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{MemoryBatchItem, MemoryTagMode};
    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("mill".to_owned()),
            Just("río".to_owned()),
            "[a-z]{1,128}"
        ]
    }

    prop_compose! {
        fn memory()(
            (content, kind, context) in (word(), 0usize..4, prop::option::of(word())),
            (tags, entities) in (prop::collection::vec(word(), 0..4), prop::collection::vec((word(), word()), 0..4)),
            (metadata, related) in (prop::collection::vec((word(), word()), 0..4), prop::collection::vec(word(), 0..3)),
            (accesses, importance) in (any::<u64>(), 0.0f32..1.0),
            (time, last) in (-9_000_000_000_000_000i64..9_000_000_000_000_000, prop::option::of(0i64..2_000_000_000)),
            is_archived in any::<bool>(),
        ) -> Memory {
            let mut item = MemoryBatchItem::new("mira", MemoryKind::ALL[kind], content)
                .with_importance(importance);
            for tag in tags { item = item.with_tag(tag); }
            for (entity, role) in entities { item = item.with_entity(entity, role); }
            for (key, value) in metadata { item = item.with_metadata(key, value); }
            for relation in related { item = item.with_related(MemoryId::new(), relation); }
            let mut memory = item.into_memory(Utc::now()).unwrap();
            memory.context = context;
            memory.access_count = accesses;
            memory.timestamp = DateTime::from_timestamp_micros(time).unwrap();
            memory.last_accessed = last.and_then(|last| DateTime::from_timestamp(last, 7));
            memory.archived_by = is_archived.then(MemoryId::new);
            memory
        }
    }

    prop_compose! {
        fn filter()(
            kinds in prop::collection::vec(0usize..4, 0..2),
            (tags, mode) in (prop::collection::vec(word(), 0..3), 0usize..4),
            metadata in prop::option::weighted(0.2, (word(), word())),
            involves in prop::option::weighted(0.3, word()),
            (since, until) in (prop::option::of(any::<i32>()), prop::option::of(any::<i32>())),
        ) -> MemoryFilter {
            let time = |seconds: i32| DateTime::from_timestamp(seconds.into(), 0).unwrap();
            MemoryFilter {
                kinds: kinds.into_iter().map(|kind| MemoryKind::ALL[kind]).collect(),
                tags: tags.into_iter().collect(),
                tag_mode: MemoryTagMode::ALL[mode],
                since: since.map(time),
                until: until.map(time),
                metadata: metadata.into_iter().collect(),
                involves: involves.map(EntityId::from),
                relates_to: None,
            }
        }
    }

    proptest! {
        #[test]
        fn a_packed_memory_is_the_memory(memory in memory()) {
            let packed = PackedMemory::pack(&memory);
            prop_assert_eq!(PackedMemory(&packed).unpack(&memory.entity_id), memory);
        }

        #[test]
        fn accesses_are_replaced_and_left_out(
            memory in memory(),
            count in any::<u64>(),
            last in prop::option::of(0i64..2_000_000_000),
        ) {
            let packed = PackedMemory::pack(&memory);
            let last = last.and_then(|last| DateTime::from_timestamp(last, 5));
            let mut accessed = memory.clone();
            (accessed.access_count, accessed.last_accessed) = (count, last);
            let replaced = PackedMemory(&packed).with_accesses(count, last);
            let replaced = PackedMemory(&replaced);
            prop_assert_eq!(replaced.unpack(&memory.entity_id), accessed.clone());
            let mut bytes = Vec::new();
            replaced.put_without_accesses(&mut bytes);
            (accessed.access_count, accessed.last_accessed) = (0, None);
            let without = PackedMemory(&bytes);
            prop_assert_eq!(without.unpack(&memory.entity_id), accessed);
        }

        #[test]
        fn filters_match_what_they_match_unpacked(
            memory in memory(),
            mut filter in filter(),
            relates in prop::option::of(any::<bool>()),
            takes_tags in any::<bool>(),
        ) {
            if let Some(is_there) = relates {
                let id = memory.related.keys().next().copied().filter(|_| is_there);
                filter.relates_to = Some(id.unwrap_or_else(MemoryId::new));
            }
            if takes_tags {
                filter.tags.extend(memory.tags.iter().take(2).cloned());
            }
            let packed = PackedMemory::pack(&memory);
            prop_assert_eq!(PackedMemory(&packed).matches(&filter), filter.matches(&memory));
        }
    }
}
