//! Freeing a large snapshot on a blocking thread.

use std::mem;

use tokio::runtime::Handle;

use super::EntitySnapshot;
use super::vectors::Vectors;

/// Snapshots of more memories than this are freed on a blocking thread.
const INLINE_DROP: usize = 1_000;

impl Drop for EntitySnapshot {
    /// Freeing a snapshot takes as long as the entity is large, and it happens
    /// wherever the last reference is dropped: on an async worker, or within a
    /// cache, under its lock.
    fn drop(&mut self) {
        if self.len() <= INLINE_DROP {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        // Every field by its name, so that a new one is not forgotten here.
        let Self {
            entity: _,
            language: _,
            generation: _,
            slots,
            memories,
            by_id,
            vectors,
            inverted_index,
            pairs,
            times,
            episodes,
            mentions,
            tags,
            related,
            live: _,
            timed: _,
            bytes: _,
        } = self;
        let parts = (
            mem::take(slots),
            mem::take(memories),
            mem::take(by_id),
            mem::replace(vectors, Vectors::new(0)),
            mem::take(inverted_index),
            mem::take(pairs),
            mem::take(times),
            mem::take(episodes),
            mem::take(mentions),
            mem::take(tags),
            mem::take(related),
        );
        runtime.spawn_blocking(move || drop(parts));
    }
}
