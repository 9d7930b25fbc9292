//! Streams: retaining, listing and embedding more than fits in memory.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use memory_core::{
    EntityId, ListRequest, Memory, MemoryBatchItem, MemoryId, MemoryResult, PageCursor,
};
use memory_engine::{ReembedReport, ReembedRequest};
use memory_metrics::{Operation, observe};

use crate::system::MemorySystem;

/// Items embedded and written at once by default.
const BATCH: usize = 256;

/// Batches in progress at once: one is embedded while the previous one is
/// written.
const BATCHES_AT_ONCE: usize = 2;

/// A batch of a stream that was retained.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetainProgress {
    /// The ids of this batch, in the order of its items.
    pub ids: Vec<MemoryId>,
    /// Items retained so far, this batch included.
    pub retained: u64,
}

impl MemorySystem {
    /// Retains a stream of items of any length in bounded memory: 256 items per
    /// batch, two batches at once, so that one is embedded while the other is
    /// written. Returns a stream with one result per batch, in the order of the
    /// items. Nothing happens until it is polled.
    ///
    /// **Each batch is retained whole or not at all, the stream as a whole is
    /// not.** The stream ends after an error; up to one batch after the failed
    /// one may have been retained. Items with ids of their own make it
    /// repeatable: retaining the same stream again skips what exists and
    /// finishes the rest.
    ///
    #[doc = example!()]
    /// use futures_util::{StreamExt, stream};
    ///
    /// let days = (0..1_000).map(|day| {
    ///     MemoryBatchItem::new("mira", MemoryKind::Observation, format!("Day {day} was dry."))
    /// });
    /// let mut progress = memory.retain_stream(stream::iter(days));
    /// let mut retained = 0;
    /// while let Some(batch) = progress.next().await {
    ///     retained = batch?.retained;
    /// }
    /// assert_eq!(retained, 1_000);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The items of the stream are those of [`retain_batch`](Self::retain_batch);
    /// an index in an error counts from the start of its batch.
    pub fn retain_stream<S>(
        &self,
        items: S,
    ) -> impl Stream<Item = MemoryResult<RetainProgress>> + Send + Unpin + use<S>
    where
        S: Stream<Item = MemoryBatchItem> + Send + 'static,
    {
        self.retain_stream_in(items, BATCH)
    }

    /// Like [`retain_stream`](Self::retain_stream), in batches of at most `batch`
    /// items (0 counts as 1). A source that has fewer items ready makes smaller
    /// batches.
    ///
    #[doc = example!()]
    /// use futures_util::{StreamExt, stream};
    ///
    /// let item = MemoryBatchItem::new("mira", MemoryKind::Observation, "It rained.");
    /// let batches = memory.retain_stream_in(stream::iter(vec![item; 5]), 2).count().await;
    /// assert_eq!(batches, 3);
    /// # Ok(()) }
    /// ```
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
            async move { observe(Operation::RetainBatch, engine.retain_batch(items)).await }
        });
        let state = Some((batches.buffered(BATCHES_AT_ONCE).boxed(), 0));
        stream::unfold(state, |state| async move {
            let (mut batches, mut retained) = state?;
            match batches.next().await? {
                Ok(ids) => {
                    retained += ids.len() as u64;
                    let progress = RetainProgress { ids, retained };
                    Some((Ok(progress), Some((batches, retained))))
                }
                // Asked again, the batches would begin with another one.
                Err(error) => Some((Err(error), None)),
            }
        })
        .fuse()
        .boxed()
    }

    /// Lists memories as a stream, newest first, reading one page at a time.
    /// The request's limit is the size of a page, not of the stream.
    ///
    /// Writes while the stream is read may appear in it or not; a memory is
    /// never returned twice unless its timestamp was altered meanwhile.
    ///
    #[doc = example!()]
    /// use futures_util::TryStreamExt;
    ///
    /// for day in 0..5 {
    ///     memory.retain("mira", MemoryKind::Observation, format!("Day {day} was dry.")).await?;
    /// }
    /// let all: Vec<_> = memory.list_stream("mira", ListRequest::new(2)).try_collect().await?;
    /// assert_eq!(all.len(), 5);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The items of the stream are those of
    /// [`list_memories`](Self::list_memories); the stream ends after an error.
    pub fn list_stream(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ListRequest>,
    ) -> BoxStream<'static, MemoryResult<Memory>> {
        enum Next {
            First,
            After(PageCursor),
            End,
        }
        let (system, entity, request) = (self.clone(), entity.into(), request.into());
        let state = (VecDeque::<Memory>::new(), Next::First);
        stream::unfold(state, move |(mut page, mut next)| {
            let (system, entity, request) = (system.clone(), entity.clone(), request.clone());
            async move {
                loop {
                    if let Some(memory) = page.pop_front() {
                        return Some((Ok(memory), (page, next)));
                    }
                    let request = match next {
                        Next::First => request.clone(),
                        Next::After(cursor) => request.clone().after(cursor),
                        Next::End => return None,
                    };
                    let read = system.engine().scan_page(&entity, &request);
                    match observe(Operation::ListMemories, read).await {
                        Ok(read) => {
                            page = read.memories.into();
                            next = read.next.map_or(Next::End, Next::After);
                        }
                        Err(error) => return Some((Err(error), (page, Next::End))),
                    }
                }
            }
        })
        .fuse()
        .boxed()
    }

    /// As [`reembed`](Self::reembed), as a stream: one report of what was done so
    /// far after each page, the last of which is that of the whole. Nothing happens
    /// until it is polled, and dropping it ends it after what was done.
    ///
    #[doc = example!()]
    /// use futures_util::TryStreamExt;
    ///
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let mut progress = memory.reembed_stream("mira", ReembedRequest::new().all(true));
    /// let mut last = None;
    /// while let Some(report) = progress.try_next().await? {
    ///     println!("{} of {}", report.reembedded, report.total);
    ///     last = Some(report);
    /// }
    /// assert!(last.is_some_and(|report| report.is_complete && report.reembedded == 1));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The items of the stream are those of [`reembed`](Self::reembed); the stream
    /// ends after an error.
    pub fn reembed_stream(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ReembedRequest>,
    ) -> BoxStream<'static, MemoryResult<ReembedReport>> {
        let reembedding = self.engine().start_reembed(entity.into(), request.into());
        stream::unfold(Some(reembedding), |reembedding| async move {
            let mut reembedding = reembedding?;
            match observe(Operation::Reembed, reembedding.next()).await {
                Ok(report) => report.map(|report| (Ok(report), Some(reembedding))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .fuse()
        .boxed()
    }
}
