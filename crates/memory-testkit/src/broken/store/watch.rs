//! Telling the news, brokenly.

use async_trait::async_trait;
use memory_core::{StoreNews, StoreWatch};

use super::StoreFault as Fault;
use crate::patience::yield_now;

/// A listener with a fault.
#[derive(Debug)]
pub(super) struct BrokenWatch {
    pub(super) inner: Box<dyn StoreWatch>,
    pub(super) fault: Fault,
}

#[async_trait]
impl StoreWatch for BrokenWatch {
    async fn next(&mut self) -> StoreNews {
        let news = self.inner.next().await;
        match (self.fault, news) {
            (Fault::ForetellsGenerations, StoreNews::Written { entity, generation }) => {
                let generation = generation.next();
                StoreNews::Written { entity, generation }
            }
            (Fault::ForgetsNewsOfDroppedWaits, news) => {
                yield_now().await;
                news
            }
            (Fault::CallsItsEndALoss, StoreNews::Closed) => StoreNews::Lost,
            (_, news) => news,
        }
    }
}
