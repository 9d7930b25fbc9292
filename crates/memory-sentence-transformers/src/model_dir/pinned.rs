//! Verification of the files of installed models against their pinned SHA-256.
//!
//! A changed byte in the weights or the tokenizer usually still gives vectors, which
//! cannot be found among those of the undamaged model. For any other directory no
//! hash is known; there the fingerprint changes.

use std::path::Path;

use memory_assets::manifest::{self, Member};
use memory_core::MemoryResult;
use sha2::{Digest, Sha256};

use super::fingerprint::hexadecimal;
use super::read_bytes;
use crate::error;
use crate::options::ModelOptions;

/// The pinned files that [`ModelDir::read`](super::ModelDir::read) uses.
const SETTINGS: &[&str] = &[
    "modules.json",
    "config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
];

/// The pinned files of a model directory; none for a directory of the caller.
#[derive(Debug, Clone, Default)]
pub(super) struct PinnedFiles(Vec<&'static Member>);

impl PinnedFiles {
    /// The pinned files of `folder`, if it is that of a model that setup installs, in
    /// the cache directory.
    pub(super) fn of(folder: &Path, options: &ModelOptions) -> Self {
        let is_named = options.resolve_model_dir().is_ok_and(|dir| dir == folder);
        let Some(model) = options.pinned_model().filter(|_| is_named) else {
            return Self::default();
        };
        let graph = manifest::exported_graph();
        let graph = (graph.folder == model.folder).then_some(graph);
        let assets = [model].into_iter().chain(graph);
        let wheels = assets.flat_map(|asset| asset.wheels);
        Self(wheels.flat_map(|wheel| wheel.members).collect())
    }

    /// Verifies the files that determine the settings and the tokens.
    ///
    /// # Errors
    /// `Missing` or `Corrupt`, naming the file.
    pub(super) fn verify_settings(&self, folder: &Path) -> MemoryResult<()> {
        for member in &self.0 {
            if SETTINGS.contains(&member.to) {
                let file = folder.join(member.to);
                check(&file, member, &Sha256::digest(read_bytes(&file)?))?;
            }
        }
        Ok(())
    }

    /// Verifies one file by its digest, if it is pinned.
    ///
    /// # Errors
    /// `Corrupt`, naming the file.
    pub(super) fn verify(&self, folder: &Path, file: &Path, digest: &[u8]) -> MemoryResult<()> {
        let pinned = self.0.iter().find(|member| folder.join(member.to) == file);
        pinned.map_or(Ok(()), |member| check(file, member, digest))
    }
}

fn check(file: &Path, member: &Member, digest: &[u8]) -> MemoryResult<()> {
    let found = hexadecimal(digest);
    if found == member.sha256 {
        return Ok(());
    }
    let why = format!(
        "its SHA-256 is {found}, and the pinned one is {} (open a modified model from a \
         directory of its own, with model_dir)",
        member.sha256
    );
    Err(error::corrupt(file, why))
}
