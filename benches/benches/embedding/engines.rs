//! The embedding engines that are compared.

use std::error::Error;
use std::sync::Arc;

use memory_core::{EmbedRole, Embedder};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision, WeightSource};
use tokio::runtime::Runtime;

use super::plain_ort::PlainOrt;

/// An embedding engine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `memory-onnx`, from the checkpoint, in single precision.
    Full,
    /// `memory-onnx`, from the checkpoint, in 8 bits.
    Int8,
    /// `memory-bert`.
    #[cfg(feature = "bert")]
    Bert,
    /// The crate `fastembed` at its defaults, on the folder's `model.onnx`.
    #[cfg(feature = "fastembed")]
    Fastembed,
    /// ONNX Runtime on the folder's `model.onnx`, batches in input order.
    PlainOrt,
}

/// A loaded engine.
pub(crate) enum LoadedEngine {
    Workspace(Arc<dyn Embedder>, Runtime),
    #[cfg(feature = "fastembed")]
    Fastembed(Box<fastembed::TextEmbedding>),
    PlainOrt(Box<PlainOrt>),
}

impl Engine {
    /// The engines of this build.
    pub(crate) fn compiled() -> impl Iterator<Item = Self> {
        [
            Self::Int8,
            Self::Full,
            #[cfg(feature = "bert")]
            Self::Bert,
            #[cfg(feature = "fastembed")]
            Self::Fastembed,
            Self::PlainOrt,
        ]
        .into_iter()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Full => "memory-onnx, Full",
            Self::Int8 => "memory-onnx, Int8",
            #[cfg(feature = "bert")]
            Self::Bert => "memory-bert",
            #[cfg(feature = "fastembed")]
            Self::Fastembed => "fastembed, defaults",
            Self::PlainOrt => "ort, batches of 32 in input order",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::compiled().find(|engine| engine.name() == name)
    }

    pub(crate) fn open(self) -> Result<LoadedEngine, Box<dyn Error>> {
        let precision = match self {
            #[cfg(feature = "bert")]
            Self::Bert => {
                let embedder =
                    memory_bert::BertEmbedder::open_blocking(&memory_bert::BertOptions::new())?;
                return load_workspace_embedder(Arc::new(embedder));
            }
            #[cfg(feature = "fastembed")]
            Self::Fastembed => {
                return load_fastembed().map(|model| LoadedEngine::Fastembed(Box::new(model)));
            }
            Self::PlainOrt => {
                return PlainOrt::open().map(|plain| LoadedEngine::PlainOrt(Box::new(plain)));
            }
            Self::Full => Precision::Full,
            Self::Int8 => Precision::Int8,
        };
        let options = OnnxOptions::new()
            .weight_source(WeightSource::Checkpoint)
            .precision(precision);
        load_workspace_embedder(Arc::new(OnnxEmbedder::open_blocking(&options)?))
    }
}

impl LoadedEngine {
    /// Embeds the texts of one call and returns the number of vectors.
    pub(crate) fn embed(&mut self, texts: &[&str]) -> Result<usize, Box<dyn Error>> {
        match self {
            Self::Workspace(embedder, runtime) => {
                let vectors = runtime.block_on(embedder.embed(texts, EmbedRole::Passage))?;
                Ok(vectors.len())
            }
            #[cfg(feature = "fastembed")]
            Self::Fastembed(model) => Ok(model.embed(texts, None)?.len()),
            Self::PlainOrt(plain) => plain.embed(texts),
        }
    }
}

fn load_workspace_embedder(embedder: Arc<dyn Embedder>) -> Result<LoadedEngine, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(LoadedEngine::Workspace(embedder, runtime))
}

/// The crate at its defaults (batches of 256 in input order, all cores), with
/// the runtime library that `memory-onnx` uses.
#[cfg(feature = "fastembed")]
fn load_fastembed() -> Result<fastembed::TextEmbedding, Box<dyn Error>> {
    use fastembed::{InitOptionsUserDefined, Pooling, TokenizerFiles, UserDefinedEmbeddingModel};
    let folder = super::plain_ort::model_folder()?;
    let read = |name: &str| std::fs::read(folder.join(name));
    let files = TokenizerFiles {
        tokenizer_file: read("tokenizer.json")?,
        config_file: read("config.json")?,
        special_tokens_map_file: read("special_tokens_map.json")?,
        tokenizer_config_file: read("tokenizer_config.json")?,
    };
    let model =
        UserDefinedEmbeddingModel::new(read("model.onnx")?, files).with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new().with_environment(super::plain_ort::environment()?);
    Ok(fastembed::TextEmbedding::try_new_from_user_defined(
        model, options,
    )?)
}
