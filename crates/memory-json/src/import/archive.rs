//! Restoring archived memories below their summary.
//!
//! In a file the sources come before their summary. Without a limit of memories they are
//! imported live; when the summary is read, it is stored and its sources are archived in one
//! transaction. With one, see [`pending_sources`](super::pending_sources).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use memory::{ErrorKind, MemoryId, MemoryResult, MemorySystem, RestoreItem};

use super::ItemOutcome;
use super::batch::Key;
use super::location::Location;
use super::refusal::Refusal;

/// Archived memories whose summary has not been read yet; up to 400 bytes for each of them,
/// where each has a summary of its own.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// Sources by summary. None is empty.
    sources: HashMap<Key, HashSet<MemoryId>>,
    /// The summary of each of these sources. A line that repeats an id with another summary
    /// must not add a source.
    summaries: HashMap<Key, MemoryId>,
    /// Sources of summaries that were refused, which stay live.
    without_summary: usize,
}

impl Archive {
    /// Records a source of a summary that comes later, instead of the one that it had.
    pub(super) fn add_source(&mut self, source: Key, summary: MemoryId) {
        self.remove_source(&source);
        let (entity, id) = source.clone();
        let sources = self.sources.entry((entity, summary)).or_default();
        sources.insert(id);
        self.summaries.insert(source, summary);
    }

    fn remove_source(&mut self, source: &Key) {
        let Some(summary) = self.summaries.remove(source) else {
            return;
        };
        if let Entry::Occupied(mut sources) = self.sources.entry((source.0.clone(), summary)) {
            sources.get_mut().remove(&source.1);
            if sources.get().is_empty() {
                sources.remove();
            }
        }
    }

    /// Whether sources of this memory came before.
    pub(super) fn is_summary(&self, key: &Key) -> bool {
        self.sources.contains_key(key)
    }

    /// Records that memories were refused: no summary has them as a source.
    pub(super) fn exclude(&mut self, refused: &[Key]) {
        for key in refused {
            self.remove_source(key);
        }
    }

    /// Takes the sources of a summary that were not refused.
    pub(super) fn take_sources(&mut self, summary: &Key) -> Vec<MemoryId> {
        let sources = self.sources.remove(summary).unwrap_or_default();
        let mut sources: Vec<MemoryId> = sources.into_iter().collect();
        sources.sort_unstable();
        for source in &sources {
            self.summaries.remove(&(summary.0.clone(), *source));
        }
        sources
    }

    /// Stores a summary and archives its sources, of which there are some.
    pub(super) async fn restore_summary(
        &mut self,
        system: &MemorySystem,
        location: Location,
        summary: RestoreItem,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<ItemOutcome> {
        let key = (summary.memory.entity_id.clone(), summary.memory.id);
        match system.restore_summary(summary, sources.clone()).await {
            Ok(true) => Ok(ItemOutcome::Imported),
            Ok(false) => Ok(ItemOutcome::AlreadyThere),
            Err(error) => match error.kind() {
                ErrorKind::Changed
                | ErrorKind::Conflict
                | ErrorKind::InvalidInput
                | ErrorKind::LimitReached => {
                    let stored = system.get_memories(&key.0, sources).await?;
                    let live = stored
                        .iter()
                        .flatten()
                        .filter(|it| it.archived_by.is_none());
                    self.without_summary += live.count();
                    self.exclude(&[key]);
                    let refusal = Refusal::from_error(location, &error);
                    Ok(ItemOutcome::Refused(refusal))
                }
                _ => Err(error),
            },
        }
    }

    /// The number of archived memories that are live, as their summary did not come after
    /// them or was refused.
    pub(super) fn orphans(&self) -> usize {
        self.summaries.len() + self.without_summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: MemoryId) -> Key {
        ("mira".into(), id)
    }

    #[test]
    fn refused_lines_and_repeated_ids_take_no_memory() {
        let mut archive = Archive::default();
        let id = MemoryId::new();
        for _ in 0..100_000 {
            archive.exclude(&[key(MemoryId::new())]);
            let refused = key(MemoryId::new());
            archive.add_source(refused.clone(), MemoryId::new());
            archive.exclude(&[refused]);
            archive.add_source(key(id), MemoryId::new());
        }
        let sizes = (archive.sources.len(), archive.summaries.len());
        assert_eq!((sizes, archive.orphans()), ((1, 1), 1));
        assert!(archive.sources.capacity() + archive.summaries.capacity() < 100);
    }

    #[test]
    fn the_last_summary_of_a_source_has_it() {
        let mut archive = Archive::default();
        let [source, other, first, last] = std::array::from_fn(|_| MemoryId::new());
        archive.add_source(key(source), first);
        archive.add_source(key(other), first);
        archive.add_source(key(source), last);
        archive.add_source(key(source), last);
        assert_eq!(archive.take_sources(&key(first)), [other]);
        assert_eq!(archive.take_sources(&key(last)), [source]);
        assert!(!archive.is_summary(&key(first)) && !archive.is_summary(&key(last)));
        assert_eq!(archive.orphans(), 0);
    }
}
