//! Telling the news, brokenly.

use async_trait::async_trait;
use memory_core::{ChangeStream, StoreEvent};

use super::StoreFault as Fault;
use crate::patience::yield_now;

/// A listener with a fault.
#[derive(Debug)]
pub(super) struct BrokenWatch {
    pub(super) inner: Box<dyn ChangeStream>,
    pub(super) fault: Fault,
}

#[async_trait]
impl ChangeStream for BrokenWatch {
    async fn next(&mut self) -> StoreEvent {
        let news = self.inner.next().await;
        match (self.fault, news) {
            (Fault::ForetellsGenerations, StoreEvent::Changed { entity, generation }) => {
                let generation = generation.next();
                StoreEvent::Changed { entity, generation }
            }
            (Fault::ForgetsNewsOfDroppedWaits, news) => {
                yield_now().await;
                news
            }
            (Fault::CallsItsEndALoss, StoreEvent::Closed) => StoreEvent::Disconnected,
            (_, news) => news,
        }
    }
}
