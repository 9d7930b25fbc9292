//! Options of opening a model directory.

use std::path::{Path, PathBuf};

use memory_core::{EmbedRole, MemoryError, MemoryResult};

/// A number of tokens, as a type distinct from numbers of texts or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxTokens(pub usize);

/// The model directory and overrides of its settings. The default is the default
/// model of the cache directory, without overrides.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// The cache directory, instead of [`memory_assets::cache_dir`].
    pub cache_dir: Option<PathBuf>,
    /// The model directory, instead of that of the default model.
    pub model_dir: Option<PathBuf>,
    /// The model's name in the profile, instead of the directory's name.
    pub model_name: Option<String>,
    /// A maximum length shorter than the model's own.
    pub max_sequence: Option<MaxTokens>,
    /// The prompt of queries, instead of the directory's.
    pub query_prefix: Option<String>,
    /// The prompt of passages, instead of the directory's.
    pub passage_prefix: Option<String>,
}

impl ModelOptions {
    /// Sets the prompt prepended to each text of a role.
    pub fn set_prefix(&mut self, role: EmbedRole, prefix: String) {
        match role {
            EmbedRole::Query => self.query_prefix = Some(prefix),
            EmbedRole::Passage => self.passage_prefix = Some(prefix),
        }
    }

    /// The model directory: the given one, or that of the default model.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] if no directory is given and there is no
    /// cache directory.
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

    /// The prompt that was set for a role.
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
    fn the_default_model_is_in_the_given_cache_directory() {
        let mut options = ModelOptions {
            cache_dir: Some("some/cache".into()),
            ..ModelOptions::default()
        };
        let folder = options.resolve_model_dir().unwrap();
        assert!(folder.starts_with("some/cache"));
        assert_eq!(options.name_of(&folder), memory_assets::DEFAULT_MODEL);
        options.model_name = Some("mine".to_owned());
        assert_eq!(options.name_of(&folder), "mine");
    }
}
