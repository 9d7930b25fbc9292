//! An embedder on ONNX Runtime, the default of the memory system, and a reranker.
//!
//! [`OnnxEmbedder`] opens a model directory in sentence-transformers format (by
//! default the default model of the cache directory, see [`OnnxOptions`]) and
//! computes vectors with the ONNX Runtime library, which it finds and loads at run
//! time. Nothing native is linked, and nothing is downloaded unless the caller
//! requests a model of a hub by name (feature `hub`).
//!
//! [`OnnxReranker`] opens the directory of a cross-encoder and scores texts against
//! a question.
//!
//! A call of the embedder passes through these modules:
//!
//! | module | purpose |
//! |---|---|
//! | `embedder` | the async interface: deduplicates texts, divides calls into segments, waits |
//! | `queue`, `worker_threads` | two priorities, small calls before large ones; the threads |
//! | `worker`, `job` | the processing of a work item, and the result of a call |
//! | `batcher` | the tokenized texts of all callers; batches of one length |
//! | `session` | tokens to vectors: session, pooling, normalization |
//! | `bert`, `checkpoint` | the network of a checkpoint, built from its safetensors |
//! | `model`, `runtime` | the model directory, the runtime library |
//! | `reranker` | the reranker, which has a thread and a session of its own |
//!
//! The model directory, the tokenizer and the chunks are those of
//! `memory-sentence-transformers`, which all embedders of such models share.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batcher;
mod bert;
mod checkpoint;
mod embedder;
mod error;
mod external_data;
#[cfg(feature = "hub")]
mod hub;
mod job;
mod model;
mod options;
mod queue;
mod reranker;
mod runtime;
mod session;
mod worker;
mod worker_threads;

pub use embedder::OnnxEmbedder;
#[cfg(feature = "hub")]
pub use hub::HubModel;
pub use memory_sentence_transformers::MaxTokens;
pub use options::{OnnxOptions, Parallelism, Precision, WeightSource};
pub use reranker::{OnnxReranker, RerankerOptions};
pub use runtime::{RuntimeInfo, load_runtime};
