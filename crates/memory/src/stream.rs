//! Retaining more than fits in memory.

use futures_util::{Stream, StreamExt};
use memory_core::{MemoryBatchItem, MemoryId, MemoryResult};

use crate::system::MemorySystem;

/// Items embedded and written at once, unless
/// [`retain_stream_in`](MemorySystem::retain_stream_in) says otherwise.
const BATCH: usize = 256;

/// Batches under way at once: one is embedded while the one before it is
/// written.
const BATCHES_AT_ONCE: usize = 2;

/// One batch of a stream is retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainProgress {
    /// The ids of this batch, in the order of its items.
    pub ids: Vec<MemoryId>,
    /// Items retained so far, this batch included.
    pub retained: u64,
}

impl MemorySystem {
    /// Retains a stream of items, however long, in bounded memory: 256 items a
    /// batch, two batches at once, so that one is embedded while the other is
    /// written. Answers a stream of progress, an answer for each batch in the
    /// order of the items; nothing happens unless it is read.
    ///
    /// **Each batch is retained whole or not at all, the stream as a whole is
    /// not.** After an error the stream ends; up to one batch after the one
    /// that failed may be in. Items that bring their own ids make it
    /// repeatable: retaining the same stream again passes over what is there
    /// and finishes the rest.
    ///
    /// ```no_run
    /// # async fn example(memory: memory::MemorySystem) -> memory::MemoryResult<()> {
    /// use futures_util::{StreamExt, stream};
    /// use memory::{MemoryBatchItem, MemoryKind};
    ///
    /// let days = (0..100_000).map(|day| {
    ///     MemoryBatchItem::new("mira", MemoryKind::Observation, format!("Day {day} was dry."))
    /// });
    /// let mut progress = memory.retain_stream(stream::iter(days));
    /// while let Some(batch) = progress.next().await {
    ///     println!("{} retained", batch?.retained);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The stream's items are those of [`retain_batch`](Self::retain_batch);
    /// an index within an error counts from the start of its batch.
    pub fn retain_stream<S>(
        &self,
        items: S,
    ) -> impl Stream<Item = MemoryResult<RetainProgress>> + Send + Unpin + use<S>
    where
        S: Stream<Item = MemoryBatchItem> + Send + 'static,
    {
        self.retain_stream_in(items, BATCH)
    }

    /// As [`retain_stream`](Self::retain_stream), in batches of `batch` items
    /// (0 counts as 1). A source that has fewer items ready makes smaller ones.
    pub fn retain_stream_in<S>(
        &self,
        items: S,
        batch: usize,
    ) -> impl Stream<Item = MemoryResult<RetainProgress>> + Send + Unpin + use<S>
    where
        S: Stream<Item = MemoryBatchItem> + Send + 'static,
    {
        let engine = self.engine().clone();
        let batches = items.ready_chunks(batch.max(1)).map(move |items| {
            let engine = engine.clone();
            async move { engine.retain_batch(items).await }
        });
        let mut failed = false;
        let mut retained = 0;
        batches
            .buffered(BATCHES_AT_ONCE)
            .map(move |outcome| {
                outcome.map(|ids| {
                    retained += ids.len() as u64;
                    RetainProgress { ids, retained }
                })
            })
            .take_while(move |outcome| {
                // The error itself is the last that is told.
                let goes_on = !failed;
                failed |= outcome.is_err();
                std::future::ready(goes_on)
            })
            .boxed()
    }
}
