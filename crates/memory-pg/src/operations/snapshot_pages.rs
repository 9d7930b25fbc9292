//! [`Store::snapshot_pages`](memory_core::Store::snapshot_pages): pages of ranges of ids.
//!
//! Memories have no numbers here, and their ids grow with time unless a caller gives
//! them, so a page has the live memories between two ids. What is written later has a
//! greater id than all pages, or deletes the page that it falls into ([`discard`]).

mod count;
mod discard;
mod groups;
mod read;
mod write;

use async_trait::async_trait;
use memory_core::{
    EntityId, Fingerprint, Generation, MemoryResult, SnapshotPage, SnapshotPages, SnapshotState,
};
use uuid::Uuid;

pub(crate) use self::discard::{discard, discard_vectors};
#[cfg(test)]
pub(crate) use self::{discard::DELETE, read::read_statement};
use crate::store::PgStore;

#[async_trait]
impl SnapshotPages for PgStore {
    async fn read(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<SnapshotState> {
        read::read(self.database(), entity, fingerprint, format).await
    }

    async fn count(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<u64> {
        count::count(self.database(), entity, fingerprint, format).await
    }

    async fn write(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) -> MemoryResult<()> {
        write::write(self.database(), entity, fingerprint, format, read_at, pages).await
    }
}

/// What the row of a page has apart from its content.
struct PageKey<'a> {
    entity: &'a EntityId,
    fingerprint: &'a Fingerprint,
    format: u64,
    first: Uuid,
    last: Uuid,
}

impl PageKey<'_> {
    /// The checksum of the page with this content: also of its key, so that the content of
    /// another page is not taken for it.
    fn checksum(&self, content: &[u8]) -> i64 {
        let mut hasher = crc32fast::Hasher::new();
        for text in [self.entity.as_str(), self.fingerprint.as_str()] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&self.format.to_le_bytes());
        hasher.update(self.first.as_bytes());
        hasher.update(self.last.as_bytes());
        hasher.update(content);
        i64::from(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_of_the_key_and_the_content() {
        let entities = ["mira", "tam"].map(EntityId::from);
        let models = ["one", "other"].map(Fingerprint::from);
        let key = |entity: usize, model: usize, format, first, last| PageKey {
            entity: &entities[entity],
            fingerprint: &models[model],
            format,
            first: Uuid::from_u128(first),
            last: Uuid::from_u128(last),
        };
        let of = |key: PageKey<'_>| key.checksum(b"content");
        let expected = of(key(0, 0, 7, 1, 9));
        for other in [
            key(1, 0, 7, 1, 9),
            key(0, 1, 7, 1, 9),
            key(0, 0, 8, 1, 9),
            key(0, 0, 7, 2, 9),
            key(0, 0, 7, 1, 8),
        ] {
            assert_ne!(of(other), expected);
        }
        let same = key(0, 0, 7, 1, 9);
        assert_eq!(same.checksum(b"content"), expected);
        assert_ne!(same.checksum(b"contend"), expected);
    }
}
