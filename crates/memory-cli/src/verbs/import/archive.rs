//! Memories that were archived, and the summaries that stood for them.
//!
//! In a file the sources come before their summary. They are imported live;
//! when the summary comes, it is put above them in one transaction.

use std::collections::{HashMap, HashSet};

use memory::{ErrorKind, Memory, MemoryId, MemorySystem};

use super::batch::{Key, Outcome};
use super::tally::Refusal;
use crate::exit::Failure;
use crate::output::{counted, remark};

/// What the lines so far said of it: some 100 bytes for each archived memory.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// The sources of summaries that have not come yet.
    sources: HashMap<Key, Vec<MemoryId>>,
    /// Lines that are not in, which no summary may stand for.
    refused: HashSet<Key>,
}

impl Archive {
    /// This memory stands under that summary, which comes later.
    pub(super) fn note(&mut self, summary: Key, source: MemoryId) {
        self.sources.entry(summary).or_default().push(source);
    }

    /// Whether sources of it came before.
    pub(super) fn is_summary(&self, key: &Key) -> bool {
        self.sources.contains_key(key)
    }

    /// These are not in.
    pub(super) fn leave_out(&mut self, refused: Vec<Key>) {
        self.refused.extend(refused);
    }

    /// Puts a summary above its sources.
    pub(super) async fn put(
        &mut self,
        system: &MemorySystem,
        line: usize,
        summary: Memory,
    ) -> Result<Outcome, Failure> {
        let key = (summary.entity_id.clone(), summary.id);
        let mut sources = self.sources.remove(&key).unwrap_or_default();
        sources.sort_unstable();
        sources.dedup();
        let is_in = |id: &MemoryId| !self.refused.contains(&(key.0.clone(), *id));
        sources.retain(is_in);
        match system.restore_summary(summary, sources).await {
            Ok(true) => Ok(Outcome::Imported),
            Ok(false) => Ok(Outcome::AlreadyThere),
            Err(error) => match error.kind() {
                ErrorKind::Changed | ErrorKind::Conflict | ErrorKind::InvalidInput => {
                    self.refused.insert(key);
                    let refusal = Refusal::from_error(line, &error);
                    Ok(Outcome::Refused(refusal))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Says of how many memories the summary was not in the file, or came
    /// before them: these are live now.
    pub(super) fn tell_orphans(&self) {
        let orphans: usize = self.sources.values().map(Vec::len).sum();
        if orphans > 0 {
            let memories = counted(orphans as u64, "archived memory", "archived memories");
            remark(format_args!(
                "{memories} had no summary after them in the file and stay live"
            ));
        }
    }
}
