//! Which file of a model's folder the weights come from.

use std::path::{Path, PathBuf};

use memory_core::{MemoryError, MemoryResult};
use memory_sentence_transformers::ModelDir;

use crate::bert::{Architecture, ArchitectureConfig};
use crate::error;
use crate::options::{OnnxOptions, Precision, WeightSource};

/// Where the weights are, and what is computed with them.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A graph that somebody exported; it is computed as it stands.
    Graph(PathBuf),
    /// A checkpoint that a graph is built from.
    Checkpoint {
        file: PathBuf,
        architecture: Architecture,
        precision: Precision,
    },
}

impl Source {
    /// The checkpoint, if there is one and it is of a family that is built
    /// here; else the graph; or what the options ask for.
    ///
    /// # Errors
    /// `Missing` or `Unsupported`, naming the file; `Configuration` for a
    /// precision that the graph's file does not have.
    pub(super) fn find(folder: &ModelDir, options: &OnnxOptions) -> MemoryResult<Self> {
        // Even for a graph: what is damaged is not passed over.
        let config = ArchitectureConfig::read(&folder.path)?;
        let file = folder.path.join("model.safetensors");
        let checkpoint = || {
            Ok(Self::Checkpoint {
                architecture: config.architecture(
                    &folder.path,
                    &folder.family,
                    folder.dimensions,
                )?,
                precision: options.precision,
                file: file.clone(),
            })
        };
        match options.weight_source {
            Some(WeightSource::Checkpoint) if file.is_file() => checkpoint(),
            Some(WeightSource::Checkpoint) => Err(error::missing(format_args!(
                "{} does not exist",
                file.display()
            ))),
            Some(WeightSource::Graph) => graph(&folder.path, options),
            None if file.is_file() => checkpoint().or_else(|refused| {
                // What cannot be built may still have been exported.
                find_graph(&folder.path).map_or(Err(refused), |_| graph(&folder.path, options))
            }),
            None => graph(&folder.path, options),
        }
    }

    /// The files of the weights.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Graph(file) => graph_files(file),
            Self::Checkpoint { file, .. } => vec![file.clone()],
        }
    }

    /// What is computed with the weights, for fingerprints.
    pub(super) fn network(&self) -> String {
        match self {
            Self::Graph(_) => "as exported".to_owned(),
            Self::Checkpoint { architecture, .. } => architecture.describe(),
        }
    }

    /// How the weights are held and multiplied, for fingerprints.
    pub(super) const fn precision(&self) -> &'static str {
        match self {
            Self::Graph(_) => "as the graph",
            Self::Checkpoint { precision, .. } => match precision {
                Precision::Full => "full",
                Precision::Int8 => "8 bits in blocks of 128",
            },
        }
    }
}

/// The graph's file and, for models over 2 GB, the file beside it that holds
/// the weights.
fn graph_files(graph: &Path) -> Vec<PathBuf> {
    let beside = ["_data", ".data"].map(|suffix| {
        let mut name = graph.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    let outside = beside.into_iter().filter(|file| file.is_file());
    std::iter::once(graph.to_path_buf())
        .chain(outside)
        .collect()
}

fn graph(folder: &Path, options: &OnnxOptions) -> MemoryResult<Source> {
    let file = find_graph(folder)?;
    if options.precision == Precision::Full {
        return Ok(Source::Graph(file));
    }
    Err(MemoryError::configuration(format!(
        "{} is computed as it stands; precision {:?} needs a model.safetensors of the BERT family",
        file.display(),
        options.precision
    )))
}

/// The graph's file: in the folder itself, or where hubs keep it.
fn find_graph(folder: &Path) -> MemoryResult<PathBuf> {
    let files = ["model.onnx", "onnx/model.onnx"].map(|name| folder.join(name));
    match files.into_iter().find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => Err(error::missing(format_args!(
            "{} holds neither model.safetensors nor model.onnx nor onnx/model.onnx",
            folder.display()
        ))),
    }
}
