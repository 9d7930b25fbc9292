//! Options of opening a model directory.

use std::path::{Path, PathBuf, is_separator};

use memory_assets::manifest::{self, Asset};
use memory_core::{EmbedRole, MemoryError, MemoryResult};

use crate::error;

/// A number of tokens, as a type distinct from numbers of texts or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxTokens(pub usize);

/// The model directory and overrides of its settings. The default is the default
/// model of the cache directory, without overrides.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// The cache directory, instead of [`memory_assets::cache_dir`].
    pub cache_dir: Option<PathBuf>,
    /// The model directory, instead of that of a named model.
    pub model_dir: Option<PathBuf>,
    /// The model by name or path, instead of the default model: a path if it contains
    /// a separator or is `.` or `..`, and otherwise the name of a directory in `models`
    /// of the cache directory.
    pub model: Option<String>,
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

    /// The model directory: the given one, or that of the named or the default model.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] if no directory is given and there is no
    /// cache directory, if a directory and a name are given, or for an empty name.
    pub fn resolve_model_dir(&self) -> MemoryResult<PathBuf> {
        match (&self.model_dir, &self.model) {
            (Some(folder), None) => return Ok(folder.clone()),
            (Some(_), Some(_)) => {
                let message = "set either `model` or `model_dir`, not both";
                return Err(MemoryError::configuration(message));
            }
            (None, Some(model)) if model.trim().is_empty() => {
                let message = "the model's name is empty; leave it out for the default model";
                return Err(MemoryError::configuration(message));
            }
            (None, Some(model)) if is_path(model) => return Ok(model.into()),
            (None, _) => {}
        }
        let cache = match &self.cache_dir {
            Some(folder) => folder.clone(),
            None => memory_assets::cache_dir()
                .map_err(|error| MemoryError::configuration(error.to_string()))?,
        };
        Ok(memory_assets::model_dir(&cache, self.model_or_default()))
    }

    fn model_or_default(&self) -> &str {
        let name = self.model.as_deref();
        name.unwrap_or(memory_assets::DEFAULT_MODEL)
    }

    /// The model that setup installs, if the options name one.
    pub(crate) fn pinned_model(&self) -> Option<Asset> {
        let is_named = self.model_dir.is_none();
        is_named
            .then(|| manifest::find_model(self.model_or_default()))
            .flatten()
    }

    /// Completes an error of opening the model: with the command that installs it, if
    /// there is one, and otherwise with the names of models that have one.
    #[must_use]
    pub fn explain(&self, error: MemoryError) -> MemoryError {
        match self.pinned_model().and_then(|asset| asset.model_name()) {
            Some(memory_assets::DEFAULT_MODEL) => error,
            Some(name) => error::with_model(error, name),
            None => {
                let is_name = self.model_dir.is_none() && !is_path(self.model_or_default());
                error::with_model_names(error, is_name)
            }
        }
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

/// Whether a model is given by its path.
fn is_path(model: &str) -> bool {
    model.contains(is_separator) || matches!(model, "." | "..")
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

    #[test]
    fn a_model_is_chosen_by_name_or_path() {
        let options = |model: &str| ModelOptions {
            cache_dir: Some("some/cache".into()),
            model: Some(model.to_owned()),
            ..ModelOptions::default()
        };
        for (model, folder) in [
            ("my-model", "some/cache/models/my-model"),
            ("my.model", "some/cache/models/my.model"),
            ("./my-model", "./my-model"),
            ("models/e5", "models/e5"),
            ("/models/e5/", "/models/e5"),
            ("..", ".."),
        ] {
            let found = options(model).resolve_model_dir().unwrap();
            assert_eq!(found, Path::new(folder), "{model}");
            assert!(options(model).pinned_model().is_none());
        }
        assert!(options(" ").resolve_model_dir().is_err());
        let mut both = options("my-model");
        both.model_dir = Some("other".into());
        let error = both.resolve_model_dir().unwrap_err().to_string();
        assert!(error.contains("not both"), "{error}");
        assert!(options("multilingual-e5-small").pinned_model().is_some());
        assert!(ModelOptions::default().pinned_model().is_some());
    }

    #[test]
    fn errors_name_the_command_that_installs_the_model() {
        let explained = |model: Option<&str>, model_dir: Option<&str>| {
            let options = ModelOptions {
                model: model.map(str::to_owned),
                model_dir: model_dir.map(PathBuf::from),
                ..ModelOptions::default()
            };
            options.explain(error::missing("it is missing")).to_string()
        };
        let default = explained(None, None);
        assert!(default.contains("memory setup (or"), "{default}");
        let e5 = explained(Some("multilingual-e5-small"), None);
        assert!(
            e5.ends_with("memory setup --model multilingual-e5-small"),
            "{e5}"
        );
        let unknown = explained(Some("bge"), None);
        assert!(!unknown.contains("run:"), "{unknown}");
        for name in ["all-MiniLM-L6-v2", "multilingual-e5-small"] {
            assert!(unknown.contains(name), "{unknown}");
        }
        for path in [explained(Some("./bge"), None), explained(None, Some("bge"))] {
            assert!(path.ends_with("it is missing"), "{path}");
        }
    }
}
