//! Which file of a model's folder the weights come from.

use std::path::{Path, PathBuf};

use memory_core::{MemoryError, MemoryResult};

use super::config::Config;
use crate::bert::Architecture;
use crate::error;
use crate::options::{OnnxOptions, Precision, WeightsFrom};

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
    pub(super) fn find(
        folder: &Path,
        config: &Config,
        options: &OnnxOptions,
    ) -> MemoryResult<Self> {
        let file = folder.join("model.safetensors");
        let checkpoint = || {
            Ok(Self::Checkpoint {
                architecture: config.architecture(folder)?,
                precision: options.precision,
                file: file.clone(),
            })
        };
        match options.weights_from {
            Some(WeightsFrom::Checkpoint) if file.is_file() => checkpoint(),
            Some(WeightsFrom::Checkpoint) => Err(error::missing(format_args!(
                "{} does not exist",
                file.display()
            ))),
            Some(WeightsFrom::Graph) => graph(folder, options),
            None if file.is_file() => checkpoint().or_else(|refused| {
                // What cannot be built may still have been exported.
                find_graph(folder).map_or(Err(refused), |_| graph(folder, options))
            }),
            None => graph(folder, options),
        }
    }
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
