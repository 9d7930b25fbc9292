//! Texts of an export that follow each other, as memories that are linked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use memory::limits::MAX_CONTENT_CHARS;
use memory::{MemoryBatchItem, MemoryId};
use uuid::Uuid;

use crate::draft::Draft;
use crate::importer::{Importer, Stop};
use crate::split::{link_neighbors, split_text};
use crate::time;

/// How often each memory occurred in a note or message: equal ones are distinguished by
/// that.
#[derive(Debug, Default)]
pub(crate) struct Occurrences(HashMap<Uuid, u64>);

/// Texts that follow each other. Each memory is linked to the one before and after it.
/// Their times are a microsecond apart where they would be equal, so that a list keeps
/// their order.
///
/// A memory is passed on when the one after it is known: what all texts of a note have in
/// common can be large, so a note with many of them must not be held as memories.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The last memory, which is not passed on yet, with its origin.
    pending: Option<(String, MemoryBatchItem)>,
    last_time: Option<DateTime<Utc>>,
    first: Option<MemoryId>,
}

impl Document {
    /// Adds a text: a memory, or one for each part of a long text. `occurrences` are those
    /// of the note or message.
    pub(crate) fn add(
        &mut self,
        importer: &mut Importer<'_>,
        origin: &str,
        draft: Draft,
        occurrences: &mut Occurrences,
    ) -> Result<(), Stop> {
        let entity = match importer.entity() {
            Some(entity) => entity.clone(),
            None => match draft.named_owner() {
                Ok(entity) => entity,
                Err(reason) => return importer.refuse(origin, reason),
            },
        };
        let parts = split_text(&draft.content, MAX_CONTENT_CHARS);
        let count = parts.len();
        // What all parts have in common.
        let common = importer.item(&entity, &draft);
        for (index, content) in parts.into_iter().enumerate() {
            let first = importer.derive(&entity, &draft.source_id, content, 0);
            let occurrence = occurrences.0.entry(first).or_default();
            let id = match *occurrence {
                0 => first,
                n => importer.derive(&entity, &draft.source_id, content, n),
            };
            *occurrence += 1;
            let mut item = common.clone();
            content.clone_into(&mut item.content);
            item.id = Some(id.into());
            let mut origin = origin.to_owned();
            if count > 1 {
                let number = index + 1;
                item.metadata
                    .insert("part".to_owned(), format!("{number} of {count}"));
                origin = format!("{origin}, part {number}");
            }
            self.push(importer, origin, item)?;
        }
        Ok(())
    }

    /// Passes on the last memory, and returns the id of the first one.
    pub(crate) fn finish(mut self, importer: &mut Importer<'_>) -> Result<Option<MemoryId>, Stop> {
        if let Some((origin, item)) = self.pending.take() {
            importer.send_valid(origin, item)?;
        }
        Ok(self.first)
    }

    /// Passes on the memory before this one, which is then the last.
    fn push(
        &mut self,
        importer: &mut Importer<'_>,
        origin: String,
        mut item: MemoryBatchItem,
    ) -> Result<(), Stop> {
        self.first = self.first.or(item.id);
        self.separate_time(&mut item);
        if let Some((origin, mut before)) = self.pending.take() {
            link_neighbors(&mut before, &mut item);
            importer.send_valid(origin, before)?;
        }
        self.pending = Some((origin, item));
        Ok(())
    }

    /// Moves a time that is not after the time before it to a microsecond after that.
    fn separate_time(&mut self, item: &mut MemoryBatchItem) {
        let Some(own) = item.timestamp else { return };
        let earliest = self.last_time.and_then(time::next);
        let time = earliest.map_or(own, |earliest| own.max(earliest));
        item.timestamp = Some(time);
        self.last_time = Some(time);
    }
}
