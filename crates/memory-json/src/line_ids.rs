//! Ids for lines without an `id`.
//!
//! An id is derived from the line's values, so that importing a file again adds
//! nothing. Equal lines are distinguished by their occurrence: two lines "Good
//! morning." are two memories.

use std::collections::HashMap;

use memory::{MemoryBatchItem, MemoryId};
use uuid::Uuid;

use crate::time;

/// The namespace of these ids (UUID version 5). It must never change, because
/// ids made with another would not be found again.
const NAMESPACE: Uuid = Uuid::from_u128(0x6256_6678_4100_4859_b968_6b19_e55b_0c7e);

/// Derives ids for the lines of one file.
///
/// It counts the occurrences of each line, which takes 16 to 32 bytes a line.
#[derive(Debug, Default)]
pub struct LineIds {
    occurrences: HashMap<u64, u32>,
}

impl LineIds {
    /// The id of the next line with these values.
    pub fn next(&mut self, item: &MemoryBatchItem) -> MemoryId {
        let first = derive(item, 0);
        // Half of the first id identifies the line. If two lines share it, the
        // later one counts as a further occurrence and gets another id, which
        // is as stable and as unique.
        let (key, _) = first.as_u64_pair();
        let occurrence = self.occurrences.entry(key).or_default();
        let id = match *occurrence {
            0 => first,
            n => derive(item, n),
        };
        *occurrence = occurrence.saturating_add(1);
        id.into()
    }
}

/// UUID version 5 of a JSON array, which differs between different lines.
fn derive(item: &MemoryBatchItem, occurrence: u32) -> Uuid {
    let name = serde_json::json!([
        item.entity_id.as_str(),
        item.kind.as_str(),
        item.content,
        item.timestamp.map(time::format_exact),
        item.context,
        occurrence,
    ]);
    Uuid::new_v5(&NAMESPACE, name.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use memory::MemoryKind;

    use super::*;

    fn item() -> MemoryBatchItem {
        MemoryBatchItem::new(
            "mira",
            MemoryKind::World,
            "The mill \"stands\"\nnorth. 水车",
        )
        .with_timestamp(time::parse("2026-03-01T09:30:00Z").unwrap())
        .with_context("spring")
    }

    // Made with Python, as docs/jsonl.md shows.
    #[test]
    fn ids_match_the_documented_examples() {
        let mut ids = LineIds::default();
        assert_eq!(
            ids.next(&item()).to_string(),
            "68c98a6d-88a0-5f60-98ae-cc103033985a"
        );
        assert_eq!(
            ids.next(&item()).to_string(),
            "2a9f4f90-66ec-5031-acab-b2c556624007"
        );
        let bare = MemoryBatchItem::new("mira", MemoryKind::Experience, "Good morning.");
        assert_eq!(
            ids.next(&bare).to_string(),
            "fa0ca33c-ce06-58df-9bb0-f867e295afea"
        );
    }

    #[test]
    fn ids_are_repeatable_and_distinct() {
        let other = MemoryBatchItem::new("tam", MemoryKind::World, "Rain.");
        let file = [
            item(),
            other.clone(),
            item(),
            other.with_context("x"),
            item(),
        ];
        let read = || {
            let mut ids = LineIds::default();
            file.iter().map(|item| ids.next(item)).collect::<Vec<_>>()
        };
        let first = read();
        assert_eq!(first, read());
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), file.len());
    }

    #[test]
    fn correctable_values_do_not_change_the_id() {
        let plain = LineIds::default().next(&item());
        let richer = item()
            .with_tag("mill")
            .with_importance(0.9)
            .with_metadata("k", "v");
        assert_eq!(LineIds::default().next(&richer), plain);
    }
}
