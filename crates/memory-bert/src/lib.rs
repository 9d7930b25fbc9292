//! Embedder on rust-bert and libtorch, straight from a checkpoint.
//!
//! [`BertEmbedder`] opens a model's folder in sentence-transformers form and
//! reads its `model.safetensors`: no ONNX file and no conversion step. It is
//! the second embedder of the workspace and an independent check of the first:
//! a test compares its vectors with those of `memory-onnx`.
//!
//! The crate is empty without its feature `libtorch`.
//!
//! Building it needs libtorch 2.4.0 and a C++ compiler, running it libtorch on
//! the loader's path. In the workspace, `cargo xtask setup --libtorch` lays it
//! out and `cargo xtask test --all` builds and runs with it. Elsewhere: a
//! folder of `include` and `lib`, with
//!
//! ```text
//! LIBTORCH=<folder> LIBTORCH_CXX11_ABI=0 cargo build
//! LD_LIBRARY_PATH=<folder>/lib <program>
//! ```
//!
//! where `LIBTORCH_CXX11_ABI` says how that libtorch was built (0 for the one
//! that the setup lays out).
//!
//! A call passes through these modules:
//!
//! | module | what it does |
//! |---|---|
//! | `embedder` | the async side: computes equal texts once, cuts calls into jobs, waits |
//! | `worker` | the one thread that owns the network, behind a bounded channel |
//! | `network` | tokens to vectors: rust-bert's BERT, pooling, normalization |
//! | `checkpoint` | `config.json` and `model.safetensors`: what rust-bert can compute |

#![cfg(feature = "libtorch")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod checkpoint;
mod embedder;
mod error;
mod jobs;
mod network;
mod options;
mod worker;

pub use embedder::BertEmbedder;
pub use memory_sentence_transformers::MaxTokens;
pub use options::BertOptions;
