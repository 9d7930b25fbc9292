//! An embedder on rust-bert and libtorch, directly from a checkpoint.
//!
//! `BertEmbedder` opens a model directory in sentence-transformers format and
//! reads its `model.safetensors`, without an ONNX file or a conversion. It is the
//! second embedder of the workspace and an independent check of the first: a test
//! compares its vectors with those of `memory-onnx`.
//!
//! The crate is empty without its feature `libtorch`.
//!
//! Building it needs libtorch 2.4.0 and a C++ compiler; running it needs libtorch
//! on the loader's path. In the workspace, `cargo xtask setup --libtorch` installs
//! it and `cargo xtask test --all` builds and tests with it. Elsewhere, use a folder
//! with `include` and `lib`:
//!
//! ```text
//! LIBTORCH=<folder> LIBTORCH_CXX11_ABI=0 cargo build
//! LD_LIBRARY_PATH=<folder>/lib <program>
//! ```
//!
//! where `LIBTORCH_CXX11_ABI` is the ABI of that libtorch (0 for the one that the
//! setup installs).
//!
//! A call passes through these modules:
//!
//! | module | purpose |
//! |---|---|
//! | `embedder` | the async interface: deduplicates texts, divides calls into jobs, waits |
//! | `worker` | the thread that owns the network, behind a channel of limited capacity |
//! | `network` | tokens to vectors: rust-bert's BERT, pooling, normalization |
//! | `checkpoint` | validation of `config.json` and `model.safetensors` for rust-bert |

#![cfg(feature = "libtorch")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod checkpoint;
mod embedder;
mod error;
mod network;
mod options;
mod worker;

pub use embedder::BertEmbedder;
pub use memory_sentence_transformers::MaxTokens;
pub use options::BertOptions;
