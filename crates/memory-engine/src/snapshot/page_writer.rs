//! Writing pages to the store in the background, after a load that made some.

use std::iter::Peekable;
use std::sync::{Arc, Weak};
use std::vec;

use memory_core::{EntityId, Fingerprint, Generation, PendingWork, SnapshotPage, Store};
use tracing::{Instrument, debug_span};

/// Pages that are written at once: 1 MiB with vectors of 384 dimensions. Other writers
/// wait for some milliseconds.
const BATCH: usize = 8;

/// Maximum number of bytes of pages that are written at once, where one page is not larger: of
/// long texts or many dimensions, pages are larger.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// The pages that a load made of memories that it read at `read_at`.
pub(super) struct UnwrittenPages {
    pub(super) entity: EntityId,
    pub(super) fingerprint: Fingerprint,
    pub(super) format: u64,
    pub(super) read_at: Generation,
    pub(super) pages: Vec<SnapshotPage>,
}

/// Writes the pages of one load at a time. Those of loads that end meanwhile are not
/// kept; a later load makes them again.
#[derive(Debug, Clone, Default)]
pub(super) struct PageWriter(PendingWork<()>);

impl PageWriter {
    /// Writes pages in a task of its own, which ends early where the store is dropped.
    pub(super) fn start(&self, store: &Arc<dyn Store>, mut unwritten: UnwrittenPages) {
        // One of long texts or many dimensions would hold up the store, and readers would
        // need as much memory for it again.
        let pages = &mut unwritten.pages;
        pages.retain(|page| page.content.len() <= MAX_BATCH_BYTES);
        if unwritten.pages.is_empty() {
            return;
        }
        let Some(permit) = self.0.start() else { return };
        let store = Arc::downgrade(store);
        let span = debug_span!("write_snapshot_pages", pages = unwritten.pages.len());
        let writing = async move {
            write_all(&store, unwritten).await;
            drop(permit);
        };
        tokio::spawn(writing.instrument(span));
    }
}

async fn write_all(store: &Weak<dyn Store>, unwritten: UnwrittenPages) {
    let UnwrittenPages {
        entity,
        fingerprint,
        format,
        read_at,
        pages,
    } = unwritten;
    let mut pages = pages.into_iter().peekable();
    while pages.len() > 0 {
        let Some(store) = store.upgrade() else { return };
        let Some(target) = store.snapshot_pages() else {
            return;
        };
        let batch = next_batch(&mut pages);
        let written = target.write(&entity, &fingerprint, format, read_at, batch);
        if let Err(error) = written.await {
            tracing::debug!(kind = ?error.kind(), "snapshot pages were not written");
            return;
        }
    }
}

/// The next pages: at least one, and no more than fit.
fn next_batch(pages: &mut Peekable<vec::IntoIter<SnapshotPage>>) -> Vec<SnapshotPage> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let fits = |page: &SnapshotPage, bytes: usize| bytes + page.content.len() <= MAX_BATCH_BYTES;
    while batch.len() < BATCH
        && let Some(page) = pages.next_if(|page| batch.is_empty() || fits(page, bytes))
    {
        bytes += page.content.len();
        batch.push(page);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_few_pages_and_few_bytes() {
        let large = [
            MAX_BATCH_BYTES - 1,
            1,
            MAX_BATCH_BYTES,
            1,
            MAX_BATCH_BYTES - 1,
            2,
        ];
        let lengths = [1; 9].into_iter().chain(large);
        let pages = lengths.map(|length| SnapshotPage::new(0, Vec::new(), vec![0; length]));
        let mut pages = pages.collect::<Vec<_>>().into_iter().peekable();
        let mut sizes = Vec::new();
        while pages.len() > 0 {
            let batch = next_batch(&mut pages);
            let bytes: usize = batch.iter().map(|page| page.content.len()).sum();
            assert!(bytes <= MAX_BATCH_BYTES, "{bytes}");
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [8, 2, 1, 1, 2, 1]);
    }
}
