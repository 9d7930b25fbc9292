//! A model directory with its weights.
//!
//! ```text
//! modules.json, config.json, ...      as in memory_sentence_transformers::ModelDir
//! model.safetensors                   the checkpoint, of the BERT or XLM-RoBERTa family;
//!                                     or model.safetensors.index.json and its files
//! model.onnx, or onnx/model.onnx      for other families; one of the two is needed
//! ```

use std::path::{Path, PathBuf};

use memory_core::{EmbedderProfile, MemoryError, MemoryResult};
#[cfg(feature = "hub")]
use memory_sentence_transformers::Config;
use memory_sentence_transformers::{FingerprintInput, ModelDir, Tokenizer};

use crate::bert::{Architecture, ArchitectureConfig};
use crate::checkpoint::checkpoint_files;
use crate::error::{self, opening};
use crate::external_data::external_files;
use crate::options::{OnnxOptions, Precision, WeightSource};

/// Increased when this crate changes how it computes vectors.
const FORMAT: &str = "memory-onnx 1";

/// The validated settings of a model directory, with the options applied. The
/// weights are located, not loaded.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) profile: EmbedderProfile,
    /// The location of the weights.
    pub(crate) weights: Weights,
    pub(crate) folder: ModelDir,
}

impl Model {
    /// Reads a model directory, and all weights for the fingerprint (91 MB take
    /// about 60 ms on a processor with SHA-256 instructions).
    ///
    /// # Errors
    /// `Missing`, `Corrupt` or `Unsupported`, naming the file; `Configuration`
    /// for an option that the model does not support.
    pub(crate) fn read(path: &Path, options: &OnnxOptions) -> MemoryResult<Self> {
        let folder = ModelDir::read(path, &options.folder).map_err(opening)?;
        let weights = Weights::find(&folder, options)?;
        let input = FingerprintInput {
            format: FORMAT,
            weights: &weights.files(),
            network: &weights.network(),
            precision: weights.precision(),
        };
        let fingerprint = folder.fingerprint(input).map_err(opening)?;
        Ok(Self {
            profile: EmbedderProfile::new(folder.name.clone(), fingerprint, folder.dimensions)
                .max_tokens(folder.max_tokens),
            weights,
            folder,
        })
    }

    /// The model's tokenizer.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Configuration` if special tokens and prompts
    /// leave too few tokens for text.
    pub(crate) fn tokenizer(&self) -> MemoryResult<Tokenizer> {
        Tokenizer::new(&self.folder).map_err(opening)
    }
}

/// The location of the weights, and the network that uses them.
#[derive(Debug, Clone)]
pub(crate) enum Weights {
    /// An exported graph, used without changes.
    Graph(PathBuf),
    /// A checkpoint from which a graph is built.
    Checkpoint {
        files: Vec<PathBuf>,
        architecture: Architecture,
        precision: Precision,
    },
}

impl Weights {
    /// The source that the options name, or else the checkpoint if there is one of
    /// a supported family, or else the graph.
    ///
    /// # Errors
    /// `Missing` or `Unsupported`, naming the file; `Configuration` for a
    /// precision that the graph does not have.
    fn find(folder: &ModelDir, options: &OnnxOptions) -> MemoryResult<Self> {
        // Also for a graph, because a damaged file must not be ignored.
        let config = ArchitectureConfig::read(&folder.path)?;
        let files = checkpoint_files(&folder.path)?;
        let has_checkpoint = !files.is_empty();
        let checkpoint = || {
            Ok(Self::Checkpoint {
                architecture: config.architecture(
                    &folder.path,
                    &folder.family,
                    folder.dimensions,
                )?,
                precision: options.precision,
                files: files.clone(),
            })
        };
        match options.weight_source {
            Some(WeightSource::Checkpoint) if has_checkpoint => checkpoint(),
            Some(WeightSource::Checkpoint) => Err(error::missing(format_args!(
                "{} does not exist",
                folder.path.join("model.safetensors").display()
            ))),
            Some(WeightSource::Graph) => graph(&folder.path, options),
            None if has_checkpoint => checkpoint().or_else(|refused| {
                // There may be an exported graph for an unsupported checkpoint.
                find_graph(&folder.path).map_or(Err(refused), |_| graph(&folder.path, options))
            }),
            None => graph(&folder.path, options),
        }
    }

    /// The files of the weights.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Graph(file) => graph_files(file),
            Self::Checkpoint { files, .. } => files.clone(),
        }
    }

    /// The network, for fingerprints.
    fn network(&self) -> String {
        match self {
            Self::Graph(_) => "as exported".to_owned(),
            Self::Checkpoint { architecture, .. } => architecture.describe(),
        }
    }

    /// The precision, for fingerprints.
    const fn precision(&self) -> &'static str {
        match self {
            Self::Graph(_) => "as the graph",
            Self::Checkpoint { precision, .. } => match precision {
                Precision::Full => "full",
                Precision::Int8 => "8 bits in blocks of 128",
            },
        }
    }
}

/// The graph's file and, for models over 2 GB, the external files with the
/// weights.
fn graph_files(graph: &Path) -> Vec<PathBuf> {
    let candidates = ["_data", ".data"].map(|suffix| {
        let mut name = graph.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    // The usual names come first, because stored fingerprints have that order.
    let mut files = vec![graph.to_path_buf()];
    files.extend(candidates.into_iter().filter(|file| file.is_file()));
    for file in external_files(graph) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

fn graph(folder: &Path, options: &OnnxOptions) -> MemoryResult<Weights> {
    let file = find_graph(folder)?;
    if options.precision == Precision::Full {
        return Ok(Weights::Graph(file));
    }
    Err(MemoryError::configuration(format!(
        "{} is an exported graph, whose precision is fixed; precision {:?} needs a \
         model.safetensors of the BERT or XLM-RoBERTa family",
        file.display(),
        options.precision
    )))
}

/// Checkpoints in Python's format, which can contain any program and is not read.
const PICKLED: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// The graph's file: in the directory itself, or in `onnx/`, as on hubs.
pub(crate) fn find_graph(folder: &Path) -> MemoryResult<PathBuf> {
    let files = ["model.onnx", "onnx/model.onnx"].map(|name| folder.join(name));
    match files.into_iter().find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => {
            let found = PICKLED.into_iter().find(|name| folder.join(name).is_file());
            let found = found.map_or_else(String::new, |name| {
                format!("; {name} is not supported: save the model as safetensors")
            });
            Err(error::missing(format_args!(
                "{} contains neither model.safetensors nor model.onnx nor onnx/model.onnx{found}",
                folder.display()
            )))
        }
    }
}

/// Whether a directory's `config.json` is of a family whose checkpoints are
/// supported.
#[cfg(feature = "hub")]
pub(crate) fn has_supported_checkpoint(folder: &Path) -> bool {
    let architecture = || {
        let config = Config::read(folder)?;
        let hidden = config.hidden_size(folder)?;
        ArchitectureConfig::read(folder)?.architecture(folder, &config.family, hidden)
    };
    architecture().is_ok()
}

#[cfg(test)]
mod tests;
