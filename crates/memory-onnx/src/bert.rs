//! Networks of the BERT family, built from a checkpoint.
//!
//! The embedding of tokens is looked up here ([`embeddings`]), once for all
//! sessions; what follows is a graph of ONNX Runtime made of its fused
//! operators ([`network`]).

mod architecture;
mod blocks;
mod embeddings;
mod network;

pub(crate) use architecture::{Architecture, ArchitectureConfig};
pub(crate) use embeddings::Embeddings;
pub(crate) use network::{HIDDEN, LENGTHS, Network, OUTPUT};
