//! Who embeds.

use std::error::Error;
use std::sync::Arc;

use memory_core::{EmbedRole, Embedder};
use memory_onnx::{OnnxEmbedder, OnnxOptions, Precision, WeightsFrom};
use tokio::runtime::Runtime;

use super::plain::Plain;

/// One way of embedding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `memory-onnx`, from the checkpoint, in single precision.
    Full,
    /// `memory-onnx`, from the checkpoint, in 8 bits.
    Int8,
    /// `memory-bert`.
    #[cfg(feature = "bert")]
    Bert,
    /// The crate of that name at its defaults, on the folder's `model.onnx`.
    #[cfg(feature = "fastembed")]
    Fastembed,
    /// ONNX Runtime on the folder's `model.onnx`, batches as the texts come.
    Plain,
}

/// An engine that is ready.
pub(crate) enum Running {
    House(Arc<dyn Embedder>, Runtime),
    #[cfg(feature = "fastembed")]
    Fastembed(Box<fastembed::TextEmbedding>),
    Plain(Box<Plain>),
}

impl Engine {
    /// Those that this program was built with.
    pub(crate) fn compiled() -> impl Iterator<Item = Self> {
        [
            Self::Int8,
            Self::Full,
            #[cfg(feature = "bert")]
            Self::Bert,
            #[cfg(feature = "fastembed")]
            Self::Fastembed,
            Self::Plain,
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
            Self::Plain => "ort, batches of 32 as they come",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::compiled().find(|engine| engine.name() == name)
    }

    pub(crate) fn open(self) -> Result<Running, Box<dyn Error>> {
        let precision = match self {
            #[cfg(feature = "bert")]
            Self::Bert => {
                let embedder =
                    memory_bert::BertEmbedder::open_blocking(&memory_bert::BertOptions::new())?;
                return house(Arc::new(embedder));
            }
            #[cfg(feature = "fastembed")]
            Self::Fastembed => return fastembed().map(|model| Running::Fastembed(Box::new(model))),
            Self::Plain => return Plain::open().map(|plain| Running::Plain(Box::new(plain))),
            Self::Full => Precision::Full,
            Self::Int8 => Precision::Int8,
        };
        let options = OnnxOptions::new()
            .weights_from(WeightsFrom::Checkpoint)
            .precision(precision);
        house(Arc::new(OnnxEmbedder::open_blocking(&options)?))
    }
}

impl Running {
    /// Embeds a call's texts and gives the number of vectors.
    pub(crate) fn embed(&mut self, texts: &[&str]) -> Result<usize, Box<dyn Error>> {
        match self {
            Self::House(embedder, runtime) => {
                let vectors = runtime.block_on(embedder.embed(texts, EmbedRole::Passage))?;
                Ok(vectors.len())
            }
            #[cfg(feature = "fastembed")]
            Self::Fastembed(model) => Ok(model.embed(texts, None)?.len()),
            Self::Plain(plain) => plain.embed(texts),
        }
    }
}

fn house(embedder: Arc<dyn Embedder>) -> Result<Running, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(Running::House(embedder, runtime))
}

/// The crate at its defaults: batches of 256 in the order of the texts, all
/// cores, the library that ours is computed with.
#[cfg(feature = "fastembed")]
fn fastembed() -> Result<fastembed::TextEmbedding, Box<dyn Error>> {
    use fastembed::{InitOptionsUserDefined, Pooling, TokenizerFiles, UserDefinedEmbeddingModel};
    let folder = super::plain::model_folder()?;
    let read = |name: &str| std::fs::read(folder.join(name));
    let files = TokenizerFiles {
        tokenizer_file: read("tokenizer.json")?,
        config_file: read("config.json")?,
        special_tokens_map_file: read("special_tokens_map.json")?,
        tokenizer_config_file: read("tokenizer_config.json")?,
    };
    let model =
        UserDefinedEmbeddingModel::new(read("model.onnx")?, files).with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new().with_environment(super::plain::environment()?);
    Ok(fastembed::TextEmbedding::try_new_from_user_defined(
        model, options,
    )?)
}
