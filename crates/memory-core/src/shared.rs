//! Conversion of a part into the shared form that builders keep.

use std::sync::Arc;

use crate::clock::Clock;
use crate::embedder::Embedder;
use crate::language_model::LanguageModel;
use crate::reranker::Reranker;
use crate::shared_cache::SharedCache;
use crate::store::Store;

/// Accepts a part by value, in an `Arc` of its own type, or as an
/// `Arc<dyn …>`, so that a builder's method takes all three.
///
/// ```
/// use std::sync::Arc;
/// use memory_core::{Clock, IntoShared, SystemClock};
///
/// fn take(clock: impl IntoShared<dyn Clock>) -> Arc<dyn Clock> {
///     clock.into_shared()
/// }
/// take(SystemClock);
/// take(Arc::new(SystemClock));
/// take(Arc::new(SystemClock) as Arc<dyn Clock>);
/// ```
pub trait IntoShared<T: ?Sized> {
    /// The part behind an `Arc`.
    fn into_shared(self) -> Arc<T>;
}

macro_rules! into_shared {
    ($($part:ident),*) => {$(
        impl<P: $part> IntoShared<dyn $part> for P {
            fn into_shared(self) -> Arc<dyn $part> {
                Arc::new(self)
            }
        }

        impl<P: $part> IntoShared<dyn $part> for Arc<P> {
            fn into_shared(self) -> Arc<dyn $part> {
                self
            }
        }

        impl IntoShared<dyn $part> for Arc<dyn $part> {
            fn into_shared(self) -> Arc<dyn $part> {
                self
            }
        }
    )*};
}

into_shared!(Clock, Embedder, LanguageModel, Reranker, SharedCache, Store);
