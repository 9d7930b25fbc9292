//! The files of a checkpoint: one, or several that an index lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use memory_core::MemoryResult;
use memory_sentence_transformers::read_json;
use serde::Deserialize;

use crate::error::{self, opening};

/// A checkpoint in one file.
const SINGLE: &str = "model.safetensors";
/// The index of a checkpoint in several files.
const INDEX: &str = "model.safetensors.index.json";

/// The index: the file of each tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files of a directory's checkpoint, sorted; none if it has no checkpoint.
///
/// # Errors
/// `Missing` or `Corrupt`, naming the file, for an index that is damaged or names a
/// file that does not exist in the directory.
pub(crate) fn checkpoint_files(folder: &Path) -> MemoryResult<Vec<PathBuf>> {
    let single = folder.join(SINGLE);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join(INDEX);
    if !index.is_file() {
        return Ok(Vec::new());
    }
    let Index { weight_map } = read_json(&index).map_err(opening)?;
    let names: BTreeSet<String> = weight_map.into_values().collect();
    if names.is_empty() {
        return Err(error::corrupt(&index, "it names no file"));
    }
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let mut parts = Path::new(&name).components();
        let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
            let why = format!("it names {name:?}; a file of the same directory is expected");
            return Err(error::corrupt(&index, why));
        };
        let file = folder.join(&name);
        if !file.is_file() {
            let what = format_args!("{}, which {INDEX} names, does not exist", file.display());
            return Err(error::missing(what));
        }
        files.push(file);
    }
    Ok(files)
}
