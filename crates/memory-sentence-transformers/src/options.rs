//! What a caller may say about a model's folder.

use std::path::{Path, PathBuf};

use memory_core::{EmbedRole, MemoryError, MemoryResult};

/// A number of tokens, which a number of texts or bytes cannot be mistaken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxTokens(pub usize);

/// Which folder, and what is said otherwise than it stands there. The default
/// is the default model of the cache folder, as it is.
#[derive(Debug, Clone, Default)]
pub struct FolderOptions {
    /// The cache folder, in place of [`memory_assets::cache_dir`].
    pub cache_dir: Option<PathBuf>,
    /// The model's folder, in place of the default model of the cache folder.
    pub model_dir: Option<PathBuf>,
    /// The model's name in the profile, in place of its folder's name.
    pub model_name: Option<String>,
    /// A window shorter than the model's own.
    pub max_sequence: Option<MaxTokens>,
    /// What is put before each query, in place of what the folder says.
    pub query_prefix: Option<String>,
    /// What is put before each passage, in place of what the folder says.
    pub passage_prefix: Option<String>,
}

impl FolderOptions {
    /// Sets what is put before each text of a role.
    pub fn set_prefix(&mut self, role: EmbedRole, prefix: String) {
        match role {
            EmbedRole::Query => self.query_prefix = Some(prefix),
            EmbedRole::Passage => self.passage_prefix = Some(prefix),
        }
    }

    /// The model's folder: the one given, or the default model's.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] when there is neither a folder given nor
    /// a cache folder.
    pub fn resolve_model_dir(&self) -> MemoryResult<PathBuf> {
        if let Some(folder) = &self.model_dir {
            return Ok(folder.clone());
        }
        let cache = match &self.cache_dir {
            Some(folder) => folder.clone(),
            None => memory_assets::cache_dir()
                .map_err(|error| MemoryError::configuration(error.to_string()))?,
        };
        Ok(memory_assets::model_dir(
            &cache,
            memory_assets::DEFAULT_MODEL,
        ))
    }

    /// The prefix that was set for a role.
    pub(crate) fn prefix_of(&self, role: EmbedRole) -> Option<&str> {
        match role {
            EmbedRole::Query => self.query_prefix.as_deref(),
            EmbedRole::Passage => self.passage_prefix.as_deref(),
        }
    }

    /// The model's name in the profile.
    pub(crate) fn name_of(&self, folder: &Path) -> String {
        self.model_name.clone().unwrap_or_else(|| {
            let name = folder.file_name().unwrap_or(folder.as_os_str());
            name.to_string_lossy().into_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_cache_folder_holds_the_default_model() {
        let mut options = FolderOptions {
            cache_dir: Some("some/cache".into()),
            ..FolderOptions::default()
        };
        let folder = options.resolve_model_dir().unwrap();
        assert!(folder.starts_with("some/cache"));
        assert_eq!(options.name_of(&folder), memory_assets::DEFAULT_MODEL);
        options.model_name = Some("mine".to_owned());
        assert_eq!(options.name_of(&folder), "mine");
    }
}
