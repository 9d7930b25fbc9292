//! Embedder on ONNX Runtime: the default of the memory system.
//!
//! [`OnnxEmbedder`] opens a model's folder in sentence-transformers form (the
//! default model of the cache folder, unless [`OnnxOptions`] say otherwise)
//! and computes its vectors with the ONNX Runtime library, which it finds and
//! loads at run time: nothing native is linked, and nothing is downloaded
//! unless the caller asks for a model of a hub by name (feature `hub`).
//!
//! A call passes through these modules:
//!
//! | module | what it does |
//! |---|---|
//! | `embedder` | the async side: computes equal texts once, cuts calls into segments, waits |
//! | `queue`, `workers` | two lanes, small calls before large ones; threads that take from them |
//! | `worker`, `job` | what a thread does with a piece of work, and a call's answer |
//! | `pool` | tokenized texts of all callers; batches of one length, by a budget of tokens |
//! | `graph` | tokens to vectors: session, pooling, normalization |
//! | `bert`, `checkpoint` | the network of a checkpoint, built from its safetensors |
//! | `model`, `runtime` | what is on disk: the model's folder, the runtime library |
//!
//! What the folder says, the tokenizer and the chunks are those of
//! `memory-sentence-transformers`, which every embedder of such a folder takes them from.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bert;
mod checkpoint;
mod embedder;
mod error;
mod graph;
#[cfg(feature = "hub")]
mod hub;
mod job;
mod model;
mod options;
mod pool;
mod queue;
mod runtime;
mod segment;
mod worker;
mod workers;

pub use embedder::OnnxEmbedder;
#[cfg(feature = "hub")]
pub use hub::HubModel;
pub use memory_sentence_transformers::MaxTokens;
pub use options::{OnnxOptions, Parallelism, Precision, WeightSource};
pub use runtime::{RuntimeInfo, load_runtime};
