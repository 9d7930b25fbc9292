//! Backends that each break exactly one promise.
//!
//! A suite proves something only if it rejects what is wrong: these are the
//! kit's own tests of its suites, and an author's examples of what each check
//! is there to catch. Every fault names the check that must reject it.

mod cache;
mod embedder;
mod reranker;
mod shared_cache;
mod store;
pub use self::cache::{CacheFault, FaultyBackend, FaultyCache};
pub use self::embedder::{EmbedderFault, FaultyEmbedder};
pub use self::reranker::{FaultyReranker, RerankerFault};
pub use self::shared_cache::{FaultySharedCache, SharedCacheFault};
pub use self::store::{FaultyStore, StoreFault};

/// Declares an enum of faults: each variant with what it breaks, and the check
/// that must reject it.
macro_rules! faults {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $fault:ident => $check:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $fault,)+
        }

        impl $name {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$fault,)+];

            /// The check that must reject it.
            #[must_use]
            pub const fn detected_by(self) -> &'static str {
                match self {
                    $(Self::$fault => $check,)+
                }
            }
        }
    };
}

pub(crate) use faults;
