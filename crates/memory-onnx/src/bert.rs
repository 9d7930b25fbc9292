//! Networks of the BERT family, built from a checkpoint.
//!
//! Token embeddings are looked up in tables shared by all sessions
//! ([`embeddings`]); the layers are an ONNX Runtime graph of fused operators
//! ([`network`]).

mod architecture;
mod embeddings;
mod graph_builder;
mod network;
mod quantize;
mod weight_names;

pub(crate) use architecture::{Architecture, ArchitectureConfig};
pub(crate) use embeddings::Embeddings;
pub(crate) use network::{HIDDEN, LENGTHS, Network, OUTPUT};
