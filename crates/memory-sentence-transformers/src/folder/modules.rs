//! `modules.json`: what a text passes through on its way to a vector.

use std::path::Path;

use memory_core::MemoryResult;
use serde::Deserialize;

use super::pooling::PoolingConfig;
use super::read_json;
use crate::error;

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Reads the configuration of the pooling among the modules.
pub(super) fn read(folder: &Path) -> MemoryResult<PoolingConfig> {
    PoolingConfig::read(&folder.join(pooling_file(folder)?))
}

/// The path of the pooling's configuration inside the model's folder.
///
/// Whether the folder normalizes does not matter: every embedder of the house
/// does in any case.
///
/// # Errors
/// `Unsupported` for a module that is neither transformer, pooling nor
/// normalization (a dense layer would change the vector).
pub fn pooling_file(folder: &Path) -> MemoryResult<String> {
    let file = folder.join("modules.json");
    let modules: Vec<Module> = read_json(&file)?;
    let mut pooling = None;
    for module in &modules {
        // The type is a Python path, which moved between versions; its last
        // part did not.
        match module.kind.rsplit('.').next() {
            Some("Transformer" | "Normalize") => {}
            Some("Pooling") => pooling = Some(&module.path),
            _ => {
                let what = format!("the module {} is not supported", module.kind);
                return Err(error::unsupported(&file, what));
            }
        }
    }
    match pooling {
        Some(path) => Ok(format!("{path}/config.json")),
        None => Err(error::corrupt(&file, "it names no pooling module")),
    }
}
