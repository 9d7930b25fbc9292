//! Models of a hub by name: downloaded once, then used from the hub's cache.
//!
//! This is the only part of the crate that uses the network, and only when it is
//! called (feature `hub`).

use std::path::{Path, PathBuf};

use hf_hub::{HFClient, HFError, HFRepository, RepoTypeModel, split_id};
use memory_core::{ErrorKind, MemoryError, MemoryResult};

use crate::error::opening;
use crate::model;
use crate::options::OnnxOptions;

/// The operation named by errors.
const FETCH: &str = "fetch a model from a hub";

/// The file that lists the other files, so it is fetched first.
const MODULES: &str = "modules.json";

/// The weights of a supported family.
const CHECKPOINT: &str = "model.safetensors";

/// The possible paths of an exported graph.
const GRAPHS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];

/// Optional files.
const OPTIONAL: [&str; 4] = [
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    // The external weights of graphs over 2 GB.
    "onnx/model.onnx_data",
];

/// A sentence-transformers model of a hub: of the BERT family, or with an ONNX
/// graph.
///
/// ```no_run
/// # async fn example() -> memory_core::MemoryResult<()> {
/// use memory_onnx::{HubModel, OnnxEmbedder};
/// let model = HubModel::new("sentence-transformers/all-MiniLM-L6-v2");
/// let embedder = OnnxEmbedder::open(model.fetch().await?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HubModel {
    name: String,
    revision: Option<String>,
    cache_dir: Option<PathBuf>,
    endpoint: Option<String>,
    offline: bool,
}

impl HubModel {
    /// The model `owner/name`, at the head of its main branch.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            revision: None,
            cache_dir: None,
            endpoint: None,
            offline: false,
        }
    }

    /// A branch, a tag or a commit. A cached model is used without checking for
    /// updates until the cache is cleared.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// The hub's cache directory, instead of the one that the hub's other tools use
    /// on this machine.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// The hub's address, instead of that of the environment or the default.
    #[must_use]
    pub fn endpoint(mut self, address: impl Into<String>) -> Self {
        self.endpoint = Some(address.into());
        self
    }

    /// Uses only the cache, never the network.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Downloads the files that are not in the cache, and returns the options that
    /// open the model.
    ///
    /// A complete cache is used without any request. Downloads need a Tokio
    /// runtime with I/O and timers. Dropping the future leaves completed files in
    /// the cache.
    ///
    /// # Errors
    /// `Missing` if the hub does not have the model or one of its files, or if the
    /// cache does not have it and [`offline`](Self::offline) is set;
    /// `Unavailable` if it is not in the cache and the hub cannot be reached;
    /// `Configuration` for a name that is not `owner/name`.
    pub async fn fetch(&self) -> MemoryResult<OnnxOptions> {
        let repository = self.repository()?;
        let cached = self.get_files(&repository, true).await;
        let snapshot = match cached {
            Ok(snapshot) if snapshot.is_certain || self.offline => snapshot,
            Err(error) if self.offline => return Err(self.failed(error)),
            cached => match (self.get_files(&repository, false).await, cached) {
                (Ok(snapshot), _) => snapshot,
                // No required file is missing; whether the model has the optional
                // files cannot be determined now.
                (Err(error), Ok(snapshot)) if kind(&error) == ErrorKind::Unavailable => {
                    tracing::warn!(
                        model = self.name,
                        "the hub cannot be reached; using the cache"
                    );
                    snapshot
                }
                (Err(error), _) => return Err(self.failed(error)),
            },
        };
        Ok(OnnxOptions::new()
            .model_dir(snapshot.folder)
            .model_name(&self.name))
    }

    fn repository(&self) -> MemoryResult<HFRepository<RepoTypeModel>> {
        let (owner, name) = split_id(&self.name);
        let is_plain = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.starts_with('.') && !part.is_empty() && part.chars().all(plain)
        };
        if !is_plain(owner) || !is_plain(name) {
            let message = "invalid hub model name; expected owner/name of ASCII letters, digits, \
                           '-', '_' and '.'";
            return Err(MemoryError::configuration(message));
        }
        let mut client = HFClient::builder().retry_max_attempts(2);
        if let Some(folder) = &self.cache_dir {
            client = client.cache_dir(folder);
        }
        if let Some(address) = &self.endpoint {
            client = client.endpoint(address);
        }
        let client = client.build().map_err(|error| {
            MemoryError::configuration(format!("cannot create the hub client: {error}"))
        })?;
        Ok(client.model(owner, name))
    }

    /// Gets all files, from the cache alone or also from the hub.
    async fn get_files(
        &self,
        repository: &HFRepository<RepoTypeModel>,
        cache_only: bool,
    ) -> Result<Snapshot, HFError> {
        let get = |file: String| {
            repository
                .download_file()
                .filename(file)
                .maybe_revision(self.revision.clone())
                .local_files_only(cache_only)
                .send()
        };
        let modules = get(MODULES.to_owned()).await?;
        let folder = modules.parent().unwrap_or(Path::new("")).to_path_buf();
        let pooling = memory_sentence_transformers::pooling_file(&folder)
            .map_err(opening)
            .map_err(|error| HFError::Other(format!("{MODULES}: {error}")))?;
        for file in [pooling.as_str(), "config.json", "tokenizer.json"] {
            get(file.to_owned()).await?;
        }
        // The first of these that exists is used.
        let checkpoint = model::has_supported_checkpoint(&folder).then_some(CHECKPOINT);
        let mut weights = checkpoint.into_iter().chain(GRAPHS).peekable();
        while let Some(file) = weights.next() {
            match get(file.to_owned()).await {
                Err(error) if kind(&error) == ErrorKind::Missing && weights.peek().is_some() => {}
                result => {
                    result?;
                    break;
                }
            }
        }
        let mut is_certain = true;
        for file in OPTIONAL {
            match get(file.to_owned()).await {
                Ok(_) | Err(HFError::EntryNotFound { .. }) => {}
                // The cache does not know whether the model has this file.
                Err(HFError::LocalEntryNotFound { .. }) => is_certain = false,
                Err(error) => return Err(error),
            }
        }
        Ok(Snapshot { folder, is_certain })
    }

    fn failed(&self, error: HFError) -> MemoryError {
        let message = format!(
            "{} is not in the cache and cannot be fetched: {error}",
            self.name
        );
        MemoryError::embedder(kind(&error), FETCH, message).with_source(error)
    }
}

/// A model directory in the hub's cache.
struct Snapshot {
    folder: PathBuf,
    /// Whether each optional file is in the cache or known not to exist.
    is_certain: bool,
}

/// The kind of the error for the caller.
fn kind(error: &HFError) -> ErrorKind {
    match error {
        HFError::RepoNotFound { .. }
        | HFError::RevisionNotFound { .. }
        | HFError::EntryNotFound { .. }
        | HFError::LocalEntryNotFound { .. } => ErrorKind::Missing,
        HFError::Request { .. }
        | HFError::RateLimited { .. }
        | HFError::CacheLockTimeout { .. } => ErrorKind::Unavailable,
        HFError::Http { context } if context.status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}
